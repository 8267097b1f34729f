/* name_answer.h - inside role/name: one query in, one answer out, in the same buffer. Pure but for
 * the limiter and the counters, which are the caller's. */
#ifndef ROLE_NAME_ANSWER_H
#define ROLE_NAME_ANSWER_H

#include "core/dns/dns.h"
#include "core/dns/dns_limit.h"
#include "role/name/name_place.h"
#include "role/name/name_view.h"

#define NAME_ALIASES_MAX 8 /* one after the other */

struct name_asker {
    struct addr from;
    bool tcp;
    uint64_t now_us;         /* of any clock, for the limiter */
    uint32_t now_s;          /* since 1970, for cookies */
    uint64_t chance;         /* turns the order of records: count it up */
    struct dns_limit *limit; /* NULL = none */
};

/* The answer to one message of `len` bytes, written over it. cap is at least DNS_UDP_PLAIN; by UDP
 * at most DNS_UDP_MAX bytes are used. Returns its length; 0 = nothing is to be sent. */
size_t name_answer(const struct name_view *v, const struct name_asker *by, uint8_t *msg, size_t len,
                   size_t cap, struct name_stats *stats);

/* -- for name_lookup.c -- */

struct name_ask {
    const struct name_view *view;
    const struct name_asker *by;
    const struct dns_query *q;
    struct name_stats *stats;
    bool place_known;
    bool referral;
    bool last_resort;
    struct name_place place;
    struct dns_answer answer;
    struct dns_options options;
};

/* Both tables' entries of a name; NULL where there is none. */
struct name_found {
    const struct name_entry *farm, *file;
};

struct name_found name_find(const struct name_view *v, const uint8_t *lower, size_t len,
                            uint32_t hash);
/* Fills in the answer to a question of class IN; returns the rcode. */
unsigned name_lookup(struct name_ask *k);

#endif
