/* keys_talk.c - who is told of the farm's keys, and when what is learned takes effect. */
#include "core/mesh/keys_talk.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "core/mesh/incmap.h"

#include <assert.h>
#include <string.h>

#include <openssl/crypto.h>

struct teller {
    struct incmap_node map;
    struct list link; /* in talk.peers */
    uint64_t inc;
    uint64_t mark;         /* it proved itself under, or sealed last under */
    bool heard;            /* `said` holds */
    bool due;              /* something is to be told */
    uint64_t next_ns;      /* not before */
    struct keys_said said; /* without secrets */
};

struct keys_talk {
    struct keys now, wanted, storing;
    bool is_storing, wants;
    uint64_t store_ns; /* not before */
    uint64_t deadline_ns;
    uint64_t used_ns[KEYS_MAX]; /* until when a generation of `now` is in use; 0: it is not */
    struct incmap map;
    struct list peers;
    struct keys_stats stats;
};

/* The locked part of the heap, where the daemon has made one: it is in no core dump. */
struct keys_talk *keys_talk_new(const struct keys *k)
{
    struct keys_talk *t = OPENSSL_secure_zalloc(sizeof *t);
    if (!t)
        return NULL;
    assert(k->lasting_known);
    list_init(&t->peers);
    t->now = t->wanted = *k;
    t->deadline_ns = TIME_NEVER;
    return t;
}

static void forget(struct keys_talk *t, struct teller *p)
{
    incmap_remove(&t->map, &p->map);
    list_remove(&p->link);
    mem_free(p);
}

void keys_talk_free(struct keys_talk *t)
{
    if (!t)
        return;
    while (t->peers.next != &t->peers)
        forget(t, list_entry(t->peers.next, struct teller, link));
    incmap_deinit(&t->map);
    OPENSSL_secure_clear_free(t, sizeof *t);
}

const struct keys *keys_talk_now(const struct keys_talk *t)
{
    return &t->now;
}

static struct teller *teller(const struct keys_talk *t, uint64_t inc)
{
    struct incmap_node *n = incmap_find(&t->map, inc);
    return n ? incmap_entry(n, struct teller, map) : NULL;
}

static void make_due(struct keys_talk *t, struct teller *p, uint64_t at_ns)
{
    p->due = true;
    p->next_ns = at_ns;
    if (t->deadline_ns > at_ns)
        t->deadline_ns = at_ns;
}

static void tell_all(struct keys_talk *t)
{
    for (struct list *l = t->peers.next; l != &t->peers; l = l->next)
        make_due(t, list_entry(l, struct teller, link), 0);
}

void keys_talk_met(struct keys_talk *t, uint64_t inc, uint64_t mark)
{
    struct teller *p = teller(t, inc);
    if (!p && (p = mem_alloc(sizeof *p))) {
        if (!incmap_insert(&t->map, &p->map, inc)) {
            mem_free(p);
            return; /* it is sealed to under the active one, and tells by itself what it has */
        }
        list_append(&t->peers, &p->link);
    }
    if (!p)
        return;
    p->inc = inc;
    p->mark = mark;
    make_due(t, p, 0);
}

void keys_talk_gone(struct keys_talk *t, uint64_t inc)
{
    struct teller *p = teller(t, inc);
    if (p)
        forget(t, p);
}

/* What it said, without the secrets, which are in `wanted` by now. */
static void remember(struct teller *p, const struct keys_said *s)
{
    p->said = *s;
    p->heard = true;
    for (size_t i = 0; i < KEYS_MAX; i++)
        OPENSSL_cleanse(p->said.list[i].secret, sizeof p->said.list[i].secret);
}

/* Is there one that the sender has and did not give? It does not know that it is lacking here. */
static bool lacks(const struct keys *k, const struct keys_said *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].state == KEY_ACCEPTED && !keys_find(k, s->list[i].mark))
            return true;
    return false;
}

