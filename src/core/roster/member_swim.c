/* member_swim.c - the bridge to SWIM: what it says of a node is shown, what it wants sent goes out
 * by the mesh, and hearsay of a stranger becomes a contact unless somebody stands in its place. */
#include "core/roster/member_state.h"

#include "stead/error.h"

#include <string.h>

void member_swim_number(struct membership *m)
{
    const struct entry *told = swim_self(m->swim);
    m->self.revision = told->revision;
    m->self.shape = told->shape;
    m->self.life = told->life;
}

void member_learn(struct membership *m, struct contact *c, struct entry *e, enum swim_source source,
                  uint64_t now_ns)
{
    c->unlearned =
        swim_learn(m->swim, e, e->life, SWIM_ALIVE, source, now_ns, &m->swim_out) != STEAD_OK;
}

/* Presence follows rank where no heartbeats tell more. */
static void follow(struct membership *m, struct contact *c, uint64_t now_ns,
                   struct member_actions *out)
{
    if (c->rank == SWIM_LEFT) {
        member_admit_part(m, c, now_ns, out);
    } else if (member_paired(m, c)) {
        return;
    } else if (c->rank == SWIM_DOWN &&
               (c->presence == PRESENCE_HEARD || c->presence == PRESENCE_TOLD)) {
        contact_count_out(c, PRESENCE_OUT, now_ns);
        c->hello_due_ns = now_ns;
        m->stats.counted_out++;
        member_output_notice(out, MEMBER_CONTACT_LOST, c->entry->inc, &c->addr, c->entry->name, 0);
    } else if (c->rank <= SWIM_SUSPECT && c->presence == PRESENCE_OUT && c->admitted) {
        member_admit_heard(m, c, now_ns, out);
    }
}

static void tell(const struct contact *c, enum swim_rank was, struct member_actions *out)
{
    enum member_notice what;
    if (c->rank == was || was == SWIM_LEFT || c->rank == SWIM_LEFT)
        return;
    if (c->rank == SWIM_DOWN)
        what = MEMBER_DOWN;
    else
        what = c->rank == SWIM_SUSPECT ? MEMBER_SUSPECT : MEMBER_HEARD_AGAIN;
    member_output_notice(out, what, c->entry->inc, &c->addr, c->entry->name, 0);
}

static void take_view(struct membership *m, struct contact *c, uint64_t now_ns,
                      struct member_actions *out)
{
    struct swim_view v;
    enum swim_rank was = c->rank;
    if (c->presence == PRESENCE_REPLACED || !swim_look(m->swim, c->entry->inc, now_ns, &v))
        return;
    /* Counts are nothing to the session shards, and change all the time. */
    m->view_dirty = m->view_dirty || v.rank != was || v.entry->status != c->entry->status;
    m->roster_dirty = true;
    contact_set_entry(c, v.entry);
    c->rank = v.rank;
    if (c->joined)
        tell(c, was, out);
    if (c->entry->status == STATUS_LEFT)
        member_admit_part(m, c, now_ns, out);
    follow(m, c, now_ns, out);
}

static void changed(struct membership *m, uint64_t inc, uint64_t now_ns, struct member_actions *out)
{
    struct contact *c = contacts_find(&m->contacts, inc);
    if (inc == m->self.inc) {
        member_swim_number(m);
        m->roster_dirty = true;
    } else if (c != NULL) {
        take_view(m, c, now_ns, out);
    }
}

/* One that the mesh has not met is greeted first, and the last message to it kept. */
static void send(struct membership *m, const struct swim_output *o, uint64_t now_ns,
                 struct member_actions *out)
{
    struct contact *c = contacts_find(&m->contacts, o->inc);
    if (c == NULL || c->presence == PRESENCE_LEFT || c->presence == PRESENCE_REPLACED)
        return;
    if (c->admitted) {
        (void)member_output_send(out, c, o->reliable, o->bytes, o->len);
        return;
    }
    contact_keep(c, o->bytes, o->len, o->reliable);
    if (now_ns < c->hello_due_ns)
        return;
    (void)member_output_hello(out, &c->addr);
    c->hello_due_ns = now_ns + MEMBER_HELLO_JOINING_NS;
}

