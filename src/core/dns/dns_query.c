/* dns_query.c - queries as they come from strangers. Nothing is answered from a query that is not
 * whole and exact. */
#include "base/wire.h"
#include "core/dns/dns_name.h"

#include <string.h>

#define FLAG_QR 0x8000
#define FLAG_RD 0x0100

/* The question's name may not be compressed: there is nothing before it to point at but the header.
 */
static bool read_question(struct wire_reader *r, struct dns_query *q)
{
    struct dns_name name;
    size_t left = wire_left(r);
    size_t after = dns_name_read(r->at, left, 0, &name);
    if (after == 0 || after != name.len)
        return false;
    wire_bytes(r, after);
    uint16_t type = wire_u16(r), class = wire_u16(r);
    if (!wire_ok(r))
        return false;
    memcpy(q->wire_name, name.bytes, name.len);
    q->wire_len = name.len;
    dns_name_to_text(q->wire_name, q->name);
    q->type = type;
    q->class = class;
    q->question_bytes = name.len + 4;
    return true;
}

static bool options_are_whole(const uint8_t *bytes, size_t len)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    while (wire_ok(&r) && wire_left(&r)) {
        wire_u16(&r);
        wire_bytes(&r, wire_u16(&r));
    }
    return wire_ok(&r);
}

static bool read_opt(struct dns_query *q, uint16_t class, uint32_t ttl, const uint8_t *data,
                     size_t len)
{
    if (q->edns || !options_are_whole(data, len))
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

int dns_parse_query(const uint8_t *msg, size_t len, struct dns_query *q)
{
    struct wire_reader r;
    *q = (struct dns_query){.udp_size = DNS_UDP_PLAIN};
    wire_reader_init(&r, msg, len);
    q->id = wire_u16(&r);
    uint16_t flags = wire_u16(&r), questions = wire_u16(&r), answers = wire_u16(&r);
    uint16_t authorities = wire_u16(&r), additionals = wire_u16(&r);
    if (!wire_ok(&r) || flags & FLAG_QR)
        return -1;
    q->opcode = flags >> 11 & 15;
    q->rd = (flags & FLAG_RD) != 0;
    if (q->opcode != 0)
        return DNS_NOTIMP;
    if (questions != 1 || !read_question(&r, q) || answers || authorities)
        return DNS_FORMERR;
    while (additionals--)
        if (!read_additional(&r, msg, len, q))
            return DNS_FORMERR;
    if (!wire_done(&r))
        return DNS_FORMERR;
    return q->edns_version ? DNS_BADVERS : DNS_NOERROR;
}
