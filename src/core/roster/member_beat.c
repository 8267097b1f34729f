/* member_beat.c - heartbeats out and in: leases, generations, and the spreading of entries. */
#include "core/roster/member_state.h"

#include <string.h>

#define BEAT_BYTES (64 + HEARTBEAT_ENTRY_MAX)

/* An entry that no heartbeat can carry goes reliably, once a revision, and again if it is not
 * confirmed. */
static void post_entry(struct membership *m, struct contact *c, uint64_t now_ns,
                       struct member_actions *out)
{
    uint8_t bytes[1 + ENTRY_BYTES_MAX];
    if (c->posted == m->self.revision && now_ns - c->posted_ns < MEMBER_HELLO_NS)
        return;
    bytes[0] = MESSAGE_ENTRY;
    memcpy(bytes + 1, m->self_bytes, m->self_len);
    if (!member_output_send(out, c, true, bytes, 1 + m->self_len))
        return;
    c->posted = m->self.revision;
    c->posted_ns = now_ns;
}

void member_beat_send(struct membership *m, struct contact *c, uint64_t now_ns,
                      struct member_actions *out)
{
    uint8_t bytes[BEAT_BYTES];
    struct wire_writer w;
    struct heartbeat h = {
        .stamp = member_stamp(m, now_ns),
        .echo = c->presence == PRESENCE_HEARD ? c->stamp : 0,
        .counted = c->counted,
        .revision = m->self.revision,
        .confirmed = c->entry->revision,
    };
    bool stale = c->confirmed < m->self.revision;
    bool carried = stale && m->self_len <= HEARTBEAT_ENTRY_MAX;
    wire_writer_init(&w, bytes, sizeof bytes);
    member_message_put_heartbeat(&h, carried ? m->self_bytes : NULL, m->self_len, &w);
    if (member_output_send(out, c, false, bytes, wire_written(&w)))
        m->stats.heartbeats_out++;
    if (stale && !carried && c->presence == PRESENCE_HEARD)
        post_entry(m, c, now_ns, out);
    c->beat_last_ns = now_ns;
    c->beat_due_ns = now_ns + (c->dormant ? MEMBER_HELLO_NS : member_ns(m->timing.heartbeat_ms));
}

void member_beat_hurry(struct membership *m, struct contact *c, uint64_t now_ns)
{
    /* In a large farm a busy node would otherwise spend its time on telling everybody. */
    uint64_t gap = MEMBER_EARLY_NS * (1 + m->contacts.count / 64);
    uint64_t at =
        c->beat_last_ns + gap > now_ns && c->beat_last_ns != 0 ? c->beat_last_ns + gap : now_ns;
    if (at < c->beat_due_ns)
        c->beat_due_ns = at;
    member_wake(m, c->beat_due_ns);
}

bool member_beat_entry(struct membership *m, struct contact *c, const struct entry *e,
                       uint64_t now_ns, struct member_actions *out)
{
    if (e->inc != c->entry->inc || e->node != c->entry->node || e->boot != c->entry->boot ||
        strcmp(e->name, c->entry->name) != 0)
        return false;
    if (e->revision <= c->entry->revision)
        return true;
    if (!contact_set_entry(c, e))
        return true; /* no memory: it is not confirmed, so it comes again */
    m->roster_dirty = true;
    m->view_dirty = true;
    if (e->status == STATUS_LEFT)
        member_admit_part(m, c, now_ns, out);
    return true;
}

static bool believable(const struct membership *m, const struct contact *c,
                       const struct heartbeat *h, uint64_t now_ns)
{
    return h->echo <= member_stamp(m, now_ns) && h->confirmed <= m->self.revision &&
           (!h->has_entry || h->entry.inc == c->entry->inc);
}

static void take_lease(struct membership *m, struct contact *c, const struct heartbeat *h)
{
    if (h->echo != 0) {
        uint64_t until = m->start_ns + h->echo - 1 + member_ns(m->timing.lease_ms);
        if (until > c->lease_until_ns)
            c->lease_until_ns = until;
    }
    if (h->counted > c->granted) {
        c->granted = h->counted;
        m->view_dirty = true;
    }
    if (c->doubt_stamp != 0 && h->echo > c->doubt_stamp) {
        c->doubt_stamp = 0;
        m->roster_dirty = true;
    }
}

bool member_beat_take(struct membership *m, struct contact *c, const struct heartbeat *h,
                      uint64_t now_ns, struct member_actions *out)
{
    if (!believable(m, c, h, now_ns))
        return false;
    if (h->has_entry && !member_beat_entry(m, c, &h->entry, now_ns, out))
        return false;
    m->stats.heartbeats_in++;
    if (c->presence != PRESENCE_HEARD)
        return true; /* its entry said that it left */
    if (h->stamp > c->stamp)
        c->stamp = h->stamp;
    if (h->confirmed > c->confirmed)
        c->confirmed = h->confirmed;
    take_lease(m, c, h);
    if (!c->beating) {
        c->beating = true;
        m->view_dirty = m->roster_dirty = true;
        member_beat_hurry(m, c, now_ns); /* so that it has its lease at once */
    }
    if (c->list_due && member_list_send(m, c, now_ns, out))
        c->list_due = false;
    return true;
}
