/* record.h - a record: a versioned map of fields, and its merge.
 *
 * A record is one piece of a session's state. Its order is the stamp (term, version, incarnation),
 * without wall clocks. Every field carries the stamp that set it; a removed field leaves a
 * tombstone with the stamp of its removal. Merging two copies keeps, for each name, the field with
 * the greater stamp; the head (owner, ttl, holders) comes from the copy with the greater stamp; the
 * greatest `died` voids every field that is not younger than it; `ended` beats everything. So merge
 * is commutative, associative and idempotent, and copies that have met are equal.
 *
 * Traps: only the owner assigns stamps (record_apply). A tombstone counts as memory; record_purge
 * drops those that are older than the longest split the configuration allows; at RECORD_FIELDS_MAX
 * a new field is refused, aloud. A record is a blob when it has one field with an empty name.
 * Nodes purge at slightly different times, so merge and decode have room for tombstones beyond the
 * limits of apply; a record above those can only shrink. The live fields of two sides of a split
 * may be too large together: merge says so, and its caller must choose one side. The head has no
 * stamp of its own: when only the holders change, copies of equal stamps differ in it, and merge
 * keeps the greater list.
 */
#ifndef CORE_RECORD_H
#define CORE_RECORD_H

#include "base/wire.h"
#include "stead/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_BYTES_MAX 250
#define FIELD_NAME_MAX 250
#define RECORD_BYTES_MAX (1u << 20) /* all names, and the values of the live fields */
#define RECORD_FIELDS_MAX 1024      /* live ones and tombstones */
#define RECORD_HOLDERS_MAX 8        /* copies, the owner's own not counted */
#define RECORD_MERGED_FIELDS_MAX (2 * RECORD_FIELDS_MAX) /* in a copy, see above */
/* No encoded record is larger: RECORD_BYTES_MAX, 30 bytes a field, a head of 512, and room for
 * tombstones that another node has purged already. With 4 KiB around it, a message of core/mesh. */
#define RECORD_ENCODED_MAX (RECORD_BYTES_MAX + (60u << 10))

struct key {
    uint8_t kind; /* index of the kind in the farm's table */
    uint8_t len;
    uint8_t bytes[KEY_BYTES_MAX];
};

/* Order of two states. inc is the owner's incarnation (the 64 random bits of its start). */
struct stamp {
    uint64_t term, version, inc;
};

/* Two honest copies of a record are never more terms, or versions, apart than STAMP_JUMP_MAX: of
 * two that are, the greater is false. None is ever above STAMP_FIRST_MAX, half of what a message
 * may say. So no word of a sick node brings a record to the end of the numbers. */
#define STAMP_JUMP_MAX (1ull << 32)
#define STAMP_FIRST_MAX (1ull << 62)

enum field_op_type { FIELD_SET, FIELD_DELETE, FIELD_ADD };

/* One change to a field. ADD adds amount to a decimal integer (absent counts as 0). */
struct field_op {
    enum field_op_type type;
    const uint8_t *name;
    size_t name_len;
    const uint8_t *value; /* SET */
    size_t value_len;
    int64_t amount; /* ADD */
};

struct field {
    struct stamp stamp;
    uint32_t value_len;
    uint32_t born_s; /* tombstone: when it came here, local seconds; not on the wire */
    uint8_t name_len;
    bool removed;
    bool lent;            /* it and its bytes lie in memory that is not the record's to free */
    const uint8_t *bytes; /* name, then value */
};

struct record_mark;

struct record {
    struct key key;
    struct stamp stamp;   /* of the last change; stamp.inc is the owner */
    struct stamp died;    /* greatest versioned deletion; zero = never */
    bool ended;           /* final deletion: no fields, for good */
    uint32_t born_s;      /* tombstone (ended or died with no fields): when it came here */
    uint32_t ttl_ms;      /* 0 = no expiry */
    uint8_t holder_count; /* incarnations that keep a copy besides the owner */
    uint64_t holders[RECORD_HOLDERS_MAX];
    uint32_t field_count, field_cap;
    uint32_t live_bytes;      /* names and values of live fields */
    uint32_t memory_bytes;    /* what it takes at rest in a table, key included; about */
    struct field **fields;    /* sorted by name */
    struct field **loan;      /* an array of fields that is not the record's to free, or NULL */
    bool lent;                /* the record itself lies in memory that is not to be freed */
    struct record_mark *mark; /* record_mark(); NULL: none */
};

