/* setup.h - what a node's parts need, made from its configuration: the entry, the tables of
 * services and servers, and the sockets. No thread runs yet. */
#ifndef NODE_SETUP_H
#define NODE_SETUP_H

#include "core/farm/farm.h"
#include "node/cache_setup.h"
#include "node/config.h"
#include "node/descriptors.h"
#include "node/state.h"
#include "node/tcp_setup.h"
#include "node/tls_setup.h"
#include "role/director/director.h"
#include "role/name/name.h"
#include "store/store.h"

#define WORKERS_MAX 32

/* Descriptors of the listeners; -1 where there is none. A worker has its own of each. */
struct worker_sockets {
    int public, secure, gate; /* secure: public under TLS */
    int dns_udp[NAME_LISTENERS_MAX], dns_tcp[NAME_LISTENERS_MAX];
    int tcp[TCP_LISTENERS_MAX];
};

struct setup {
    const struct config *config;
    struct state state;
    struct keys keys;
    struct entry entry;
    int bulk_fd; /* -1: somebody else listens there, or it is not wished */
    int mesh_fd, group_fd, admin_unix_fd, admin_tcp_fd;
    int agent_fds[ENTRY_SERVERS_MAX]; /* one a section agent */
    int sessiond_fd;
    size_t worker_count;
    struct tcp_setup tcp;
    struct descriptors descriptors; /* of each worker */
    struct tls_setup tls;
    struct worker_sockets workers[WORKERS_MAX];
    struct cache_sockets caches[WORKERS_MAX];
    const char *socket_files[2 + CACHE_DOORS]; /* made by this process: they go with it */
    size_t socket_file_count;
    bool borrowed;  /* socket files and rules are another process's */
    bool rules_set; /* in line: they are taken back at the end */
    char cache_passwords[CACHE_DOORS][CACHE_SECRET_MAX];
    char *token;        /* of the gate's TCP listener; NULL on a unix socket */
    char *roster_token; /* of the public listener; NULL when none is asked for */
};

/* Reads state and key, binds every address. Says on standard error what failed and what to do; then
 * nothing is left open. STEAD_E_IN_USE, IO, DENIED, ... */
int setup_open(const struct config *c, struct setup *out);
/* In line: has the kernel's rules set, if that is configured. A successor finds them, and they must
 * be the same: before is the inline_rules_mark() of its elder, 0 = none were set. */
int setup_rules(struct setup *s, uint64_t before);
/* A server as the node's entry has it. */
void setup_server(const struct server_section *from, struct server *to);
void setup_close(struct setup *s); /* what was not taken over (set to -1) */

#endif
