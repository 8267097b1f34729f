/* mesh.c - the mesh as a whole: its peers, the way of a datagram to whom it concerns, and the
 * flush. What happens in between lives in hello.c, beacon.c, link.c, tx.c, rx.c, mtu.c, and for the
 * group in cast.c, cast_in.c and reach.c. */
#include "core/mesh/mesh_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

#include <openssl/crypto.h>

#define WINDOW_MIN (4u * MESH_FRAME_MIN)
#define FOREIGN_TOLD_NS (1 * NS_PER_S)

void mesh_config_default(struct mesh_config *c)
{
    *c = (struct mesh_config){
        .window_bytes = 256u << 10, .queue_bytes = 64u << 20, .reassembly_bytes = 8u << 20};
}

void mesh_actions_init(struct mesh_actions *a)
{
    list_init(&a->outputs);
    a->deadline_ns = TIME_NEVER;
}

void mesh_output_free(struct mesh_output *o)
{
    if (o && o->type == MESH_OUT_MESSAGE && o->channel == CHANNEL_KEYS)
        OPENSSL_cleanse(o->bytes, o->len);
    mem_free(o);
}

void mesh_actions_clear(struct mesh_actions *a)
{
    struct list *link;
    while ((link = list_pop(&a->outputs)))
        mesh_output_free(list_entry(link, struct mesh_output, link));
    a->deadline_ns = TIME_NEVER;
}

struct mesh_output *mesh_output_new(enum mesh_output_type type, uint64_t inc, uint64_t node,
                                    size_t len)
{
    struct mesh_output *o = mem_alloc(sizeof *o + len);
    if (!o)
        return NULL;
    o->type = type;
    o->inc = inc;
    o->node = node;
    o->len = len;
    return o;
}

void mesh_output_add(struct mesh_actions *out, struct mesh_output *o)
{
    list_append(&out->outputs, &o->link);
}

void mesh_emit(struct mesh *m, uint64_t to, uint64_t mark, const struct addr *addr,
               const struct wire_writer *body, struct mesh_actions *out)
{
    assert(wire_put_ok(body));
    size_t len = wire_written(body);
    struct mesh_output *o = mesh_output_new(MESH_OUT_DATAGRAM, to, 0, len + FRAME_OVERHEAD);
    if (!o)
        return;
    o->addr = *addr;
    if (seal_frame_under(m->config.seal, mark, to, body->start, len, o->bytes, &o->len) !=
        STEAD_OK) {
        mesh_output_free(o);
        return;
    }
    m->stats.frames_out++;
    m->stats.bytes_out += o->len;
    mesh_output_add(out, o);
}

struct mesh *mesh_new(const struct mesh_config *c)
{
    struct mesh *m = mem_alloc(sizeof *m);
    if (!m)
        return NULL;
    m->config = *c;
    if (m->config.window_bytes < WINDOW_MIN)
        m->config.window_bytes = WINDOW_MIN;
    rng_init(&m->rng, c->seed ^ c->inc);
    list_init(&m->peer_list);
    list_init(&m->active);
    list_init(&m->gone_lru);
    cast_init(&m->cast);
    return m;
}

static void peer_free(struct peer *p)
{
    tx_deinit(&p->tx);
    rx_deinit(&p->rx);
    mem_free(p);
}

void mesh_free(struct mesh *m)
{
    if (!m)
        return;
    struct list *link;
    while ((link = list_pop(&m->peer_list))) {
        struct peer *p = list_entry(link, struct peer, link);
        mem_free(p->seen);
        peer_free(p);
    }
    cast_deinit(&m->cast);
    while ((link = list_pop(&m->gone_lru)))
        mem_free(list_entry(link, struct seen, lru));
    incmap_deinit(&m->peers);
    incmap_deinit(&m->gone);
    mem_free(m);
}

void mesh_set_card(struct mesh *m, const uint8_t *card, size_t len)
{
    assert(len <= MESH_CARD_MAX);
    if (len)
        memcpy(m->card, card, len);
    m->card_len = len;
}

struct peer *mesh_peer(const struct mesh *m, uint64_t inc)
{
    struct incmap_node *n = incmap_find(&m->peers, inc);
    return n ? incmap_entry(n, struct peer, map) : NULL;
}

void mesh_wake(struct mesh *m, struct peer *p)
{
    if (!list_linked(&p->active))
        list_append(&m->active, &p->active);
}

static struct seen *gone_find(const struct mesh *m, uint64_t inc)
{
    struct incmap_node *n = incmap_find(&m->gone, inc);
    return n ? incmap_entry(n, struct seen, map) : NULL;
}

static void gone_take(struct mesh *m, struct seen *s)
{
    incmap_remove(&m->gone, &s->map);
    list_remove(&s->lru);
}

