/* sim_check_wire.c - what goes over the network: nothing is sealed, accepted or delivered twice. */
#include "sim_watch.h"

#define CALM_NS SEC(4)
#define LATE_FREE 4 /* what went out when something broke may count as late afterwards */
#define LATE_OF 4   /* at most one in so many that the group lost */

static void sealed_frame(struct sim *s, const uint8_t *bytes, size_t len)
{
    struct frame_header h;
    if (seal_peek(bytes, len, &h) != STEAD_OK)
        return;
    uint64_t name[2] = {h.inc, h.counter};
    uint64_t digest = sim_digest(bytes, len) | 1;
    uint64_t *known = sim_map_at(&s->watch->sealed, sim_digest(name, sizeof name));
    if (*known != 0 && *known != digest)
        sim_violation(s, check_sealed_once.name, NULL,
                      "incarnation %016llx sealed two frames with counter %llu",
                      (unsigned long long)h.inc, (unsigned long long)h.counter);
    *known = digest;
}

const struct sim_checker check_sealed_once = {
    .name = "sealed once",
    .promise = "no (key, nonce) pair is used twice",
    .frame_sent = sealed_frame,
};

static void accepted_frame(struct sim *s, struct sim_node *n, struct sim_frame *f, bool accepted)
{
    if (!accepted)
        return;
    if (f->accepted_by == n->inc)
        sim_violation(s, check_accepted_once.name, NULL,
                      "%s took a frame of %zu bytes from n%u in a second time", n->name, f->len,
                      f->from + 1);
    f->accepted_by = n->inc;
}

const struct sim_checker check_accepted_once = {
    .name = "accepted once",
    .promise = "no frame is accepted twice",
    .frame_taken = accepted_frame,
};

static uint64_t *message_balance(struct sim *s, uint64_t from, uint64_t to, const struct msg *m)
{
    uint64_t name[3] = {from, to, sim_digest(m->bytes, m->len)};
    return sim_map_at(&s->watch->messages, sim_digest(name, sizeof name));
}

static void sent_message(struct sim *s, const struct sim_node *n, const struct msg *m)
{
    ++*message_balance(s, n->inc, m->peer, m);
}

static void taken_message(struct sim *s, const struct sim_node *n, const struct msg *m)
{
    uint64_t *balance = message_balance(s, m->peer, n->inc, m);
    if (*balance == 0)
        sim_violation(s, check_delivered_once.name, NULL,
                      "%s got a message of %zu bytes that %016llx did not send, or sent once",
                      n->name, m->len, (unsigned long long)m->peer);
    else
        --*balance;
}

const struct sim_checker check_delivered_once = {
    .name = "delivered once",
    .promise = "a message is delivered once, whole, or not at all",
    .message_sent = sent_message,
    .message_taken = taken_message,
};

/* While nothing else is wrong, whoever misses something of the group asks for it and gets it:
 * unicast seldom has to bring what nobody asked for. */
static void asked_node(struct sim *s, struct sim_node *n, bool calm)
{
    struct sim_watch *w = s->watch;
    struct mesh_stats mesh;
    struct member_stats members;
    farm_stats(n->farm, &mesh, &members);
    uint64_t repairs = mesh.repairs_group + mesh.repairs_unicast;
    if (calm && w->group[n->slot].inc == n->inc) {
        w->group_repairs += repairs - w->group[n->slot].repairs;
        w->group_late += mesh.group_late - w->group[n->slot].late;
    }
    w->group[n->slot].inc = n->inc;
    w->group[n->slot].repairs = repairs;
    w->group[n->slot].late = mesh.group_late;
}

static void asked_sweep(struct sim *s)
{
    struct sim_watch *w = s->watch;
    if (!s->grouped)
        return;
    bool calm = sim_farm_whole(s) && sim_net_whole(s) &&
                s->now_ns > s->faults->last_harm_ns + CALM_NS &&
                s->now_ns > s->faults->last_deaf_ns + CALM_NS;
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        if (sim_node_alive(&s->nodes[i]) && !s->nodes[i].paused)
            asked_node(s, &s->nodes[i], calm);
    if (w->group_late > LATE_FREE + w->group_repairs / LATE_OF)
        sim_violation(s, check_asked.name, NULL,
                      "the group lost what nobody asked for: %llu parts, and %llu were repaired",
                      (unsigned long long)w->group_late, (unsigned long long)w->group_repairs);
}

const struct sim_checker check_asked = {
    .name = "asked for",
    .promise = "who misses something of the group asks for it, and gets it",
    .sweep = asked_sweep,
};
