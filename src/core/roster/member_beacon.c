/* member_beacon.c - what comes of a beacon, and what one says: counts. It is the sender's own word
 * under its own seal, and a revision that is no news changes nothing, so an old one does no harm;
 * that it came says nothing of the way back. */
#include "core/roster/member_state.h"

bool membership_beacon_in(struct membership *m, uint64_t inc, const uint8_t *bytes, size_t len,
                          uint64_t now_ns, struct member_actions *out)
{
    struct wire_reader r;
    struct entry_counts counts;
    struct contact *c = contacts_find(&m->contacts, inc);
    if (m->left)
        return true;
    wire_reader_init(&r, bytes, len);
    if (!entry_decode_counts(&r, &counts) || !wire_done(&r) || counts.inc != inc) {
        m->stats.malformed++;
        return true;
    }
    if (c == NULL || (c->presence != PRESENCE_HEARD && c->presence != PRESENCE_TOLD))
        return c != NULL;
    member_step(m, now_ns, out);
    swim_counts(m->swim, inc, &counts, now_ns, &m->swim_out);
    member_swim_drain(m, now_ns, out);
    member_finish(m, now_ns, out);
    return true;
}

size_t membership_beacon(const struct membership *m, uint8_t *out, size_t max)
{
    struct wire_writer w;
    if (m->left)
        return 0;
    wire_writer_init(&w, out, max);
    entry_encode_counts(swim_self(m->swim), &w);
    return wire_put_ok(&w) ? wire_written(&w) : 0;
}
