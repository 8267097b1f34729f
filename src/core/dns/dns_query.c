/* dns_query.c - queries as they come from strangers. Nothing is answered from a query that is not
 * whole and exact. The way of a plain question is short, since it is most of what a name server
 * does; what is rarer is read by a cursor. */
#include "base/wire.h"
#include "core/dns/dns_name.h"

#include <string.h>

#define FLAG_QR 0x80
#define FLAG_RD 0x01
#define OPTION_SUBNET 8
#define OPTION_COOKIE 10
#define OPTION_KEEPALIVE 11
#define OPT_PLAIN_BYTES 11

static uint16_t be16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* The length of an uncompressed name, 0 when it is malformed. There is nothing before a question
 * that its name could point at. */
static size_t name_length(const uint8_t *at, size_t left, uint8_t *labels)
{
    size_t len = 0;
    *labels = 0;
    while (len < left && len < DNS_NAME_MAX) {
        uint8_t label = at[len];
        if (label == 0)
            return len + 1;
        if (label > DNS_LABEL_MAX)
            return 0;
        len += label + 1u;
        ++*labels;
    }
    return 0;
}

static bool read_question(const uint8_t *at, size_t left, struct dns_query *q)
{
    size_t len = name_length(at, left, &q->labels);
    if (len == 0 || left - len < 4)
        return false;
    q->hash = dns_name_fold(at, len, left, q->lower);
    q->name_len = (uint16_t)len;
    q->type = be16(at + len);
    q->class = be16(at + len + 2);
    return true;
}

/* The first of each kind counts. */
static bool read_options(struct dns_query *q, const uint8_t *bytes, size_t len)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    while (wire_ok(&r) && wire_left(&r)) {
        uint16_t code = wire_u16(&r);
        size_t n;
        const uint8_t *data = wire_str16(&r, &n);
        if (!wire_ok(&r))
            break;
        if (code == OPTION_COOKIE && !q->cookie) {
            q->cookie = data;
            q->cookie_len = (uint16_t)n;
        } else if (code == OPTION_SUBNET && !q->subnet) {
            q->subnet = data;
            q->subnet_len = (uint16_t)n;
        } else if (code == OPTION_KEEPALIVE && n == 0) {
            q->keepalive = true;
        }
    }
    return wire_ok(&r);
}

static bool read_opt(struct dns_query *q, uint16_t class, uint32_t ttl, const uint8_t *data,
                     size_t len)
{
    if (q->edns || (len && !read_options(q, data, len)))
        return false;
    q->edns = true;
    q->edns_version = (uint8_t)(ttl >> 16);
    q->edns_do = (ttl & 0x8000) != 0;
    q->udp_size = class < DNS_UDP_PLAIN ? DNS_UDP_PLAIN : class;
    return true;
}

/* Other additional records (a TSIG) are stepped over. */
static bool read_additional(struct wire_reader *r, const uint8_t *msg, size_t len,
                            struct dns_query *q)
{
    struct dns_name owner;
    size_t at = (size_t)(r->at - msg);
    size_t after = dns_name_read(msg, len, at, &owner);
    if (after == 0)
        return false;
    wire_bytes(r, after - at);
    uint16_t type = wire_u16(r), class = wire_u16(r);
    uint32_t ttl = wire_u32(r);
    size_t data_len;
    const uint8_t *data = wire_str16(r, &data_len);
    if (!wire_ok(r))
        return false;
    if (type != DNS_OPT)
        return true;
    return after - at == 1 && read_opt(q, class, ttl, data, data_len);
}

static bool read_additionals(const uint8_t *msg, size_t len, size_t at, unsigned count,
                             struct dns_query *q)
{
    const uint8_t *opt = msg + at;
    if (count == 1 && len - at == OPT_PLAIN_BYTES && memcmp(opt, "\0\0\x29", 3) == 0 &&
        be16(opt + 9) == 0)
        return read_opt(q, be16(opt + 3), (uint32_t)be16(opt + 5) << 16 | be16(opt + 7), NULL, 0);
    struct wire_reader r;
    wire_reader_init(&r, msg + at, len - at);
    while (count--)
        if (!read_additional(&r, msg, len, q))
            return false;
    return wire_done(&r);
}

/* RFC 7873, 5.4: no question, but a cookie is wanted. */
static int read_cookie_query(const uint8_t *msg, size_t len, struct dns_query *q)
{
    static const uint8_t only_additionals[6];
    if (memcmp(msg + 4, only_additionals, 6) != 0 ||
        !read_additionals(msg, len, DNS_HEADER_BYTES, be16(msg + 10), q) || !q->cookie)
        return DNS_FORMERR;
    return q->edns_version ? DNS_BADVERS : DNS_NOERROR;
}

int dns_parse_query(const uint8_t *msg, size_t len, struct dns_query *q)
{
    static const uint8_t one_question[6] = {0, 1, 0, 0, 0, 0};
    memset(q, 0, offsetof(struct dns_query, lower));
    q->udp_size = DNS_UDP_PLAIN;
    if (len < DNS_HEADER_BYTES || msg[2] & FLAG_QR)
        return -1;
    q->id = be16(msg);
    q->opcode = msg[2] >> 3 & 15;
    q->rd = (msg[2] & FLAG_RD) != 0;
    if (q->opcode != 0)
        return DNS_NOTIMP;
    size_t at = DNS_HEADER_BYTES;
    if (be16(msg + 4) == 0)
        return read_cookie_query(msg, len, q);
    if (be16(msg + 4) != 1 || !read_question(msg + at, len - at, q))
        return DNS_FORMERR;
    at += q->name_len + 4u;
    unsigned additionals = be16(msg + 10);
    if (q->type == DNS_IXFR)
        return DNS_REFUSED; /* it has a record more, and no zone is transferred */
    if (memcmp(msg + 4, one_question, 6) != 0)
        return DNS_FORMERR;
    if ((additionals || at != len) && !read_additionals(msg, len, at, additionals, q))
        return DNS_FORMERR;
    return q->edns_version ? DNS_BADVERS : DNS_NOERROR;
}

/* RFC 7871, 6 and 7.1.2: only the bytes that the prefix needs, and no bit beyond it. */
bool dns_subnet_parse(const uint8_t *option, size_t len, struct dns_subnet *out)
{
    *out = (struct dns_subnet){0};
    if (len < 4 || option[0] != 0)
        return false;
    unsigned bits = option[2], bytes = (bits + 7) / 8;
    unsigned max = option[1] == 1 ? 32 : option[1] == 2 ? 128 : 0;
    if (max == 0 || bits > max || option[3] != 0 || len != 4 + bytes)
        return false;
    memcpy(out->ip, option + 4, bytes);
    if (bits % 8 && (out->ip[bytes - 1] & 0xff >> bits % 8))
        return false;
    out->family = option[1] == 1 ? 4 : 6;
    out->source = (uint8_t)bits;
    return true;
}
