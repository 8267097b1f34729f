/* swim_sync.c - comparison of tables: first by a hash for each bucket, then only what differs. When
 * a node joins, meets again one that was down, and now and then with anybody: so whatever the news
 * missed is made good.
 *
 *   A: DIGEST -> B: LIST of what differs -> A: WANT what B knows better -> B: ENTRIES
 *                                            A: ENTRIES that A knows better */
#include "core/roster/swim_state.h"

#include "base/mem.h"

#include <string.h>

/* A page of entries that is being filled, sent whenever it is full. */
struct page {
    struct swim *s;
    struct swim_actions *out;
    uint64_t to;
    uint8_t *bytes;
    struct wire_writer w;
    uint16_t count;
};

static bool page_open(struct page *g, struct swim *s, uint64_t to, struct swim_actions *out)
{
    *g = (struct page){.s = s, .out = out, .to = to, .bytes = mem_alloc(SWIM_PAGE_BYTES)};
    if (g->bytes == NULL)
        return false;
    wire_writer_init(&g->w, g->bytes, SWIM_PAGE_BYTES);
    swim_start_page(&g->w, SWIM_ENTRIES, s->self->life);
    return true;
}

static void page_send(struct page *g)
{
    if (g->count > 0) {
        swim_finish_page(&g->w, g->count);
        (void)swim_send(g->s, g->to, true, &g->w, g->out);
    }
    wire_writer_init(&g->w, g->bytes, SWIM_PAGE_BYTES);
    swim_start_page(&g->w, SWIM_ENTRIES, g->s->self->life);
    g->count = 0;
}

/* A node as it was last heard of, its age when it is gone. A suspicion is told as news, not here.
 */
static bool page_try(struct page *g, const struct swim_peer *p, uint32_t age_ms)
{
    enum swim_rank rank = p->rank == SWIM_SUSPECT ? SWIM_ALIVE : (enum swim_rank)p->rank;
    return swim_put_page_entry(&g->w, p->entry, p->life, rank, age_ms);
}

static void page_add(struct page *g, const struct swim_peer *p, uint64_t now_ns)
{
    uint32_t age_ms = p->rank > SWIM_SUSPECT ? swim_mark(g->s, now_ns) - p->mark_ms : 0;
    if (swim_inc(p) == g->to)
        return;
    if (!page_try(g, p, age_ms)) {
        page_send(g);
        if (!page_try(g, p, age_ms))
            return;
    }
    g->count++;
}

static void page_close(struct page *g)
{
    page_send(g);
    mem_free(g->bytes);
}

static bool young(const struct swim *s, uint64_t now_ns)
{
    return now_ns - s->start_ns < swim_ns(s->timing.sync_ms);
}

void swim_sync_with(struct swim *s, uint64_t to, uint64_t now_ns, struct swim_actions *out)
{
    uint8_t bytes[16 + 8 * SWIM_BUCKETS];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_put_digest(&w, s->self->life, young(s, now_ns), s->table.digest);
    if (swim_send(s, to, true, &w, out))
        s->stats.syncs++;
    /* Somewhere around the interval, so that the farm's comparisons do not fall together. One that
     * is young may have met another as young. */
    uint64_t interval = swim_ns(s->timing.sync_ms);
    if (young(s, now_ns))
        interval /= SWIM_YOUNG;
    s->synced_ns = now_ns;
    s->sync_ns = now_ns + interval / 2 + rng_below(&s->rng, interval + 1);
}

void swim_sync_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    if (now_ns >= s->sync_ns) {
        const struct swim_peer *p = swim_random(s, 0);
        s->sync_ns = now_ns + swim_ns(s->timing.sync_ms);
        if (p != NULL)
            swim_sync_with(s, swim_inc(p), now_ns, out);
    }
    if (s->sync_ns < s->deadline_ns)
        s->deadline_ns = s->sync_ns;
}

void swim_want(struct swim *s, uint64_t from, uint64_t inc, uint64_t now_ns,
               struct swim_actions *out)
{
    uint8_t bytes[16];
    struct wire_writer w;
    if (inc == s->self->inc)
        return;
    for (size_t i = 0; i < SWIM_WANTS_MAX; i++) {
        if (s->wants[i].inc == inc && now_ns < s->wants[i].at_ns + SWIM_WANT_NS)
            return;
    }
    s->wants[s->want_at++ % SWIM_WANTS_MAX] = (struct swim_want){.inc = inc, .at_ns = now_ns};
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_start_page(&w, SWIM_WANT, s->self->life);
    wire_put_u64(&w, inc);
    swim_finish_page(&w, 1);
    (void)swim_send(s, from, true, &w, out);
}

