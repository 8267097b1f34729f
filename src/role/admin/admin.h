/* admin.h - the door for operators: probes, metrics, status, the roster, and orders to nodes.
 * docs/admin-api.md.
 *
 * HTTP on a unix socket, and on a loopback TCP port when one is configured; what changes anything
 * is on the unix socket only. It runs on a thread and loop of its own, so a slow reader or a large
 * farm's roster delays nobody. It knows no other part: the node fills in a snapshot (plain numbers)
 * when it is asked to.
 */
#ifndef ROLE_ADMIN_H
#define ROLE_ADMIN_H

#include "core/mesh/mesh.h"
#include "core/roster/member.h"
#include "core/roster/order.h"
#include "core/roster/tally.h"
#include "core/session/kind.h"
#include "io/http_server.h"
#include "io/tls_context.h"
#include "role/admin/admin_doors.h"
#include "store/repository.h"
#include "store/snapshot.h"
#include "store/store.h"

#define ADMIN_REASON_MAX 64
#define ADMIN_PATH_MAX 512
#define ADMIN_CONNECTIONS_MAX 64

struct admin_http {
    uint64_t accepted, refused, crowded, requests, bad, timeouts, busy, open;
    uint64_t h2_connections, h2_streams, h2_resets, h2_calmed;
};

struct admin_dns {
    uint64_t udp, tcp, answered, empty, nxdomain, refused, servfail, referred, malformed, truncated,
        last_resort, dropped, limited, slipped, forgotten, cookies_good, cookies_new, subnets,
        connections, evicted, idle, oversized, views, views_failed;
};

struct admin_upgrades {
    uint64_t begun, failed, adopted, relayed, relay_lost;
};

struct admin_orders {
    uint64_t done, refused, malformed;
};

struct admin_gate {
    uint64_t calls, denied, invalid, failed, unknown, busy, renewed, waiting, watching,
        watch_dropped, reports, known, strangers, claims_left_out;
};

/* Sources of counts, and doors for agent checks. */
struct admin_own {
    uint64_t kernel_counts, kernel_failed, kernel_capped, agent_told, agent_unreachable,
        agent_timeouts, agent_malformed, agent_unknown_words, door_answered, door_refused,
        door_unknown;
};

struct admin_certificate {
    char name[64], subject[TLS_SUBJECT_MAX];
    int64_t not_after_s; /* wall clock */
    bool stapled;
};

struct admin_tls {
    uint64_t handshakes, resumed, early_taken, early_refused, renegotiations, open, reloads,
        reloads_failed;
    uint64_t resumed_by[TLS_RESUMED_WAYS], missed[TLS_MISSED_REASONS];
    uint64_t kept, unkept,
        unasked; /* sessions in the store; questions that there was no room for */
    uint64_t failures[TLS_FAILURES];
    int resumption; /* enum tls_resumption */
    bool has_keys;  /* of tickets */
    struct tls_tickets_view keys;
    uint64_t certificate_count;
    struct admin_certificate certificates[TLS_CERTIFICATES_MAX];
};

struct admin_director {
    uint64_t proxied, untrusted, malformed, slow;
    uint64_t returned, warmed, handoffs, handoffs_taken, handoffs_refused;
    uint64_t roster, not_found, method, redirected, forwarded, relayed, misdirected, no_server, bad,
        not_modified, denied, rendered;
    uint64_t watchers, watchers_opened, watchers_refused, watchers_resumed, watchers_skipped,
        watchers_dropped, events, moves;
    uint64_t tunnels_opened, tunnels_open, tunnels_refused, tunnels_reset, tunnels_timed_out,
        tunnels_busy, tunnels_failed, answers_dropped, up_bytes, down_bytes;
};

#define ADMIN_TIMES 14 /* of a histogram of times; the last: all above */

/* Requests that are forwarded one by one. */
struct admin_exchange {
    uint64_t clients, clients_total, returned, upgraded, busy, crowded;
    uint64_t answers[6]; /* by the status' first digit; 0: none */
    uint64_t retries, timeouts, bad_answers, client_breaks, server_breaks;
    uint64_t connects, reuses, kept, refused, failed;
    uint64_t up_bytes, down_bytes;
    uint64_t times[ADMIN_TIMES], time_us;
};

/* The node at one moment. Every number is a uint64_t, so that the table of metrics can name it by
 * its place. */
