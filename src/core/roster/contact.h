/* contact.h - one other incarnation as this node knows it, and the table of them, ordered by
 * incarnation. Two judgements stand side by side: SWIM's (rank), which the roster shows, and this
 * node's own contact (presence), which the session shards rely on. Where no heartbeats go to and
 * fro, presence follows rank.
 *
 * TOLD --proven--> HEARD --silence--> OUT --heard--> HEARD ...    HEARD or OUT --leaves--> LEFT
 *  any of these --a newer incarnation took its name, id or address--> REPLACED
 *
 * Whenever a contact is shown as down, `counted` has grown before: what was agreed with it is void.
 * An incarnation that is counted out keeps its place in the mesh and is greeted and sent
 * heartbeats, because it may come back, after however long a split; only the roster forgets it
 * (dormant). One that was replaced or has left is removed from the mesh. */
#ifndef CORE_ROSTER_CONTACT_H
#define CORE_ROSTER_CONTACT_H

#include "core/roster/member.h"

#define CONTACT_KEPT_MAX 2048u /* bytes of the message that waits for the mesh */

enum presence {
    PRESENCE_TOLD, /* known from a list, not heard yet */
    PRESENCE_HEARD,
    PRESENCE_OUT, /* counted out, or never heard though told of */
    PRESENCE_LEFT,
    PRESENCE_REPLACED
};

struct contact {
    struct entry *entry; /* shared */
    struct addr addr;
    enum presence presence;
    bool admitted;  /* the mesh has it */
    bool beating;   /* its counted is known: a heartbeat came, or none will */
    bool listed;    /* it told whom it knows */
    bool joined;    /* the log has it */
    bool unlearned; /* SWIM had no memory for it */
    enum swim_rank rank;
    bool dormant;    /* out for so long that it is shown no more */
    bool superseded; /* left, and a newer incarnation of the node is known */
    uint64_t heard_ns;
    uint64_t since_ns; /* when presence became what it is */
    uint64_t stamp;    /* its greatest, 0 when it is counted out */
    uint64_t seen;     /* its greatest of all */
    uint64_t saw_ns;   /* when this node last sent what it says to have got */
    uint64_t muted_ns; /* since then its stamps are not echoed: it does not hear; 0 = they are */
    bool deaf;         /* counted out for that: back when it hears this node */
    uint64_t lease_until_ns, counted, granted;
    uint64_t behind;                    /* a revision of its entry that has yet to come */
    uint64_t beat_due_ns, beat_last_ns; /* heartbeats to it */
    uint64_t hello_due_ns;
    uint64_t doubt_stamp; /* suspect until it is met after this own stamp; 0 = no doubt */
    uint8_t *waiting;     /* the last message for it, until the mesh has it; NULL = none */
    size_t waiting_len;
    bool waiting_reliable;
};

struct contacts {
    struct contact **items; /* ordered by entry.inc */
    size_t count, capacity;
    uint64_t
        counted_floor; /* greatest `counted` of any contact forgotten: no counter starts below */
};

void contacts_deinit(struct contacts *t);
struct contact *contacts_find(const struct contacts *t, uint64_t inc);
/* A new contact TOLD with this entry (a reference is taken), whose inc must be unknown. NULL
 * without memory or at MEMBERS_MAX. */
struct contact *contacts_add(struct contacts *t, struct entry *e, const struct addr *addr,
                             uint64_t now_ns);
void contacts_forget(struct contacts *t, struct contact *c);
/* The contact that stands for this node, this name or this address now (not left, not replaced),
 * from index *at on; NULL when there is no further one. */
struct contact *contacts_claimed(const struct contacts *t, const struct entry *e,
                                 const struct addr *addr, size_t *at);
/* A contact that was replaced, left, or is dormant and may go when the table is full: the one
 * longest so. */
struct contact *contacts_oldest_gone(const struct contacts *t);

/* It says this of itself now; a reference to e is taken. */
void contact_set_entry(struct contact *c, struct entry *e);
/* Keeps a message for when the mesh has it, in place of the one before. */
void contact_keep(struct contact *c, const uint8_t *bytes, size_t len, bool reliable);
void contact_drop_kept(struct contact *c);
void contact_become(struct contact *c, enum presence p, uint64_t now_ns);
/* Down from now on, with `counted` grown. */
void contact_count_out(struct contact *c, enum presence p, uint64_t now_ns);
/* As the session shards are told (by presence), and as the roster shows it (by rank). */
enum status contact_state(const struct contact *c);
enum status contact_status(const struct contact *c);
/* Is it shown at all: not to be heard yet, or dormant. */
bool contact_shown(const struct contact *c);

#endif