static void gone_keep(struct mesh *m, struct seen *s)
{
    if (m->gone.count >= GONE_MAX) {
        struct seen *oldest = list_entry(m->gone_lru.next, struct seen, lru);
        gone_take(m, oldest);
        mem_free(oldest);
    }
    if (!incmap_insert(&m->gone, &s->map, s->inc)) {
        mem_free(s);
        return;
    }
    list_append(&m->gone_lru, &s->lru);
}

static uint64_t proven_under(const struct mesh *m, uint64_t inc)
{
    for (unsigned i = 0; i < PROVEN_MAX; i++)
        if (m->proven[i].inc == inc)
            return m->proven[i].mark;
    return 0;
}

uint64_t mesh_mark(const struct mesh *m, uint64_t inc)
{
    const struct peer *p = mesh_peer(m, inc);
    return p ? p->mark : 0;
}

void mesh_set_mark(struct mesh *m, uint64_t inc, uint64_t mark)
{
    struct peer *p = mesh_peer(m, inc);
    if (p)
        p->mark = mark;
}

uint64_t mesh_take_used(struct mesh *m)
{
    uint64_t mark = m->used_mark;
    m->used_mark = 0;
    return mark;
}

int mesh_admit(struct mesh *m, uint64_t inc, uint64_t node, const struct addr *addr,
               uint64_t now_ns)
{
    if (inc == 0 || inc == m->config.inc)
        return STEAD_E_INVAL;
    struct peer *known = mesh_peer(m, inc);
    if (known) {
        known->addr = *addr;
        return STEAD_OK;
    }
    if (m->peers.count >= MESH_PEERS_MAX)
        return STEAD_E_FULL;
    struct peer *p = mem_alloc(sizeof *p);
    struct seen *seen = gone_find(m, inc);
    struct seen *fresh = seen ? NULL : mem_alloc(sizeof *fresh);
    if (!p || (!seen && !fresh) || !incmap_insert(&m->peers, &p->map, inc)) {
        mem_free(fresh);
        mem_free(p);
        return STEAD_E_NOMEM;
    }
    if (seen)
        gone_take(m, seen);
    p->seen = seen ? seen : fresh;
    p->seen->inc = p->inc = inc;
    p->node = node;
    p->addr = *addr;
    p->mark = proven_under(m, inc);
    tx_init(&p->tx, &m->config);
    rx_init(&p->rx);
    mtu_init(&p->mtu);
    link_init(&p->state, &m->rng, now_ns);
    list_append(&m->peer_list, &p->link);
    mesh_wake(m, p);
    return STEAD_OK;
}

void mesh_remove(struct mesh *m, uint64_t inc)
{
    struct peer *p = mesh_peer(m, inc);
    if (!p)
        return;
    cast_drop_queued(m, inc);
    m->reached -= p->reach.until_ns != 0;
    incmap_remove(&m->peers, &p->map);
    list_remove(&p->link);
    if (list_linked(&p->active))
        list_remove(&p->active);
    gone_keep(m, p->seen);
    peer_free(p);
}

/* Could this node have sent what is acknowledged or missed? */
static bool answer_valid(const struct tx *t, const struct unit *u)
{
    return (u->type != UNIT_ACK || tx_ack_valid(t, &u->ack)) &&
           (u->type != UNIT_MISSED || u->high < t->next_seq);
}

/* The units after LINK of a frame that counts. Answers are looked at first: a body with one that
 * cannot be is dropped whole. */
static void content_in(struct mesh *m, struct peer *p, struct wire_reader *units, size_t frame_len,
                       uint64_t now_ns, struct mesh_actions *out)
{
    struct wire_reader check = *units;
    struct unit u;
    while (unit_next(&check, &u)) {
        if (!answer_valid(&p->tx, &u)) {
            m->stats.dropped_malformed++;
            return;
        }
    }
    while (unit_next(units, &u)) {
        if (u.type == UNIT_ACK)
            tx_ack(m, p, &u.ack, now_ns);
        else if (u.type == UNIT_PART)
            rx_part(m, p, &u.part, out);
        else if (u.type == UNIT_FLEETING)
            rx_fleeting(m, p, &u.fleeting, out);
        else if (u.type == UNIT_PROBE && u.probe_size == frame_len)
            p->mtu.answer = u.probe_size;
        else if (u.type == UNIT_PROBED)
            mtu_probed(&p->mtu, u.probe_size, now_ns);
        else if (u.type == UNIT_MISSED)
            cast_asked(m, p, u.high, now_ns);
        else if (u.type == UNIT_HEARS)
            reach_told(m, p, u.counter, now_ns, out);
    }
}

