/* roster_out.c - the growing text. */
#include "core/roster/roster_out.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FIRST_BYTES 4096

void roster_out_bytes(struct roster_out *o, const char *bytes, size_t len)
{
    if (o->failed || len == 0)
        return;
    if (len >= o->cap - o->len) {
        size_t cap = o->cap ? o->cap * 2 : FIRST_BYTES;
        while (cap - o->len <= len)
            cap *= 2;
        char *more = mem_realloc(o->bytes, cap);
        if (more == NULL) {
            o->failed = true;
            return;
        }
        o->bytes = more;
        o->cap = cap;
    }
    memcpy(o->bytes + o->len, bytes, len);
    o->len += len;
}

void roster_out_text(struct roster_out *o, const char *text)
{
    roster_out_bytes(o, text, strlen(text));
}

void roster_out_number(struct roster_out *o, uint64_t n)
{
    char digits[24];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    roster_out_bytes(o, digits + at, sizeof digits - at);
}

void roster_out_string(struct roster_out *o, const char *text)
{
    roster_out_bytes(o, "\"", 1);
    for (const char *at = text; *at != '\0';) {
        size_t plain = 0;
        while ((unsigned char)at[plain] >= ' ' && at[plain] != '"' && at[plain] != '\\')
            plain++;
        roster_out_bytes(o, at, plain);
        at += plain;
        if (*at == '\0')
            break;
        char escape[8];
        int n = *at == '"' || *at == '\\'
                    ? snprintf(escape, sizeof escape, "\\%c", *at)
                    : snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)*at);
        roster_out_bytes(o, escape, (size_t)n);
        at++;
    }
    roster_out_bytes(o, "\"", 1);
}

void roster_out_deinit(struct roster_out *o)
{
    mem_free(o->bytes);
    *o = (struct roster_out){0};
}

char *roster_out_take(struct roster_out *o, size_t *len)
{
    size_t used = o->len;
    roster_out_bytes(o, "", 1);
    if (o->failed) {
        roster_out_deinit(o);
        return NULL;
    }
    if (len != NULL)
        *len = used;
    return o->bytes;
}
