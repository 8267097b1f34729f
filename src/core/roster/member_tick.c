/* member_tick.c - what time demands of contacts: count-out, heartbeats, hellos, forgetting. */
#include "core/roster/member_state.h"

static void tick_beat(struct membership *m, struct contact *c, uint64_t now_ns,
                      struct member_actions *out)
{
    /* In a large farm those that are nearly due go along, or every one of them would cost a walk
     * over all. */
    uint64_t slack = m->contacts.count / 64 * (5 * NS_PER_MS);
    uint64_t most = member_ns(m->timing.heartbeat_ms) / 8;
    if (now_ns + (slack < most ? slack : most) >= c->beat_due_ns)
        member_beat_send(m, c, now_ns, out);
    member_wake(m, c->beat_due_ns);
}

/* A node that looks for its farm asks more often: it goes on alone when nobody answers in time. */
static uint64_t hello_pace_ns(const struct membership *m)
{
    return m->self.status == STATUS_JOINING ? MEMBER_HELLO_JOINING_NS : MEMBER_HELLO_NS;
}

static void tick_hello(struct membership *m, struct contact *c, uint64_t now_ns,
                       struct member_actions *out)
{
    if (now_ns >= c->hello_due_ns) {
        (void)member_output_hello(out, &c->addr);
        c->hello_due_ns = now_ns + hello_pace_ns(m);
    }
    member_wake(m, c->hello_due_ns);
}

static void lose(struct membership *m, struct contact *c, uint64_t now_ns,
                 struct member_actions *out)
{
    contact_count_out(c, PRESENCE_OUT, now_ns);
    c->hello_due_ns = now_ns;
    m->stats.counted_out++;
    m->roster_dirty = m->view_dirty = true;
    member_output_notice(out, MEMBER_CONTACT_LOST, c->entry->inc, &c->addr, c->entry->name, 0);
    member_wake(m, now_ns);
}

/* Where there are no heartbeats SWIM's own contact ends a doubt, and its verdict the contact; it
 * may have come while one that had just proved itself counted as heard. */
static void tick_unpaired(struct membership *m, struct contact *c, uint64_t now_ns,
                          struct member_actions *out)
{
    struct swim_view v;
    if (c->rank == SWIM_DOWN && now_ns - c->since_ns >= MEMBER_HELLO_NS)
        lose(m, c, now_ns, out);
    else if (c->doubt_stamp != 0 && swim_look(m->swim, c->entry->inc, now_ns, &v) &&
             v.since_ms != UINT32_MAX) {
        c->doubt_stamp = 0;
        m->roster_dirty = true;
    }
}

static uint64_t latest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* It is heard, but has heard nothing from this node for so long that nobody is served by counting
 * on it. First it gets no lease any more; it is counted out when it surely has none. */
static bool is_deaf(struct membership *m, struct contact *c, uint64_t now_ns)
{
    uint64_t out_ns = member_ns(m->timing.out_ms);
    uint64_t since = latest(latest(c->saw_ns, c->since_ns), m->listen_ns);
    if (c->muted_ns != 0 && c->muted_ns < m->listen_ns)
        c->muted_ns = 0;
    if (now_ns < since + member_ns(m->timing.lease_ms) + out_ns)
        return false;
    if (c->muted_ns == 0)
        c->muted_ns = now_ns;
    return now_ns >= c->muted_ns + out_ns;
}

static void tick_heard(struct membership *m, struct contact *c, uint64_t now_ns,
                       struct member_actions *out)
{
    if (!member_paired(m, c)) {
        tick_unpaired(m, c, now_ns, out);
        return;
    }
    uint64_t out_at = member_silent_since(m, c) + member_ns(m->timing.out_ms);
    bool deaf = is_deaf(m, c, now_ns);
    if (now_ns >= out_at || deaf) {
        lose(m, c, now_ns, out);
        c->deaf = deaf;
        swim_doubt(m->swim, c->entry->inc, now_ns, &m->swim_out);
        return;
    }
    member_wake(m, out_at);
    tick_beat(m, c, now_ns, out);
}

/* False when the contact is forgotten. One that may come back keeps its place in the mesh for as
 * long as there is room, unseen: see contact.h. */
