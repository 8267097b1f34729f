/* crowd.h - thousands of clients before a small farm, in virtual time from a seed. The clients are
 * libstead's own state machine (client/ladder.h) with its pick; the servers' side asks the very
 * code that a node asks (core/roster/rebalance.h, retry_window.h). What is modelled is what lies
 * between: connections, how old a node's counts of the others are, and when a watcher hears of
 * them. */
#ifndef CROWD_H
#define CROWD_H

#include "base/rng.h"
#include "client/ladder.h"
#include "core/roster/rebalance.h"
#include "core/roster/retry_window.h"

#define CROWD_NODES_MAX 8
#define CROWD_CLIENTS_MAX 10000
#define CROWD_SECONDS_MAX 900

/* As in the daemon: between a node's words to the others, to its watchers, and of counts. */
#define TELL_MS 50
#define PUSH_MS 100
#define COUNTS_MS 1000
#define SUSPECT_MS 700
#define DOWN_MS 1500
#define DELAY_MAX_MS 5
#define ASK_AGAIN_MS 60000

enum event_kind {
    EVENT_CLIENT, /* its timer */
    EVENT_NAMES,  /* outcomes of jobs */
    EVENT_ROSTER,
    EVENT_CONNECTED,
    EVENT_WATCH, /* the first roster, or nobody there */
    EVENT_TELL,  /* node `from` says something of itself to `node` */
    EVENT_LOOK,  /* node `node` finds `from` silent */
    EVENT_NODE   /* a node's turn */
};

struct event {
    uint64_t at_ms, order; /* order: of equals, the older first */
    enum event_kind kind;
    uint32_t client, job;
    unsigned node, from;
    enum status status;
    uint32_t users;
    uint64_t life;
};

/* One node as another sees it. */
struct seen {
    enum status status;
    uint32_t users;
    uint64_t life;
};

struct crowd_node {
    bool runs;
    enum status status;
    uint64_t life; /* raised by each start */
    uint32_t users;
    struct seen view[CROWD_NODES_MAX];
    struct seen told; /* what it last told the others */
    bool changed;     /* the view, since the snapshot */
    struct roster *roster;
    uint64_t pushed_ms, told_ms, stepped_ms;
    struct roster *pushed; /* as its watchers have it */
    uint32_t window_ms;
    struct rebalance rebalance;
    uint32_t joins_ms[CROWD_SECONDS_MAX * 1000]; /* connections that came, by ms */
};

struct crowd_client {
    struct ladder ladder;
    int conn;             /* the node, or -1 */
    int watch;            /* the node that it watches, or -1 */
    uint32_t watch_job;   /* raised by each watch */
    uint64_t watch_asked; /* when this watcher was last asked to move; 0 = never */
    uint64_t timer_ms;    /* of the event that is queued; UINT64_MAX: none */
};

struct crowd_rules {
    unsigned nodes;
    uint32_t clients;
    enum policy policy;
    bool rebalance;
    uint32_t joins_per_s; /* of the retry window; 0: none, all come back at once */
    uint64_t seed;
};

struct crowd_counts {
    uint64_t asked;   /* to move, for the level's sake */
    uint64_t moved;   /* from one server to another, for whatever reason */
    uint64_t lost;    /* connections that broke under a client */
    uint64_t refused; /* connections that failed */
    uint64_t trouble; /* what clients' applications were told of */
};

struct crowd {
    struct crowd_rules rules;
    uint64_t now_ms;
    struct rng rng;
    struct event *heap;
    size_t heap_count, heap_cap;
    uint64_t event_order;
    struct crowd_node node[CROWD_NODES_MAX];
    struct crowd_client *client;
    struct crowd_counts counts;
};

/* crowd.c: the clock. */
struct crowd *crowd_new(const struct crowd_rules *r);
void crowd_free(struct crowd *c);
void crowd_run(struct crowd *c, uint64_t ms);
void crowd_event(struct crowd *c, uint64_t at_ms, const struct event *e);
uint64_t crowd_delay(struct crowd *c); /* of a message, in ms */

/* crowd_node.c: the servers' side. */
void node_start(struct crowd *c, unsigned n);
void node_say(struct crowd *c, unsigned n, enum status s);
void node_end(struct crowd *c, unsigned n, bool in_order); /* every connection there breaks */
void node_event(struct crowd *c, const struct event *e);
struct roster *node_roster(struct crowd *c, unsigned n);
uint32_t node_window(const struct crowd *c, const struct roster *r);

/* crowd_client.c. */
void client_start(struct crowd *c, uint32_t i);
void client_event(struct crowd *c, const struct event *e);
void client_act(struct crowd *c, uint32_t i); /* does what its ladder asks */
/* Its connection to node n breaks, its watch there too. */
void client_cut(struct crowd *c, uint32_t i, unsigned n, bool watch);

#endif
