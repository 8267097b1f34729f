/* text.h - text that grows: how pages are written.
 *
 * An error (no memory, or longer than TEXT_MAX) sticks: what is added after it is dropped, and
 * `failed` says so at the end. Trap: text_add() takes HTML as it is; everything that came from
 * outside goes through text_html().
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define TEXT_MAX (1u << 20)

struct text {
    char *at; /* free()'d by text_deinit; always ended by NUL when not NULL */
    size_t len, cap;
    bool failed;
};

void text_deinit(struct text *t);
void text_add(struct text *t, const char *html);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Escaped for text and for attribute values in quotes. */
void text_html(struct text *t, const char *untrusted);
/* "1,234.50" for 123450. */
void text_money(struct text *t, long cents);

#endif
