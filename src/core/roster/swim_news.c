/* swim_news.c - what is told on: each piece some multiple of log n times by each member, the least
 * told first, on every ping and answer and in messages of its own while there is any. */
#include "core/roster/swim_state.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

static unsigned sent_limit(const struct swim *s)
{
    uint32_t milli = swim_log10_milli(s->table.alive + 2);
    unsigned limit = s->timing.spread * ((milli + 999) / 1000);
    return limit < SWIM_SENT_MAX ? limit : SWIM_SENT_MAX;
}

static void unlink_news(struct swim_board *b, uint16_t place)
{
    struct swim_news *n = &b->items[place - 1];
    if (n->prev != 0)
        b->items[n->prev - 1].next = n->next;
    else
        b->first[n->sent] = n->next;
    if (n->next != 0)
        b->items[n->next - 1].prev = n->prev;
    else
        b->last[n->sent] = n->prev;
    n->next = n->prev = 0;
}

static void link_news(struct swim_board *b, uint16_t place)
{
    struct swim_news *n = &b->items[place - 1];
    n->next = 0;
    n->prev = b->last[n->sent];
    if (n->prev != 0)
        b->items[n->prev - 1].next = place;
    else
        b->first[n->sent] = place;
    b->last[n->sent] = place;
}

static void release(struct swim *s, uint16_t place)
{
    struct swim_board *b = &s->board;
    struct swim_news *n = &b->items[place - 1];
    struct swim_peer *p = swim_find(s, n->inc);
    if (p != NULL) {
        assert(p->news[n->kind] == place);
        p->news[n->kind] = 0;
        if (n->kind == SWIM_NEWS_CONTENT)
            p->flags &= (uint8_t)~SWIM_WHOLE;
    }
    unlink_news(b, place);
    n->next = b->free;
    b->free = place;
    b->count--;
}

