/* member_admit.c - identity: who may have a name, and who makes way for whom. docs/protocol.md,
 * Identity. */
#include "core/roster/member_state.h"

#include "stead/error.h"

#include <string.h>

/* One of the two says that it lives beside the other, as a node does in an upgrade. */
static bool kin(const struct entry *a, const struct entry *b)
{
    return a->node == b->node && (a->twin == b->inc || b->twin == a->inc);
}

/* Both may stand: each names the other, or the one that e succeeds is silent and may come back. */
static bool beside(const struct contact *c, const struct entry *e)
{
    if (c->entry->node != e->node || e->twin != c->entry->inc)
        return false;
    return c->entry->twin == e->inc || c->presence == PRESENCE_OUT;
}

/* A successor that the one alive has not named, as far as is known here: its word may be on its
 * way. */
static bool unproven(const struct contact *c, const struct entry *e)
{
    return e->twin == c->entry->inc && kin(c->entry, e) && !beside(c, e);
}

/* May e, alive at addr, take the place of c? An address is bound by one process at a time, so
 * whoever is proved alive there is the only one; a boot counter that did not grow is a copied state
 * directory, and waits until the other is silent. A told one may be alive although this node has
 * not met it yet. */
static bool makes_way(const struct contact *c, const struct entry *e, const struct addr *addr)
{
    if (c->presence == PRESENCE_OUT)
        return true;
    if (kin(c->entry, e))
        return true; /* e has given up the successor that it named once, or outlived its elder */
    if (!addr_equal(&c->addr, addr))
        return false;
    return c->entry->node != e->node || e->boot > c->entry->boot || c->presence == PRESENCE_TOLD;
}

static void replace(struct membership *m, struct contact *c, uint64_t now_ns,
                    struct member_actions *out)
{
    member_output_notice(out, MEMBER_REPLACED, c->entry->inc, &c->addr, c->entry->name, 0);
    contact_count_out(c, PRESENCE_REPLACED, now_ns);
    contact_drop_kept(c);
    swim_forget(m->swim, c->entry->inc); /* whatever others still say of it */
    m->roster_dirty = m->view_dirty = true;
    /* Should its process live on elsewhere it is a stranger now, and is refused when it proves
     * itself anew. */
    if (c->admitted) {
        member_output_remove(out, c);
        c->admitted = false;
    }
}

bool member_admit_outlived(struct membership *m, struct contact *c, uint64_t now_ns,
                           struct member_actions *out)
{
    const struct contact *other = contacts_find(&m->contacts, c->entry->twin);
    const struct entry *e = NULL;
    if (c->entry->twin == m->self.inc)
        e = &m->self;
    else if (other != NULL && other->presence == PRESENCE_HEARD)
        e = other->entry;
    if (e == NULL || e->node != c->entry->node || e->twin == c->entry->inc)
        return false;
    replace(m, c, now_ns, out);
    return true;
}

static void supersede(struct membership *m, const struct entry *e)
{
    for (size_t i = 0; i < m->contacts.count; i++) {
        struct contact *c = m->contacts.items[i];
        if (c->presence == PRESENCE_LEFT && c->entry->inc != e->inc &&
            (c->entry->node == e->node || strcmp(c->entry->name, e->name) == 0))
            c->superseded = true;
    }
}

enum claim member_admit_claim(struct membership *m, const struct entry *e, const struct addr *addr,
                              uint64_t now_ns, struct member_actions *out)
{
    struct contact *c;
    size_t at = 0;
    bool own = e->node == m->self.node && e->twin == m->self.inc && m->self.twin == e->inc;
    if (!own && (e->node == m->self.node || strcmp(e->name, m->self.name) == 0))
        return e->node == m->self.node && kin(e, &m->self) ? CLAIM_UNPROVEN : CLAIM_TAKEN;
    while ((c = contacts_claimed(&m->contacts, e, addr, &at)) != NULL) {
        if (unproven(c, e))
            return CLAIM_UNPROVEN;
        if (!beside(c, e) && !makes_way(c, e, addr))
            return CLAIM_TAKEN;
    }
    at = 0;
    while ((c = contacts_claimed(&m->contacts, e, addr, &at)) != NULL)
        if (!beside(c, e))
            replace(m, c, now_ns, out);
    supersede(m, e);
    return CLAIM_GRANTED;
}

struct contact *member_admit_add(struct membership *m, struct entry *e, const struct addr *addr,
                                 uint64_t now_ns, struct member_actions *out)
{
    if (m->contacts.count >= MEMBERS_MAX) {
        struct contact *gone = contacts_oldest_gone(&m->contacts);
        if (gone == NULL)
            return NULL;
        if (gone->admitted)
            member_output_remove(out, gone);
        member_forget(m, gone);
        m->roster_dirty = m->view_dirty = true;
    }
    return contacts_add(&m->contacts, e, addr, now_ns);
}

