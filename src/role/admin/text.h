/* text.h - text that grows; its failure sticks until it is taken. */
#ifndef ROLE_ADMIN_TEXT_H
#define ROLE_ADMIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *at;
    size_t len, cap;
    bool failed;
};

void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text with its NUL, the caller's to mem_free; NULL when it failed. t is empty after. */
char *text_take(struct text *t, size_t *len);

#endif