static bool grow(struct swim_board *b)
{
    if (b->used < b->capacity)
        return true;
    uint16_t capacity = b->capacity == 0 ? 16 : (uint16_t)(b->capacity * 2);
    struct swim_news *items = mem_realloc(b->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    b->items = items;
    b->capacity = capacity;
    return true;
}

/* A place for a piece; at the limit that of the most told one. 0 without memory. */
static uint16_t obtain(struct swim *s)
{
    struct swim_board *b = &s->board;
    if (b->free == 0 && b->used >= SWIM_NEWS_MAX) {
        unsigned most = SWIM_SENT_MAX;
        while (b->last[most] == 0)
            most--;
        release(s, b->first[most]);
        s->stats.news_dropped++;
    }
    uint16_t place = b->free;
    if (place != 0) {
        b->free = b->items[place - 1].next;
    } else {
        if (!grow(b)) {
            s->stats.news_dropped++;
            return 0;
        }
        place = ++b->used;
    }
    b->count++;
    return place;
}

void swim_tell(struct swim *s, struct swim_peer *p, enum swim_kind kind, uint64_t now_ns)
{
    uint64_t inc = swim_inc(p);
    if (p->news[kind] != 0) {
        uint16_t place = p->news[kind];
        unlink_news(&s->board, place);
        s->board.items[place - 1].sent = 0;
        link_news(&s->board, place);
    } else {
        uint16_t place = obtain(s);
        if (place == 0)
            return;
        s->board.items[place - 1] = (struct swim_news){.inc = inc, .kind = (uint8_t)kind};
        link_news(&s->board, place);
        p->news[kind] = place;
    }
    uint64_t due = s->gossip_ns > now_ns ? s->gossip_ns : now_ns;
    if (due < s->deadline_ns)
        s->deadline_ns = due;
}

void swim_untell(struct swim *s, struct swim_peer *p)
{
    for (unsigned kind = 0; kind < SWIM_NEWS_KINDS; kind++) {
        if (p->news[kind] != 0)
            release(s, p->news[kind]);
    }
}

static bool put_state(struct swim *s, const struct swim_peer *p, struct wire_writer *w)
{
    const struct swim_suspicion *u = p->suspicion != 0 ? &s->suspicions[p->suspicion - 1] : NULL;
    return swim_put_state(w, swim_inc(p), p->life, (enum swim_rank)p->rank,
                          u != NULL ? u->accusers : NULL, u != NULL ? u->accuser_count : 0);
}

static bool put_content(const struct swim_peer *p, struct wire_writer *w)
{
    if (!(p->flags & SWIM_WHOLE))
        return swim_put_counts(w, p->entry);
    return swim_put_entry(w, p->entry, p->life, (enum swim_rank)p->rank);
}

/* An entry for which no message has room is told of, and asked for by who lacks it. */
static bool too_large(const struct swim_peer *p)
{
    uint8_t bytes[SWIM_FLEETING_BYTES - 16];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    return !put_content(p, &w);
}

static bool put_news(struct swim *s, const struct swim_news *n, const struct swim_peer *p,
                     struct wire_writer *w)
{
    if (n->kind == SWIM_NEWS_STATE)
        return put_state(s, p, w);
    if (put_content(p, w))
        return true;
    return too_large(p) && swim_put_notice(w, swim_inc(p), p->entry->revision);
}

/* What the receiver is suspected of comes first (Lifeguard's buddy system). */
static void put_buddy(struct swim *s, uint64_t to, struct wire_writer *w)
{
    const struct swim_peer *p = swim_find(s, to);
    if (p != NULL && (p->rank == SWIM_SUSPECT || p->rank == SWIM_DOWN) &&
        (swim_with(s, SWIM_WITHOUT_BUDDY) || p->rank == SWIM_DOWN))
        (void)put_state(s, p, w);
}

void swim_fill(struct swim *s, uint64_t to, struct wire_writer *w)
{
    struct swim_board *b = &s->board;
    uint16_t picks[SWIM_PICKS_MAX];
    unsigned count = 0, looked = 0, limit = sent_limit(s);
    put_buddy(s, to, w);
    for (unsigned sent = 0; sent <= SWIM_SENT_MAX && count < SWIM_PICKS_MAX; sent++) {
        for (uint16_t at = b->first[sent]; at != 0; at = b->items[at - 1].next) {
            if (count == SWIM_PICKS_MAX || ++looked > 2 * SWIM_PICKS_MAX)
                break;
            struct swim_news *n = &b->items[at - 1];
            if (n->inc == to)
                continue; /* it knows itself best */
            if (put_news(s, n, swim_find(s, n->inc), w))
                picks[count++] = at;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        struct swim_news *n = &b->items[picks[i] - 1];
        if (n->sent + 1u >= limit) {
            release(s, picks[i]);
            continue;
        }
        unlink_news(b, picks[i]);
        n->sent++;
        link_news(b, picks[i]);
    }
    s->stats.news_sent += count;
}

void swim_gossip_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    uint8_t bytes[SWIM_FLEETING_BYTES];
    if (s->board.count == 0 || now_ns < s->gossip_ns || s->table.alive == 0)
        return;
    s->gossip_ns = now_ns + swim_ns(s->timing.gossip_ms);
    unsigned told = 0;
    /* Members in a random order, each once a round: a few tellings reach as many members. */
    for (uint32_t i = 0; i < 2 * s->table.count && told < s->timing.fanout && s->board.count > 0;
         i++) {
        const struct swim_peer *p = swim_walk_next(s, &s->gossip_walk);
        if (p == NULL || !swim_member(p))
            continue;
        struct wire_writer w;
        wire_writer_init(&w, bytes, sizeof bytes);
        swim_put_head(&w, SWIM_NEWS, s->self->life, 0, 0);
        size_t head = wire_written(&w);
        uint64_t to = swim_inc(p);
        swim_fill(s, to, &w);
        told++;
        if (wire_written(&w) > head)
            (void)swim_send(s, to, false, &w, out);
        if (told >= s->table.alive)
            break;
    }
}

/* Content of a known peer, when it is newer. */
static void take_content(struct swim *s, struct swim_peer *p, const struct entry *e,
                         uint64_t now_ns, struct swim_actions *out)
{
    if ((p->flags & SWIM_SELF) || e->revision <= p->entry->revision || p->rank == SWIM_LEFT)
        return;
    bool whole = e->shape != p->entry->shape;
    struct entry *next = entry_new(e);
    if (next == NULL)
        return; /* another member tells it, or the comparison of tables */
    swim_set_entry(s, p, next);
    if (whole)
        p->flags |= SWIM_WHOLE;
    swim_tell(s, p, SWIM_NEWS_CONTENT, now_ns);
    swim_changed(s, p, (enum swim_rank)p->rank, out);
}

void swim_counts(struct swim *s, uint64_t from, const struct entry_counts *c, uint64_t now_ns,
                 struct swim_actions *out)
{
    struct swim_peer *p = swim_find(s, c->inc);
    struct entry e;
    if (p == NULL || c->shape != p->entry->shape) {
        if (p == NULL || c->revision > p->entry->revision)
            swim_want(s, from, c->inc, now_ns, out);
        return;
    }
    if (c->revision <= p->entry->revision)
        return;
    entry_copy(p->entry, &e);
    if (entry_apply_counts(&e, c))
        take_content(s, p, &e, now_ns, out);
}

void swim_take_entry(struct swim *s, const struct swim_record *r, uint64_t now_ns,
                     struct swim_actions *out)
{
    struct swim_peer *p = swim_find(s, r->inc);
    if (p == NULL) {
        swim_found(s, r->inc);
        swim_stranger(r, out);
        return;
    }
    if (r->entry.node != p->entry->node || r->entry.boot != p->entry->boot ||
        strcmp(r->entry.name, p->entry->name) != 0)
        return; /* it was somebody else who proved that inc to this node */
    take_content(s, p, &r->entry, now_ns, out);
}

static void take_record(struct swim *s, uint64_t from, const struct swim_record *r, uint64_t now_ns,
                        struct swim_actions *out)
{
    struct swim_saying said = {.inc = r->inc, .life = r->life, .rank = r->rank};
    const struct swim_peer *p;
    switch (r->tag) {
    case SWIM_TAG_STATE:
        said.accusers = r->accusers;
        said.accuser_count = r->accuser_count;
        (void)swim_say(s, &said, now_ns, out);
        break;
    case SWIM_TAG_COUNTS:
        swim_counts(s, from, &r->counts, now_ns, out);
        break;
    case SWIM_TAG_ENTRY:
        swim_take_entry(s, r, now_ns, out);
        (void)swim_say(s, &said, now_ns, out);
        break;
    case SWIM_TAG_NOTICE:
        p = swim_find(s, r->inc);
        if (p == NULL || r->revision > p->entry->revision)
            swim_want(s, from, r->inc, now_ns, out);
        break;
    }
}

void swim_take_news(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                    struct swim_actions *out)
{
    struct wire_reader r = m->records;
    struct swim_record record;
    while (wire_left(&r) > 0 && swim_get_record(&r, &record))
        take_record(s, from, &record, now_ns, out);
}
