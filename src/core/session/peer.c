/* Peers by incarnation, and what the contact with one is worth. */
#include "core/session/session_internal.h"

struct peer *peer_find(struct session *s, uint64_t inc)
{
    size_t low = 0, high = s->peer_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->peers[mid].view.inc == inc)
            return &s->peers[mid];
        if (s->peers[mid].view.inc < inc)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

bool peer_is_heard(struct session *s, uint64_t inc)
{
    struct peer *p = peer_find(s, inc);
    return p && peer_heard(&p->view);
}

/* Nothing was counted out between the sender's knowing of this node and now. */
bool peer_same_contact(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    return p && peer_heard(&p->view) && m->granted == p->view.counted;
}

bool peer_stale_contact(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    return p && m->counted < p->view.granted;
}

bool peer_is_current(struct session *s, uint64_t from, const struct message *m)
{
    const struct peer *p = peer_find(s, from);
    if (p && (!p->view.holds || !s->self_holds))
        return true;
    return peer_same_contact(s, from, m) && !peer_stale_contact(s, from, m) &&
           !peer_lapsed(s, from);
}

bool peer_lapsed(struct session *s, uint64_t from)
{
    struct peer *p = peer_find(s, from);
    return p && p->view.lease_until_ns != 0 && p->view.lease_until_ns <= s->now_ns &&
           p->contact_ns <= p->view.lease_until_ns;
}
