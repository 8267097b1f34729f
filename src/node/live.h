/* live.h - the configuration as it is now: an immutable snapshot with every table that is made from
 * it, swapped by pointer. The main thread makes a new one for each change; the others take it when
 * they are told (worker_renew), and each connection that outlives that keeps what it has. The last
 * one who lets go of a snapshot frees it.
 *
 * A server keeps its number (its place in config.servers, in the store and in the director's
 * tables) as long as it is there; the place of a removed one is marked as gone, and its URLs still
 * lead back to the service. The node's entry has those only that are not gone. */
#ifndef NODE_LIVE_H
#define NODE_LIVE_H

#include "base/held.h"
#include "node/decide_setup.h"
#include "node/own_entry.h"
#include "role/director/health.h"
#include "role/director/rebalancer.h"
#include "role/director/secondary.h"
#include "role/name/name.h"

#include <pthread.h>

/* Derived from the farm's key, so that all nodes agree. */
struct shared_keys {
    uint8_t dns_cookie[DNS_COOKIE_KEY_BYTES]; /* DNS cookies */
    uint8_t token[TOKEN_KEY_BYTES];           /* what clients bring back */
    size_t older_count; /* keys of other generations that are accepted: they open only */
    uint8_t older[DECIDE_OLDER_MAX][TOKEN_KEY_BYTES];
    uint8_t visit[32]; /* keys of return visits */
};

struct live {
    struct held held; /* first */
    uint64_t serial;
    struct config config; /* as it is in effect */
    struct config file;   /* as the file says, when it was last read */
    struct decide_setup decide;
    struct secondary_server servers[ENTRY_SERVERS_MAX];
    struct health_check checks[ENTRY_SERVERS_MAX];
    char check_hosts[ENTRY_SERVERS_MAX][CONFIG_TEXT_MAX];
    struct name_config names;
    struct rebalancer_service rebalances[CONFIG_SERVICES_MAX];
};

/* A snapshot with one reference; NULL without memory. workers: how many share a rate limit. */
struct live *live_new(const struct config *config, const struct config *file, uint64_t serial,
                      const struct shared_keys *keys, size_t workers)
    __attribute__((warn_unused_result));
static inline struct live *live_ref(struct live *l)
{
    held_ref(&l->held);
    return l;
}
static inline void live_unref(struct live *l)
{
    held_unref(l ? &l->held : NULL);
}

/* Where the newest one is. */
struct live_now {
    pthread_mutex_t lock;
    struct live *live;
};
void live_now_init(struct live_now *n, struct live *first); /* takes the reference */
void live_now_deinit(struct live_now *n);
struct live *live_now(struct live_now *n); /* with a reference for the caller */
void live_now_set(struct live_now *n, struct live *fresh);

/* The servers and groups as the node's entry has them, and which place each is of. */
void live_entry(const struct config *c, struct entry *e, struct own_entry *o);

/* What a setting's change needs: true: it is taken up while the node runs. */
bool live_applies(const char *section, const char *setting);
/* Brings into *now what of the file can be taken up live; the rest stays as it is in *now. busy: as
 * for change_apply(). False: there is no place for all of its servers. */
bool live_take(const struct config *file, struct config *now, unsigned busy);

#endif
