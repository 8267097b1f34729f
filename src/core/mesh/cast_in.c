/* cast_in.c - what comes by the group: parts for this node among those for others, the gaps between
 * them, and when they are asked for or acknowledged. */
#include "core/mesh/mesh_internal.h"

#include "base/mutant.h"

#define ASK_REORDER_NS (100 * NS_PER_US) /* what was only overtaken has come by then */
#define ASK_SPREAD_NS 300000u            /* so that not all ask at once */
#define ASK_AGAIN_MIN_NS (3 * NS_PER_MS)
#define ASK_AGAIN_MAX_NS (100 * NS_PER_MS)
#define ASKS_MAX 8u /* then unicast brings it, in its own time */
#define LATE_NS (20 * NS_PER_MS)
#define LATE_MAX (SEQ_WINDOW / 8)
#define LATE_UNICAST_NS (1 * NS_PER_MS) /* well within what a sender waits before it sends again   \
                                         */
#define LATE_UNICAST_MAX 16u

/* The full number of which these are the low 32 bits: the one that is nearest to `near`. */
static uint64_t full(uint64_t near, uint32_t low)
{
    int64_t off = (int32_t)(low - (uint32_t)near);
    return off < 0 && (uint64_t)-off > near ? 0 : near + (uint64_t)off;
}

static bool has_gap(const struct rx *x)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < ACK_WORDS; i++)
        any |= x->bits[i];
    return any != 0;
}

void cast_in_told(struct peer *p)
{
    if (has_gap(&p->rx))
        return;
    p->rx.ack_due = false;
    cast_in_acked(p);
}

void cast_in_unicast(struct peer *p, uint64_t now_ns)
{
    struct reach *r = &p->reach;
    if (++r->late_count >= LATE_UNICAST_MAX || has_gap(&p->rx) || !reach_is(p, now_ns))
        p->rx.ack_due = true;
    else if (r->late_ns == 0 || now_ns + LATE_UNICAST_NS < r->late_ns)
        r->late_ns = now_ns + LATE_UNICAST_NS;
}

/* This node's place in the frame's table, or -1: it is for others, or of another epoch. */
static int place(const struct peer *p, const struct unit_flow *f, struct unit_flow_entry *e)
{
    const struct link_state *s = &p->state;
    for (unsigned i = 0; s->confirmed && i < f->count; i++) {
        unit_flow_entry(f, i, e);
        if (e->own == s->theirs && e->yours == s->own)
            return (int)i;
    }
    return -1;
}

static void part_in(struct mesh *m, struct peer *p, const struct unit_shared *s, unsigned share,
                    uint64_t high, struct mesh_actions *out)
{
    uint8_t bytes[UNIT_PART_MAX];
    uint16_t back = (uint16_t)((uint16_t)high - s->to[share].low);
    struct unit_part part = {.total = s->total,
                             .index = s->index,
                             .channel = s->channel,
                             .bytes = bytes,
                             .len = unit_part_len(s->total, s->index)};
    if (back >= high || high - back <= s->index) {
        m->stats.dropped_malformed++;
        return;
    }
    part.seq = high - back;
    unit_shared_part(s, share, bytes);
    m->stats.group_parts_in++;
    rx_part(m, p, &part, out);
    p->reach.late_count++;
}

static bool parts_in(struct mesh *m, struct peer *p, struct wire_reader *units, unsigned own,
                     uint64_t high, struct mesh_actions *out)
{
    struct unit u;
    bool any = false;
    while (unit_next(units, &u)) {
        for (unsigned i = 0; u.type == UNIT_SHARED && i < u.shared.count; i++) {
            if (u.shared.to[i].place != own)
                continue;
            part_in(m, p, &u.shared, i, high, out);
            any = true;
        }
    }
    return any;
}

