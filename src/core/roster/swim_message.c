/* swim_message.c - the bytes of SWIM's messages. What they mean is in the other swim files. */
#include "core/roster/swim_message.h"

#include <string.h>

#define HEAD_COUNT_AT 5u   /* type, life */
#define HEAD_BUCKETS_AT 5u /* of a LIST: buckets, then the count */
#define LIST_COUNT_AT 13u

void swim_put_head(struct wire_writer *w, enum swim_type type, uint32_t life, uint32_t seq,
                   uint64_t target)
{
    wire_put_u8(w, (uint8_t)type);
    wire_put_u32(w, life);
    if (type != SWIM_NEWS)
        wire_put_u32(w, seq);
    if (type == SWIM_ASK)
        wire_put_u64(w, target);
}

static bool keep(struct wire_writer *w, const struct wire_writer *before)
{
    if (wire_put_ok(w))
        return true;
    *w = *before;
    return false;
}

bool swim_put_state(struct wire_writer *w, uint64_t inc, uint32_t life, enum swim_rank rank,
                    const uint64_t *accusers, uint8_t count)
{
    struct wire_writer before = *w;
    wire_put_u8(w, SWIM_TAG_STATE);
    wire_put_u64(w, inc);
    wire_put_u32(w, life);
    wire_put_u8(w, (uint8_t)rank);
    wire_put_u8(w, count);
    for (uint8_t i = 0; i < count; i++)
        wire_put_u64(w, accusers[i]);
    return keep(w, &before);
}

bool swim_put_counts(struct wire_writer *w, const struct entry *e)
{
    struct wire_writer before = *w;
    wire_put_u8(w, SWIM_TAG_COUNTS);
    entry_encode_counts(e, w);
    return keep(w, &before);
}

bool swim_put_entry(struct wire_writer *w, const struct entry *e, uint32_t life,
                    enum swim_rank rank)
{
    struct wire_writer before = *w;
    wire_put_u8(w, SWIM_TAG_ENTRY);
    wire_put_u32(w, life);
    wire_put_u8(w, (uint8_t)rank);
    entry_encode(e, w);
    return keep(w, &before);
}

bool swim_put_notice(struct wire_writer *w, uint64_t inc, uint64_t revision)
{
    struct wire_writer before = *w;
    wire_put_u8(w, SWIM_TAG_NOTICE);
    wire_put_u64(w, inc);
    wire_put_u64(w, revision);
    return keep(w, &before);
}

void swim_put_digest(struct wire_writer *w, uint32_t life, bool gone,
                     const uint64_t digest[SWIM_BUCKETS])
{
    wire_put_u8(w, SWIM_DIGEST);
    wire_put_u32(w, life);
    wire_put_u8(w, gone);
    for (size_t i = 0; i < SWIM_BUCKETS; i++)
        wire_put_u64(w, digest[i]);
}

void swim_start_list(struct wire_writer *w, uint32_t life)
{
    wire_put_u8(w, SWIM_LIST);
    wire_put_u32(w, life);
    wire_put_u64(w, 0);
    wire_put_u16(w, 0);
}

bool swim_put_line(struct wire_writer *w, const struct swim_line *line)
{
    struct wire_writer before = *w;
    wire_put_u64(w, line->inc);
    wire_put_u64(w, line->revision);
    wire_put_u32(w, line->life);
    wire_put_u8(w, (uint8_t)line->rank);
    return keep(w, &before);
}

void swim_finish_list(struct wire_writer *w, uint64_t buckets, uint16_t count)
{
    struct wire_writer head;
    wire_writer_init(&head, w->start + HEAD_BUCKETS_AT, LIST_COUNT_AT - HEAD_BUCKETS_AT + 2);
    wire_put_u64(&head, buckets);
    wire_put_u16(&head, count);
}

void swim_start_page(struct wire_writer *w, enum swim_type type, uint32_t life)
{
    wire_put_u8(w, (uint8_t)type);
    wire_put_u32(w, life);
    wire_put_u16(w, 0);
}

bool swim_put_page_entry(struct wire_writer *w, const struct entry *e, uint32_t life,
                         enum swim_rank rank, uint32_t age_ms)
{
    struct wire_writer before = *w;
    wire_put_u32(w, life);
    wire_put_u8(w, (uint8_t)rank);
    wire_put_u32(w, age_ms);
    entry_encode(e, w);
    return keep(w, &before);
}

void swim_finish_page(struct wire_writer *w, uint16_t count)
{
    struct wire_writer head;
    wire_writer_init(&head, w->start + HEAD_COUNT_AT, 2);
    wire_put_u16(&head, count);
}

static enum swim_rank get_rank(struct wire_reader *r)
{
    uint8_t rank = wire_u8(r);
    if (rank > SWIM_LEFT)
        wire_fail(r);
    return (enum swim_rank)rank;
}

