/* member.c - membership as a function of events and time. Heartbeats, admission, lists and what is
 * shown have files of their own (member_state.h). */
#include "core/roster/member_state.h"

#include "base/mem.h"
#include "stead/error.h"

#include <assert.h>
#include <string.h>

void member_timing_default(struct member_timing *t)
{
    *t = (struct member_timing){
        .heartbeat_ms = 200,
        .lease_ms = 1200,
        .out_ms = 1500,
        .pause_ms = 300,
        .join_wait_ms = 3000,
        .forget_ms = 3600 * 1000,
    };
    swim_timing_default(&t->swim);
}

struct membership *membership_new(const struct member_config *c, const struct entry *self,
                                  uint64_t now_ns)
{
    assert(c->join_count <= JOIN_ADDRESSES_MAX);
    assert(c->timing.out_ms * 5ull >= c->timing.lease_ms * 6ull);
    if (!entry_valid(self))
        return NULL;
    struct membership *m = mem_alloc(sizeof *m);
    if (m == NULL)
        return NULL;
    strncpy(m->farm, c->farm, sizeof m->farm - 1);
    m->timing = c->timing;
    m->group = c->group;
    m->self = *self;
    m->swim = swim_new(&c->timing.swim, c->seed, self, now_ns);
    if (m->swim == NULL) {
        mem_free(m);
        return NULL;
    }
    swim_actions_init(&m->swim_out);
    m->swim_deadline_ns = now_ns;
    member_swim_number(m);
    for (size_t i = 0; i < c->join_count; i++) {
        /* Where a successor's elder is, it is itself. */
        if (self->twin != 0 || !addr_equal(&c->join[i], &self->address))
            m->join[m->join_count++] =
                (struct join_address){.addr = c->join[i], .hello_due_ns = now_ns};
    }
    rng_init(&m->rng, c->seed);
    m->start_ns = m->step_ns = m->listen_ns = m->deadline_ns = now_ns;
    m->roster_dirty = m->view_dirty = true;
    m->found = m->alone = m->join_count == 0 && !m->group;
    return m;
}

void membership_free(struct membership *m)
{
    if (m == NULL)
        return;
    contacts_deinit(&m->contacts);
    swim_actions_clear(&m->swim_out);
    swim_free(m->swim);
    mem_free(m);
}

/* Every event begins here. After a pause silence proves nothing: what was sent meanwhile may lie
 * unread. Leases lapse by themselves. */
void member_step(struct membership *m, uint64_t now_ns, struct member_actions *out)
{
    if (now_ns > m->step_ns + member_ns(m->timing.pause_ms)) {
        m->stats.pauses++;
        m->listen_ns = now_ns;
        member_output_notice(out, MEMBER_SELF_PAUSED, m->self.inc, &m->self.address, m->self.name,
                             0);
    }
    if (now_ns > m->step_ns)
        m->step_ns = now_ns;
}

/* A configured address is settled when its node is heard, or known to be gone. */
static bool join_settled(const struct membership *m, const struct addr *addr)
{
    for (size_t i = 0; i < m->contacts.count; i++) {
        const struct contact *c = m->contacts.items[i];
        if (c->presence != PRESENCE_TOLD &&
            (addr_equal(&c->addr, addr) || addr_equal(&c->entry->address, addr)))
            return true;
    }
    return false;
}

static void look_for_farm(struct membership *m, uint64_t now_ns, struct member_actions *out)
{
    size_t heard = 0;
    bool settled = true;
    for (size_t i = 0; i < m->contacts.count; i++) {
        const struct contact *c = m->contacts.items[i];
        if (c->presence == PRESENCE_HEARD) {
            heard++;
            settled = settled && c->beating && c->listed;
        }
        settled = settled && (c->presence != PRESENCE_TOLD || !member_linked(m, c));
    }
    settled = settled && swim_missing(m->swim) == 0;
    for (size_t i = 0; i < m->join_count && settled; i++)
        settled = join_settled(m, &m->join[i].addr);
    bool over = now_ns - m->start_ns >= member_ns(m->timing.join_wait_ms);
    if (!over && (heard == 0 || !settled))
        return;
    if (heard == 0 && m->foreign_ns != 0 && now_ns - m->foreign_ns < MEMBER_FOREIGN_NS)
        return; /* it would call itself ready and be of no farm */
    m->found = true;
    m->alone = heard == 0;
    if (m->alone)
        member_output_notice(out, MEMBER_ALONE, m->self.inc, &m->self.address, m->self.name, 0);
}

