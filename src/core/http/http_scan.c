/* http_scan.c - the lines of a head, read byte by byte so that a fault shows as soon as it has
 * come. What the lines mean is http_fields.c's and http.c's business. */
#include "core/http/http_scan.h"

#include <string.h>

#define DIGIT(c) ((c) >= '0' && (c) <= '9')
#define ALNUM(c) (DIGIT(c) || ((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define TOKEN(c)                                                                                   \
    (ALNUM(c) || (c) == '!' || ((c) >= '#' && (c) <= '\'') || (c) == '*' || (c) == '+' ||          \
     (c) == '-' || (c) == '.' || ((c) >= '^' && (c) <= '`') || (c) == '|' || (c) == '~')
#define VALUE(c) (((c) >= 0x20 && (c) != 0x7f) || (c) == '\t')
/* Browsers leave | ^ ` { } as they are; what could end an attribute, or reads as another separator
 * somewhere, is refused. */
#define QUERY(c) ((c) > 0x20 && (c) < 0x7f && (c) != '#' && (c) != '"' && (c) != '<' && (c) != '>')
#define PATH(c) (QUERY(c) && (c) != '\\' && (c) != '?')

#define CLASS(c)                                                                                   \
    (TOKEN(c) ? HTTP_TOKEN : 0) | (VALUE(c) ? HTTP_VALUE : 0) | (PATH(c) ? HTTP_PATH : 0) |        \
        (QUERY(c) ? HTTP_QUERY : 0) | (DIGIT(c) ? HTTP_DIGIT : 0) | (ALNUM(c) ? HTTP_ALNUM : 0)
#define CLASSES_4(c) CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASSES_16(c) CLASSES_4(c), CLASSES_4((c) + 4), CLASSES_4((c) + 8), CLASSES_4((c) + 12)
#define CLASSES_64(c)                                                                              \
    CLASSES_16(c), CLASSES_16((c) + 16), CLASSES_16((c) + 32), CLASSES_16((c) + 48)

const uint8_t http_classes[256] = {CLASSES_64(0), CLASSES_64(64), CLASSES_64(128), CLASSES_64(192)};

int http_scan_refuse(struct http_scan *s, int status, const char *why)
{
    s->why = why;
    return status;
}

int http_scan_more(struct http_scan *s)
{
    return s->capped ? http_scan_refuse(s, -431, "the head is too long") : 0;
}

int http_scan_char(struct http_scan *s, char wanted, const char *why)
{
    if (s->at == s->end)
        return http_scan_more(s);
    if (*s->at != wanted)
        return http_scan_refuse(s, -400, why);
    s->at++;
    return 1;
}

int http_scan_crlf(struct http_scan *s)
{
    int r = http_scan_char(s, '\r', "a control character or a bare line feed");
    return r == 1 ? http_scan_char(s, '\n', "a bare carriage return") : r;
}

int http_scan_version(struct http_scan *s, uint8_t *minor)
{
    static const char form[] = "HTTP/0.0"; /* 0 stands for a digit */
    const char *start = s->at;
    for (size_t i = 0; i < sizeof form - 1; i++, s->at++) {
        if (s->at == s->end)
            return http_scan_more(s);
        if (form[i] == '0' ? !http_is_digit(*s->at) : *s->at != form[i])
            return http_scan_refuse(s, -400, "no HTTP version where one belongs");
    }
    if (start[5] != '1' || start[7] > '1')
        return http_scan_refuse(s, -505, "an HTTP version other than 1.0 and 1.1");
    *minor = (uint8_t)(start[7] - '0');
    return 1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int scan_field(struct http_scan *s, struct http_header *h)
{
    h->name.at = s->at;
    while (s->at < s->end && http_is_token(*s->at))
        s->at++;
    if (s->at == s->end)
        return http_scan_more(s);
    h->name.len = (size_t)(s->at - h->name.at);
    if (h->name.len == 0)
        return http_scan_refuse(s, -400, "a field line that begins with no name (or is folded)");
    int r = http_scan_char(s, ':', "a field name is not followed by its colon");
    if (r != 1)
        return r;
    while (s->at < s->end && is_blank(*s->at))
        s->at++;
    h->value.at = s->at;
    while (s->at < s->end && http_is_value(*s->at))
        s->at++;
    h->value.len = (size_t)(s->at - h->value.at);
    while (h->value.len && is_blank(h->value.at[h->value.len - 1]))
        h->value.len--;
    return http_scan_crlf(s);
}

int http_scan_headers(struct http_scan *s, struct http_header *headers, size_t *count)
{
    *count = 0;
    for (;;) {
        if (s->at == s->end)
            return http_scan_more(s);
        if (*s->at == '\r')
            return http_scan_crlf(s);
        if (*count == HTTP_HEADERS_MAX)
            return http_scan_refuse(s, -431, "too many header fields");
        int r = scan_field(s, &headers[*count]);
        if (r != 1)
            return r;
        ++*count;
    }
}
