/* cacheproto.h - GET and SET as Redis's and memcached's clients send them, in frames of one length
 * each, so that a limit can answer without parsing. */
#ifndef BENCH_CACHEPROTO_H
#define BENCH_CACHEPROTO_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CACHE_VALUE_BYTES 200
#define CACHE_FRAME_MAX 2048
#define CACHE_KEYS 10000u

enum cache_form { FORM_RESP, FORM_MEMCACHE };

static inline size_t cache_get(enum cache_form form, char *out, unsigned key)
{
    return (size_t)(form == FORM_RESP ? sprintf(out, "*2\r\n$3\r\nGET\r\n$12\r\nkey:%08u\r\n", key)
                                      : sprintf(out, "get key:%08u\r\n", key));
}

static inline size_t cache_set(enum cache_form form, char *out, unsigned key, size_t bytes)
{
    int n = sprintf(out,
                    form == FORM_RESP ? "*3\r\n$3\r\nSET\r\n$12\r\nkey:%08u\r\n$%zu\r\n"
                                      : "set key:%08u 0 0 %zu\r\n",
                    key, bytes);
    memset(out + n, 'x', bytes);
    memcpy(out + n + bytes, "\r\n", 2);
    return (size_t)n + bytes + 2;
}

/* What a right answer begins with: all of it but the value's bytes and what follows them. */
static inline size_t cache_answer(enum cache_form form, bool get, char *out, unsigned key,
                                  size_t bytes)
{
    int n;
    if (!get)
        n = sprintf(out, form == FORM_RESP ? "+OK\r\n" : "STORED\r\n");
    else if (form == FORM_RESP)
        n = sprintf(out, "$%zu\r\n", bytes);
    else
        n = sprintf(out, "VALUE key:%08u 0 %zu\r\n", key, bytes);
    return (size_t)n;
}

static inline const char *cache_answer_end(enum cache_form form, bool get)
{
    return !get ? "" : form == FORM_RESP ? "\r\n" : "\r\nEND\r\n";
}

#endif
