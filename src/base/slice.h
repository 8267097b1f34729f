/* slice.h - some bytes that belong to somebody else: a part of what is parsed in place. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *at; /* NULL: there is none */
    size_t len;
};

bool slice_is(struct slice s, const char *text); /* exact */
/* Is it as the glob says, in which each * stands for any text, also none? Its time is bounded by
 * the product of both lengths. */
bool slice_fits(struct slice s, struct slice glob);
bool slice_is_nocase(struct slice s, const char *text); /* ASCII case-insensitive */

#endif
