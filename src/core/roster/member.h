/* member.h - membership: who may join, who is alive, suspect, down, left; and between nodes that
 * hold session records leases and count-out. docs/protocol.md, Members and Contact. A function of
 * (state, event, now) -> (actions, next deadline).
 *
 * Who is alive, and what each says of itself, is SWIM's business (swim.h). Two nodes that both hold
 * records (a pair) send each other heartbeats as well, since a lease must be of own making; the two
 * may judge differently of one that only some can reach.
 *
 * It sends through its caller (core/farm), names peers by incarnation, and makes the roster
 * snapshot and the session shards' view. */
#ifndef CORE_ROSTER_MEMBER_H
#define CORE_ROSTER_MEMBER_H

#include "base/list.h"
#include "base/msg.h"
#include "core/roster/roster.h"
#include "core/roster/swim.h"

#define JOIN_ADDRESSES_MAX 64
#define MEMBERS_MAX 4096

struct membership;

struct member_timing {
    uint32_t heartbeat_ms; /* 200 */
    uint32_t lease_ms;     /* 1200 */
    uint32_t out_ms;       /* 1500; at least 1.2 x lease */
    uint32_t pause_ms;     /* 300: own steps further apart mean that this node did not run */
    uint32_t join_wait_ms; /* 3000: then a node that found nobody goes on alone */
    uint32_t forget_ms;    /* a down or left node is forgotten after: 1 h */
    struct swim_timing swim;
};

void member_timing_default(struct member_timing *t);

struct member_config {
    const char *farm;
    struct member_timing timing;
    size_t join_count;
    struct addr join[JOIN_ADDRESSES_MAX];
    bool group; /* others are found by a multicast group too */
    uint64_t seed;
};

enum member_output_type {
    MEMBER_OUT_SEND,   /* a roster message to peer inc; reliable or not */
    MEMBER_OUT_HELLO,  /* say hello to addr */
    MEMBER_OUT_ADMIT,  /* peer inc, node, addr */
    MEMBER_OUT_REFUSE, /* inc, addr, reason */
    MEMBER_OUT_REMOVE, /* mesh: forget inc */
    MEMBER_OUT_NOTICE  /* for the log: notice, about the node in `entry_name` */
};

enum member_notice {
    MEMBER_JOINED,
    MEMBER_SUSPECT,
    MEMBER_HEARD_AGAIN,
    MEMBER_DOWN,
    MEMBER_LEFT,
    MEMBER_REPLACED,
    MEMBER_CLAIMANT_REFUSED,
    MEMBER_SELF_PAUSED,
    MEMBER_ALONE,
    MEMBER_REFUSED_HERE,
    MEMBER_CONTACT_LOST,    /* counted out: what was agreed with it is void */
    MEMBER_CONTACT_AGAIN,   /* one that was counted out is heard */
    MEMBER_FOREIGN_KEY,     /* a node that this one shall join has another key */
    MEMBER_FOREIGN_VERSION, /* it speaks another version of the protocol */
    MEMBER_GROUP_SILENT,    /* nothing comes from the multicast group */
    MEMBER_GROUP_HEARD,     /* again */
    MEMBER_GROUP_UNREACHED, /* a node does not hear what this one says to the group: unicast goes on
                             */
    MEMBER_GROUP_REACHED,   /* it does again */
    MEMBER_KEY_RETIRED,     /* somebody seals under a key that this farm has retired */
    MEMBER_KEY_UNKNOWN      /* under a generation that this node never had */
};

struct member_output {
    struct list link;
    enum member_output_type type;
    enum member_notice notice;
    uint64_t inc, node;
    struct addr addr;
    int reason;
    bool reliable;
    char name[NAME_MAX_BYTES + 1];
    size_t len;
    uint8_t bytes[];
};

struct member_actions {
    struct list outputs;
    uint64_t deadline_ns;
    bool roster_changed; /* take membership_roster(); at most every 10 ms, every 100 ms in a large
                            farm */
    bool view_changed;   /* take membership_contacts(); also set every 100 ms for the leases */
    bool refused;        /* another live node has this name or id: this one must stop */
};

void member_actions_init(struct member_actions *a);
void member_actions_clear(struct member_actions *a);

/* NULL without memory, or when self is no valid entry (entry_valid). */
struct membership *membership_new(const struct member_config *c, const struct entry *self,
                                  uint64_t now_ns) __attribute__((warn_unused_result));
void membership_free(struct membership *m);