/* Where a bucket begins in the table; incarnations are ordered, so a bucket is a run. */
static uint32_t bucket_begin(const struct swim_table *t, unsigned bucket)
{
    return bucket >= SWIM_BUCKETS ? t->count : swim_place(t, (uint64_t)bucket << 58);
}

static void put_bucket(const struct swim *s, unsigned bucket, struct wire_writer *w,
                       uint16_t *count)
{
    uint32_t end = bucket_begin(&s->table, bucket + 1);
    for (uint32_t i = bucket_begin(&s->table, bucket); i < end; i++, (*count)++) {
        const struct swim_peer *p = &s->table.items[i];
        struct swim_line line = {.inc = swim_inc(p),
                                 .revision = p->entry->revision,
                                 .life = p->life,
                                 .rank = p->rank == SWIM_SUSPECT ? SWIM_ALIVE
                                                                 : (enum swim_rank)p->rank};
        (void)swim_put_line(w, &line); /* there is room for the whole table */
    }
}

/* Hashes are over those that live; a newcomer wants to know the others too. */
static bool has_gone(const struct swim *s, unsigned bucket)
{
    uint32_t end = bucket_begin(&s->table, bucket + 1);
    for (uint32_t i = bucket_begin(&s->table, bucket); i < end; i++) {
        if (s->table.items[i].rank > SWIM_SUSPECT)
            return true;
    }
    return false;
}

/* All that this node knows in the buckets that differ, in one message. */
static void take_digest(struct swim *s, uint64_t from, const struct swim_message *m,
                        struct swim_actions *out)
{
    size_t room = SWIM_LIST_HEAD_BYTES + (size_t)s->table.count * SWIM_LINE_BYTES;
    uint8_t *bytes = mem_alloc(room);
    struct wire_writer w;
    uint64_t buckets = 0;
    uint16_t count = 0;
    if (bytes == NULL)
        return; /* compared again before long */
    wire_writer_init(&w, bytes, room);
    swim_start_list(&w, s->self->life);
    for (unsigned bucket = 0; bucket < SWIM_BUCKETS; bucket++) {
        if (m->digest[bucket] == s->table.digest[bucket] && !(m->gone && has_gone(s, bucket)))
            continue;
        buckets |= 1ull << bucket;
        put_bucket(s, bucket, &w, &count);
    }
    swim_finish_list(&w, buckets, count);
    (void)swim_send(s, from, true, &w, out);
    mem_free(bytes);
}

/* Without memory it is only not waited for. */
static void miss(struct swim *s, uint64_t inc, uint64_t now_ns)
{
    if (!young(s, now_ns))
        return;
    swim_found(s, inc);
    if (s->missing_count == s->missing_capacity) {
        uint32_t capacity = s->missing_capacity == 0 ? 16 : s->missing_capacity * 2;
        uint64_t *missing = mem_realloc(s->missing, capacity * sizeof *missing);
        if (missing == NULL || capacity > 2 * SWIM_PEERS_MAX)
            return;
        s->missing = missing;
        s->missing_capacity = capacity;
    }
    s->missing[s->missing_count++] = inc;
}

void swim_found(struct swim *s, uint64_t inc)
{
    for (uint32_t i = 0; i < s->missing_count; i++) {
        if (s->missing[i] == inc) {
            s->missing[i] = s->missing[--s->missing_count];
            return;
        }
    }
}

/* Hearsay that one is down makes it suspect: the other side of a split that is over thought so of
 * everybody. */
static void take_state(struct swim *s, uint64_t from, uint64_t inc, uint32_t life,
                       enum swim_rank rank, uint64_t now_ns, struct swim_actions *out)
{
    struct swim_saying said = {
        .inc = inc, .life = life, .rank = rank, .accusers = &from, .accuser_count = 1};
    if (rank == SWIM_DOWN && inc != s->self->inc) {
        const struct swim_peer *p = swim_find(s, inc);
        if (p == NULL || p->rank > SWIM_SUSPECT)
            return;
        said.rank = SWIM_SUSPECT;
    }
    (void)swim_say(s, &said, now_ns, out);
}

