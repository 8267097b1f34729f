/* dns_answer.c - an answer over its query: records that were made before are copied behind the
 * question, then header and OPT are set. */
#include "core/dns/dns.h"

#include "base/wire.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define OPT_BYTES 11
#define OPTION_SUBNET 8
#define OPTION_COOKIE 10
#define OPTION_KEEPALIVE 11

static size_t options_bytes(const struct dns_options *o)
{
    size_t bytes = 0;
    if (!o)
        return 0;
    if (o->cookie_len)
        bytes += 4u + o->cookie_len;
    if (o->subnet.family)
        bytes += 8u + (o->subnet.source + 7u) / 8;
    if (o->keepalive_100ms)
        bytes += 6;
    return bytes;
}

void dns_answer_begin(struct dns_answer *a, const struct dns_query *q,
                      const struct dns_options *options, uint8_t *msg, size_t cap)
{
    /* Header, the longest question and OPT go into the smallest message that everybody takes. */
    assert(cap >= DNS_UDP_PLAIN);
    a->msg = msg;
    a->cap = cap;
    a->len = DNS_HEADER_BYTES;
    memset(a->counts, 0, sizeof a->counts);
    a->truncated = a->authoritative = false;
    if (q->edns)
        a->cap -= OPT_BYTES + options_bytes(options);
    if (q->name_len) {
        a->len += q->name_len + 4u;
        a->counts[DNS_QUESTION] = 1;
    }
}

static void put_options(struct wire_writer *w, const struct dns_options *o)
{
    if (o->cookie_len) {
        wire_put_u16(w, OPTION_COOKIE);
        wire_put_str16(w, o->cookie, o->cookie_len);
    }
    if (o->subnet.family) {
        size_t bytes = (o->subnet.source + 7u) / 8;
        wire_put_u16(w, OPTION_SUBNET);
        wire_put_u16(w, (uint16_t)(4 + bytes));
        wire_put_u16(w, o->subnet.family == 4 ? 1 : 2);
        wire_put_u8(w, o->subnet.source);
        wire_put_u8(w, o->scope);
        wire_put_bytes(w, o->subnet.ip, bytes);
    }
    if (o->keepalive_100ms) {
        wire_put_u16(w, OPTION_KEEPALIVE);
        wire_put_u16(w, 2);
        wire_put_u16(w, o->keepalive_100ms);
    }
}

static void put_opt(struct dns_answer *a, const struct dns_query *q, const struct dns_options *o,
                    unsigned rcode)
{
    uint8_t opt[OPT_BYTES] = {[2] = DNS_OPT,
                              [3] = DNS_UDP_MAX >> 8,
                              [4] = DNS_UDP_MAX & 0xff,
                              [5] = (uint8_t)(rcode >> 4),
                              [7] = q->edns_do ? 0x80 : 0};
    size_t bytes = options_bytes(o);
    opt[9] = (uint8_t)(bytes >> 8);
    opt[10] = (uint8_t)bytes;
    memcpy(a->msg + a->len, opt, OPT_BYTES);
    a->len += OPT_BYTES;
    a->counts[DNS_ADDITIONAL]++;
    if (bytes == 0)
        return;
    struct wire_writer w;
    wire_writer_init(&w, a->msg + a->len, bytes);
    put_options(&w, o);
    assert(wire_put_ok(&w) && wire_written(&w) == bytes);
    a->len += bytes;
}

size_t dns_answer_end(struct dns_answer *a, const struct dns_query *q,
                      const struct dns_options *options, unsigned rcode)
{
    uint16_t words[5];
    assert(rcode < 16 || q->edns);
    if (q->edns)
        put_opt(a, q, options, rcode);
    unsigned flags = 0x8000u | (unsigned)q->opcode << 11 | (rcode & 15);
    flags |= (unsigned)a->authoritative << 10 | (unsigned)a->truncated << 9 | (unsigned)q->rd << 8;
    words[0] = htobe16((uint16_t)flags);
    for (int i = 0; i < 4; i++)
        words[i + 1] = htobe16(a->counts[i]);
    memcpy(a->msg + 2, words, sizeof words); /* the id stays */
    return a->len;
}
