/* cacheproto.h - GET and SET as Redis's and memcached's clients send them, in frames of one length
 * each, so that a limit can answer without parsing. */
#ifndef BENCH_CACHEPROTO_H
#define BENCH_CACHEPROTO_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CACHE_VALUE_BYTES 200
#define CACHE_FRAME_MAX 512
#define CACHE_KEYS 10000u

enum cache_form { FORM_RESP, FORM_MEMCACHE };

static inline size_t cache_get(enum cache_form form, char *out, unsigned key)
{
    return (size_t)(form == FORM_RESP ? sprintf(out, "*2\r\n$3\r\nGET\r\n$12\r\nkey:%08u\r\n", key)
                                      : sprintf(out, "get key:%08u\r\n", key));
}

static inline size_t cache_set(enum cache_form form, char *out, unsigned key)
{
    int n = form == FORM_RESP ? sprintf(out, "*3\r\n$3\r\nSET\r\n$12\r\nkey:%08u\r\n$%d\r\n", key,
                                        CACHE_VALUE_BYTES)
                              : sprintf(out, "set key:%08u 0 0 %d\r\n", key, CACHE_VALUE_BYTES);
    memset(out + n, 'x', CACHE_VALUE_BYTES);
    memcpy(out + n + CACHE_VALUE_BYTES, "\r\n", 2);
    return (size_t)n + CACHE_VALUE_BYTES + 2;
}

/* What a right answer begins with: all of it but the value's bytes and what follows them. */
static inline size_t cache_answer(enum cache_form form, bool get, char *out, unsigned key)
{
    int n;
    if (!get)
        n = sprintf(out, form == FORM_RESP ? "+OK\r\n" : "STORED\r\n");
    else if (form == FORM_RESP)
        n = sprintf(out, "$%d\r\n", CACHE_VALUE_BYTES);
    else
        n = sprintf(out, "VALUE key:%08u 0 %d\r\n", key, CACHE_VALUE_BYTES);
    return (size_t)n;
}

static inline const char *cache_answer_end(enum cache_form form, bool get)
{
    return !get ? "" : form == FORM_RESP ? "\r\n" : "\r\nEND\r\n";
}

#endif