/* Every event ends here: says what changed and when to come again. */
void member_finish(struct membership *m, uint64_t now_ns, struct member_actions *out)
{
    member_swim_drain(m, now_ns, out);
    if (!m->found && !m->left)
        look_for_farm(m, now_ns, out);
    uint64_t pace = (m->contacts.count < 64 ? 10 : 100) * NS_PER_MS;
    if (m->roster_dirty) {
        uint64_t due = m->roster_told_ns == 0 ? now_ns : m->roster_told_ns + pace;
        if (due <= now_ns) {
            m->roster_dirty = false;
            m->roster_told_ns = now_ns;
            out->roster_changed = true;
        } else {
            member_wake(m, due);
        }
    }
    if (m->view_dirty || now_ns - m->view_told_ns >= MEMBER_STEP_NS) {
        m->view_dirty = false;
        m->view_told_ns = now_ns;
        out->view_changed = true;
    }
    out->deadline_ns = m->deadline_ns;
}

void membership_proven(struct membership *m, uint64_t inc, uint64_t node, const struct addr *from,
                       const uint8_t *card, size_t len, uint64_t now_ns, struct member_actions *out)
{
    member_step(m, now_ns, out);
    if (!m->left)
        member_admit_proven(m, inc, node, from, card, len, now_ns, out);
    member_finish(m, now_ns, out);
}

/* The contact when it is one that counts, which is now heard; where there are no heartbeats SWIM
 * says whether it is. */
static struct contact *hear(struct membership *m, uint64_t inc, uint64_t now_ns,
                            struct member_actions *out)
{
    struct contact *c = contacts_find(&m->contacts, inc);
    if (m->left || c == NULL || !c->admitted || c->presence == PRESENCE_LEFT)
        return NULL;
    assert(c->presence != PRESENCE_REPLACED && c->presence != PRESENCE_TOLD);
    c->heard_ns = now_ns;
    bool back = member_paired(m, c) ? !c->deaf : c->rank <= SWIM_SUSPECT;
    if (c->presence != PRESENCE_HEARD && back)
        member_admit_heard(m, c, now_ns, out);
    return c;
}

bool membership_heard(struct membership *m, uint64_t inc, uint64_t now_ns,
                      struct member_actions *out)
{
    member_step(m, now_ns, out);
    bool counts = hear(m, inc, now_ns, out) != NULL;
    member_finish(m, now_ns, out);
    return counts;
}

void membership_moved(struct membership *m, uint64_t inc, const struct addr *to, uint64_t now_ns,
                      struct member_actions *out)
{
    member_step(m, now_ns, out);
    struct contact *c = hear(m, inc, now_ns, out);
    if (c != NULL && !addr_equal(&c->addr, to)) {
        c->addr = *to;
        m->roster_dirty = true;
    }
    member_finish(m, now_ns, out);
}

static bool take_message(struct membership *m, struct contact *c, const struct member_message *msg,
                         uint64_t now_ns, struct member_actions *out)
{
    switch (msg->type) {
    case MESSAGE_HEARTBEAT:
        return member_beat_take(m, c, &msg->heartbeat, now_ns, out);
    case MESSAGE_LEAVING:
        member_admit_part(m, c, now_ns, out);
        return true;
    }
    return false;
}

void membership_message(struct membership *m, uint64_t from, const uint8_t *bytes, size_t len,
                        uint64_t now_ns, struct member_actions *out)
{
    struct member_message msg;
    member_step(m, now_ns, out);
    struct contact *c = hear(m, from, now_ns, out);
    if (c != NULL && len > 0 && bytes[0] >= SWIM_TYPE_FIRST)
        swim_message(m->swim, from, bytes, len, now_ns, &m->swim_out);
    else if (c != NULL &&
             (!member_message_decode(bytes, len, &msg) || !take_message(m, c, &msg, now_ns, out)))
        m->stats.malformed++;
    member_finish(m, now_ns, out);
}

void membership_refused(struct membership *m, uint64_t by, int reason, uint64_t now_ns,
                        struct member_actions *out)
{
    bool company = false;
    member_step(m, now_ns, out);
    for (size_t i = 0; i < m->contacts.count; i++)
        company = company || m->contacts.items[i]->presence == PRESENCE_HEARD;
    /* One that is up among others goes on: who refuses it was fooled in a split. One that comes
     * back to find its place taken everywhere, or that only starts, must not. */
    if (reason == STEAD_E_NAME_TAKEN && (m->self.status == STATUS_JOINING || !company))
        out->refused = true;
    if (out->refused || m->refused_told_ns == 0 ||
        now_ns - m->refused_told_ns >= MEMBER_REFUSED_NS) {
        const struct contact *c = contacts_find(&m->contacts, by);
        m->refused_told_ns = now_ns;
        member_output_notice(out, MEMBER_REFUSED_HERE, by, c != NULL ? &c->addr : &m->self.address,
                             c != NULL ? c->entry->name : "", reason);
    }
    member_finish(m, now_ns, out);
}

