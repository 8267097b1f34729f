/* resp_out.c - replies out. */
#include "core/resp/resp.h"

#include <string.h>

#define NUMBER_MAX 24

void resp_out_init(struct resp_out *o, char *bytes, size_t cap, bool version3)
{
    *o = (struct resp_out){.bytes = bytes, .cap = cap, .version3 = version3};
}

static void put(struct resp_out *o, const void *bytes, size_t len)
{
    if (o->failed || len > o->cap - o->len) {
        o->failed = true;
        return;
    }
    if (len > 0)
        memcpy(o->bytes + o->len, bytes, len);
    o->len += len;
}

static void put_number(struct resp_out *o, char sign, int64_t n)
{
    char text[NUMBER_MAX], *end = text + sizeof text, *at = end;
    uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    *--at = '\n';
    *--at = '\r';
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (n < 0)
        *--at = '-';
    *--at = sign;
    put(o, at, (size_t)(end - at));
}

static void put_line(struct resp_out *o, char sign, const char *text)
{
    put(o, &sign, 1);
    put(o, text, strlen(text));
    put(o, "\r\n", 2);
}

void resp_put_simple(struct resp_out *o, const char *text)
{
    put_line(o, '+', text);
}

void resp_put_error(struct resp_out *o, const char *text)
{
    put_line(o, '-', text);
}

void resp_put_int(struct resp_out *o, int64_t n)
{
    put_number(o, ':', n);
}

void resp_put_bulk(struct resp_out *o, const void *bytes, size_t len)
{
    put_number(o, '$', (int64_t)len);
    put(o, bytes, len);
    put(o, "\r\n", 2);
}

void resp_put_null(struct resp_out *o)
{
    if (o->version3)
        put(o, "_\r\n", 3);
    else
        put(o, "$-1\r\n", 5);
}

void resp_put_array(struct resp_out *o, size_t count)
{
    put_number(o, '*', (int64_t)count);
}

void resp_put_map(struct resp_out *o, size_t pairs)
{
    if (o->version3)
        put_number(o, '%', (int64_t)pairs);
    else
        put_number(o, '*', (int64_t)pairs * 2);
}