struct admin_snapshot {
    char node[NAME_MAX_BYTES + 1], farm[NAME_MAX_BYTES + 1], version[32];
    uint64_t node_id, inc, pid, uptime_ns;
    enum status status;
    bool ready;
    bool maint;   /* an operator took it out */
    bool drained; /* draining, and nothing is left here that other nodes should have */
    bool alone;   /* up, though no other node was ever found */
    char reason[ADMIN_REASON_MAX]; /* why not: "joining", "draining", "alone", ... */
    struct kinds kinds;
    struct store_stats store;
    struct mesh_stats mesh;
    struct addr group; /* multicast; family 0: none */
    struct member_stats members;
    struct admin_http public_http, gate_http;
    struct admin_dns dns;
    struct admin_gate gate;
    struct admin_orders orders;
    struct admin_bulk bulk;
    struct admin_upgrades upgrades;
    struct repository_stats repository;
    struct snapshot_state snapshot;
    struct admin_cache memcached, redis;
    struct admin_sessiond sessiond;
    struct admin_tickets tickets;
    struct admin_keys keys;
    struct admin_director director;
    struct admin_exchange exchange;
    struct admin_tls tls;
    struct admin_tcp tcp;
    uint64_t log_lost;
    uint64_t loop_turn_max_ns; /* of the mesh thread, since the last snapshot; shown: scrape */
    uint64_t server_count;
    struct server servers[ENTRY_SERVERS_MAX];  /* this node's own */
    struct tally_state own[ENTRY_SERVERS_MAX]; /* how they came about */
    const char *why[ENTRY_SERVERS_MAX];        /* not healthy: a word; NULL */
    struct admin_own own_parts;

    /* Filled in by admin itself. */
    struct admin_http admin_http;
    uint64_t roster_revision;
    uint64_t nodes[STATUS_LEFT + 1]; /* of the farm, by status */
};

/* What the node gives. Called on admin's thread, one at a time. */
struct admin_source {
    void *context;
    void (*collect)(void *context, struct admin_snapshot *out); /* zeroed before */
    struct roster *(*roster)(void *context); /* a reference; NULL before there is one */
    /* Asks a node of the farm ("" = this one); an id, 0 when too many wait. Its answer is fetched
     * later, once: true when it has come, which it does in bounded time. text: of ORDER_CHANGE. */
    uint64_t (*order)(void *context, const char *server, enum order_verb verb, bool force,
                      const char *text);
    bool (*ordered)(void *context, uint64_t id, struct ordered *out);
    /* What is known of the request of that id, as JSON, freed with free(); NULL: nothing. */
    char *(*decision)(void *context, const char *id);
    /* How the ending of a user's sessions stands, as JSON, freed with free(); value: it is begun
     * first. NULL: *error says why. */
    char *(*cull)(void *context, const char *kind, const char *field, const char *value,
                  int *error);
    /* How the comparison of copies stands, as JSON; begin: one is begun first. NULL without memory,
     * else freed with free(). */
    char *(*verify)(void *context, bool begin, bool repair);
    /* How the last snapshot stands, as JSON, freed with free(); path: one is begun first. NULL:
     * *error says why. */
    char *(*snapshot)(void *context, bool load, const char *path, int *error);
    /* Starts handing over to a new process: BUSY when one is under way. "" = as this one. */
    int (*upgrade)(void *context, const char *binary, const char *config);
    /* How far that is, as JSON, freed with free(). */
    char *(*upgraded)(void *context);
    char *(*config)(void *context); /* the configuration in effect as JSON: free(); may be NULL */
    const char *node;               /* its name */
};

struct admin_config {
    int unix_fd, tcp_fd; /* listening, admin's from admin_start on, also when it fails; -1 = none */
    struct tls_door *tls; /* of tcp_fd; NULL: plain. Stays until admin_stop() */
    bool operators;       /* with tls: only they come in, by their certificates */
    struct admin_source source;
};

struct admin;

/* Starts the thread. STEAD_E_NOMEM, or what the system said. */
int admin_start(const struct admin_config *c, struct admin **out);
/* From any thread: accepts no more, for another process does on the same sockets; until it is taken
 * back. */
void admin_retire(struct admin *a, bool retired);
/* Closes all and waits for the thread. */
void admin_stop(struct admin *a); /* takes NULL */

/* Prometheus text format 0.0.4, freed with mem_free; NULL without memory. */
char *admin_metrics(const struct admin_snapshot *s, size_t *len);
/* The document of /v1/status, freed with free(); NULL without memory. */
char *admin_status_json(const struct admin_snapshot *s);

#endif
