/* upstream.h - connections to the node's own real servers, kept between requests and used again.
 *
 * Of one loop and its poller. A connection has an owner while it carries a request, or is kept: the
 * one that was kept last is used first, so that the rest may go. A kept connection that the server
 * ends, or says anything on, is closed. A server may end one at the very moment at which it is used
 * again: what then may be repeated is its owner's matter (`reused`).
 */
#ifndef ROLE_DIRECTOR_UPSTREAM_H
#define ROLE_DIRECTOR_UPSTREAM_H

#include "base/addr.h"
#include "base/list.h"
#include "core/roster/entry.h"
#include "io/poller.h"
#include "io/stream.h"
#include "io/tls.h"

#include <stdatomic.h>

/* The own servers, and all others. */
#define UPSTREAM_OTHER ENTRY_SERVERS_MAX
#define UPSTREAM_SLOTS (ENTRY_SERVERS_MAX + 1)

struct upstream_rule {
    struct addr to;    /* UPSTREAM_OTHER: each its own */
    uint32_t kept_max; /* connections kept; 0: none */
    uint32_t kept_ms;  /* shorter than the server's own patience */
};

struct upstream_counters {
    atomic_uint_fast64_t connects, reuses, kept, refused;
    atomic_uint_fast64_t failed; /* for want of descriptors or of the kernel's memory */
};

struct upstreams;

struct upstream {
    struct poller_item item;
    struct stream stream;
    struct list link; /* of those kept */
    struct upstreams *pool;
    void *owner; /* NULL: kept */
    uint64_t since_ms;
    struct addr to;
    char *name; /* under TLS: of the server, which its certificate must have; NULL: plain */
    uint8_t slot;
    bool connected, reused;
};

struct upstreams {
    uv_loop_t *loop;
    struct poller *poller;
    uint32_t max, count; /* all of them */
    struct upstream_rule rules[UPSTREAM_SLOTS];
    struct list kept[UPSTREAM_SLOTS]; /* the newest first */
    uint32_t kept_count[UPSTREAM_SLOTS];
    struct tls_context *tls; /* for connections under TLS; NULL: there are none */
    struct upstream_counters *counters;
    void (*ready)(void *owner, uint32_t events);
};

/* Sets what is not configuration: the caller has set loop, poller, max, rules, tls, counters
 * and ready. */
void upstreams_init(struct upstreams *p);
/* Closes those kept; none may have an owner. */
void upstreams_deinit(struct upstreams *p);
/* Closes what was kept too long. */
void upstreams_sweep(struct upstreams *p, uint64_t now_ms);

/* The rule of a slot has changed: those kept that lead elsewhere are closed. */
void upstreams_renew(struct upstreams *p, size_t slot);

/* One that was kept, watched for reading; NULL when there is none. to, and name for TLS (else
 * NULL): of UPSTREAM_OTHER. sure: it is looked at first, for requests that must not be repeated. */
struct upstream *upstream_reuse(struct upstreams *p, size_t slot, const struct addr *to,
                                const char *name, void *owner, bool sure);
/* A new one, watched for writing until upstream_connected(). STEAD_E_UNREACHABLE (refused at once),
 * IO (no descriptors, ports or memory of the kernel), NOMEM, BUSY (max of them have owners). */
int upstream_connect(struct upstreams *p, size_t slot, const struct addr *to, const char *name,
                     void *owner, struct upstream **out);
enum upstream_progress { UPSTREAM_IS, UPSTREAM_WAITS, UPSTREAM_FAILED };
/* Did it come about? Asked at each event until it has; a handshake may take several. */
enum upstream_progress upstream_connected(struct upstream *u);
/* False: the kernel has no room. */
bool upstream_watch(struct upstream *u, bool read, bool write);
/* Nothing is under way on it: it may serve another request. */
void upstream_keep(struct upstream *u);
void upstream_close(struct upstream *u, bool reset);
/* Its stream is the caller's from now on, unwatched; u is gone. */
struct stream upstream_release(struct upstream *u);

#endif
