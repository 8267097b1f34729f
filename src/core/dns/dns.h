/* dns.h - DNS messages (RFC 1035, 2181, 6891, 7871, 7873, 7828): a strict query parser, an answer
 * writer that works in the query's own buffer, and the little that a client needs. Pure; the name
 * role (role/name) decides what is answered. Records are made by dns_record.h. */
#ifndef CORE_DNS_H
#define CORE_DNS_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DNS_HEADER_BYTES 12
#define DNS_NAME_MAX 255
#define DNS_UDP_PLAIN 512
#define DNS_UDP_MAX 1232 /* what is sent at most by UDP (DNS flag day 2020) */
#define DNS_TCP_MAX 65535
#define DNS_CLASS_IN 1

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_HINFO = 13,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_DNAME = 39,
    DNS_OPT = 41,
    DNS_DS = 43,
    DNS_HTTPS = 65,
    DNS_IXFR = 251,
    DNS_ANY = 255
};
enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16,
    DNS_BADCOOKIE = 23
};

struct dns_query {
    uint16_t id, type, class;
    uint16_t udp_size; /* what the client takes: 512 without EDNS, at least 512 */
    uint8_t opcode;
    bool rd, edns, edns_do;
    bool keepalive; /* asks for how long an idle connection is kept */
    uint8_t edns_version;
    uint8_t labels;    /* of the name, the root's not counted */
    uint16_t name_len; /* in wire form, where it was sent (behind the header); 0 = not readable */
    uint32_t hash;     /* dns_name_hash() of the name */
    /* Options as they came, NULL = none; they point into the message. */
    const uint8_t *cookie, *subnet;
    uint16_t cookie_len, subnet_len;
    uint8_t lower[DNS_NAME_MAX + 9]; /* the name in lower case */
};

/* Parses a query. OK (0), or a positive rcode to answer with (FORMERR, NOTIMP, REFUSED, BADVERS),
 * or -1: no answer at all (shorter than a header, or itself a response). On a positive rcode id,
 * rd, opcode (and the question, when it was readable: name_len > 0) are set. A query without a
 * question is good when it has a cookie. */
int dns_parse_query(const uint8_t *msg, size_t len, struct dns_query *q);

/* The client that a resolver asks for (RFC 7871). */
struct dns_subnet {
    uint8_t family; /* 4, 6, or 0 = none */
    uint8_t source; /* bits of ip that were told */
    uint8_t ip[16];
};
/* False: malformed, and to be answered with FORMERR. */
bool dns_subnet_parse(const uint8_t *option, size_t len, struct dns_subnet *out);

/* What the OPT record of an answer says. Zeroed: nothing but the size. */
struct dns_options {
    uint8_t cookie_len;
    uint8_t cookie[24];
    uint8_t scope; /* of subnet */
    struct dns_subnet subnet;
    uint16_t keepalive_100ms; /* 0 = not told */
};

enum dns_section { DNS_QUESTION, DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

/* An answer, written over its query: the question stays where it is, so its case is kept. What the
 * query's options say must have been read before. */
struct dns_answer {
    uint8_t *msg;
    size_t len, cap; /* cap leaves room for OPT */
    uint16_t counts[4];
    bool truncated, authoritative;
};
/* msg holds the query; cap is at least DNS_UDP_PLAIN; `options` may be NULL. */
void dns_answer_begin(struct dns_answer *a, const struct dns_query *q,
                      const struct dns_options *options, uint8_t *msg, size_t cap);
/* Adds `count` records, `len` bytes, whole or not at all. False: they do not fit. */
static inline bool dns_answer_add(struct dns_answer *a, enum dns_section section,
                                  const uint8_t *records, size_t len, uint16_t count)
{
    if (len > a->cap - a->len)
        return false;
    memcpy(a->msg + a->len, records, len);
    a->len += len;
    a->counts[section] = (uint16_t)(a->counts[section] + count);
    return true;
}
/* Header, OPT if the query had one. Returns the message's length. */
size_t dns_answer_end(struct dns_answer *a, const struct dns_query *q,
                      const struct dns_options *options, unsigned rcode);

/* For clients: a query with EDNS; length or 0. And the addresses in a response that fits it (id,
 * question): OK, or STEAD_E_PARSE, STEAD_E_INVAL (name or type), STEAD_E_ABSENT (NXDOMAIN or no
 * addresses), STEAD_E_TRUNCATED (TC), STEAD_E_IO (other rcode). Aliases inside the answer are
 * followed; the addresses come without a port. */
size_t dns_build_query(uint8_t *buf, size_t cap, uint16_t id, const char *name, uint16_t type);
int dns_parse_addresses(const uint8_t *msg, size_t len, uint16_t id, const char *name,
                        uint16_t type, struct addr *out, size_t max, size_t *count);

#endif