static void ask_first(struct mesh *m, struct peer *p, uint64_t now_ns)
{
    struct reach *r = &p->reach;
    if ((r->ask_ns != 0 && r->ask_from == p->rx.upto) || MUTANT(GAP_NOT_NOTICED))
        return;
    r->asks = 0;
    r->ask_from = p->rx.upto;
    r->ask_ns = now_ns + ASK_REORDER_NS + rng_below(&m->rng, ASK_SPREAD_NS);
    uint64_t again_ns = 4 * p->tx.srtt_ns;
    r->ask_delay_ns = again_ns < ASK_AGAIN_MIN_NS   ? ASK_AGAIN_MIN_NS
                      : again_ns > ASK_AGAIN_MAX_NS ? ASK_AGAIN_MAX_NS
                                                    : again_ns;
}

void cast_in(struct mesh *m, struct peer *p, const struct frame_header *h, const uint8_t *body,
             size_t body_len, uint64_t now_ns, struct mesh_actions *out)
{
    struct wire_reader r;
    struct unit u;
    struct unit_flow_entry e;
    wire_reader_init(&r, body, body_len);
    if (h->to != 0 || !unit_next(&r, &u) || u.type != UNIT_FLOW) {
        m->stats.dropped_malformed++;
        return;
    }
    reach_heard(p, h->counter);
    mesh_wake(m, p);
    int own = place(p, &u.flow, &e);
    if (own < 0)
        return;
    uint64_t high = full(p->rx.upto, e.high);
    struct unit_ack ack = {.upto = full(p->tx.acked_upto, e.upto)};
    if (high > p->rx.upto + SEQ_WINDOW || !tx_ack_valid(&p->tx, &ack)) {
        m->stats.dropped_limit++;
        return;
    }
    tx_heard(&p->tx, now_ns);
    if (ack.upto > p->tx.acked_upto)
        tx_ack(m, p, &ack, now_ns);
    bool any = parts_in(m, p, &r, (unsigned)own, high, out);
    if (high > p->reach.wanted)
        p->reach.wanted = high;
    if (p->reach.wanted > p->rx.upto)
        ask_first(m, p, now_ns);
    if (!any || p->reach.late_count >= LATE_MAX)
        p->rx.ack_due = true; /* the sender has nothing else to do than to wait for it */
    else if (p->reach.late_ns == 0)
        p->reach.late_ns = now_ns + LATE_NS;
    if (out->deadline_ns > now_ns)
        out->deadline_ns = now_ns;
}

static void ask_flush(struct mesh *m, struct peer *p, uint64_t now_ns)
{
    struct reach *r = &p->reach;
    if (r->ask_ns == 0 || now_ns < r->ask_ns)
        return;
    r->ask_ns = 0;
    if (r->wanted <= p->rx.upto || r->asks >= ASKS_MAX)
        return;
    r->asks++;
    r->ask = true;
    r->ask_ns = now_ns + r->ask_delay_ns;
    if (r->ask_delay_ns < ASK_AGAIN_MAX_NS)
        r->ask_delay_ns *= 2;
    m->stats.asks_out++;
}

void cast_in_flush(struct mesh *m, struct peer *p, uint64_t now_ns)
{
    struct reach *r = &p->reach;
    ask_flush(m, p, now_ns);
    bool speaks = !list_empty(&p->tx.waiting) || !list_empty(&p->tx.lost);
    if (r->ask || (r->late_ns != 0 && (speaks || now_ns >= r->late_ns)))
        p->rx.ack_due = true;
}

void cast_in_acked(struct peer *p)
{
    p->reach.late_ns = 0;
    p->reach.late_count = 0;
}

void cast_in_restart(struct peer *p)
{
    struct reach *r = &p->reach;
    cast_in_acked(p);
    r->wanted = r->ask_ns = 0;
    r->ask = false;
    r->high = 0;
}

uint64_t cast_in_deadline_ns(const struct peer *p)
{
    const struct reach *r = &p->reach;
    uint64_t at_ns = r->ask_ns ? r->ask_ns : TIME_NEVER;
    return r->late_ns != 0 && r->late_ns < at_ns ? r->late_ns : at_ns;
}
