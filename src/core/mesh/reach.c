/* reach.c - who hears what this node says to the group. A receiver says by unicast which frame it
 * heard last; one that has stopped saying so does not hear it. One that has to be served by unicast
 * again and again may be slow, or not hear it any more: until it says the next word it is not
 * counted on. What comes from the group says nothing of the way there. */
#include "core/mesh/mesh_internal.h"

#define SAY_NS (900 * NS_PER_MS)      /* between two words to a peer: one for each of its beats */
#define REACHED_NS (3500 * NS_PER_MS) /* three beats, and the way back */
#define MISSES_MAX 3u

static void tell(struct peer *p, bool reached, struct mesh_actions *out)
{
    struct mesh_output *o = mesh_output_new(MESH_OUT_REACH, p->inc, p->node, 1);
    if (!o)
        return; /* the metric says it all the same */
    o->bytes[0] = reached;
    o->addr = p->addr;
    mesh_output_add(out, o);
}

static void lose(struct mesh *m, struct peer *p, struct mesh_actions *out)
{
    struct reach *r = &p->reach;
    r->until_ns = 0;
    m->reached--;
    m->stats.group_lost++;
    r->lost = true;
    tell(p, false, out);
}

bool reach_is(const struct peer *p, uint64_t now_ns)
{
    return now_ns < p->reach.until_ns && p->reach.misses < MISSES_MAX;
}

void reach_told(struct mesh *m, struct peer *p, uint64_t counter, uint64_t now_ns,
                struct mesh_actions *out)
{
    struct reach *r = &p->reach;
    if (m->config.group.family == 0 || counter <= r->told)
        return;
    r->told = counter;
    r->misses = 0;
    m->reached += r->until_ns == 0;
    r->until_ns = now_ns + REACHED_NS;
    if (r->lost)
        tell(p, true, out);
    r->lost = false;
}

void reach_missed(struct mesh *m, struct peer *p)
{
    m->stats.group_missed++;
    if (p->reach.misses < MISSES_MAX)
        p->reach.misses++;
}

void reach_beat(struct mesh *m, uint64_t now_ns, struct mesh_actions *out)
{
    for (struct list *l = m->peer_list.next; l != &m->peer_list; l = l->next) {
        struct peer *p = list_entry(l, struct peer, link);
        if (p->reach.until_ns != 0 && now_ns >= p->reach.until_ns)
            lose(m, p, out);
    }
}

void reach_heard(struct peer *p, uint64_t counter)
{
    if (counter > p->reach.heard)
        p->reach.heard = counter;
}

uint64_t reach_deadline_ns(const struct peer *p)
{
    const struct reach *r = &p->reach;
    if (r->heard == r->said)
        return TIME_NEVER;
    return r->said_ns == 0 ? 0 : r->said_ns + SAY_NS;
}

/* In a frame of its own: a peer that does not know the word loses nothing else by it. */
void reach_flush(struct mesh *m, struct peer *p, uint64_t now_ns, struct mesh_actions *out)
{
    struct reach *r = &p->reach;
    if (!p->state.confirmed || now_ns < reach_deadline_ns(p))
        return;
    uint8_t bytes[UNIT_LINK_BYTES + UNIT_HEARS_BYTES];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    struct unit link = link_unit(p, 0);
    struct unit hears = {.type = UNIT_HEARS, .counter = r->heard};
    unit_put(&w, &link);
    unit_put(&w, &hears);
    mesh_emit(m, p->inc, p->mark, &p->addr, &w, out);
    r->said = r->heard;
    r->said_ns = now_ns;
}
