/* name_table.h - inside role/name: names and their records, as they are copied into answers.
 * Immutable once made (name_builder.h). A table comes from the roster or from a file. */
#ifndef ROLE_NAME_TABLE_H
#define ROLE_NAME_TABLE_H

#include "core/dns/dns_record.h"
#include "role/name/name.h"

/* How the records of an answer are chosen from a set. */
enum name_turn {
    TURN_NONE,   /* as they stand */
    TURN_ROTATE, /* from each in turn on */
    TURN_HEAD,   /* the same among the first `ties`, which are equally good */
    TURN_WEIGHT, /* by lot */
    TURN_LOAD    /* of two by lot the less loaded */
};

#define SET_LAST_RESORT 1 /* nobody in it is up */
#define SET_SERVFAIL 2    /* SERVFAIL instead of records */

/* Records of one type at one name, all of them with the question as owner. */
struct name_set {
    uint16_t type;
    uint8_t turn, flags;
    uint16_t size;        /* of each record when all have the same, else 0 */
    uint16_t extra_count; /* records that go with them into the additional section */
    uint32_t count, give, ties;
    /* In the table's bytes. Of equal records the first ones stand behind the last again, so any
     * `give` of them are in a row; of others the offsets are in offsets[]. */
    uint32_t records, offsets, draws, extra, extra_bytes;
};

/* As pick.h compares servers: users by weight, then the load of their own report. */
struct name_load {
    float users;
    uint32_t report; /* LOAD_UNKNOWN when none came */
};

/* By more than counts may be behind: a tenth, or by report when the users are equal. */
static inline bool name_load_less(const struct name_load *a, const struct name_load *b)
{
    if (a->users == b->users)
        return b->report != LOAD_UNKNOWN && a->report < b->report;
    return a->users < b->users * 0.9f;
}

/* Vose's alias method: a place by lot, then itself or `other`. */
struct name_draw {
    uint32_t below, other;
    struct name_load load;
};

#define ENTRY_APEX 1
#define ENTRY_CUT 2     /* other name servers answer for what is below */
#define ENTRY_COVERED 4 /* is below a cut: `cut` says which entry */

/* What an entry's sets depend on. */
enum name_placed { PLACED_NOT, PLACED_NETWORK, PLACED_FULLY };

struct name_entry {
    uint32_t name, first_set, cut;
    uint8_t name_len, set_count, flags, placed, zone;
};

struct name_slot {
    uint32_t hash, entry; /* entry's index + 1; 0 = free */
};

struct name_zone {
    struct dns_name name;    /* lower case */
    uint32_t soa, soa_bytes; /* for the authority section; its owner is set when it is used */
};

struct name_table {
    uint32_t slot_mask;
    unsigned labels_max; /* of the name with most */
    struct name_slot *slots;
    struct name_entry *entries;
    struct name_set *sets;
    struct name_draw *draws;
    uint32_t *offsets;
    uint8_t *bytes;
    size_t entry_count, set_count, draw_count, offset_count, byte_count;
    size_t zone_count;
    struct name_zone zones[NAME_ZONES_MAX];
};

void name_table_free(struct name_table *t); /* takes NULL */

/* The name is lower case, with 7 readable bytes behind it. NULL: there is no such name. */
static inline const struct name_entry *
name_table_find(const struct name_table *t, const uint8_t *name, size_t len, uint32_t hash)
{
    for (uint32_t at = hash & t->slot_mask;; at = (at + 1) & t->slot_mask) {
        const struct name_slot *s = &t->slots[at];
        if (s->entry == 0)
            return NULL;
        if (s->hash != hash)
            continue;
        const struct name_entry *e = &t->entries[s->entry - 1];
        if (e->name_len == len && dns_name_same(t->bytes + e->name, name, len))
            return e;
    }
}

/* place: of so many as the entry has. NULL: no records of that type. */
static inline const struct name_set *name_table_set(const struct name_table *t,
                                                    const struct name_entry *e, unsigned place,
                                                    uint16_t type)
{
    const struct name_set *s = t->sets + e->first_set + place * e->set_count;
    for (unsigned i = 0; i < e->set_count; i++)
        if (s[i].type == type)
            return &s[i];
    return NULL;
}

/* The first record of an answer, when the others stand in a row behind it; UINT32_MAX when they do
 * not. */
static inline uint32_t name_set_row(const struct name_set *s, uint64_t chance)
{
    if (s->turn == TURN_NONE)
        return 0;
    return s->turn <= TURN_HEAD ? (uint32_t)chance % s->ties : UINT32_MAX;
}

/* The same by lot: which records an answer has, `give` of them, each once. */
void name_set_draw(const struct name_table *t, const struct name_set *s, uint64_t chance,
                   uint32_t index[NAME_ADDRESSES_MAX]);

#endif
