/* text.c - a growing buffer, and the escaping of HTML. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_deinit(struct text *t)
{
    free(t->at);
    *t = (struct text){0};
}

/* Room for n more bytes and a NUL. */
static bool make_room(struct text *t, size_t n)
{
    if (t->failed || n >= TEXT_MAX - t->len) {
        t->failed = true;
        return false;
    }
    size_t need = t->len + n + 1, cap = t->cap ? t->cap : 4096;
    while (cap < need)
        cap *= 2;
    if (cap == t->cap)
        return true;
    char *at = realloc(t->at, cap);
    if (!at) {
        t->failed = true;
        return false;
    }
    t->at = at;
    t->cap = cap;
    return true;
}

static void add_bytes(struct text *t, const char *bytes, size_t n)
{
    if (!make_room(t, n))
        return;
    memcpy(t->at + t->len, bytes, n);
    t->len += n;
    t->at[t->len] = '\0';
}

void text_add(struct text *t, const char *html)
{
    add_bytes(t, html, strlen(html));
}

void text_addf(struct text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        t->failed = true;
    else if (make_room(t, (size_t)n)) {
        vsnprintf(t->at + t->len, (size_t)n + 1, format, again);
        t->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void text_html(struct text *t, const char *untrusted)
{
    for (const char *at = untrusted; *at;) {
        size_t plain = strcspn(at, "&<>\"'");
        add_bytes(t, at, plain);
        at += plain;
        switch (*at) {
        case '&':
            text_add(t, "&amp;");
            break;
        case '<':
            text_add(t, "&lt;");
            break;
        case '>':
            text_add(t, "&gt;");
            break;
        case '"':
            text_add(t, "&quot;");
            break;
        case '\'':
            text_add(t, "&#39;");
            break;
        default:
            return;
        }
        at++;
    }
}

void text_money(struct text *t, long cents)
{
    long whole = cents / 100;
    if (whole >= 1000)
        text_addf(t, "€%ld,%03ld.%02ld", whole / 1000, whole % 1000, cents % 100);
    else
        text_addf(t, "€%ld.%02ld", whole, cents % 100);
}
