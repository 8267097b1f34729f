/* name.h - the name server of the farm's zones: every node that runs it gives the same answers,
 * from the roster.
 *
 * A service's common name leads to nodes that are up, in rotating order; a server's own name leads
 * to its node, or while that node is down to its backup. Nobody up: whoever is known is answered,
 * since a wrong address may still work and an empty answer cannot. Zones are not delegated further,
 * hold no other data, and cannot be transferred.
 *
 * A zone ZONE has SOA and NS at its apex; the NS names ns.ZONE, whose addresses are the nodes that
 * are up.
 */
#ifndef ROLE_NAME_H
#define ROLE_NAME_H

#include "core/roster/roster.h"

#include <stdatomic.h>
#include <uv.h>

#define NAME_ZONES_MAX 16
#define NAME_SERVICES_MAX 16
#define NAME_ADDRESSES_MAX 8 /* in an answer */
#define NAME_UDP_BATCH 32
#define NAME_UDP_QUERY_MAX 1536      /* a longer datagram is dropped */
#define NAME_TCP_QUERY_MAX 4096      /* a longer message ends the connection */
#define NAME_TCP_CONNECTIONS_MAX 100 /* one more ends the one that has been idle longest */
#define NAME_TCP_IDLE_MS 10000       /* without a whole query */

/* Whom a service's name leads to. Directors: nodes with a public listener and no server; none
 * known: servers. */
enum name_mode { NAME_SERVERS, NAME_DIRECTORS, NAME_BOTH };

struct name_service {
    const char *id;   /* as in the roster's servers */
    const char *name; /* the common DNS name, without a final dot */
    enum name_mode mode;
};

/* Strings stay the caller's. */
struct name_config {
    size_t zone_count;
    const char *zones[NAME_ZONES_MAX]; /* without a final dot */
    size_t service_count;
    struct name_service services[NAME_SERVICES_MAX];
    uint32_t ttl_s; /* of every record, and of "there is none" */
};

/* May be shared by several name servers (workers). */
struct name_stats {
    atomic_uint_fast64_t udp, tcp; /* queries */
    atomic_uint_fast64_t answered; /* NOERROR with a record */
    atomic_uint_fast64_t empty;    /* NOERROR without */
    atomic_uint_fast64_t nxdomain, refused, malformed, truncated;
    atomic_uint_fast64_t last_resort; /* named somebody who was not up */
    atomic_uint_fast64_t dropped; /* no answer: not a query, too long, or it could not be sent */
    atomic_uint_fast64_t evicted; /* TCP connections that made room for others */
};

/* The answer to one message. cap is at least 512; by UDP at most 1,232 bytes are used. `chance`
 * turns the order of addresses: count it up. 0 = nothing is to be sent. Pure but for the counters.
 */
size_t name_answer(const struct name_config *c, const struct roster *r, const uint8_t *query,
                   size_t len, bool tcp, uint64_t chance, uint8_t *out, size_t cap,
                   struct name_stats *stats);

struct name;
struct store;

/* Answers on a loop from now on. udp_fd is a bound socket and tcp_fd a listening one, both
 * non-blocking; either may be -1. Both are the name server's from now on, and closed on failure too
 * (by the loop's next turn). config, store and stats outlive it. STEAD_E_NOMEM, STEAD_E_IO. */
int name_open(uv_loop_t *loop, const struct name_config *config, int udp_fd, int tcp_fd,
              struct store *store, struct name_stats *stats, struct name **out)
    __attribute__((warn_unused_result));
/* Closes everything; `closed` is called on the loop when nothing is left, then the name server is
 * freed. */
void name_close(struct name *n, void (*closed)(void *context), void *context);

#endif
