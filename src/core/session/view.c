/* What this shard knows of the other nodes, and what follows when one goes or comes back. */
#include "core/session/session_internal.h"

#include "base/mem.h"

#include <string.h>

const struct peer_view *view_find(const struct session_view *v, uint64_t inc)
{
    size_t low = 0, high = v->peer_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (v->peers[mid].inc == inc)
            return &v->peers[mid];
        if (v->peers[mid].inc < inc)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* Carries what this shard remembers of a peer over to the new view's entry. */
static void carry_over(struct session *s, struct peer *to, const struct peer_view *v)
{
    struct peer *old = peer_find(s, v->inc);
    *to = (struct peer){.down_ns = s->now_ns};
    if (old)
        *to = *old;
    bool was_heard = old && peer_heard(&old->view);
    to->view = *v;
    if (peer_heard(v)) /* membership takes it back when another takes its place */
        to->held = v->holds;
    if (old && (v->granted > old->view.granted || v->counted > old->view.counted)) {
        to->contact_ns = s->now_ns;
        to->bulk_flight = 0; /* what was on its way confirms nothing */
    }
    if (was_heard && !peer_heard(v)) {
        to->down_ns = s->now_ns;
        to->announcing = false;
        to->unheard = 0;
        to->bulk_flight = 0;
        to->sync_owed_count = 0;
        to->enrol_owed_count = 0;
        to->sync_done = false;
        to->sync_shards = 0;
        to->sync_parts = 0;
    }
    if (v->state != PEER_UP)
        to->up_ns = 0;
    else if (to->up_ns == 0)
        to->up_ns = s->now_ns;
    to->long_away = old && !was_heard && peer_heard(v) &&
                    s->now_ns > old->down_ns + s->config.split_max_ms * NS_PER_MS;
    if (!was_heard && peer_heard(v)) {
        /* Heard for the first time, or again: what is owned here may be known otherwise there. */
        to->announcing = v->counted > 0 || v->granted > 0;
        to->cursor = 0;
        to->sync_asked_ns = to->enrol_asked_ns = 0;
        to->sync_done = false;
        to->sync_shards = 0;
    }
    if (old && peer_heard(v) && v->granted > old->view.granted) {
        to->announcing = true;
        to->cursor = 0;
    }
}

static bool changed(const struct peer *old, const struct peer *now)
{
    return !old || old->view.state != now->view.state || old->view.granted != now->view.granted ||
           old->view.counted != now->view.counted || old->view.holds != now->view.holds ||
           old->view.mate != now->view.mate || old->view.wish != now->view.wish ||
           old->view.zone != now->view.zone || old->view.voter != now->view.voter;
}

/* Peers that were away longer than deletions are remembered, and lived on: the smaller side drops
 * its records, since it may hold what was deleted on the other. A tie goes to the side with the
 * least incarnation. */
static void judge_long_split(struct session *s)
{
    size_t away = 0, with = 1;
    uint64_t least_away = UINT64_MAX, least_with = s->self_inc;
    for (size_t i = 0; i < s->peer_count; i++) {
        const struct peer *p = &s->peers[i];
        if (!peer_heard(&p->view) || !p->view.holds)
            continue;
        uint64_t *least = p->long_away ? &least_away : &least_with;
        *least = p->view.inc < *least ? p->view.inc : *least;
        away += p->long_away;
        with += !p->long_away;
    }
    if (away == 0 || away < with || (away == with && least_with < least_away))
        return;
    session_wipe(s);
    session_tell(s, NOTICE_WIPED, NULL, 0, 0);
}

/* Those that were full a while ago may have room again. */
static bool forget_full(struct session *s)
{
    bool any = false;
    for (size_t i = 0; i < s->peer_count; i++) {
        struct peer *p = &s->peers[i];
        if (p->full_kinds == 0 || s->now_ns < p->full_until_ns)
            continue;
        p->full_kinds = 0;
        any = true;
    }
    return any;
}

void view_update(struct session *s, const struct session_view *v)
{
    size_t count = v->peer_count < PEERS_MAX ? v->peer_count : PEERS_MAX;
    struct peer *next = mem_alloc((count + 1) * sizeof(*next));
    void *room = mem_alloc(missing_room_bytes(count));
    if (!next || !room) {
        mem_free(next);
        mem_free(room);
        return; /* the next view comes within 100 ms */
    }
    bool any = v->self_state != s->self_state || count != s->peer_count;
    for (size_t i = 0; i < count; i++) {
        carry_over(s, &next[i], &v->peers[i]);
        any |= changed(peer_find(s, v->peers[i].inc), &next[i]);
    }
    struct peer *old = s->peers;
    size_t old_count = s->peer_count;
    s->peers = next;
    s->peer_count = count;
    s->self_inc = v->self_inc;
    s->self_node = v->self_node;
    s->self_state = v->self_state;
    s->self_holds = v->self_holds;
    if (s->self_state == PEER_LEAVING)
        shelf_leave(s);
    s->self_zone = v->self_zone;
    s->quorum.voters = v->voters;
    s->quorum.self = v->self_voter;
    s->wished = false;
    for (size_t i = 0; i < count; i++)
        s->wished |= next[i].view.wish;
    if (any)
        missing_count(s, room);
    mem_free(room);
    ranges_view(s);
    judge_long_split(s);
    for (size_t i = 0; i < old_count; i++)
        if (peer_heard(&old[i].view) && !peer_is_heard(s, old[i].view.inc))
            waiters_peer_gone(s, old[i].view.inc);
    mem_free(old);
    s->scan_again |= forget_full(s);
    if (any) {
        s->scan_again = true;
        works_review(s);
    }
}
