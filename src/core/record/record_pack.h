/* record_pack.h - a record at rest: its head and its fields as bytes, in one piece, without the
 * key. A third of what it takes as struct record, or less. Names and values lie in it as they are,
 * so that it is read without copying them.
 *
 * Unlike record_code.h's bytes these never leave the process: incarnations are numbers of the
 * table's own (incs.h), and nothing is checked when they are read.
 */
#ifndef CORE_RECORD_PACK_H
#define CORE_RECORD_PACK_H

#include "core/record/pen.h"
#include "core/record/record.h"

void record_pack_head(const struct record *r, struct incs *incs, struct pen *p);
void record_pack_fields(const struct record *r, struct incs *incs, struct pen *p);

/* Does a head say nothing but a stamp and a ttl: no end, no deletion, no holders? */
bool record_is_packed_plain(const uint8_t *at);
/* Reads a head into r, whose key is set; all else of r is zero. */
void record_unpack_head(struct record *r, const struct incs *incs, const uint8_t **at);
/* How many fields follow. *at is not moved. */
uint32_t record_packed_fields(const uint8_t *at);
/* Reads the fields into `fields` (as many as record_packed_fields() said), and makes them the
 * record's by `loan`, an array of as many pointers. Both, and the bytes, stay the caller's, and
 * stay where they are while the record is in use. */
void record_unpack_fields(struct record *r, const struct incs *incs, const uint8_t **at,
                          struct field *fields, struct field **loan);
/* Are the fields still those that were read: neither added, removed nor set? */
bool record_fields_as_read(const struct record *r, uint32_t count);
/* The bytes have moved from `from` to `to`: so have the names and values that are read from them.
 */
void record_fields_moved(struct record *r, const uint8_t *from, size_t len, const uint8_t *to);

#endif
