/* name_builder.h - inside role/name: makes a table, name by name. A builder that ran out of memory,
 * or was given what does not fit, stays failed; what it is told then does nothing, so one asks
 * once, at the end. */
#ifndef ROLE_NAME_BUILDER_H
#define ROLE_NAME_BUILDER_H

#include "role/name/name_table.h"

#define NAME_TABLE_BYTES_MAX (1u << 30)

struct name_builder {
    struct name_table *table;
    size_t slot_cap, entry_cap, set_cap, draw_cap, offset_cap, byte_cap;
    size_t entry_first_set; /* where the open entry's sets begin */
    bool failed;
};

bool name_builder_init(struct name_builder *b);
/* The table, or NULL when it failed; the builder is empty then. */
struct name_table *name_builder_done(struct name_builder *b);
void name_builder_deinit(struct name_builder *b); /* when it is not done */

/* The entry of a name in lower case, new ones without records. UINT32_MAX when failed. */
uint32_t name_builder_name(struct name_builder *b, const struct dns_name *lower);
/* UINT32_MAX = no such name. */
uint32_t name_builder_find(const struct name_builder *b, const struct dns_name *lower);
/* The names above an entry's, up to its zone's, exist too. */
void name_builder_above(struct name_builder *b, uint32_t entry, const struct name_zone *zone,
                        uint8_t zone_index);

/* All sets of an entry are made between these, in the same number and order of types for each
 * place. */
void name_builder_open(struct name_builder *b, uint32_t entry);
void name_builder_close(struct name_builder *b, uint32_t entry, enum name_placed placed,
                        unsigned places);

/* A set; its records follow, each between room() and put(), all of them before the next set.
 * Without records it is dropped by end_set(), unless `keep`: every place must have it. */
struct name_set *name_builder_set(struct name_builder *b, uint16_t type);
/* A writer with room for a record of that many bytes; a failed one when there is none. */
struct wire_writer name_builder_room(struct name_builder *b, size_t bytes);
void name_builder_put(struct name_builder *b, const struct wire_writer *w);
void name_builder_end_set(struct name_builder *b, enum name_turn turn, uint32_t give, bool keep);
/* After the end of a set that has records: one for its additional section. */
void name_builder_extra(struct name_builder *b, const struct wire_writer *w);
/* After the end of a set: a weight and a load for each of its records. */
void name_builder_draws(struct name_builder *b, const uint32_t *weights,
                        const struct name_load *loads);
/* Bytes that no set owns; returns where. */
uint32_t name_builder_bytes(struct name_builder *b, const struct wire_writer *w);

#endif