static void body_in(struct mesh *m, struct peer *p, const struct frame_header *h,
                    const uint8_t *body, size_t body_len, uint64_t now_ns, struct mesh_actions *out)
{
    struct wire_reader r;
    struct unit u;
    wire_reader_init(&r, body, body_len);
    bool is_link = unit_next(&r, &u) && u.type == UNIT_LINK;
    assert(is_link);
    if (link_in(m, p, &u.link, h->counter)) {
        tx_heard(&p->tx, now_ns);
        if (u.link.number > p->rx.newest)
            p->rx.newest = u.link.number;
        bool parts = u.link.number != 0;
        content_in(m, p, &r, body_len + FRAME_OVERHEAD, now_ns, out);
        if (parts)
            cast_in_unicast(p, now_ns);
    }
    mesh_wake(m, p);
    if (out->deadline_ns > now_ns)
        out->deadline_ns = now_ns;
}

/* The frame's seal holds, so the peer did send it; from a new address only the newest frame counts.
 */
static void moved(struct peer *p, const struct addr *from, struct mesh_actions *out)
{
    if (addr_equal(&p->addr, from))
        return;
    struct mesh_output *o = mesh_output_new(MESH_OUT_MOVED, p->inc, p->node, 0);
    if (!o)
        return; /* the next frame says it again */
    p->addr = *from;
    o->addr = *from;
    mtu_init(&p->mtu);
    mesh_output_add(out, o);
}

static void count_unopened(struct mesh *m, int err)
{
    if (err == STEAD_E_VERSION)
        m->stats.dropped_version++;
    else if (err == STEAD_E_TRUNCATED)
        m->stats.dropped_malformed++;
    else if (err == STEAD_E_AUTH)
        m->stats.dropped_auth++;
    else
        m->stats.dropped_limit++;
}

/* A frame without a body, which nobody answers: whoever is there sees under which generation this
 * node seals. It is smaller than what it answers, and rare. */
static void hint(struct mesh *m, const struct addr *to, struct mesh_actions *out)
{
    struct wire_writer none;
    uint8_t nothing[1];
    wire_writer_init(&none, nothing, 0);
    mesh_emit(m, 0, 0, to, &none, out);
}

static void tell_foreign(struct mesh *m, const struct addr *from, int err,
                         const struct frame_header *h, size_t len, uint64_t now_ns,
                         struct mesh_actions *out)
{
    if (now_ns < m->foreign_next_ns || len < FRAME_OVERHEAD)
        return;
    enum seal_unopened why =
        err == STEAD_E_VERSION ? SEAL_OTHER_VERSION : seal_why(m->config.seal, h);
    struct mesh_output *o = mesh_output_new(MESH_OUT_FOREIGN, 0, 0, 2);
    if (!o)
        return;
    m->foreign_next_ns = now_ns + FOREIGN_TOLD_NS;
    o->addr = *from;
    o->bytes[0] = (uint8_t)why;
    o->bytes[1] = h->key_generation;
    mesh_output_add(out, o);
    if (len > FRAME_OVERHEAD && (why == SEAL_RETIRED || why == SEAL_UNKNOWN))
        hint(m, from, out);
}

/* A body of one unit. */
static void single_in(struct mesh *m, const struct addr *from, const struct frame_header *h,
                      const uint8_t *body, size_t body_len, uint64_t now_ns,
                      struct mesh_actions *out)
{
    struct wire_reader r;
    struct unit u;
    wire_reader_init(&r, body, body_len);
    if (!unit_next(&r, &u))
        return;
    if (u.type == UNIT_BEACON)
        beacon_in(m, from, h, &u, out);
    else
        hello_in(m, from, h, &u, now_ns, out);
}

/* A body for all: it came by the group. */
static void group_in(struct mesh *m, struct peer *p, const struct addr *from,
                     const struct frame_header *h, const uint8_t *body, size_t body_len,
                     uint64_t now_ns, struct mesh_actions *out)
{
    if (body[0] == UNIT_BEACON)
        single_in(m, from, h, body, body_len, now_ns, out);
    if (!p) {
        m->stats.dropped_stranger += body[0] == UNIT_FLOW;
        return;
    }
    if (body[0] == UNIT_FLOW)
        cast_in(m, p, h, body, body_len, now_ns, out);
    else if (h->to == 0)
        reach_heard(p, h->counter);
    mesh_wake(m, p);
    if (out->deadline_ns > now_ns)
        out->deadline_ns = now_ns;
}

