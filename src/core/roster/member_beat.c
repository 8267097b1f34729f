/* member_beat.c - heartbeats out and in, between nodes that both keep records: leases and
 * generations. */
#include "core/roster/member_state.h"

void member_beat_send(struct membership *m, struct contact *c, uint64_t now_ns,
                      struct member_actions *out)
{
    uint8_t bytes[HEARTBEAT_BYTES];
    struct wire_writer w;
    struct heartbeat h = {
        .stamp = member_stamp(m, now_ns),
        .echo = c->presence == PRESENCE_HEARD && c->muted_ns == 0 ? c->stamp : 0,
        .saw = c->seen,
        .counted = c->counted,
        .revision = m->self.revision,
    };
    wire_writer_init(&w, bytes, sizeof bytes);
    member_message_put_heartbeat(&h, &w);
    if (member_output_send(out, c, false, bytes, wire_written(&w)))
        m->stats.heartbeats_out++;
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

/* Does it hear this node? One that was counted out because it did not is back when it does. */
static void take_saw(struct membership *m, struct contact *c, uint64_t saw, uint64_t now_ns,
                     struct member_actions *out)
{
    uint64_t at = saw != 0 ? m->start_ns + saw - 1 : 0;
    if (at <= c->saw_ns)
        return;
    c->saw_ns = at;
    if (now_ns - at >= member_ns(m->timing.lease_ms))
        return;
    c->muted_ns = 0;
    if (c->deaf && c->presence == PRESENCE_OUT)
        member_admit_heard(m, c, now_ns, out);
}

/* Gossip brings its entry sooner as a rule; when it has not by the next heartbeat it is asked for.
 */
static void take_revision(struct membership *m, struct contact *c, uint64_t revision,
                          uint64_t now_ns)
{
    if (revision <= c->entry->revision)
        return;
    if (c->behind > c->entry->revision)
        swim_hint(m->swim, c->entry->inc, revision, now_ns, &m->swim_out);
    c->behind = revision;
}

bool member_beat_take(struct membership *m, struct contact *c, const struct heartbeat *h,
                      uint64_t now_ns, struct member_actions *out)
{
    uint64_t stamp = member_stamp(m, now_ns);
    if (h->echo > stamp || h->saw > stamp || !member_paired(m, c))
        return false;
    m->stats.heartbeats_in++;
    if (h->stamp > c->stamp)
        c->stamp = h->stamp;
    if (h->stamp > c->seen)
        c->seen = h->stamp;
    take_saw(m, c, h->saw, now_ns, out);
    if (h->echo != 0 && stamp - h->echo < MEMBER_FRESH_NS)
        swim_heard(m->swim, c->entry->inc, now_ns);
    take_lease(m, c, h);
    take_revision(m, c, h->revision, now_ns);
    if (!c->beating) {
        c->beating = true;
        m->view_dirty = m->roster_dirty = true;
        member_beat_hurry(m, c, now_ns); /* so that it has its lease at once */
    }
    member_swim_drain(m, now_ns, out);
    return true;
}
