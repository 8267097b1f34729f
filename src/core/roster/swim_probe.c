/* swim_probe.c - probes: who is asked for a sign of life, when others are asked to try, and what
 * an answer or its absence says, of the other and of this node itself (Lifeguard, LHA-probe). */
#include "core/roster/swim_state.h"

#include "base/mem.h"

#include <string.h>

#define SPARED_MAX 8 /* members passed over in a row because they were met just now */
#define NACK_PERCENT                                                                               \
    80 /* of the timeout: then a helper says that it did not get through either                    \
        */

static uint64_t stretched(const struct swim *s, uint32_t ms)
{
    return swim_ns(ms) * (s->stats.local_health + 1);
}

static void ping(struct swim *s, enum swim_type type, uint64_t to, uint32_t seq, uint64_t target,
                 struct swim_actions *out)
{
    uint8_t bytes[SWIM_FLEETING_BYTES];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_put_head(&w, type, s->self->life, seq, target);
    swim_fill(s, to, &w);
    (void)swim_send(s, to, false, &w, out);
}

void swim_ping(struct swim *s, uint64_t to, uint32_t seq, struct swim_actions *out)
{
    ping(s, SWIM_PING, to, seq, 0, out);
}

static struct swim_probe *probe_of(struct swim *s, uint64_t inc)
{
    for (size_t i = 0; i < SWIM_PROBES_MAX; i++) {
        if (s->probes[i].inc == inc)
            return &s->probes[i];
    }
    return NULL;
}

static uint32_t next_seq(struct swim *s)
{
    s->seq++;
    return s->seq == 0 ? ++s->seq : s->seq; /* 0 is a ping whose answer nobody waits for */
}

void swim_probe_next(struct swim *s, struct swim_peer *p, uint64_t now_ns, struct swim_actions *out)
{
    struct swim_probe *q = probe_of(s, 0);
    if (q == NULL || !swim_member(p) || probe_of(s, swim_inc(p)) != NULL)
        return;
    *q = (struct swim_probe){
        .inc = swim_inc(p),
        .ask_ns = now_ns + stretched(s, s->timing.timeout_ms),
        .over_ns = now_ns + stretched(s, s->timing.interval_ms),
        .seq = next_seq(s),
    };
    s->stats.probes++;
    swim_ping(s, q->inc, q->seq, out);
}

/* Was it met so lately that a probe would tell nothing new? */
static bool spared(const struct swim *s, const struct swim_peer *p, uint64_t now_ns)
{
    return p->rank == SWIM_ALIVE && p->mark_ms != 0 &&
           swim_mark(s, now_ns) - p->mark_ms < s->timing.interval_ms * 3 / 4;
}

static void probe_somebody(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    unsigned passed = 0;
    for (uint64_t i = 0; i < 2ull * s->table.count + 2 && passed < SPARED_MAX; i++) {
        struct swim_peer *p = swim_walk_next(s, &s->probe_walk);
        if (p == NULL) {
            s->round ^= SWIM_ROUND;
            continue;
        }
        if (!swim_member(p) || (p->flags & SWIM_ROUND) == s->round)
            continue;
        p->flags = (uint8_t)((p->flags & ~SWIM_ROUND) | s->round);
        if (spared(s, p, now_ns)) {
            s->stats.probes_spared++;
            passed++;
            continue;
        }
        if (probe_of(s, swim_inc(p)) != NULL)
            continue;
        swim_probe_next(s, p, now_ns, out);
        return;
    }
}

/* No answer in time: others try, and so does this node once more, since one may be lost. */
static void ask_others(struct swim *s, struct swim_probe *q, struct swim_actions *out)
{
    uint64_t asked[SWIM_ACCUSERS_MAX * 2];
    q->indirect = true;
    swim_ping(s, q->inc, q->seq, out);
    for (unsigned tries = 0; tries < 4 * s->timing.helpers && q->asked < s->timing.helpers;
         tries++) {
        const struct swim_peer *p = swim_random(s, q->inc);
        if (p == NULL)
            return;
        bool again = p->rank != SWIM_ALIVE;
        for (unsigned i = 0; i < q->asked; i++)
            again = again || asked[i] == swim_inc(p);
        if (again)
            continue;
        asked[q->asked++] = swim_inc(p);
        s->stats.asks++;
        ping(s, SWIM_ASK, swim_inc(p), q->seq, q->inc, out);
    }
}

/* A helper that says that it got no answer either has shown that this node is well. */
static void failed(struct swim *s, struct swim_probe *q, uint64_t now_ns, struct swim_actions *out)
{
    unsigned missed = q->asked > q->nacks ? (unsigned)q->asked - q->nacks : 0;
    struct swim_saying said = {
        .inc = q->inc, .rank = SWIM_SUSPECT, .accusers = &s->self->inc, .accuser_count = 1};
    const struct swim_peer *p = swim_find(s, q->inc);
    s->stats.probes_failed++;
    s->stats.nacks_missed += missed;
    swim_health(s, q->asked == 0 ? 1 : (int)missed);
    q->inc = 0;
    if (p == NULL || !swim_member(p))
        return;
    said.life = p->life;
    (void)swim_say(s, &said, now_ns, out);
}

static void wake(struct swim *s, uint64_t at_ns)
{
    if (at_ns < s->deadline_ns)
        s->deadline_ns = at_ns;
}

