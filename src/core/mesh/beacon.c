/* beacon.c - one datagram to a multicast group says this node's counts to all who listen. It is
 * heard one way only, so nothing that needs an answer follows from it: no lease, no proof of life,
 * no acknowledgement, no new address. docs/protocol.md, Multicast heartbeat. */
#include "core/mesh/mesh_internal.h"

#include <assert.h>
#include <string.h>

#define BEAT_NS (1 * NS_PER_S)
#define CHANGE_NS (20 * NS_PER_MS) /* between beacons, however often the counts change */
#define SILENT_BEATS 5u            /* own beacons of which none came back, nor any other one */
#define GREET_NS (1 * NS_PER_S)    /* between greetings to an address */
#define GREETERS 8u                /* so many members, more or less, greet an unknown one */

_Static_assert(BEACON_FRAME_MAX <= MESH_FRAME_MIN, "a beacon is one frame");

static void tell_group(bool silent, struct mesh_actions *out)
{
    struct mesh_output *o = mesh_output_new(MESH_OUT_GROUP, 0, 0, 1);
    if (!o)
        return; /* the metric says it all the same */
    o->bytes[0] = silent;
    mesh_output_add(out, o);
}

static void group_heard(struct mesh *m, struct mesh_actions *out)
{
    m->beacon.unheard = 0;
    if (!m->beacon.silent)
        return;
    m->beacon.silent = false;
    tell_group(false, out);
}

bool beacon_own(struct mesh *m, const struct frame_header *h, const uint8_t *body, size_t len,
                struct mesh_actions *out)
{
    if (h->inc != m->config.inc || h->node != m->config.node || h->to != 0 ||
        !unit_check_body(body, len) || (body[0] != UNIT_BEACON && body[0] != UNIT_FLOW))
        return false;
    if (h->counter > m->beacon.own_top) { /* an old one proves nothing */
        m->beacon.own_top = h->counter;
        group_heard(m, out);
    }
    return true;
}

void beacon_in(struct mesh *m, const struct addr *from, const struct frame_header *h,
               const struct unit *u, struct mesh_actions *out)
{
    if (h->to != 0 || m->config.group.family == 0) {
        m->stats.dropped_malformed++;
        return;
    }
    m->stats.beacons_in++;
    group_heard(m, out);
    struct mesh_output *o = mesh_output_new(MESH_OUT_BEACON, h->inc, h->node, u->beacon.len);
    if (!o)
        return; /* as if it was lost */
    o->addr = *from;
    if (u->beacon.len)
        memcpy(o->bytes, u->beacon.counts, u->beacon.len);
    mesh_output_add(out, o);
}

static unsigned greet_slot(const struct addr *a)
{
    unsigned sum = a->port;
    for (size_t i = 0; i < sizeof a->ip; i++)
        sum = sum * 31u + a->ip[i];
    return sum % BEACON_GREETED_MAX;
}

void mesh_greet(struct mesh *m, const struct addr *to, uint64_t now_ns, struct mesh_actions *out)
{
    struct beacon *b = &m->beacon;
    unsigned slot = greet_slot(to);
    if (now_ns < b->greeted[slot].next_ns && addr_equal(&b->greeted[slot].addr, to))
        return;
    b->greeted[slot].addr = *to;
    b->greeted[slot].next_ns = now_ns + GREET_NS;
    /* A thousand hellos at once would drown the one that came; it hears of the others by them. */
    if (m->peers.count > GREETERS && rng_below(&m->rng, m->peers.count) >= GREETERS)
        return;
    mesh_hello(m, to, now_ns, out);
}

void mesh_set_beacon(struct mesh *m, const uint8_t *counts, size_t len)
{
    struct beacon *b = &m->beacon;
    assert(len <= MESH_BEACON_MAX);
    if (len)
        memcpy(b->counts, counts, len);
    b->len = len;
    b->changed = true;
}

static uint64_t due_ns(const struct beacon *b)
{
    uint64_t change_ns = b->sent_ns == 0 ? 0 : b->sent_ns + CHANGE_NS;
    return b->changed && change_ns < b->beat_ns ? change_ns : b->beat_ns;
}

/* Counted by beats, not by time: a node that did not run heard nothing and missed nothing. */
static void beat(struct mesh *m, uint64_t now_ns, struct mesh_actions *out)
{
    struct beacon *b = &m->beacon;
    b->beat_ns = now_ns + BEAT_NS;
    reach_beat(m, now_ns, out);
    if (b->unheard <= SILENT_BEATS)
        b->unheard++;
    if (b->unheard > SILENT_BEATS && !b->silent) {
        b->silent = true;
        tell_group(true, out);
    }
}

void beacon_flush(struct mesh *m, uint64_t now_ns, struct mesh_actions *out)
{
    struct beacon *b = &m->beacon;
    if (m->config.group.family == 0 || b->len == 0)
        return;
    if (now_ns >= due_ns(b)) {
        uint8_t bytes[MESH_BEACON_MAX + 3];
        struct wire_writer w;
        struct unit u = {.type = UNIT_BEACON, .beacon = {.counts = b->counts, .len = b->len}};
        wire_writer_init(&w, bytes, sizeof bytes);
        unit_put(&w, &u);
        mesh_emit(m, 0, 0, &m->config.group, &w, out);
        m->stats.beacons_out++;
        b->sent_ns = now_ns;
        b->changed = false;
        if (now_ns >= b->beat_ns)
            beat(m, now_ns, out);
    }
    if (due_ns(b) < out->deadline_ns)
        out->deadline_ns = due_ns(b);
}