void member_admit_heard(struct membership *m, struct contact *c, uint64_t now_ns,
                        struct member_actions *out)
{
    if (c->presence == PRESENCE_HEARD)
        return;
    contact_become(c, PRESENCE_HEARD, now_ns);
    c->heard_ns = now_ns;
    m->roster_dirty = m->view_dirty = true;
    member_output_notice(out, c->joined ? MEMBER_CONTACT_AGAIN : MEMBER_JOINED, c->entry->inc,
                         &c->addr, c->entry->name, 0);
    c->joined = true;
    if (member_paired(m, c))
        member_beat_hurry(m, c, now_ns);
    else
        c->beating = true; /* there is nothing to learn by heartbeats */
}

void member_admit_part(struct membership *m, struct contact *c, uint64_t now_ns,
                       struct member_actions *out)
{
    if (c->presence == PRESENCE_LEFT || c->presence == PRESENCE_REPLACED)
        return;
    contact_become(c, PRESENCE_LEFT, now_ns);
    contact_drop_kept(c);
    c->stamp = 0;
    c->rank = SWIM_LEFT;
    swim_gone(m->swim, c->entry->inc, SWIM_LEFT, now_ns, &m->swim_out);
    m->roster_dirty = m->view_dirty = true;
    member_output_notice(out, MEMBER_LEFT, c->entry->inc, &c->addr, c->entry->name, 0);
    member_wake(m, now_ns + MEMBER_PART_NS);
}

static bool card_decode(const uint8_t *card, size_t len, uint64_t inc, uint64_t node,
                        struct entry *out)
{
    struct wire_reader r;
    wire_reader_init(&r, card, len);
    return entry_decode(&r, out) && wire_done(&r) && out->inc == inc && out->node == node;
}

static void refuse(struct membership *m, const struct entry *e, const struct addr *from, int reason,
                   struct member_actions *out)
{
    m->stats.refused++;
    member_output_refuse(out, e->inc, e->node, from, reason);
    member_output_notice(out, MEMBER_CLAIMANT_REFUSED, e->inc, from, e->name, reason);
}

/* The contact of one that has proved itself, perhaps anew; its card is shared from now on. */
static struct contact *contact_of(struct membership *m, struct contact *c, struct entry *e,
                                  const struct addr *from, uint64_t now_ns,
                                  struct member_actions *out)
{
    if (c == NULL)
        return member_admit_add(m, e, from, now_ns, out);
    c->addr = *from;
    return c;
}

/* The mesh, SWIM and this table have it from now on. */
static void admit(struct membership *m, struct contact *c, struct entry *card, uint64_t now_ns,
                  struct member_actions *out)
{
    if (!member_output_admit(out, c))
        return; /* no memory: it is proved again at the next hello */
    c->admitted = true;
    member_learn(m, c, card, SWIM_PROVEN, now_ns);
    if (!m->found)
        swim_compare(m->swim, c->entry->inc, now_ns, &m->swim_out);
    member_admit_heard(m, c, now_ns, out);
    member_swim_admitted(c, out);
}

void member_admit_proven(struct membership *m, uint64_t inc, uint64_t node, const struct addr *from,
                         const uint8_t *card, size_t len, uint64_t now_ns,
                         struct member_actions *out)
{
    struct entry e;
    if (inc == m->self.inc)
        return;
    if (!card_decode(card, len, inc, node, &e)) {
        m->stats.malformed++;
        return;
    }
    struct contact *c = contacts_find(&m->contacts, inc);
    if (c != NULL && c->presence == PRESENCE_LEFT) {
        refuse(m, &e, from, STEAD_E_CLOSED, out);
        return;
    }
    /* Down for good: a proof of it is a late copy of one that it gave while it lived, or it was
     * away too long. */
    bool replaced = c != NULL && c->presence == PRESENCE_REPLACED;
    /* A late card must not deny a twin that was named since. */
    bool late = c != NULL && e.revision != 0 && e.revision < c->entry->revision;
    enum claim claim =
        replaced ? CLAIM_TAKEN : member_admit_claim(m, late ? c->entry : &e, from, now_ns, out);
    if (claim == CLAIM_UNPROVEN)
        return;
    if (claim == CLAIM_TAKEN) {
        refuse(m, &e, from, STEAD_E_NAME_TAKEN, out);
        return;
    }
    struct entry *card_entry = entry_new(&e);
    if (card_entry == NULL)
        return; /* no memory: likewise */
    c = contact_of(m, c, card_entry, from, now_ns, out);
    if (c != NULL)
        admit(m, c, card_entry, now_ns, out);
    else
        refuse(m, &e, from, STEAD_E_FULL, out);
    entry_unref(card_entry);
}