static void probes_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    for (size_t i = 0; i < SWIM_PROBES_MAX; i++) {
        struct swim_probe *q = &s->probes[i];
        if (q->inc == 0)
            continue;
        if (now_ns >= q->over_ns) {
            failed(s, q, now_ns, out);
            continue;
        }
        if (!q->indirect && now_ns >= q->ask_ns)
            ask_others(s, q, out);
        wake(s, q->indirect ? q->over_ns : q->ask_ns);
    }
}

static void relays_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    for (size_t i = 0; s->relays != NULL && i < SWIM_RELAYS_MAX; i++) {
        struct swim_relay *y = &s->relays[i];
        if (y->origin == 0)
            continue;
        if (!y->nacked && now_ns >= y->nack_ns) {
            y->nacked = true;
            ping(s, SWIM_NACK, y->origin, y->origin_seq, 0, out);
        }
        if (now_ns >= y->over_ns)
            y->origin = 0;
        else
            wake(s, y->nacked ? y->over_ns : y->nack_ns);
    }
}

/* One that is down may only have been out of reach: a ping tells it what is thought of it. */
static void retry_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    if (s->down_count == 0)
        return;
    if (now_ns >= s->retry_ns) {
        s->retry_ns = now_ns + swim_ns(s->timing.retry_ms);
        swim_ping(s, s->downs[rng_below(&s->rng, s->down_count)], 0, out);
    }
    wake(s, s->retry_ns);
}

void swim_probe_tick(struct swim *s, uint64_t now_ns, struct swim_actions *out)
{
    probes_tick(s, now_ns, out);
    relays_tick(s, now_ns, out);
    if (s->table.alive > 0) {
        if (now_ns >= s->probe_ns) {
            s->probe_ns = now_ns + stretched(s, s->timing.interval_ms) / s->timing.probes;
            probe_somebody(s, now_ns, out);
        }
        wake(s, s->probe_ns);
    }
    retry_tick(s, now_ns, out);
}

void swim_probe_put_off(struct swim *s, uint64_t by_ns)
{
    for (size_t i = 0; i < SWIM_PROBES_MAX; i++) {
        s->probes[i].ask_ns += by_ns;
        s->probes[i].over_ns += by_ns;
    }
    s->probe_ns += by_ns;
}

void swim_probe_void(struct swim *s)
{
    memset(s->probes, 0, sizeof s->probes);
    for (size_t i = 0; s->relays != NULL && i < SWIM_RELAYS_MAX; i++)
        s->relays[i].origin = 0;
}

void swim_contact(struct swim *s, struct swim_peer *p, uint64_t now_ns)
{
    if (!swim_member(p))
        return;
    p->mark_ms = swim_mark(s, now_ns);
    struct swim_probe *q = probe_of(s, swim_inc(p));
    if (q == NULL)
        return;
    q->inc = 0;
    swim_health(s, -1);
}

void swim_take_ping(struct swim *s, uint64_t from, const struct swim_message *m,
                    struct swim_actions *out)
{
    ping(s, SWIM_ACK, from, m->seq, 0, out);
}

/* An answer to a ping for somebody else goes on to who asked. */
static void relay_ack(struct swim *s, uint64_t from, uint32_t seq, struct swim_actions *out)
{
    for (size_t i = 0; s->relays != NULL && i < SWIM_RELAYS_MAX; i++) {
        struct swim_relay *y = &s->relays[i];
        if (y->origin == 0 || y->seq != seq || y->target != from)
            continue;
        ping(s, SWIM_ACK, y->origin, y->origin_seq, 0, out);
        y->origin = 0;
        return;
    }
}

void swim_take_ack(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                   struct swim_actions *out)
{
    if (m->seq == 0)
        return;
    for (size_t i = 0; i < SWIM_PROBES_MAX; i++) {
        if (s->probes[i].inc == 0 || s->probes[i].seq != m->seq)
            continue;
        struct swim_peer *p = swim_find(s, s->probes[i].inc);
        if (p != NULL)
            swim_contact(s, p, now_ns);
        s->probes[i].inc = 0;
        return;
    }
    relay_ack(s, from, m->seq, out);
}

void swim_take_ask(struct swim *s, uint64_t from, const struct swim_message *m, uint64_t now_ns,
                   struct swim_actions *out)
{
    if (s->relays == NULL)
        s->relays = mem_alloc(SWIM_RELAYS_MAX * sizeof s->relays[0]);
    for (size_t i = 0; s->relays != NULL && i < SWIM_RELAYS_MAX; i++) {
        struct swim_relay *y = &s->relays[i];
        if (y->origin != 0)
            continue;
        *y = (struct swim_relay){
            .origin = from,
            .target = m->target,
            .nack_ns = now_ns + swim_ns(s->timing.timeout_ms) * NACK_PERCENT / 100,
            .over_ns = now_ns + swim_ns(s->timing.interval_ms),
            .seq = next_seq(s),
            .origin_seq = m->seq,
        };
        swim_ping(s, m->target, y->seq, out);
        wake(s, y->nack_ns);
        return;
    }
    s->stats.dropped++;
}

void swim_take_nack(struct swim *s, const struct swim_message *m)
{
    for (size_t i = 0; i < SWIM_PROBES_MAX; i++) {
        struct swim_probe *q = &s->probes[i];
        if (q->inc != 0 && q->seq == m->seq && q->nacks < q->asked)
            q->nacks++;
    }
}
