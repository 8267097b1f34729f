/* name_view.h - inside role/name: all that can be answered at one moment, counted by reference; and
 * the book, which has the newest view. The worker that first sees a new roster makes the view for
 * all; the others answer from the last one meanwhile. */
#ifndef ROLE_NAME_VIEW_H
#define ROLE_NAME_VIEW_H

#include "role/name/name_failback.h"
#include "role/name/name_records.h"
#include "role/name/name_table.h"

/* Between two looks at the roster; and a view that takes long to make is made so seldom that it
 * costs no more than a part in NAME_REST of one core. */
#define NAME_LOOK_MS 10
#define NAME_REST 20

struct name_view {
    atomic_uint refs;
    const struct name_config *config;
    struct name_table *farm;
    struct name_records *records;  /* NULL = none */
    const struct name_table *file; /* of the records, or NULL */
    uint64_t revision;
};

/* Takes a reference of the records. failback: what of it is held, or NULL. NULL: no memory. */
struct name_view *name_view_new(const struct name_config *c, const struct roster *r,
                                struct name_records *records, const struct name_failback *failback)
    __attribute__((warn_unused_result));
struct name_view *name_view_ref(struct name_view *v);
void name_view_unref(struct name_view *v); /* takes NULL */

/* The newest view in place of `old` (NULL = none yet), whose reference is taken. The caller looks
 * again after NAME_LOOK_MS. NULL: there is no roster yet, or no memory for the first view. now_ns
 * counts in ns. */
struct name_view *name_book_look(struct name_book *b, struct name_view *old,
                                 struct name_stats *stats);

#endif
