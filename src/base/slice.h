/* slice.h - some bytes that belong to somebody else: a part of what is parsed in place. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *at; /* NULL: there is none */
    size_t len;
};

bool slice_is(struct slice s, const char *text);        /* exact */
bool slice_is_nocase(struct slice s, const char *text); /* ASCII case-insensitive */

#endif
