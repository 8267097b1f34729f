/* http_query.c - queries: parameters out, percent-encoding in. */
#include "core/http/http_query.h"

#include <string.h>

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static int unescape(struct slice value, char *out, size_t cap)
{
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == '%') {
            int high = i + 2 < value.len ? hex_value(value.at[i + 1]) : -1;
            int low = i + 2 < value.len ? hex_value(value.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || len + 1 >= cap)
            return -1;
        out[len++] = c;
    }
    out[len] = '\0';
    return 1;
}

int http_query_find(struct slice query, const char *name, char *out, size_t cap)
{
    size_t at = 0, name_len = strlen(name);
    out[0] = '\0';
    while (query.at && at < query.len) {
        const char *start = query.at + at, *end = memchr(start, '&', query.len - at);
        size_t len = end ? (size_t)(end - start) : query.len - at;
        if (len > name_len && memcmp(start, name, name_len) == 0 && start[name_len] == '=')
            return unescape((struct slice){start + name_len + 1, len - name_len - 1}, out, cap);
        at += len + 1;
    }
    return 0;
}

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c));
}

bool http_percent_encode(struct slice text, char *buf, size_t cap, size_t *len)
{
    size_t at = *len;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (at + 4 > cap) {
            buf[*len] = '\0';
            return false;
        }
        if (unreserved((char)c)) {
            buf[at++] = (char)c;
        } else {
            buf[at++] = '%';
            buf[at++] = "0123456789ABCDEF"[c >> 4];
            buf[at++] = "0123456789ABCDEF"[c & 15];
        }
    }
    buf[at] = '\0';
    *len = at;
    return true;
}