void member_swim_admitted(struct contact *c, struct member_actions *out)
{
    if (c->waiting == NULL)
        return;
    (void)member_output_send(out, c, c->waiting_reliable, c->waiting, c->waiting_len);
    contact_drop_kept(c);
}

/* Does somebody stand where e would: the same node, name or address? Proof decides between them, so
 * the one that is told of is greeted. */
static bool taken(const struct membership *m, const struct entry *e)
{
    size_t at = 0;
    return e->node == m->self.node || strcmp(e->name, m->self.name) == 0 ||
           contacts_claimed(&m->contacts, e, &e->address, &at) != NULL;
}

static struct contact *meet_stranger(struct membership *m, const struct swim_output *o,
                                     uint64_t now_ns, struct member_actions *out)
{
    bool gone = o->rank > SWIM_SUSPECT;
    if (o->entry->address.family == 0 || (gone && o->age_ms >= m->timing.forget_ms))
        return NULL;
    if (taken(m, o->entry)) {
        if (!gone && !addr_equal(&o->entry->address, &m->self.address))
            (void)member_output_hello(out, &o->entry->address);
        return NULL;
    }
    struct contact *c = member_admit_add(m, o->entry, &o->entry->address, now_ns, out);
    if (c == NULL || !gone)
        return c;
    contact_count_out(c, o->rank == SWIM_LEFT ? PRESENCE_LEFT : PRESENCE_OUT, now_ns);
    uint64_t age = member_ns(o->age_ms);
    c->since_ns = now_ns > age ? now_ns - age : 0;
    return c;
}

static void stranger(struct membership *m, const struct swim_output *o, uint64_t now_ns,
                     struct member_actions *out)
{
    struct contact *c = contacts_find(&m->contacts, o->inc);
    bool fresh = c == NULL;
    if (fresh)
        c = meet_stranger(m, o, now_ns, out);
    if (c == NULL || c->presence == PRESENCE_REPLACED)
        return;
    if (swim_learn(m->swim, o->entry, o->life, o->rank, SWIM_HEARSAY, now_ns, &m->swim_out) !=
        STEAD_OK)
        return; /* no memory: it stays as it is until it is told of again */
    swim_aged(m->swim, o->inc, o->age_ms, now_ns);
    if (fresh && !member_linked(m, c) && o->rank <= SWIM_SUSPECT) {
        c->joined = true;
        member_output_notice(out, MEMBER_JOINED, o->inc, &c->addr, c->entry->name, 0);
    }
    m->roster_dirty = m->view_dirty = true;
    member_wake(m, now_ns);
}

static void one(struct membership *m, const struct swim_output *o, uint64_t now_ns,
                struct member_actions *out)
{
    struct contact *c;
    switch (o->type) {
    case SWIM_OUT_SEND:
        send(m, o, now_ns, out);
        break;
    case SWIM_OUT_CHANGED:
        changed(m, o->inc, now_ns, out);
        break;
    case SWIM_OUT_STRANGER:
        stranger(m, o, now_ns, out);
        break;
    case SWIM_OUT_COMPARED:
        c = contacts_find(&m->contacts, o->inc);
        if (c != NULL)
            c->listed = true;
        break;
    }
}

/* It ends: taking in a stranger makes no other one, and what is sent is answered by others. */
void member_swim_drain(struct membership *m, uint64_t now_ns, struct member_actions *out)
{
    struct list *link;
    while ((link = list_pop(&m->swim_out.outputs)) != NULL) {
        struct swim_output *o = list_entry(link, struct swim_output, link);
        one(m, o, now_ns, out);
        swim_output_free(o);
    }
    for (size_t i = 0; m->swim_out.missed && i < m->contacts.count; i++)
        take_view(m, m->contacts.items[i], now_ns, out);
    m->swim_out.missed = false;
    if (m->swim_out.deadline_ns != TIME_NEVER)
        m->swim_deadline_ns = m->swim_out.deadline_ns;
    m->swim_out.deadline_ns = TIME_NEVER;
    member_wake(m, m->swim_deadline_ns);
}
