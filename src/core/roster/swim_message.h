/* swim_message.h - the bytes of SWIM's messages: one decoder, which checks a message whole before
 * anything of it is used. docs/protocol.md, Members.
 *
 * Fleeting: a head, then records of news to the end. Reliable: pages of the comparison of tables.
 */
#ifndef CORE_ROSTER_SWIM_MESSAGE_H
#define CORE_ROSTER_SWIM_MESSAGE_H

#include "core/roster/swim.h"

enum swim_type {
    SWIM_PING = SWIM_TYPE_FIRST, /* seq; answered by ACK */
    SWIM_ACK,                    /* seq */
    SWIM_ASK,                    /* seq, target: ping it for me; answered by ACK or NACK */
    SWIM_NACK,                   /* seq: asked, no answer so far */
    SWIM_NEWS,
    SWIM_DIGEST, /* reliable: a hash for each bucket of the sender's table, over those alive;
                    answered by LIST */
    SWIM_LIST,   /* what the sender knows in the buckets that differ, without entries */
    SWIM_WANT,   /* entries are asked for */
    SWIM_ENTRIES
};
#define SWIM_TYPE_LAST SWIM_ENTRIES

#define SWIM_BUCKETS 64
#define SWIM_ACCUSERS_MAX 4
#define SWIM_WANT_MAX 1024 /* incarnations in a WANT */

enum swim_tag {
    SWIM_TAG_STATE = 1, /* inc, life, rank, who says so */
    SWIM_TAG_COUNTS,    /* entry_encode_counts */
    SWIM_TAG_ENTRY,     /* a whole entry, with life and rank */
    SWIM_TAG_NOTICE     /* there is an entry too large for a frame: inc, revision; WANT it */
};

struct swim_record {
    enum swim_tag tag;
    uint64_t inc;
    uint64_t revision; /* NOTICE */
    uint32_t life;     /* STATE, ENTRY */
    enum swim_rank rank;
    uint32_t age_ms; /* in ENTRIES */
    uint8_t accuser_count;
    uint64_t accusers[SWIM_ACCUSERS_MAX];
    struct entry_counts counts;
    struct entry entry;
};

/* A line of a LIST. */
struct swim_line {
    uint64_t inc, revision;
    uint32_t life;
    enum swim_rank rank;
};
#define SWIM_LINE_BYTES 21u
#define SWIM_LIST_HEAD_BYTES 15u

struct swim_message {
    enum swim_type type;
    uint32_t life; /* the sender's */
    uint32_t seq;
    uint64_t target;               /* ASK */
    bool gone;                     /* DIGEST */
    uint64_t digest[SWIM_BUCKETS]; /* DIGEST */
    uint64_t buckets;              /* LIST: the bits of those in this page */
    uint16_t count;                /* LIST, WANT, ENTRIES */
    struct wire_reader records;    /* the news, lines, incs or entries: valid */
};

void swim_put_head(struct wire_writer *w, enum swim_type type, uint32_t life, uint32_t seq,
                   uint64_t target);
/* Each gives false when it does not fit: the writer is then as before. */
bool swim_put_state(struct wire_writer *w, uint64_t inc, uint32_t life, enum swim_rank rank,
                    const uint64_t *accusers, uint8_t count);
bool swim_put_counts(struct wire_writer *w, const struct entry *e);
bool swim_put_entry(struct wire_writer *w, const struct entry *e, uint32_t life,
                    enum swim_rank rank);
bool swim_put_notice(struct wire_writer *w, uint64_t inc, uint64_t revision);

/* gone: the sender wants to hear of those that are down or left too. */
void swim_put_digest(struct wire_writer *w, uint32_t life, bool gone,
                     const uint64_t digest[SWIM_BUCKETS]);
/* A page is started, filled, and finished with its count. */
void swim_start_list(struct wire_writer *w, uint32_t life);
bool swim_put_line(struct wire_writer *w, const struct swim_line *line);
void swim_finish_list(struct wire_writer *w, uint64_t buckets, uint16_t count);
void swim_start_page(struct wire_writer *w, enum swim_type type, uint32_t life);
bool swim_put_page_entry(struct wire_writer *w, const struct entry *e, uint32_t life,
                         enum swim_rank rank, uint32_t age_ms);
void swim_finish_page(struct wire_writer *w, uint16_t count);

/* False on anything malformed; *out is then undefined. It points into bytes. */
bool swim_message_decode(const uint8_t *bytes, size_t len, struct swim_message *out);
/* The next of a decoded message's records. */
bool swim_get_record(struct wire_reader *r, struct swim_record *out);
bool swim_get_page_entry(struct wire_reader *r, struct swim_record *out);
bool swim_get_line(struct wire_reader *r, struct swim_line *out);

#endif