int stamp_compare(const struct stamp *a, const struct stamp *b); /* <0, 0, >0 */
/* Can an honest node say `to` of a record that is known by `from` (NULL: not known)? */
bool stamp_is_near(const struct stamp *from, const struct stamp *to);
bool key_equal(const struct key *a, const struct key *b);
/* False when len is 0 or over KEY_BYTES_MAX. */
bool key_set(struct key *k, uint8_t kind, const void *bytes, size_t len);

struct record *record_new(const struct key *key) __attribute__((warn_unused_result));
void record_free(struct record *r);
struct record *record_clone(const struct record *r) __attribute__((warn_unused_result));

/* The live field of that name, or NULL. */
const struct field *record_get(const struct record *r, const void *name, size_t name_len);
static inline const uint8_t *field_name(const struct field *f)
{
    return f->bytes;
}
static inline const uint8_t *field_value(const struct field *f)
{
    return f->bytes + f->name_len;
}
/* True when there is nothing to read: ended, or dead with no live field left. */
bool record_is_tombstone(const struct record *r);

/* Applies all of the operations with the stamp given, or none. On success r->stamp = *stamp.
 * Removing a field that is not there succeeds and changes nothing else. Errors, with r unchanged:
 * STEAD_E_TOO_LARGE (bytes, fields or a name beyond the limit), STEAD_E_INVAL (ADD to what is not
 * an integer, or overflow), STEAD_E_ENDED, STEAD_E_NOMEM. now_s dates tombstones. The stamp must be
 * above r->died. Later operations see the effect of earlier ones. */
int record_apply(struct record *r, const struct field_op *ops, size_t count,
                 const struct stamp *stamp, uint32_t now_s);
/* The same with a limit of the caller's on the names and values of the live fields: TOO_LARGE, but
 * a record above it may shrink. */
int record_apply_within(struct record *r, const struct field_op *ops, size_t count,
                        const struct stamp *stamp, uint32_t now_s, uint32_t bytes_max);
/* Final deletion: drops the fields and died, sets ended and the stamp. */
void record_end(struct record *r, const struct stamp *stamp, uint32_t now_s);
/* Versioned deletion: died = stamp = *stamp, fields dropped. Nothing on an ended record. */
void record_die(struct record *r, const struct stamp *stamp, uint32_t now_s);

/* Remembers the content as it is now, in place of what was remembered before, and shares its
 * fields: cheap, but what is replaced stays in memory, uncounted, until record_settle(). Copies of
 * the record have no mark. False without memory: there is no mark then. */
bool record_mark(struct record *r) __attribute__((warn_unused_result));
/* What has changed since is for good; nothing without a mark. */
void record_settle(struct record *r);
/* Back to the marked state, stamp and holders included. The mark is gone. False: there is none. */
bool record_revert(struct record *r);

/* Merges src into dst (same key). *changed says whether dst differs from before in anything but its
 * head; *lost counts values of dst that were replaced by others or removed. Either may be NULL.
 * Errors, with dst unchanged: STEAD_E_NOMEM, STEAD_E_TOO_LARGE (live fields beyond
 * RECORD_BYTES_MAX, or more than RECORD_ENCODED_MAX or RECORD_MERGED_FIELDS_MAX hold). */
int record_merge(struct record *dst, const struct record *src, uint32_t now_s, bool *changed,
                 unsigned *lost);
/* Drops field tombstones born before horizon_s; none while there is a mark. */
void record_purge(struct record *r, uint32_t horizon_s);
/* A 64-bit digest of the content (ended, died, live fields with stamps and values; no tombstones,
 * no head), for comparing copies between nodes. Not secret, not collision-proof against attackers.
 */
uint64_t record_digest(const struct record *r);

/* Encodes key, head and fields. With since_version not 0, only fields whose stamp is of the
 * record's current term and of a version above it: a delta for a holder that has that version. */
size_t record_encoded_size(const struct record *r, uint64_t since_version);
void record_encode(const struct record *r, uint64_t since_version, struct wire_writer *w);
/* Decodes one record, fully validated: limits, sorted unique names, stamps not above the head's
 * (term, version). Returns NULL and fails the reader on malformed input; NULL with the reader not
 * failed means no memory. Caller owns the result. */
struct record *record_decode(struct wire_reader *r, uint32_t now_s);

#endif
