/* sim_node.h - one address of the farm and the process that runs there, if any: an incarnation of
 * the farm and session cores, with the little daemon logic around them (joining, up, leaving), its
 * disk, its socket buffer and its clock. */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "core/farm/farm.h"
#include "sim_net.h"

#define SIM_SHARDS_MAX 3
#define SIM_INBOX_BYTES (256u << 10) /* of a socket's buffer; beyond it datagrams are dropped */
#define SIM_DRAIN_NS SEC(10)

/* What outlives the process. */
struct sim_disk {
    bool valid;
    uint64_t node, boot;
    size_t address_count;
    struct addr addresses[SIM_SLOTS];
};

/* What a repository has kept: outlives the process, and its state directory. */
struct sim_kept {
    struct key key;
    uint8_t *bytes;
    size_t len;
    uint64_t end_ns; /* of its life; TIME_NEVER */
};

struct sim_shelf {
    bool on;
    size_t count, cap;
    struct sim_kept *kept;
    uint64_t flush_ns;
    size_t saved_count; /* a snapshot of it, that nodes load now and then */
    struct sim_kept *saved;
    uint64_t saved_ns;
};

enum sim_phase { PHASE_OFF, PHASE_JOINING, PHASE_UP, PHASE_LEAVING };

/* An operation on its way into a node. */
struct sim_call {
    struct list link;
    uint64_t op; /* index in the model */
};

struct sim_node {
    unsigned slot;
    unsigned home; /* whose address it has: another slot's while it succeeds the process there */
    struct addr addr;
    char name[16];
    bool clone; /* never restarted; must be refused */
    struct sim_disk disk;
    struct keys key_file, key_writing; /* outlives the process; on its way to the disk */
    bool has_key_file, keys_pending;
    struct sim_shelf shelf;
    unsigned shard_count;
    uint64_t memory_bytes;
    int32_t clock_ppm;
    uint64_t clock_offset_ns;
    unsigned join_count;
    unsigned join[SIM_SLOTS];

    /* In an upgrade: the other process of this node. */
    unsigned twin_slot;
    uint64_t twin_inc; /* 0 = none */
    bool elder, ready, go;
    uint64_t upgrade_ns;

    enum sim_phase phase;
    uint64_t inc;
    struct entry entry;
    struct farm *farm;
    struct session *shards[SIM_SHARDS_MAX];
    struct ranges *ranges;
    uint64_t shard_deadline_ns[SIM_SHARDS_MAX]; /* own clock */
    uint64_t farm_deadline_ns;
    struct list inbox; /* struct sim_inbound */
    size_t inbox_bytes;
    struct list calls;    /* struct sim_call */
    struct list outgoing; /* struct msg: session messages of this step */
    bool view_changed, refused;
    bool paused;
    bool stalls; /* it is about to stand still: between deciding what to send and sending it */
    bool stalls_writing;            /* in the first step in which it brings a version to holders */
    bool writes;                    /* the running step does */
    unsigned slow_ms;               /* it gets to run up to so much later; 0: at once */
    unsigned full_to, full_of_1000; /* messages to that slot that its queue does not take */
    unsigned starves_of_1000;       /* steps of shards in which memory runs out */
    struct list held;               /* struct sim_held: what the step would have sent */
    uint64_t wake_ns;               /* TIME_NEVER: nothing is due */
    uint64_t started_ns, up_ns, gone_ns, saved_ns; /* saved: the disk's addresses */
    uint64_t leave_by_ns;
    uint64_t step_ns; /* how long the running step takes */
    uint64_t runs;
    bool left_unclean;  /* the last incarnation left at its deadline, with records */
    uint64_t bytes_out; /* of this incarnation */
    struct rng rng;
};

struct sim_node *sim_nodes_new(struct sim *s);
void sim_nodes_free(struct sim *s);
void sim_nodes_sum(struct sim *s); /* what those that live have counted, into the run's sum */

uint64_t sim_node_clock(const struct sim_node *n, uint64_t now_ns);

/* The supervisor's calls. */
void sim_node_start(struct sim *s, unsigned slot);
void sim_node_kill(struct sim *s, unsigned slot); /* no word to anybody */
void sim_node_term(struct sim *s, unsigned slot);
/* It runs no more: from now on; after it has taken its next step, but not sent what comes of it; or
 * after the next in which it brings a version to holders. */
enum sim_pause { PAUSE_NOW, PAUSE_IN_STEP, PAUSE_IN_WRITE };
void sim_node_pause(struct sim *s, unsigned slot, enum sim_pause how);
void sim_node_resume(struct sim *s, unsigned slot);

/* False when it cannot be now. */
bool sim_node_upgrade(struct sim *s, unsigned slot);

/* A frame at the address. */
void sim_node_frame(struct sim *s, unsigned slot, struct sim_frame *f);
/* A client's operation, by its index in the model. */
void sim_node_call(struct sim *s, unsigned slot, uint64_t op);
void sim_node_run(struct sim *s, unsigned slot);

static inline bool sim_node_alive(const struct sim_node *n)
{
    return n->phase != PHASE_OFF;
}

struct session *sim_node_shard(struct sim_node *n, const struct key *key);
const struct record *sim_node_peek(struct sim_node *n, const struct key *key, bool *owned);
struct sim_node *sim_node_by_inc(struct sim *s, uint64_t inc);
/* Sums over the shards. */
void sim_node_stats(const struct sim_node *n, struct session_stats *out);

/* Of sim_node.c, for sim_upgrade.c: it says that it has this status, and the rest of its entry; it
 * gets to run; all that a starting node waits for is there. */
void sim_node_tell(struct sim *s, struct sim_node *n, enum status status);
void sim_node_wake_soon(struct sim *s, struct sim_node *n);
bool sim_node_synced(struct sim_node *n);

/* sim_upgrade.c: what either side of an upgrade does in a step; is one going on at the slot. */
void sim_upgrade_step(struct sim *s, struct sim_node *n);
bool sim_upgrade_running(struct sim *s, unsigned slot);
void sim_node_settle(struct sim *s, struct sim_node *n);

/* sim_shelf.c: what was kept goes into new shards; what has changed is kept, if it is time or at
 * once. */
void sim_shelf_load(struct sim *s, struct sim_node *n);
void sim_shelf_flush(struct sim *s, struct sim_node *n, bool now);
void sim_shelf_snapshot(struct sim *s, struct sim_node *n);
void sim_shelf_free(struct sim_node *n);

/* sim_tell.c: a session message that is taken in, and what a step made of a copy, in words. */
void sim_tell_message(struct sim *s, const struct sim_node *n, const struct msg *m);
void sim_tell_copy(struct sim *s, struct sim_node *n, const struct key *key,
                   const struct stamp *before);

/* Every started node is up, sees every other up, and nothing is below its copies: copies may be
 * lost again. */
bool sim_farm_whole(struct sim *s);
/* Every node (not clones) is up. */
bool sim_farm_up(const struct sim *s);

#endif