static bool shall_join(const struct membership *m, const struct addr *a)
{
    for (size_t i = 0; i < m->join_count; i++) {
        if (addr_equal(&m->join[i].addr, a))
            return true;
    }
    return false;
}

void membership_foreign(struct membership *m, const struct addr *from, enum member_notice what,
                        uint64_t now_ns, struct member_actions *out)
{
    member_step(m, now_ns, out);
    if (m->group || shall_join(m, from)) {
        m->foreign_ns = now_ns;
        if (m->foreign_told_ns == 0 || now_ns - m->foreign_told_ns >= MEMBER_REFUSED_NS) {
            m->foreign_told_ns = now_ns;
            member_output_notice(out, what, 0, from, "", 0);
        }
    }
    member_finish(m, now_ns, out);
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
    uint8_t bytes[2][ENTRY_BYTES_MAX];
    struct wire_writer w[2];
    wire_writer_init(&w[0], bytes[0], sizeof bytes[0]);
    wire_writer_init(&w[1], bytes[1], sizeof bytes[1]);
    entry_encode(a, &w[0]);
    entry_encode(b, &w[1]);
    return wire_written(&w[0]) == wire_written(&w[1]) &&
           memcmp(bytes[0], bytes[1], wire_written(&w[0])) == 0;
}

void membership_set_self(struct membership *m, const struct entry *self, uint64_t now_ns,
                         struct member_actions *out)
{
    assert(entry_valid(self));
    member_step(m, now_ns, out);
    struct entry before = m->self;
    m->self = *self;
    m->self.node = before.node;
    m->self.inc = before.inc;
    m->self.boot = before.boot;
    member_swim_number(m);
    if (!same_entry(&m->self, &before)) {
        m->roster_dirty = true;
        m->view_dirty = true;
        swim_set_self(m->swim, &m->self, now_ns, &m->swim_out);
    }
    member_finish(m, now_ns, out);
}

void membership_doubt(struct membership *m, uint64_t node, uint64_t now_ns,
                      struct member_actions *out)
{
    member_step(m, now_ns, out);
    for (size_t i = 0; i < m->contacts.count; i++) {
        struct contact *c = m->contacts.items[i];
        if (c->entry->node != node || c->presence > PRESENCE_HEARD)
            continue;
        /* What echoes a later stamp than this was sent after it. */
        c->doubt_stamp = member_stamp(m, now_ns);
        swim_doubt(m->swim, c->entry->inc, now_ns, &m->swim_out);
        m->roster_dirty = true;
    }
    member_finish(m, now_ns, out);
}

void membership_leave(struct membership *m, uint64_t now_ns, struct member_actions *out)
{
    static const uint8_t leaving = MESSAGE_LEAVING;
    member_step(m, now_ns, out);
    for (size_t i = 0; i < m->contacts.count && !m->left; i++) {
        const struct contact *c = m->contacts.items[i];
        if (c->presence == PRESENCE_HEARD)
            (void)member_output_send(out, c, true, &leaving, sizeof leaving);
    }
    swim_leave(m->swim, now_ns, &m->swim_out);
    member_swim_drain(m, now_ns, out);
    m->left = true;
    m->deadline_ns = m->swim_deadline_ns = TIME_NEVER;
    member_finish(m, now_ns, out);
}

const struct entry *membership_self(const struct membership *m)
{
    return &m->self;
}

size_t membership_card(const struct membership *m, uint8_t *out, size_t max)
{
    struct entry brief;
    struct wire_writer w;
    wire_writer_init(&w, out, max);
    entry_encode(swim_self(m->swim), &w);
    if (wire_put_ok(&w))
        return wire_written(&w);
    entry_copy(swim_self(m->swim), &brief);
    brief.revision = brief.shape = 0;
    brief.group_count = 0;
    brief.server_count = 0;
    wire_writer_init(&w, out, max);
    entry_encode(&brief, &w);
    assert(wire_put_ok(&w));
    return wire_written(&w);
}

bool membership_found(const struct membership *m, bool *alone)
{
    *alone = m->alone;
    return m->found;
}

void membership_stats(const struct membership *m, struct member_stats *out)
{
    *out = m->stats;
    swim_stats(m->swim, &out->swim);
    out->malformed += out->swim.malformed;
}
