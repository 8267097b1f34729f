/* dns.h - DNS messages (RFC 1035, 2181, 3596, 6891): a strict query parser, an answer writer, and the little that
 * a client needs. Pure; the name role (role/name) decides what is answered. */
#ifndef CORE_DNS_H
#define CORE_DNS_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 255
#define DNS_UDP_PLAIN 512
#define DNS_UDP_MAX 1232 /* what is sent at most by UDP (DNS flag day 2020) */

enum dns_type {
    DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33,
    DNS_OPT = 41, DNS_HTTPS = 65, DNS_ANY = 255
};
enum dns_rcode {
    DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_NOTIMP = 4,
    DNS_REFUSED = 5, DNS_BADVERS = 16
};

struct dns_query {
    uint16_t id;
    bool rd;
    uint8_t opcode;
    uint8_t wire_name[DNS_NAME_MAX]; /* as sent, case kept (0x20) */
    size_t wire_len;
    char name[DNS_NAME_MAX + 1]; /* lower case, dotted, no final dot; "" = root */
    uint16_t type, class;
    size_t question_bytes; /* question's length after the header */
    bool edns, edns_do;
    uint8_t edns_version;
    uint16_t udp_size; /* what the client takes: 512 without EDNS, at least 512 */
};

/* Parses a query. OK (0), or a positive rcode to answer with (FORMERR, NOTIMP), or -1: no answer at all (shorter
 * than a header, or itself a response). On a positive rcode id, rd, opcode (and the question, when it was readable:
 * wire_len > 0) are set. */
int dns_parse_query(const uint8_t *msg, size_t len, struct dns_query *q);

/* Writes an answer step by step into buf, answers before authority; the first record that does not fit sets TC, and
 * it and those after it are left out. */
struct dns_answer {
    uint8_t *buf;
    size_t len, cap, edns_room;
    uint16_t counts[4];
    bool truncated, authoritative;
};
/* cap is at least DNS_UDP_PLAIN. */
void dns_answer_begin(struct dns_answer *a, const struct dns_query *q, uint8_t *buf, size_t cap,
                      bool authoritative);
/* owner: NULL = the question's name (compressed), else a dotted name. */
void dns_answer_address(struct dns_answer *a, const char *owner, const struct addr *addr,
                        uint32_t ttl);
void dns_answer_soa(struct dns_answer *a, bool in_authority, const char *zone, const char *mname,
                    uint32_t serial, uint32_t ttl);
void dns_answer_ns(struct dns_answer *a, const char *zone, const char *host, uint32_t ttl);
void dns_answer_txt(struct dns_answer *a, const char *owner, const char *text, uint32_t ttl);
/* RFC 8482 HINFO for ANY. */
void dns_answer_hinfo(struct dns_answer *a, uint32_t ttl);
/* Header, OPT if the query had one. Returns the message's length. */
size_t dns_answer_end(struct dns_answer *a, const struct dns_query *q, unsigned rcode);

/* For clients: a query with EDNS; length or 0. And the addresses in a response that fits it (id, question): OK, or
 * STEAD_E_PARSE, STEAD_E_INVAL (name or type), STEAD_E_ABSENT (NXDOMAIN or no addresses), STEAD_E_TRUNCATED (TC),
 * STEAD_E_IO (other rcode). Aliases inside the answer are followed; the addresses come without a port. */
size_t dns_build_query(uint8_t *buf, size_t cap, uint16_t id, const char *name, uint16_t type);
int dns_parse_addresses(const uint8_t *msg, size_t len, uint16_t id, const char *name,
                        uint16_t type, struct addr *out, size_t max, size_t *count);

#endif
