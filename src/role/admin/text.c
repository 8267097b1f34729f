/* text.c - text that grows. */
#include "role/admin/text.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

static bool make_room(struct text *t, size_t bytes)
{
    if (t->cap - t->len > bytes)
        return true;
    size_t cap = t->cap ? t->cap * 2 : 4096;
    while (cap - t->len <= bytes)
        cap *= 2;
    char *more = mem_realloc(t->at, cap);
    if (!more) {
        t->failed = true;
        return false;
    }
    t->at = more;
    t->cap = cap;
    return true;
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = t->failed ? 0 : vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || t->failed || !make_room(t, (size_t)n)) {
        t->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(t->at + t->len, t->cap - t->len, format, args);
    va_end(args);
    t->len += (size_t)n;
}

char *text_take(struct text *t, size_t *len)
{
    char *at = t->at;
    *len = t->len;
    if (t->failed || !at) {
        mem_free(at);
        at = NULL;
    }
    *t = (struct text){0};
    return at;
}