bool keys_talk_message(struct keys_talk *t, uint64_t inc, const uint8_t *bytes, size_t len)
{
    struct keys_said s;
    struct teller *p = teller(t, inc);
    if (!keys_decode(bytes, len, &s)) {
        t->stats.malformed++;
        return false;
    }
    t->stats.in++;
    bool news = keys_merge(&t->wanted, &s);
    t->wants |= news;
    if (news && t->deadline_ns > t->store_ns)
        t->deadline_ns = t->store_ns;
    if (p) {
        remember(p, &s);
        if (!p->due && (keys_news_for(&t->now, &p->said) || lacks(&t->wanted, &p->said)))
            make_due(t, p, p->next_ns);
    }
    OPENSSL_cleanse(&s, sizeof s);
    return true;
}

static unsigned uses(const struct keys_talk *t)
{
    unsigned bits = 0;
    for (size_t i = 0; i < t->now.count; i++)
        bits |= (unsigned)(t->used_ns[i] != 0) << i;
    return bits;
}

static void earlier(uint64_t *deadline_ns, uint64_t ns)
{
    if (ns < *deadline_ns)
        *deadline_ns = ns;
}

/* What was not used for a while is not in use: all are told. */
static void end_uses(struct keys_talk *t, uint64_t now_ns)
{
    bool ended = false;
    for (size_t i = 0; i < t->now.count; i++) {
        if (t->used_ns[i] == 0 || now_ns < t->used_ns[i])
            continue;
        t->used_ns[i] = 0;
        ended = true;
    }
    if (ended)
        tell_all(t);
}

bool keys_talk_next(struct keys_talk *t, uint64_t now_ns, uint64_t *inc,
                    uint8_t bytes[KEYS_MESSAGE_MAX], size_t *len)
{
    if (now_ns < t->deadline_ns)
        return false;
    end_uses(t, now_ns);
    uint64_t next_ns = TIME_NEVER;
    for (struct list *l = t->peers.next; l != &t->peers; l = l->next) {
        struct teller *p = list_entry(l, struct teller, link);
        if (!p->due || now_ns < p->next_ns) {
            earlier(&next_ns, p->due ? p->next_ns : TIME_NEVER);
            continue;
        }
        struct wire_writer w;
        wire_writer_init(&w, bytes, KEYS_MESSAGE_MAX);
        keys_encode(&t->now, uses(t), p->heard ? &p->said : NULL, &w);
        assert(wire_put_ok(&w));
        *inc = p->inc;
        *len = wire_written(&w);
        /* Again after a while, if it is still behind by its own word: a peer that forgot this node
         * has lost what was on its way. */
        p->due = p->heard && keys_news_for(&t->now, &p->said);
        p->next_ns = now_ns + KEYS_TALK_AGAIN_NS;
        list_remove(&p->link); /* the next call begins with another one */
        list_append(&t->peers, &p->link);
        t->stats.out++;
        return true;
    }
    for (size_t i = 0; i < t->now.count; i++)
        if (t->used_ns[i] != 0)
            earlier(&next_ns, t->used_ns[i]);
    if (t->wants && !t->is_storing)
        earlier(&next_ns, t->store_ns);
    t->deadline_ns = next_ns;
    return false;
}

void keys_talk_unsent(struct keys_talk *t, uint64_t inc, uint64_t now_ns)
{
    struct teller *p = teller(t, inc);
    if (p)
        make_due(t, p, now_ns + KEYS_TALK_AGAIN_NS);
}

uint64_t keys_talk_deadline_ns(const struct keys_talk *t)
{
    return t->deadline_ns;
}

/* -- storing -- */

void keys_talk_wanted(const struct keys_talk *t, struct keys *out)
{
    *out = t->wanted;
}

void keys_talk_want(struct keys_talk *t, const struct keys *k)
{
    t->wanted = *k;
    t->wants = true;
    earlier(&t->deadline_ns, t->store_ns);
}

