/* tcp_target.h - which server a TCP client gets: one pure function.
 *
 * Before its own real server a node is the secondary: whoever comes gets that server. While it is
 * out, new connections go to its backup, and a client that was led there stays there as the
 * failback rule says. A node without such a server of its own is a primary that leads nowhere by
 * name: it picks one by policy or by key, and forwards to that server's own listener.
 *
 * Connections that another node forwarded are not forwarded again, so they cannot go round.
 */
#ifndef ROLE_DIRECTOR_TCP_TARGET_H
#define ROLE_DIRECTOR_TCP_TARGET_H

#include "core/roster/pick.h"
#include "role/director/tcp_stick.h"

#define TCP_TRIES_MAX 3 /* servers that are tried for a connection */

enum tcp_affinity { TCP_ANYWHERE, TCP_BY_SOURCE, TCP_BY_NAME };

struct tcp_target_rule {
    const char *service;
    enum policy policy;
    const char *backup; /* of the own server: a node's name, "primary" or NULL */
    bool own;           /* the node has a server of the service */
    enum failback failback;
};

/* How things stand for this connection. */
struct tcp_target_view {
    const struct roster *roster;
    const char *self_name;
    bool own_good;     /* the own real server answers and is not taken out */
    bool hop;          /* it came from another node */
    const char *stuck; /* where the client was led before; NULL: nowhere */
    bool by_key;       /* key tells the client */
    uint64_t key, chance;
    const char *tried[TCP_TRIES_MAX]; /* nodes that could not be reached */
    size_t tried_count;
};

enum tcp_verdict { TCP_OWN, TCP_NODE, TCP_NOBODY };

struct tcp_target {
    enum tcp_verdict verdict;
    const char *why;           /* a word for the log; static */
    struct pick_choice chosen; /* NODE: points into the roster */
    bool backup;               /* in the place of the own server */
};

void tcp_target(const struct tcp_target_rule *r, const struct tcp_target_view *v,
                struct tcp_target *out);
/* Where that server's listener is: its URL's host when that is an address, else the node's public
 * address (or its own), and the URL's port. False: it has no tcp URL. */
bool tcp_target_addr(const struct pick_choice *c, struct addr *out);

#endif
