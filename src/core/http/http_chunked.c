/* http_chunked.c - the chunked coding as a push decoder (RFC 9112 section 7.1). Extensions and
 * trailer fields are checked, bounded and thrown away. */
#include "core/http/http_scan.h"

#define SIZE_DIGITS_MAX 16
#define EXTENSION_MAX 1024

enum chunked_state {
    CHUNKED_SIZE,
    CHUNKED_EXTENSION,
    CHUNKED_SIZE_LF,
    CHUNKED_DATA,
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_TRAILER,
    CHUNKED_TRAILER_NAME,
    CHUNKED_TRAILER_VALUE,
    CHUNKED_TRAILER_LF,
    CHUNKED_LAST_LF,
    CHUNKED_END,
    CHUNKED_BAD
};

void http_chunked_init(struct http_chunked *c)
{
    *c = (struct http_chunked){.state = CHUNKED_SIZE};
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool go(struct http_chunked *c, enum chunked_state state)
{
    c->state = (uint8_t)state;
    return true;
}

static bool step_size(struct http_chunked *c, char byte)
{
    int digit = hex_digit(byte);
    if (digit >= 0) {
        if (++c->size_digits > SIZE_DIGITS_MAX || c->left > (uint64_t)INT64_MAX >> 4)
            return false;
        c->left = c->left << 4 | (uint64_t)digit;
        return true;
    }
    if (c->size_digits == 0)
        return false;
    if (byte == ';')
        return go(c, CHUNKED_EXTENSION);
    return byte == '\r' && go(c, CHUNKED_SIZE_LF);
}

/* size_digits goes on counting: the extension's bytes. */
static bool step_extension(struct http_chunked *c, char byte)
{
    if (byte == '\r')
        return go(c, CHUNKED_SIZE_LF);
    return http_is_value(byte) && ++c->size_digits <= SIZE_DIGITS_MAX + EXTENSION_MAX;
}

static bool step_trailer(struct http_chunked *c, char byte)
{
    if (++c->trailer_bytes > HTTP_HEAD_MAX)
        return false;
    switch ((enum chunked_state)c->state) {
    case CHUNKED_TRAILER:
        if (byte == '\r')
            return go(c, CHUNKED_LAST_LF);
        return http_is_token(byte) && go(c, CHUNKED_TRAILER_NAME);
    case CHUNKED_TRAILER_NAME:
        if (byte == ':')
            return go(c, CHUNKED_TRAILER_VALUE);
        return http_is_token(byte);
    case CHUNKED_TRAILER_VALUE:
        if (byte == '\r')
            return go(c, CHUNKED_TRAILER_LF);
        return http_is_value(byte);
    case CHUNKED_TRAILER_LF:
        return byte == '\n' && go(c, CHUNKED_TRAILER);
    default:
        return byte == '\n' && go(c, CHUNKED_END);
    }
}

static bool step_byte(struct http_chunked *c, char byte)
{
    switch ((enum chunked_state)c->state) {
    case CHUNKED_SIZE:
        return step_size(c, byte);
    case CHUNKED_EXTENSION:
        return step_extension(c, byte);
    case CHUNKED_SIZE_LF:
        return byte == '\n' && go(c, c->left ? CHUNKED_DATA : CHUNKED_TRAILER);
    case CHUNKED_DATA_CR:
        return byte == '\r' && go(c, CHUNKED_DATA_LF);
    case CHUNKED_DATA_LF:
        c->size_digits = 0;
        return byte == '\n' && go(c, CHUNKED_SIZE);
    case CHUNKED_BAD:
        return false;
    default:
        return step_trailer(c, byte);
    }
}

int http_chunked_step(struct http_chunked *c, struct slice *in, struct slice *data)
{
    *data = (struct slice){in->at, 0};
    while (c->state != CHUNKED_END) {
        if (in->len == 0)
            return 0;
        if (c->state == CHUNKED_DATA) {
            data->at = in->at;
            data->len = c->left < in->len ? (size_t)c->left : in->len;
            in->at += data->len;
            in->len -= data->len;
            c->left -= data->len;
            if (c->left == 0)
                go(c, CHUNKED_DATA_CR);
            return 1;
        }
        if (!step_byte(c, *in->at)) {
            go(c, CHUNKED_BAD);
            return -400;
        }
        in->at++;
        in->len--;
    }
    return 2;
}
