/* peer.h - another node, as a shard sees it: its place in the view, and what came about with it.
 *
 * Traps: a peer moves with every view, so no pointer to one outlives the event. */
#ifndef CORE_SESSION_PEER_H
#define CORE_SESSION_PEER_H

#include "core/session/message.h"
#include "core/session/view.h"

#define SYNC_OWED_MAX 64 /* shards of a joining node */

struct peer {
    struct peer_view view;
    uint32_t full_kinds; /* bits of the kinds that it refused to hold more of, lately */
    size_t full_bytes;   /* the smallest record that it had no room for */
    uint64_t full_until_ns, full_pause_ns;
    uint64_t contact_ns; /* when either was last counted out by the other, as far as is known */
    bool held;           /* it kept records, though what it kept may be gone with it by now */
    bool may_return;     /* it is down, and may come back with what it holds */
    uint64_t down_ns;    /* when it stopped being heard */
    uint64_t up_ns;      /* since when it is up; 0: it is not */
    bool complete;       /* it has said since this process began that its copies are */
    bool long_away;  /* it is heard again just now, after longer than deletions are remembered */
    bool announcing; /* it is heard again: told what is owned here, from `cursor` on */
    uint64_t cursor;
    unsigned unheard; /* batches of announcements that it has not answered */
    uint64_t announce_heard_ns;
    uint64_t sync_shards; /* joining: shards of it that have said they are complete */
    bool sync_done;
    uint8_t sync_parts,
        sync_percent[SYNC_OWED_MAX]; /* its shards, and how far each is; 0: unsaid */
    uint64_t sync_asked_ns;
    uint64_t sync_owed[SYNC_OWED_MAX]; /* nonces that it waits for an answer to */
    uint8_t sync_owed_count;
    unsigned bulk_losses;                /* in a row */
    unsigned bulk_flight;                /* records sent in bulk that it has not answered */
    uint64_t bulk_heard_ns, bulk_off_ns; /* when it last did; no bulk before */
    uint64_t enrol_shards;               /* as a voter: shards of it that have answered ENROL */
    uint64_t enrol_asked_ns, enrol_since_ns;
    uint64_t enrol_owed[SYNC_OWED_MAX];
    uint8_t enrol_owed_count;
};

struct peer *peer_find(struct session *s, uint64_t inc);
bool peer_is_heard(struct session *s, uint64_t inc);
/* Nothing was counted out between the sender's knowing of this node and now. */
bool peer_same_contact(struct session *s, uint64_t from, const struct message *m);
/* The sender has counted this node out since: it comes late, and the sender knows. */
bool peer_stale_contact(struct session *s, uint64_t from, const struct message *m);
/* Was this sent in the contact of now? Of one that keeps no records, or where none are kept here,
 * nothing is known of that: it is. */
bool peer_is_current(struct session *s, uint64_t from, const struct message *m);
/* It was not heard for so long that what it says may have waited here since: its lease has run out,
 * and the contact is still the one of then. */
bool peer_lapsed(struct session *s, uint64_t from);

static inline bool peer_is_full(const struct peer *p, uint8_t kind, size_t bytes)
{
    return (p->full_kinds >> kind & 1) && bytes >= p->full_bytes;
}

#endif
