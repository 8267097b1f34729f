/* dns_client.c - the little that a client needs: one question, and the addresses in its answer. */
#include "base/wire.h"
#include "core/dns/dns_name.h"

#include "stead/error.h"

#include <string.h>

#define CNAME_HOPS_MAX 8

size_t dns_build_query(uint8_t *buf, size_t cap, uint16_t id, const char *name, uint16_t type)
{
    struct wire_writer w;
    struct dns_name wire;
    if (!dns_name_from_text(name, &wire))
        return 0;
    wire_writer_init(&w, buf, cap);
    wire_put_u16(&w, id);
    wire_put_u16(&w, 0x0100); /* RD */
    wire_put_u16(&w, 1);
    wire_put_u16(&w, 0);
    wire_put_u16(&w, 0);
    wire_put_u16(&w, 1);
    wire_put_bytes(&w, wire.bytes, wire.len);
    wire_put_u16(&w, type);
    wire_put_u16(&w, DNS_CLASS_IN);
    wire_put_u8(&w, 0);
    wire_put_u16(&w, DNS_OPT);
    wire_put_u16(&w, DNS_UDP_MAX);
    wire_put_u32(&w, 0);
    wire_put_u16(&w, 0);
    return wire_put_ok(&w) ? wire_written(&w) : 0;
}

struct record {
    struct dns_name owner;
    uint16_t type, class;
    size_t data_at, data_len;
};

static bool read_record(const uint8_t *msg, size_t len, size_t *at, struct record *rec)
{
    struct wire_reader r;
    size_t after = dns_name_read(msg, len, *at, &rec->owner);
    if (after == 0)
        return false;
    wire_reader_init(&r, msg + after, len - after);
    rec->type = wire_u16(&r);
    rec->class = wire_u16(&r);
    wire_u32(&r); /* TTL */
    const uint8_t *data = wire_str16(&r, &rec->data_len);
    if (!wire_ok(&r))
        return false;
    rec->data_at = (size_t)(data - msg);
    *at = rec->data_at + rec->data_len;
    return true;
}

/* Where an alias in the answer leads from *target. 1 = changed, 0 = no alias, -1 = malformed. */
static int follow_alias(const uint8_t *msg, size_t len, size_t at, uint16_t answers,
                        struct dns_name *target)
{
    struct record rec;
    struct dns_name to;
    while (answers--) {
        if (!read_record(msg, len, &at, &rec))
            return -1;
        if (rec.type != DNS_CNAME || rec.class != DNS_CLASS_IN ||
            !dns_name_equal(rec.owner.bytes, target->bytes))
            continue;
        if (dns_name_read(msg, len, rec.data_at, &to) != rec.data_at + rec.data_len)
            return -1;
        *target = to;
        return 1;
    }
    return 0;
}

static int collect(const uint8_t *msg, size_t len, size_t at, uint16_t answers, uint16_t type,
                   const struct dns_name *target, struct addr *out, size_t max, size_t *count)
{
    struct record rec;
    size_t bytes = type == DNS_A ? 4 : 16;
    while (answers--) {
        if (!read_record(msg, len, &at, &rec))
            return STEAD_E_PARSE;
        if (rec.type != type || rec.class != DNS_CLASS_IN ||
            !dns_name_equal(rec.owner.bytes, target->bytes))
            continue;
        if (rec.data_len != bytes)
            return STEAD_E_PARSE;
        if (*count == max)
            break;
        struct addr *a = &out[(*count)++];
        *a = (struct addr){.family = type == DNS_A ? 4 : 6};
        memcpy(a->ip, msg + rec.data_at, bytes);
    }
    return *count ? STEAD_OK : STEAD_E_ABSENT;
}

/* Checks header and question; gives the offset of the answers, or 0 with *error set. */
static size_t check_head(const uint8_t *msg, size_t len, uint16_t id, const struct dns_name *name,
                         uint16_t type, uint16_t *answers, int *error)
{
    struct wire_reader r;
    struct dns_name asked;
    *error = STEAD_E_PARSE;
    wire_reader_init(&r, msg, len);
    bool same_id = wire_u16(&r) == id;
    uint16_t flags = wire_u16(&r), questions = wire_u16(&r);
    *answers = wire_u16(&r);
    wire_u32(&r);
    if (!wire_ok(&r) || !same_id || (flags & 0xf800) != 0x8000)
        return 0;
    unsigned rcode = flags & 15;
    if (questions == 0 && rcode != DNS_NOERROR) {
        *error = STEAD_E_IO; /* a server that could not even read the question */
        return 0;
    }
    size_t at = dns_name_read(msg, len, DNS_HEADER_BYTES, &asked);
    if (questions != 1 || at == 0 || !dns_name_equal(asked.bytes, name->bytes))
        return 0;
    wire_reader_init(&r, msg + at, len - at);
    uint16_t asked_type = wire_u16(&r), asked_class = wire_u16(&r);
    if (!wire_ok(&r) || asked_type != type || asked_class != DNS_CLASS_IN)
        return 0;
    *error = flags & 0x0200          ? STEAD_E_TRUNCATED
             : rcode == DNS_NXDOMAIN ? STEAD_E_ABSENT
             : rcode != DNS_NOERROR  ? STEAD_E_IO
                                     : STEAD_OK;
    return *error == STEAD_OK ? at + 4 : 0;
}

int dns_parse_addresses(const uint8_t *msg, size_t len, uint16_t id, const char *name,
                        uint16_t type, struct addr *out, size_t max, size_t *count)
{
    struct dns_name target;
    uint16_t answers;
    int error, alias;
    *count = 0;
    if ((type != DNS_A && type != DNS_AAAA) || !dns_name_from_text(name, &target))
        return STEAD_E_INVAL;
    size_t at = check_head(msg, len, id, &target, type, &answers, &error);
    if (at == 0)
        return error;
    for (int hop = 0; (alias = follow_alias(msg, len, at, answers, &target)) == 1; hop++)
        if (hop == CNAME_HOPS_MAX)
            return STEAD_E_PARSE;
    if (alias < 0)
        return STEAD_E_PARSE;
    error = collect(msg, len, at, answers, type, &target, out, max, count);
    if (error == STEAD_E_PARSE)
        *count = 0;
    return error;
}