struct wants {
    uint8_t bytes[8 + 8 * SWIM_WANT_MAX];
    struct wire_writer w;
    uint16_t count;
};

static void wants_begin(struct swim *s, struct wants *v)
{
    v->count = 0;
    wire_writer_init(&v->w, v->bytes, sizeof v->bytes);
    swim_start_page(&v->w, SWIM_WANT, s->self->life);
}

static void wants_send(struct swim *s, uint64_t to, struct wants *v, struct swim_actions *out)
{
    if (v->count == 0)
        return;
    swim_finish_page(&v->w, v->count);
    (void)swim_send(s, to, true, &v->w, out);
    wants_begin(s, v);
}

/* The state of those that are listed, and what of their content is wanted. */
static void take_lines(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                       struct swim_actions *out)
{
    struct wants *v = mem_alloc(sizeof *v);
    struct wire_reader r = m->records;
    struct swim_line line;
    if (v == NULL)
        return; /* compared again before long */
    wants_begin(s, v);
    for (uint16_t i = 0; i < m->count && swim_get_line(&r, &line); i++) {
        const struct swim_peer *p = swim_find(s, line.inc);
        bool wanted = p == NULL || line.revision > p->entry->revision;
        take_state(s, from, line.inc, line.life, line.rank, now_ns, out);
        if (!wanted || line.inc == s->self->inc)
            continue;
        if (p == NULL)
            miss(s, line.inc, now_ns);
        wire_put_u64(&v->w, line.inc);
        if (++v->count == SWIM_WANT_MAX)
            wants_send(s, from, v, out);
    }
    wants_send(s, from, v, out);
    mem_free(v);
}

/* What the other does not have, or has in an older state. Both tables ascend. */
static void give(struct swim *s, uint64_t to, const struct swim_message *m, uint64_t now_ns,
                 struct swim_actions *out)
{
    struct page g;
    struct wire_reader r = m->records;
    struct swim_line line = {0};
    uint16_t lines = 0;
    if (!page_open(&g, s, to, out))
        return;
    for (uint32_t i = 0; i < s->table.count; i++) {
        const struct swim_peer *p = &s->table.items[i];
        uint64_t inc = swim_inc(p);
        if (!(m->buckets >> (inc >> 58) & 1))
            continue;
        while (line.inc < inc && lines < m->count && swim_get_line(&r, &line))
            lines++;
        bool known = line.inc == inc;
        bool older = known && (line.revision < p->entry->revision || line.life < p->life ||
                               (line.life == p->life && line.rank < p->rank));
        if (older || (!known && p->rank <= SWIM_SUSPECT))
            page_add(&g, p, now_ns);
    }
    page_close(&g);
}

static void take_want(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                      struct swim_actions *out)
{
    struct page g;
    struct wire_reader r = m->records;
    if (!page_open(&g, s, from, out))
        return;
    for (uint16_t i = 0; i < m->count; i++) {
        const struct swim_peer *p = swim_find(s, wire_u64(&r));
        if (p != NULL)
            page_add(&g, p, now_ns);
    }
    page_close(&g);
}

static void take_entries(struct swim *s, uint64_t from, const struct swim_message *m,
                         uint64_t now_ns, struct swim_actions *out)
{
    struct wire_reader r = m->records;
    struct swim_record record;
    for (uint16_t i = 0; i < m->count && swim_get_page_entry(&r, &record); i++) {
        swim_take_entry(s, &record, now_ns, out);
        take_state(s, from, record.inc, record.life, record.rank, now_ns, out);
    }
}

void swim_take_page(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                    struct swim_actions *out)
{
    switch (m->type) {
    case SWIM_DIGEST:
        take_digest(s, from, m, out);
        break;
    case SWIM_LIST:
        take_lines(s, from, m, now_ns, out);
        give(s, from, m, now_ns, out);
        s->joined = true;
        swim_compared(from, out);
        break;
    case SWIM_WANT:
        take_want(s, from, m, now_ns, out);
        break;
    default:
        take_entries(s, from, m, now_ns, out);
        break;
    }
}