/* Events: an incarnation has proved itself with its card (an encoded entry); */
void membership_proven(struct membership *m, uint64_t inc, uint64_t node, const struct addr *from,
                       const uint8_t *card, size_t len, uint64_t now_ns,
                       struct member_actions *out);
/* a message of any kind came from inc, so it is heard. False when that is no admitted peer, or one
 * that has left: then nothing from it counts; */
bool membership_heard(struct membership *m, uint64_t inc, uint64_t now_ns,
                      struct member_actions *out);
/* an admitted peer now sends from another address; */
void membership_moved(struct membership *m, uint64_t inc, const struct addr *to, uint64_t now_ns,
                      struct member_actions *out);
/* a roster message from an admitted peer (which is heard by it); */
void membership_message(struct membership *m, uint64_t from, const uint8_t *bytes, size_t len,
                        uint64_t now_ns, struct member_actions *out);
/* somebody at `from` sends frames that do not open. From an address that this node shall join it
 * means that one of the two has the wrong key, farm name or version (`what`, a notice): a node that
 * finds nobody else stays joining while that lasts; */
void membership_foreign(struct membership *m, const struct addr *from, enum member_notice what,
                        uint64_t now_ns, struct member_actions *out);
/* a peer refuses this node (same name elsewhere): fatal for joining; */
void membership_refused(struct membership *m, uint64_t by, int reason, uint64_t now_ns,
                        struct member_actions *out);
/* this node's own entry changed (status, users, weight, health): node, inc, boot and revision are
 * kept; others are told as swim_set_self has it; */
void membership_set_self(struct membership *m, const struct entry *self, uint64_t now_ns,
                         struct member_actions *out);
/* inc says its counts to the group (a beacon). They count if they are news; nothing else follows:
 * it is not heard by that. False when inc is unknown: it may be greeted; */
bool membership_beacon_in(struct membership *m, uint64_t inc, const uint8_t *bytes, size_t len,
                          uint64_t now_ns, struct member_actions *out);
/* forwarding to a node failed just now: it is suspect until it is heard from after this; */
void membership_doubt(struct membership *m, uint64_t node, uint64_t now_ns,
                      struct member_actions *out);
/* the time has come. */
void membership_tick(struct membership *m, uint64_t now_ns, struct member_actions *out);

/* Says LEFT to everybody; nothing more is sent after it. */
void membership_leave(struct membership *m, uint64_t now_ns, struct member_actions *out);

/* A fresh snapshot, one reference, revision one above the last. */
struct roster *membership_roster(struct membership *m, uint64_t now_ns);

/* One peer as the session shards need it (core/session/view.h has the same words; the farm
 * translates). Returns how many there are, writes up to max, ordered by inc. */
struct member_contact {
    uint64_t inc, node;
    enum status status; /* JOINING, UP, DRAINING, DOWN, LEFT: suspect is not told here */
    bool holds;
    bool mate; /* shares a group with this node */
    bool repository;
    bool wish;        /* the backup of a server of this node, or a repository of it (portion.h) */
    uint64_t zone;    /* its zone's name as a number */
    const char *name; /* valid until the next call on the membership */
    uint64_t lease_until_ns, counted, granted;
};
size_t membership_contacts(const struct membership *m, struct member_contact *out, size_t max);
uint64_t membership_zone(const struct membership *m);
const struct entry *membership_self(const struct membership *m);

/* The entry as HELLO carries it: whole if it fits, else without groups and servers and with
 * revision 0, so that the rest is asked for. Returns its length; max >= 512. */
size_t membership_card(const struct membership *m, uint8_t *out, size_t max);

/* What a beacon of this node says. Returns its length, 0 once it has left; max >=
 * ENTRY_COUNTS_BYTES_MAX. */
size_t membership_beacon(const struct membership *m, uint8_t *out, size_t max);

/* Found: every node that a peer told of, and every configured address, is in contact or is said to
 * be down, or the wait is over (`alone`: nobody was found). The node may become up once its shards
 * are synced. */
bool membership_found(const struct membership *m, bool *alone);
/* The addresses of the nodes that have not left, those heard first: kept on disk, so that a node
 * finds the farm with its configured peers gone. Up to max. */
size_t membership_addresses(const struct membership *m, struct addr *out, size_t max);

struct member_stats {
    uint64_t heartbeats_in, heartbeats_out, malformed, counted_out, refused, pauses;
    struct swim_stats swim;
};
void membership_stats(const struct membership *m, struct member_stats *out);

#endif
