/* dns_limit.c - an allowance per network, as the time when it will be whole again (GCRA). */
#include "core/dns/dns_limit.h"

#include <string.h>

#define WINDOW_US 1000000u /* the allowance: a second's answers */

void dns_limit_init(struct dns_limit *l, uint32_t rate, uint32_t slip, const uint64_t secret[2])
{
    memset(l, 0, sizeof *l);
    l->secret[0] = secret[0];
    l->secret[1] = secret[1] | 1;
    l->cost_us = rate ? (WINDOW_US + rate - 1) / rate : 0;
    l->slip = slip;
}

/* Both halves of a product, folded: every bit of the network and of the secret counts. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t network_hash(const struct dns_limit *l, const struct addr *a)
{
    uint64_t network = a->family;
    size_t bytes = (a->family == 4 ? DNS_LIMIT_BITS_4 : DNS_LIMIT_BITS_6) / 8;
    for (size_t i = 0; i < bytes; i++)
        network = network << 8 | a->ip[i];
    return mix(network ^ l->secret[0], l->secret[1]);
}

/* The network's place: its own, a free one, or that of whoever is furthest from the limit. */
static struct dns_limit_network *find(struct dns_limit *l, uint64_t hash, uint64_t now_us)
{
    uint32_t tag = (uint32_t)hash | 1; /* 0 = nobody */
    struct dns_limit_network *set =
        &l->networks[(hash >> 32) % (DNS_LIMIT_NETWORKS / DNS_LIMIT_WAYS) * DNS_LIMIT_WAYS];
    struct dns_limit_network *least = set;
    for (size_t i = 0; i < DNS_LIMIT_WAYS; i++) {
        if (set[i].tag == tag)
            return &set[i];
        if (set[i].free_us < least->free_us)
            least = &set[i];
    }
    l->forgotten += least->free_us > now_us;
    *least = (struct dns_limit_network){.tag = tag};
    return least;
}

enum dns_verdict dns_limit_take(struct dns_limit *l, const struct addr *to, uint64_t now_us)
{
    if (l->cost_us == 0)
        return DNS_ALLOW;
    struct dns_limit_network *n = find(l, network_hash(l, to), now_us);
    uint64_t free_us = (n->free_us > now_us ? n->free_us : now_us) + l->cost_us;
    if (free_us - now_us <= WINDOW_US) {
        n->free_us = free_us;
        n->over = 0;
        return DNS_ALLOW;
    }
    n->over++;
    return l->slip && n->over % l->slip == 0 ? DNS_SLIP : DNS_DROP;
}
