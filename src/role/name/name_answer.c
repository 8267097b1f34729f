/* name_answer.c - one query in, one answer out. What a name means is name_zone.c's business. */
#include "role/name/name_zone.h"

#include <stdio.h>

#define CLASS_IN 1
#define TYPE_META_FIRST 249 /* TKEY, TSIG and the zone transfers: 249 to 254 */
#define TYPE_META_LAST 254

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static const char *ns_name(const char *zone, char buf[DNS_NAME_MAX + 1])
{
    snprintf(buf, DNS_NAME_MAX + 1, "ns.%s", zone);
    return buf;
}

static void put_soa(struct dns_answer *a, bool in_authority, const struct name_config *c,
                    const struct roster *r, const char *zone)
{
    char ns[DNS_NAME_MAX + 1];
    dns_answer_soa(a, in_authority, zone, ns_name(zone, ns), (uint32_t)r->revision, c->ttl_s);
}

static bool is_repeated(const struct addr *const *written, size_t n, const struct addr *a)
{
    for (size_t i = 0; i < n; i++)
        if (addr_same_ip(written[i], a))
            return true;
    return false;
}

/* Turned by chance, no address twice. */
static void put_addresses(struct dns_answer *a, const struct name_config *c, struct name_targets *t,
                          uint8_t family, uint64_t chance)
{
    const struct addr *written[NAME_ADDRESSES_MAX];
    size_t n = 0, fit = 0;
    for (size_t i = 0; i < t->count; i++)
        if (name_node_address(t->nodes[i])->family == family)
            t->nodes[fit++] = t->nodes[i];
    for (size_t i = 0; i < fit && n < NAME_ADDRESSES_MAX; i++) {
        const struct addr *addr = name_node_address(t->nodes[(chance % fit + i) % fit]);
        if (is_repeated(written, n, addr))
            continue;
        dns_answer_address(a, NULL, addr, c->ttl_s);
        written[n++] = addr;
    }
}

/* Returns the rcode. */
static unsigned answer_in_zone(struct dns_answer *a, const struct dns_query *q,
                               const struct name_config *c, const struct roster *r,
                               struct name_targets *t, uint64_t chance)
{
    char ns[DNS_NAME_MAX + 1];
    if (t->meaning == NAME_UNKNOWN) {
        put_soa(a, true, c, r, t->zone);
        return DNS_NXDOMAIN;
    }
    if (q->type == DNS_ANY)
        dns_answer_hinfo(a, c->ttl_s);
    else if (t->apex && q->type == DNS_SOA)
        put_soa(a, false, c, r, t->zone);
    else if (t->apex && q->type == DNS_NS)
        dns_answer_ns(a, t->zone, ns_name(t->zone, ns), c->ttl_s);
    else if (t->meaning == NAME_KNOWN && (q->type == DNS_A || q->type == DNS_AAAA))
        put_addresses(a, c, t, q->type == DNS_A ? 4 : 6, chance);
    if (a->counts[1] == 0 && !a->truncated)
        put_soa(a, true, c, r, t->zone);
    return DNS_NOERROR;
}

static size_t answer_question(const struct name_config *c, const struct roster *r,
                              const struct dns_query *q, uint64_t chance, uint8_t *out, size_t cap,
                              struct name_stats *stats)
{
    struct name_targets t = {.meaning = NAME_OUTSIDE};
    struct dns_answer a;
    if (q->class == CLASS_IN && (q->type < TYPE_META_FIRST || q->type > TYPE_META_LAST))
        name_lookup(c, r, q->name, &t);
    if (t.meaning == NAME_OUTSIDE) {
        count(&stats->refused);
        dns_answer_begin(&a, q, out, cap, false);
        return dns_answer_end(&a, q, DNS_REFUSED);
    }
    dns_answer_begin(&a, q, out, cap, true);
    unsigned rcode = answer_in_zone(&a, q, c, r, &t, chance);
    count(rcode == DNS_NXDOMAIN ? &stats->nxdomain
          : a.counts[1]         ? &stats->answered
                                : &stats->empty);
    if (a.truncated)
        count(&stats->truncated);
    if (t.last_resort && a.counts[1])
        count(&stats->last_resort);
    return dns_answer_end(&a, q, rcode);
}

static size_t udp_room(const struct dns_query *q, size_t cap)
{
    size_t room = q->udp_size < DNS_UDP_MAX ? q->udp_size : DNS_UDP_MAX;
    return room < cap ? room : cap;
}

size_t name_answer(const struct name_config *c, const struct roster *r, const uint8_t *query,
                   size_t len, bool tcp, uint64_t chance, uint8_t *out, size_t cap,
                   struct name_stats *stats)
{
    struct dns_query q;
    struct dns_answer a;
    count(tcp ? &stats->tcp : &stats->udp);
    int rcode = dns_parse_query(query, len, &q);
    if (rcode < 0) {
        count(&stats->dropped);
        return 0;
    }
    if (!tcp)
        cap = udp_room(&q, cap);
    if (rcode == DNS_NOERROR && q.type == DNS_OPT)
        rcode = DNS_FORMERR; /* OPT cannot be asked for */
    if (rcode == DNS_NOERROR)
        return answer_question(c, r, &q, chance, out, cap, stats);
    count(&stats->malformed);
    dns_answer_begin(&a, &q, out, cap, false);
    return dns_answer_end(&a, &q, (unsigned)rcode);
}
