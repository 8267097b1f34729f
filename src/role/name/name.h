/* name.h - the name server of the farm's zones: every node that runs it gives the same answers,
 * from the roster and from a file of further records (name_records.h). docs/dns.md tells operators
 * what it answers.
 *
 * A service's common name leads to servers that are up; a server's own name leads to its node, or
 * while that node is down to its backup. What is said is made once for each state of the roster
 * (name_view.h) and then copied, so a query costs the same in a farm of three and of a thousand.
 *
 * A zone ZONE has SOA and NS at its apex; the NS names are configured, or else ns.ZONE, whose
 * addresses are the nodes that are up. Zones cannot be transferred. */
#ifndef ROLE_NAME_H
#define ROLE_NAME_H

#include "base/held.h"
#include "base/prefix.h"
#include "core/dns/dns_cookie.h"
#include "core/roster/roster.h"

#include <stdatomic.h>
#include <uv.h>

#define NAME_ZONES_MAX 16
#define NAME_SERVICES_MAX 16
#define NAME_SERVERS_MAX 8 /* names of name servers */
#define NAME_SITES_MAX 16
#define NAME_PREFIXES_MAX 64 /* in one list */
#define NAME_LISTENERS_MAX 4
#define NAME_ADDRESSES_MAX 16        /* in an answer from the roster */
#define NAME_TCP_QUERY_MAX 4096      /* a longer message ends the connection */
#define NAME_TCP_CONNECTIONS_MAX 100 /* one more ends the one that has been idle longest */
#define NAME_TCP_IDLE_MS 10000       /* without a whole query */

/* Whom a service's name leads to. Directors: nodes with a public listener and no server; none
 * known: servers. */
enum name_mode { NAME_SERVERS, NAME_DIRECTORS, NAME_BOTH };

/* Which of those who are up stand in an answer, and first in it. */
enum name_order {
    NAME_ORDER_WEIGHTED, /* drawn in proportion to weight; in turn when all weigh the same */
    NAME_ORDER_ROTATE,   /* each in turn */
    NAME_ORDER_RANDOM,
    NAME_ORDER_TWO_CHOICES, /* of two drawn by weight the one with fewer users by weight */
    NAME_ORDER_LEAST_USERS  /* those with the fewest users by weight */
};

/* What a name is answered with whose servers are all not up. */
enum name_nobody {
    NAME_NOBODY_ALL, /* whoever is left: full and suspect ones before the others */
    NAME_NOBODY_NONE,
    NAME_NOBODY_SERVFAIL
};

struct name_service {
    const char *id;   /* as in the roster's servers */
    const char *name; /* the common DNS name, without a final dot */
    enum name_mode mode;
    const char *url;   /* the common URL, for SRV and HTTPS records; NULL = none */
    const char *group; /* servers of this group only; NULL or "" = all */
    /* For so long after it came back a server's own name leads to its backup: name_failback.h. */
    uint32_t failback_ms;
};

struct name_prefixes {
    size_t count;
    struct prefix list[NAME_PREFIXES_MAX];
};

/* Clients who are told servers of one zone (entry.zone) as long as any of it is up. */
struct name_site {
    const char *zone;
    struct name_prefixes clients;
};

/* Strings stay the caller's. */
struct name_config {
    struct held *held; /* views of the roster hold it; NULL: it stays */
    size_t zone_count;
    const char *zones[NAME_ZONES_MAX]; /* without a final dot */
    size_t service_count;
    struct name_service services[NAME_SERVICES_MAX];
    size_t server_count;
    const char *servers[NAME_SERVERS_MAX]; /* NS names; none = ns.ZONE */
    size_t site_count;
    struct name_site sites[NAME_SITES_MAX];
    struct name_prefixes inside; /* clients who are told inside addresses */
    struct name_prefixes exempt; /* networks without a limit */
    uint32_t ttl_s;              /* of every record from the roster, and of "there is none" */
    uint32_t addresses;          /* records in an answer from the roster, 1 to NAME_ADDRESSES_MAX */
    enum name_order order;
    enum name_nobody nobody;
    bool subnet; /* believe what a resolver says of its client (RFC 7871) */
    bool cookies;
    uint8_t cookie_key[DNS_COOKIE_KEY_BYTES]; /* the same on all nodes that share an address */
    uint32_t rate; /* answers a second to a network by UDP, of this worker; 0 = any */
    uint32_t slip; /* every so many times one above it is told to use TCP; 0 = never */
};

/* Of one thread, which alone changes them. */
struct name_stats {
    atomic_uint_fast64_t udp, tcp; /* queries */
    atomic_uint_fast64_t answered; /* NOERROR with a record */
    atomic_uint_fast64_t empty;    /* NOERROR without */
    atomic_uint_fast64_t nxdomain, refused, servfail, malformed, truncated;
    atomic_uint_fast64_t referred;    /* to the name servers of a part of the zone */
    atomic_uint_fast64_t last_resort; /* named somebody who was not up */
    atomic_uint_fast64_t dropped; /* no answer: not a query, too long, or it could not be sent */
    atomic_uint_fast64_t limited, slipped; /* above the rate: no answer, and told to use TCP */
    atomic_uint_fast64_t forgotten;        /* networks whose place in the table another one took */
    atomic_uint_fast64_t cookies_good, cookies_new;
    atomic_uint_fast64_t subnets; /* queries that told their client's network, and were believed */
    atomic_uint_fast64_t connections, evicted, idle, oversized; /* TCP: opened; ended: made room,
                                                                   were idle, sent too long */
    atomic_uint_fast64_t views, views_failed; /* made from a roster; no memory for one */
    char pad[64];                             /* no cache line is two threads' */
};

static inline void name_count(atomic_uint_fast64_t *counter)
{
    uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, v + 1, memory_order_relaxed);
}

/* A worker's: one for each UDP listener, the last for TCP. */
#define NAME_STATS (NAME_LISTENERS_MAX + 1)

/* Can the records of a file be read? False: *error (of `cap` bytes) says what is wrong, and where.
 */
bool name_file_check(const struct name_config *c, const char *path, char *error, size_t cap);

struct name;
struct name_book;
struct store;

/* What the workers of a node share: the view of the roster at hand and the file's records. config
 * and store outlive it. */
struct name_book *name_book_new(const struct name_config *config, struct store *store)
    __attribute__((warn_unused_result));
/* Answers are made by this configuration from now on, but for its rate; any thread. */
void name_book_set(struct name_book *b, const struct name_config *config);
void name_book_free(struct name_book *b); /* takes NULL; when no name server uses it any more */
/* Reads the records of `path` and answers from them from now on; any thread, not a worker's (it may
 * take long). False: *error (of `cap` bytes) says what and where, and the records are those from
 * before. */
bool name_book_load(struct name_book *b, const char *path, char *error, size_t cap);

/* Answers on a loop from now on. udp_fds are bound sockets and tcp_fds listening ones, `count` of
 * each, all non-blocking; -1 = none. They are the name server's from now on, and closed on failure
 * too (by the loop's next turn). book, config and stats outlive it. STEAD_E_NOMEM, STEAD_E_IO. */
int name_open(uv_loop_t *loop, const struct name_config *config, struct name_book *book,
              const int *udp_fds, const int *tcp_fds, size_t count,
              struct name_stats stats[NAME_STATS], struct name **out)
    __attribute__((warn_unused_result));
/* Closes everything; `closed` is called on the loop when nothing is left, then the name server is
 * freed. */
void name_close(struct name *n, void (*closed)(void *context), void *context);

#endif