/* What an opened frame says, by whom it is from. */
static void frame_in(struct mesh *m, const struct addr *from, const struct frame_header *h,
                     const uint8_t *body, size_t body_len, uint64_t now_ns,
                     struct mesh_actions *out)
{
    struct peer *p = mesh_peer(m, h->inc);
    if (beacon_own(m, h, body, body_len, out))
        return;
    if (h->inc == m->config.inc || h->inc == 0 || (p && p->node != h->node) ||
        (h->to != 0 && h->to != m->config.inc)) {
        m->stats.dropped_stranger++;
        if (!p)
            hello_stranger(m, from, h, now_ns, out);
        return;
    }
    struct seen *seen = p ? p->seen : gone_find(m, h->inc);
    bool newest = seen && h->counter > seen->replay.top;
    if (seen && !replay_accept(&seen->replay, h->counter)) {
        m->stats.dropped_replay++;
        return;
    }
    if (!unit_check_body(body, body_len)) {
        m->stats.dropped_malformed++;
        return;
    }
    bool group = body[0] == UNIT_BEACON || body[0] == UNIT_FLOW;
    if (p && newest && !group)
        moved(p, from, out);
    if (group) {
        group_in(m, p, from, h, body, body_len, now_ns, out);
    } else if (body[0] != UNIT_LINK) {
        single_in(m, from, h, body, body_len, now_ns, out);
    } else if (p) {
        body_in(m, p, h, body, body_len, now_ns, out);
    } else {
        m->stats.dropped_stranger++;
        hello_stranger(m, from, h, now_ns, out);
    }
}

/* What this node said to the group comes back, on its host; nothing is to be learned from it that
 * its beacons do not say. */
static bool own_echo(const struct mesh *m, const uint8_t *bytes, size_t len)
{
    struct frame_header h;
    return len > BEACON_FRAME_MAX && seal_peek(bytes, len, &h) == STEAD_OK &&
           h.inc == m->config.inc;
}

void mesh_datagram(struct mesh *m, const struct addr *from, const uint8_t *bytes, size_t len,
                   uint64_t now_ns, struct mesh_actions *out)
{
    if (m->config.group.family != 0 && own_echo(m, bytes, len))
        return;
    m->stats.frames_in++;
    m->stats.bytes_in += len;
    if (len > MESH_FRAME_MAX) {
        m->stats.dropped_malformed++;
        return;
    }
    uint8_t body[MESH_FRAME_MAX];
    size_t body_len = 0;
    struct frame_header h;
    int err = seal_open(m->config.seal, bytes, len, &h, body, &body_len);
    if (err)
        count_unopened(m, err);
    if (err == STEAD_E_AUTH || err == STEAD_E_VERSION)
        tell_foreign(m, from, err, &h, len, now_ns, out);
    if (!err && h.mark != seal_keys(m->config.seal)->active)
        m->used_mark = h.mark;
    if (!err && body_len > 0) /* without a body it is a hint, for those who cannot open it */
        frame_in(m, from, &h, body, body_len, now_ns, out);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t peer_deadline_ns(const struct peer *p)
{
    if (!p->state.confirmed)
        return p->state.ask_ns;
    uint64_t group_ns = earliest(cast_in_deadline_ns(p), reach_deadline_ns(p));
    return earliest(group_ns, earliest(tx_deadline_ns(&p->tx), mtu_deadline_ns(&p->mtu)));
}

void mesh_flush(struct mesh *m, uint64_t now_ns, struct mesh_actions *out)
{
    out->deadline_ns = TIME_NEVER;
    beacon_flush(m, now_ns, out);
    cast_flush(m, now_ns, out);
    struct list *link = m->active.next;
    while (link != &m->active) {
        struct peer *p = list_entry(link, struct peer, active);
        link = link->next;
        link_flush(m, p, now_ns, out);
        reach_flush(m, p, now_ns, out);
        tx_flush(m, p, now_ns, out);
        mtu_flush(m, p, now_ns, out);
        uint64_t deadline_ns = peer_deadline_ns(p);
        out->deadline_ns = earliest(out->deadline_ns, deadline_ns);
        if (deadline_ns == TIME_NEVER)
            list_remove(&p->active);
    }
}

void mesh_stats(const struct mesh *m, struct mesh_stats *out)
{
    *out = m->stats;
    out->peers = m->peers.count;
    out->group_silent = m->beacon.silent;
    out->group_reached = m->reached;
    out->queued_bytes = 0;
    for (struct list *l = m->peer_list.next; l != &m->peer_list; l = l->next)
        out->queued_bytes += list_entry(l, struct peer, link)->tx.queued_bytes;
}

uint64_t mesh_rtt_ns(const struct mesh *m, uint64_t inc)
{
    const struct peer *p = mesh_peer(m, inc);
    return p ? p->tx.srtt_ns : 0;
}

uint32_t mesh_frame_size(const struct mesh *m, uint64_t inc)
{
    const struct peer *p = mesh_peer(m, inc);
    return p ? p->mtu.size : 0;
}