static bool tick_out(struct membership *m, struct contact *c, uint64_t now_ns,
                     struct member_actions *out)
{
    if (c->entry->twin != 0 && member_admit_outlived(m, c, now_ns, out))
        return true;
    if (now_ns - c->since_ns >= member_ns(m->timing.forget_ms) && !c->dormant) {
        m->roster_dirty = m->view_dirty = true;
        if (!c->admitted)
            return false;
        c->dormant = true;
    }
    if (member_linked(m, c))
        tick_hello(m, c, now_ns, out);
    /* Heartbeats go on: it may hear though it is not heard, and must learn that it was counted out.
     */
    if (c->admitted && member_paired(m, c))
        tick_beat(m, c, now_ns, out);
    return true;
}

static bool tick_gone(struct membership *m, struct contact *c, uint64_t now_ns,
                      struct member_actions *out)
{
    uint64_t age = now_ns - c->since_ns;
    bool forget = age >= member_ns(m->timing.forget_ms);
    if (c->admitted && (forget || (c->presence == PRESENCE_LEFT && age >= MEMBER_PART_NS))) {
        member_output_remove(out, c);
        c->admitted = false;
    }
    if (forget)
        m->roster_dirty = m->view_dirty = true;
    return !forget;
}

/* Others vouch for it. Whom no session message goes to is greeted when SWIM has something to say.
 */
static void tick_told(struct membership *m, struct contact *c, uint64_t now_ns,
                      struct member_actions *out)
{
    if (!member_paired(m, c))
        tick_unpaired(m, c, now_ns, out);
    if (!member_linked(m, c) || c->presence != PRESENCE_TOLD)
        return;
    if (member_paired(m, c) && now_ns - c->since_ns >= member_ns(m->timing.out_ms)) {
        contact_count_out(c, PRESENCE_OUT, now_ns);
        m->roster_dirty = m->view_dirty = true;
    }
    tick_hello(m, c, now_ns, out);
}

static bool tick_contact(struct membership *m, struct contact *c, uint64_t now_ns,
                         struct member_actions *out)
{
    if (c->unlearned)
        member_learn(m, c, c->entry, SWIM_PROVEN, now_ns);
    switch (c->presence) {
    case PRESENCE_HEARD:
        tick_heard(m, c, now_ns, out);
        return true;
    case PRESENCE_OUT:
        return tick_out(m, c, now_ns, out);
    case PRESENCE_TOLD:
        tick_told(m, c, now_ns, out);
        return true;
    case PRESENCE_LEFT:
    case PRESENCE_REPLACED:
        break;
    }
    return tick_gone(m, c, now_ns, out);
}

/* Is anybody there, or does a contact of its own greet that address. */
static bool join_in_hand(const struct membership *m, const struct addr *addr)
{
    for (size_t i = 0; i < m->contacts.count; i++) {
        const struct contact *c = m->contacts.items[i];
        if (c->presence != PRESENCE_LEFT && c->presence != PRESENCE_REPLACED &&
            (addr_equal(&c->addr, addr) ||
             (c->presence == PRESENCE_HEARD && addr_equal(&c->entry->address, addr))))
            return true;
    }
    return false;
}

static void tick_join(struct membership *m, uint64_t now_ns, struct member_actions *out)
{
    for (size_t i = 0; i < m->join_count; i++) {
        struct join_address *j = &m->join[i];
        if (now_ns < j->hello_due_ns)
            continue;
        j->hello_due_ns = now_ns + hello_pace_ns(m);
        if (!join_in_hand(m, &j->addr))
            (void)member_output_hello(out, &j->addr);
    }
    for (size_t i = 0; i < m->join_count; i++)
        member_wake(m, m->join[i].hello_due_ns);
}

void member_forget(struct membership *m, struct contact *c)
{
    swim_forget(m->swim, c->entry->inc);
    contacts_forget(&m->contacts, c);
}

void membership_tick(struct membership *m, uint64_t now_ns, struct member_actions *out)
{
    if (m->left) {
        out->deadline_ns = TIME_NEVER;
        return;
    }
    member_step(m, now_ns, out);
    m->deadline_ns = now_ns + MEMBER_STEP_NS;
    for (size_t i = m->contacts.count; i-- > 0;) {
        struct contact *c = m->contacts.items[i];
        if (!tick_contact(m, c, now_ns, out))
            member_forget(m, c);
    }
    tick_join(m, now_ns, out);
    if (now_ns >= m->swim_deadline_ns)
        swim_tick(m->swim, now_ns, &m->swim_out);
    member_finish(m, now_ns, out);
}
