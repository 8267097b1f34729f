/* entry_share.h - entries that are kept once and read by many: immutable, counted, on the heap. A
 * shared entry has room for its own servers only, so it is never copied as a whole struct: use
 * entry_copy. */
#ifndef CORE_ROSTER_ENTRY_SHARE_H
#define CORE_ROSTER_ENTRY_SHARE_H

#include "core/roster/entry.h"

/* A shared copy of e with one reference; NULL without memory. Safe from any thread, as are the
 * calls below. */
struct entry *entry_new(const struct entry *e) __attribute__((warn_unused_result, nonnull));
/* A zeroed one with room for `servers`, to be filled before anybody else sees it. */
struct entry *entry_blank(size_t servers) __attribute__((warn_unused_result));
/* Takes NULL. */
struct entry *entry_ref(struct entry *e);
void entry_unref(struct entry *e);
/* What a shared entry says, as a whole struct. */
void entry_copy(const struct entry *shared, struct entry *out);

#endif