bool keys_talk_store(struct keys_talk *t, uint64_t now_ns, struct keys *out)
{
    if (!t->wants || t->is_storing || now_ns < t->store_ns)
        return false;
    t->wants = false;
    t->is_storing = true;
    *out = t->storing = t->wanted;
    return true;
}

/* The uses go with their generations. */
static void move_uses(struct keys_talk *t, const struct keys *to)
{
    uint64_t moved[KEYS_MAX] = {0};
    for (size_t i = 0; i < to->count; i++)
        for (size_t j = 0; j < t->now.count; j++)
            if (t->now.list[j].mark == to->list[i].mark && to->list[i].state == KEY_ACCEPTED)
                moved[i] = t->used_ns[j];
    memcpy(t->used_ns, moved, sizeof moved);
}

bool keys_talk_stored(struct keys_talk *t, bool good, uint64_t now_ns)
{
    assert(t->is_storing);
    t->is_storing = false;
    bool changed = good && !keys_equal(&t->now, &t->storing);
    if (!good) {
        t->stats.store_failed++;
        t->wants = true;
        t->store_ns = now_ns + KEYS_STORE_AGAIN_NS;
    }
    if (changed) {
        move_uses(t, &t->storing);
        t->now = t->storing;
        t->stats.changes++;
        tell_all(t);
    }
    keys_wipe(&t->storing);
    if (t->wants)
        earlier(&t->deadline_ns, t->store_ns);
    return changed;
}

/* -- uses -- */

void keys_talk_used(struct keys_talk *t, uint64_t mark, uint64_t now_ns)
{
    for (size_t i = 0; i < t->now.count; i++) {
        if (t->now.list[i].mark != mark || t->now.list[i].state != KEY_ACCEPTED)
            continue;
        bool first = t->used_ns[i] == 0;
        t->used_ns[i] = now_ns + KEYS_USE_NS;
        if (first)
            tell_all(t);
    }
}

bool keys_talk_uses(const struct keys_talk *t, uint64_t mark)
{
    for (size_t i = 0; i < t->now.count; i++)
        if (t->now.list[i].mark == mark)
            return t->used_ns[i] != 0;
    return false;
}

/* -- peers -- */

static bool both_have(const struct keys_talk *t, const struct teller *p, uint64_t mark)
{
    const struct key_generation *g = keys_find(&t->now, mark);
    const struct key_said *s = keys_said_find(&p->said, mark);
    return g && g->state == KEY_ACCEPTED && s && s->state == KEY_ACCEPTED;
}

uint64_t keys_talk_mark(const struct keys_talk *t, uint64_t inc)
{
    const struct teller *p = teller(t, inc);
    const struct key_generation *g = p ? keys_find(&t->now, p->mark) : NULL;
    if (!p)
        return t->now.active;
    if (!p->heard)
        return g && g->state == KEY_ACCEPTED ? p->mark : t->now.active;
    if (both_have(t, p, t->now.active))
        return t->now.active;
    if (both_have(t, p, p->said.active))
        return p->said.active;
    for (size_t i = t->now.count; i-- > 0;)
        if (both_have(t, p, t->now.list[i].mark))
            return t->now.list[i].mark;
    return t->now.active;
}

void keys_talk_peer(const struct keys_talk *t, uint64_t inc, uint64_t mark, struct keys_peer *out)
{
    const struct teller *p = teller(t, inc);
    *out = (struct keys_peer){.told = p && p->heard};
    if (!out->told)
        return;
    const struct key_said *s = keys_said_find(&p->said, mark);
    const struct key_said *active = keys_said_find(&p->said, p->said.active);
    out->has = s && s->state == KEY_ACCEPTED;
    out->uses = s && s->uses;
    out->active = p->said.active == mark;
    out->active_number = active ? active->number : 0;
}

void keys_talk_stats(const struct keys_talk *t, struct keys_stats *out)
{
    *out = t->stats;
}
