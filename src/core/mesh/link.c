/* link.c - the epochs of a pair of peers: who admits draws one, and each frame names its sender's
 * and the receiver's. A side that forgot the other draws anew, which the other sees, and starts its
 * numbers anew. */
#include "core/mesh/mesh_internal.h"

#define ASK_MIN_NS (20 * NS_PER_MS)
#define ASK_MAX_NS NS_PER_S

void link_init(struct link_state *s, struct rng *rng, uint64_t now_ns)
{
    *s = (struct link_state){.ask_ns = now_ns, .ask_delay_ns = ASK_MIN_NS};
    while (s->own == 0)
        s->own = (uint32_t)rng_u64(rng);
}

/* False when the frame is of an epoch that is over. */
static bool theirs(struct mesh *m, struct peer *p, uint32_t epoch, uint64_t counter)
{
    struct link_state *s = &p->state;
    if (epoch == s->theirs) {
        if (counter > s->theirs_top)
            s->theirs_top = counter;
        return true;
    }
    if (counter < s->theirs_top)
        return false;
    if (s->theirs != 0) {
        tx_restart(&p->tx, &m->config);
        rx_deinit(&p->rx);
        rx_init(&p->rx);
        cast_in_restart(p);
    }
    s->theirs = epoch;
    s->theirs_top = counter;
    s->confirmed = false;
    s->ask_delay_ns = ASK_MIN_NS;
    s->ask_ns = 0;
    return true;
}

bool link_in(struct mesh *m, struct peer *p, const struct unit_link *l, uint64_t counter)
{
    struct link_state *s = &p->state;
    if (!theirs(m, p, l->own, counter))
        return false;
    if (l->flags & LINK_ANSWER_ME)
        s->answer = true;
    if (l->yours != s->own)
        return false;
    s->confirmed = true;
    return true;
}

struct unit link_unit(const struct peer *p, uint64_t number)
{
    const struct link_state *s = &p->state;
    return (struct unit){.type = UNIT_LINK,
                         .link = {.flags = s->confirmed ? 0 : LINK_ANSWER_ME,
                                  .own = s->own,
                                  .yours = s->theirs,
                                  .number = number}};
}

void link_flush(struct mesh *m, struct peer *p, uint64_t now_ns, struct mesh_actions *out)
{
    struct link_state *s = &p->state;
    bool ask = !s->confirmed && now_ns >= s->ask_ns;
    if (!ask && (s->confirmed || !s->answer))
        return; /* an answer goes with what tx_flush sends */
    uint8_t bytes[UNIT_LINK_BYTES];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    struct unit u = link_unit(p, 0);
    unit_put(&w, &u);
    mesh_emit(m, p->inc, p->mark, &p->addr, &w, out);
    s->answer = false;
    if (ask) {
        s->ask_ns = now_ns + s->ask_delay_ns;
        s->ask_delay_ns = s->ask_delay_ns < ASK_MAX_NS / 2 ? s->ask_delay_ns * 2 : ASK_MAX_NS;
    }
}
