/* farm.h - what one node does among the others: mesh and membership joined, session messages passed
 * through. Pure: the daemon's main thread and the simulator run this very object.
 *
 *   datagram -> mesh -> roster message -> membership -> heartbeats, hellos -> mesh -> datagrams
 *                    -> session message -> (deliveries) -> the caller's shards -> farm_send -> mesh
 */
#ifndef CORE_FARM_H
#define CORE_FARM_H

#include "core/mesh/keys_talk.h"
#include "core/mesh/mesh.h"
#include "core/roster/member.h"
#include "core/session/view.h"

struct farm;

struct farm_config {
    const char *name;
    uint8_t key[FARM_KEY_BYTES];
    const struct keys *keys; /* all generations; NULL: `key` is the only one */
    struct member_timing timing;
    size_t join_count;
    struct addr join[JOIN_ADDRESSES_MAX];
    struct addr group;  /* multicast; family 0 = none. What is sent to it goes by the same socket */
    size_t voter_count; /* of kinds that no two sides of a cut may own; all nodes have the same */
    char voters[QUORUM_VOTERS_MAX][NAME_MAX_BYTES + 1];
    uint64_t seed;
};

struct farm_datagram {
    struct list link;
    struct addr to;
    size_t len;
    uint8_t bytes[];
};

struct farm_notice {
    enum member_notice what;
    int reason;
    uint64_t inc;
    uint8_t key; /* KEY_RETIRED, KEY_UNKNOWN: the number of the generation */
    struct addr addr;
    char name[NAME_MAX_BYTES + 1];
};

#define FARM_NOTICES_MAX 16

struct farm_actions {
    struct list datagrams;  /* struct farm_datagram: the caller sends and frees them */
    struct list deliveries; /* struct msg: session messages, peer = sender; caller frees them */
    struct list orders;     /* struct msg: messages of core/roster/order.h, likewise */
    struct roster *roster;  /* a new snapshot with one reference, or NULL */
    bool view_changed;      /* hand farm_view() to every shard */
    bool refused;           /* another live node has this name: stop, saying so */
    uint64_t deadline_ns;
    uint32_t notice_count;
    struct farm_notice notices[FARM_NOTICES_MAX];
};

void farm_actions_init(struct farm_actions *a);
void farm_actions_clear(struct farm_actions *a);

struct farm *farm_new(const struct farm_config *c, const struct entry *self, uint64_t now_ns)
    __attribute__((warn_unused_result));
void farm_free(struct farm *f);

void farm_datagram_in(struct farm *f, const struct addr *from, const uint8_t *bytes, size_t len,
                      uint64_t now_ns, struct farm_actions *out);
/* A session message to a peer, or to several (msg_add), delivered once or never. Errors as
 * mesh_send; of several, OK if it goes to any. Flushed by farm_tick. */
int farm_send(struct farm *f, const struct msg *m, uint64_t now_ns);
/* The same for a message of core/roster/order.h. */
int farm_send_order(struct farm *f, const struct msg *m, uint64_t now_ns);
/* Own entry changed; a forward to a node failed; leave for good. */
void farm_set_self(struct farm *f, const struct entry *self, uint64_t now_ns,
                   struct farm_actions *out);
void farm_doubt(struct farm *f, uint64_t node, uint64_t now_ns, struct farm_actions *out);
void farm_leave(struct farm *f, uint64_t now_ns, struct farm_actions *out);
/* Flushes sends and does what time demands: after any batch of events, and at the deadline. */
void farm_tick(struct farm *f, uint64_t now_ns, struct farm_actions *out);

/* The view for the shards, valid until the next call on f. */
const struct session_view *farm_view(struct farm *f);
const struct entry *farm_self(const struct farm *f);
bool farm_found(const struct farm *f, bool *alone);
size_t farm_addresses(const struct farm *f, struct addr *out, size_t max);
/* 32 bytes from the farm's active key for a purpose. */
void farm_derive(const struct farm *f, const char *purpose, uint8_t out[32]);

/* -- the farm's keys (core/mesh/keys_talk.h) -- */

const struct keys *farm_keys(const struct farm *f); /* in effect */
const struct keys_talk *farm_keys_talk(const struct farm *f);
/* A copy of what is wanted, to be changed and wanted instead. Both are secrets. */
void farm_keys_wanted(const struct farm *f, struct keys *out);
void farm_keys_want(struct farm *f, const struct keys *k);
/* After each step: is there something to be stored? Then farm_keys_stored() tells how that went:
 * true when other keys are in effect from there on. */
bool farm_keys_store(struct farm *f, uint64_t now_ns, struct keys *out);
bool farm_keys_stored(struct farm *f, bool good, uint64_t now_ns);
/* Something other than a frame was opened under that generation. */
void farm_key_used(struct farm *f, uint64_t mark, uint64_t now_ns);
/* One after the other, from *at = 0, the nodes that are up; false: no more. Between two calls
 * nothing else may be done with f. */
struct farm_key_peer {
    uint64_t inc;
    char name[NAME_MAX_BYTES + 1];
};
bool farm_key_peers(struct farm *f, size_t *at, struct farm_key_peer *out);
/* What speaks against activating a generation: nodes that are up and have not said that they accept
 * it. Against retiring one: nodes that are up and seal under it, have opened something of it lately
 * or do not accept the active one, and nodes that are down and have not said before that they do.
 * Each is named; returns how many. */
size_t farm_key_lacking(struct farm *f, uint64_t mark,
                        void (*name)(void *context, const char *name), void *context);
size_t farm_key_needing(struct farm *f, uint64_t mark,
                        void (*name)(void *context, const char *name), void *context);
/* What stays the same when the key changes. */
void farm_lasting(const struct farm *f, enum key_lasting which, uint8_t out[32]);
/* For a purpose, of each generation that may be opened with: of what passes by (cookies, tickets)
 * the accepted ones; of what lies (fields, files) the retired ones too. The first is the active
 * one. Returns how many. */
enum key_use { KEY_FOR_PASSING, KEY_FOR_DATA };
size_t farm_derive_all(const struct farm *f, enum key_use use, const char *purpose,
                       uint8_t out[KEYS_MAX][32], uint64_t marks[KEYS_MAX]);
void farm_stats(const struct farm *f, struct mesh_stats *mesh, struct member_stats *members);

#endif
