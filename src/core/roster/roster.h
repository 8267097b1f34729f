/* roster.h - an immutable snapshot of every server, with a revision: what name, director, admin and
 * client read. Made by membership (core/roster/member.h) on the mesh thread; readers hold a
 * reference. */
#ifndef CORE_ROSTER_H
#define CORE_ROSTER_H

#include "core/roster/entry_share.h"

#include <stdatomic.h>

/* A node as this node sees it. status is the effective one: the node's own word, overruled by what
 * was heard (suspect, down). Of a server: also maint or draining by its own
 * flags, suspect when not healthy, full (users >= capacity). */
struct roster_node {
    struct entry *entry; /* shared; each node of a snapshot has a reference */
    enum status status;
    uint64_t heard_ms; /* ms since it was last heard when the snapshot was made; 0 for this node,
                          and while others vouch for one that sends this node no heartbeats */
    bool self;
    bool external; /* no node: a server that the configuration tells (roster_join.h) */
};

struct roster_index;

struct roster {
    atomic_uint refs;
    bool settled;
    struct roster_index *_Atomic index; /* see roster_index.h */
    uint64_t revision;
    char farm[NAME_MAX_BYTES + 1];
    size_t count;
    struct roster_node nodes[]; /* ordered by name */
};

/* count nodes without entries, one reference. Dropping it drops its nodes' entries. */
struct roster *roster_new(size_t count) __attribute__((warn_unused_result));
/* The same with blank entries of room for `servers` each, to be filled in. */
struct roster *roster_blank(size_t count, size_t servers) __attribute__((warn_unused_result));
struct roster *roster_ref(struct roster *r);
void roster_unref(struct roster *r); /* takes NULL */

/* Nothing of it changes any more: what is looked up in it may be prepared once for all. */
void roster_settle(struct roster *r);

const struct roster_node *roster_find(const struct roster *r, const char *name);
/* The node's server for a service, or NULL. */
const struct server *roster_server(const struct roster_node *n, const char *service);
/* Effective status of that server: the node's, else full or suspect by its own state. */
enum status roster_server_status(const struct roster_node *n, const struct server *s);
/* The node and server whose http url has this host (and port, 0 = any), case-insensitive; false if none.
 */
bool roster_by_host(const struct roster *r, const char *host, size_t host_len, uint16_t port,
                    const struct roster_node **node, const struct server **server);
/* Does the node serve no service itself: a director only. */
bool roster_is_director(const struct roster_node *n);

/* All that there is to know as JSON, as at /.well-known/stead/roster (roster_show.h); service NULL
 * = all. Caller frees with free(); NULL without memory. */
char *roster_json(const struct roster *r, const char *service);
#define ROSTER_JSON_BYTES_MAX (16u << 20)
#define ROSTER_JSON_SERVERS_MAX 10000u

/* The reverse, for clients: a snapshot whose nodes have one server each. Bounded as above.
 * "address" is the public listener. Unknown keys are passed over. STEAD_E_PARSE, TOO_LARGE, NOMEM.
 */
int roster_parse_json(const char *json, size_t len, struct roster **out);

#endif