static void get_state(struct wire_reader *r, struct swim_record *out)
{
    out->inc = wire_u64(r);
    out->life = wire_u32(r);
    out->rank = get_rank(r);
    out->accuser_count = wire_u8(r);
    if (out->inc == 0 || out->accuser_count > SWIM_ACCUSERS_MAX) {
        wire_fail(r);
        return;
    }
    for (uint8_t i = 0; i < out->accuser_count; i++)
        out->accusers[i] = wire_u64(r);
}

static bool get_entry(struct wire_reader *r, struct swim_record *out)
{
    if (!wire_ok(r) || !entry_decode(r, &out->entry))
        return false;
    out->inc = out->entry.inc;
    return true;
}

bool swim_get_record(struct wire_reader *r, struct swim_record *out)
{
    out->tag = (enum swim_tag)wire_u8(r);
    switch (out->tag) {
    case SWIM_TAG_STATE:
        get_state(r, out);
        return wire_ok(r);
    case SWIM_TAG_COUNTS:
        if (!entry_decode_counts(r, &out->counts))
            return false;
        out->inc = out->counts.inc;
        return true;
    case SWIM_TAG_ENTRY:
        out->life = wire_u32(r);
        out->rank = get_rank(r);
        out->age_ms = 0;
        return get_entry(r, out);
    case SWIM_TAG_NOTICE:
        out->inc = wire_u64(r);
        out->revision = wire_u64(r);
        return wire_ok(r) && out->inc != 0;
    }
    return false;
}

bool swim_get_page_entry(struct wire_reader *r, struct swim_record *out)
{
    out->tag = SWIM_TAG_ENTRY;
    out->life = wire_u32(r);
    out->rank = get_rank(r);
    out->age_ms = wire_u32(r);
    return get_entry(r, out);
}

bool swim_get_line(struct wire_reader *r, struct swim_line *out)
{
    out->inc = wire_u64(r);
    out->revision = wire_u64(r);
    out->life = wire_u32(r);
    out->rank = get_rank(r);
    return wire_ok(r) && out->inc != 0;
}

static bool news_valid(struct wire_reader r)
{
    struct swim_record record;
    while (wire_ok(&r) && wire_left(&r) > 0) {
        if (!swim_get_record(&r, &record))
            return false;
    }
    return wire_done(&r);
}

/* Lines ascend, and are of the buckets that the page is about. */
static bool lines_valid(struct wire_reader r, uint64_t buckets, uint16_t count)
{
    struct swim_line line;
    uint64_t last = 0;
    for (uint16_t i = 0; i < count; i++) {
        if (!swim_get_line(&r, &line) || line.inc <= last || !(buckets >> (line.inc >> 58) & 1))
            return false;
        last = line.inc;
    }
    return wire_done(&r);
}

static bool entries_valid(struct wire_reader r, uint16_t count)
{
    struct swim_record record;
    for (uint16_t i = 0; i < count; i++) {
        if (!swim_get_page_entry(&r, &record))
            return false;
    }
    return wire_done(&r);
}

static bool wants_valid(struct wire_reader r, uint16_t count)
{
    if (count > SWIM_WANT_MAX)
        return false;
    (void)wire_bytes(&r, 8u * count);
    return wire_done(&r);
}

static bool page_valid(struct wire_reader *r, struct swim_message *m)
{
    if (m->type == SWIM_DIGEST) {
        uint8_t gone = wire_u8(r);
        if (gone > 1)
            return false;
        m->gone = gone == 1;
        for (size_t i = 0; i < SWIM_BUCKETS; i++)
            m->digest[i] = wire_u64(r);
        return wire_done(r);
    }
    if (m->type == SWIM_LIST)
        m->buckets = wire_u64(r);
    m->count = wire_u16(r);
    m->records = *r;
    if (!wire_ok(r))
        return false;
    switch (m->type) {
    case SWIM_LIST:
        return lines_valid(*r, m->buckets, m->count);
    case SWIM_WANT:
        return wants_valid(*r, m->count);
    default:
        return entries_valid(*r, m->count);
    }
}

bool swim_message_decode(const uint8_t *bytes, size_t len, struct swim_message *out)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    uint8_t type = wire_u8(&r);
    if (!wire_ok(&r) || type < SWIM_TYPE_FIRST || type > SWIM_TYPE_LAST)
        return false;
    out->type = (enum swim_type)type;
    out->life = wire_u32(&r);
    if (type >= SWIM_DIGEST)
        return page_valid(&r, out);
    out->seq = type != SWIM_NEWS ? wire_u32(&r) : 0;
    out->target = type == SWIM_ASK ? wire_u64(&r) : 0;
    if (type == SWIM_ASK && out->target == 0)
        wire_fail(&r);
    out->records = r;
    return wire_ok(&r) && news_valid(r);
}
