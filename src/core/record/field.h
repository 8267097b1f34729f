/* field.h - making, copying and comparing the fields of a record. Within core/record only. */
#ifndef CORE_RECORD_FIELD_H
#define CORE_RECORD_FIELD_H

#include "core/record/record.h"

#define FIELD_REST_BYTES 8u /* beside name and value: lengths and a stamp like the record's */
#define RECORD_REST_BYTES                                                                          \
    56u /* beside key and fields: what the table keeps about it, and its head */

/* A live field of that stamp; NULL without memory. Lengths are within the limits. */
struct field *field_new(const void *name, size_t name_len, const void *value, size_t value_len,
                        const struct stamp *stamp) __attribute__((warn_unused_result));
/* A tombstone that came here at born_s. */
struct field *field_new_removed(const void *name, size_t name_len, const struct stamp *stamp,
                                uint32_t born_s) __attribute__((warn_unused_result));
/* A copy; a tombstone's date becomes born_s. */
struct field *field_clone(const struct field *f, uint32_t born_s)
    __attribute__((warn_unused_result));
void field_free(struct field *f); /* takes NULL */

/* Order of names: bytewise, a prefix first. <0, 0, >0. */
int field_compare_name(const struct field *f, const void *name, size_t name_len);
/* Order of contents under one name and stamp: a tombstone over a value, a longer value over a
 * shorter, then bytewise. Equal stamps with unequal contents come from no correct owner; with a
 * total order copies still end up equal. */
int field_compare_content(const struct field *a, const struct field *b);
/* What counts towards RECORD_BYTES_MAX: name and value, nothing for a tombstone. */
uint32_t field_live_bytes(const struct field *f);
/* What it takes at rest (record_pack.h). */
uint32_t field_memory(const struct field *f);

#endif
