/* dns_limit.h - response rate limiting: how many answers a second go to one network by UDP, where a
 * sender's address may be forged. A network that is above it gets no answer but every slip-th time,
 * then one that says "ask by TCP" and is no larger than the query: somebody real comes again, and a
 * victim gets next to nothing.
 *
 * Networks are kept in a table of fixed size. One that finds no place takes that of the network
 * that is furthest from its limit, so many forged networks can make it forget, but never grow. */
#ifndef CORE_DNS_LIMIT_H
#define CORE_DNS_LIMIT_H

#include "base/addr.h"

#define DNS_LIMIT_NETWORKS 16384
#define DNS_LIMIT_WAYS 4
#define DNS_LIMIT_BITS_4 24 /* a network: that is what one resolver, or one victim, has */
#define DNS_LIMIT_BITS_6 56

struct dns_limit_network {
    uint64_t free_us; /* when its allowance will be whole again */
    uint32_t tag;
    uint32_t over; /* since it was last allowed */
};

struct dns_limit {
    uint64_t secret[2];
    uint64_t cost_us; /* of an answer; 0 = no limit */
    uint32_t slip;    /* 0 = never */
    uint64_t forgotten;
    struct dns_limit_network networks[DNS_LIMIT_NETWORKS];
};

enum dns_verdict { DNS_ALLOW, DNS_SLIP, DNS_DROP };

/* rate: answers a second to one network, all of which may come at once; 0 = no limit. secret:
 * random, so that nobody knows which networks share a place. */
void dns_limit_init(struct dns_limit *l, uint32_t rate, uint32_t slip, const uint64_t secret[2]);
enum dns_verdict dns_limit_take(struct dns_limit *l, const struct addr *to, uint64_t now_us);

#endif
