/* dns_record.c - writes records of each kind. */
#include "core/dns/dns_record.h"

#include <string.h>

#define HTTPS_IPV4HINT 4
#define HTTPS_IPV6HINT 6

/* Returns where the data begins; its length before it is filled by end(). */
static uint8_t *begin(struct wire_writer *w, const struct dns_name *owner, uint16_t type,
                      uint32_t ttl_s)
{
    if (owner)
        wire_put_bytes(w, owner->bytes, owner->len);
    else
        wire_put_u16(w, DNS_OWNER_QUESTION);
    wire_put_u16(w, type);
    wire_put_u16(w, DNS_CLASS_IN);
    wire_put_u32(w, ttl_s);
    wire_put_u16(w, 0);
    return w->at;
}

static void end(struct wire_writer *w, uint8_t *data)
{
    if (!wire_put_ok(w))
        return;
    size_t len = (size_t)(w->at - data);
    data[-2] = (uint8_t)(len >> 8);
    data[-1] = (uint8_t)len;
}

void dns_record_raw(struct wire_writer *w, const struct dns_name *owner, uint16_t type,
                    uint32_t ttl_s, const uint8_t *data, size_t len)
{
    uint8_t *at = begin(w, owner, type, ttl_s);
    wire_put_bytes(w, data, len);
    end(w, at);
}

void dns_record_address(struct wire_writer *w, const struct dns_name *owner, const struct addr *a,
                        uint32_t ttl_s)
{
    bool v4 = a->family == 4;
    dns_record_raw(w, owner, v4 ? DNS_A : DNS_AAAA, ttl_s, a->ip, v4 ? 4 : 16);
}

void dns_record_name(struct wire_writer *w, uint16_t type, uint32_t ttl_s,
                     const struct dns_name *target)
{
    dns_record_raw(w, NULL, type, ttl_s, target->bytes, target->len);
}

void dns_record_srv(struct wire_writer *w, uint32_t ttl_s, uint16_t priority, uint16_t weight,
                    uint16_t port, const struct dns_name *target)
{
    uint8_t *at = begin(w, NULL, DNS_SRV, ttl_s);
    wire_put_u16(w, priority);
    wire_put_u16(w, weight);
    wire_put_u16(w, port);
    wire_put_bytes(w, target->bytes, target->len);
    end(w, at);
}

/* One hint of a family: key, length, addresses; nothing when there is none. */
static void put_hint(struct wire_writer *w, uint16_t key, uint8_t family,
                     const struct addr *const *hints, size_t count)
{
    size_t each = family == 4 ? 4 : 16, found = 0;
    for (size_t i = 0; i < count; i++)
        found += hints[i]->family == family;
    if (found == 0)
        return;
    wire_put_u16(w, key);
    wire_put_u16(w, (uint16_t)(found * each));
    for (size_t i = 0; i < count; i++)
        if (hints[i]->family == family)
            wire_put_bytes(w, hints[i]->ip, each);
}

void dns_record_https(struct wire_writer *w, uint32_t ttl_s, const struct addr *const *hints,
                      size_t count)
{
    uint8_t *at = begin(w, NULL, DNS_HTTPS, ttl_s);
    wire_put_u16(w, 1); /* priority */
    wire_put_u8(w, 0);  /* target: the owner */
    put_hint(w, HTTPS_IPV4HINT, 4, hints, count);
    put_hint(w, HTTPS_IPV6HINT, 6, hints, count);
    end(w, at);
}

void dns_record_soa(struct wire_writer *w, uint32_t ttl_s, const struct dns_soa *soa)
{
    uint8_t *at = begin(w, NULL, DNS_SOA, ttl_s);
    wire_put_bytes(w, soa->mname.bytes, soa->mname.len);
    wire_put_bytes(w, soa->rname.bytes, soa->rname.len);
    wire_put_u32(w, soa->serial);
    wire_put_u32(w, soa->refresh_s);
    wire_put_u32(w, soa->retry_s);
    wire_put_u32(w, soa->expire_s);
    wire_put_u32(w, soa->negative_s);
    end(w, at);
}

void dns_record_hinfo(struct wire_writer *w, uint32_t ttl_s)
{
    static const uint8_t data[] = "\7RFC8482";
    dns_record_raw(w, NULL, DNS_HINFO, ttl_s, data, sizeof data);
}

size_t dns_record_bytes(const uint8_t *at)
{
    return DNS_RECORD_HEAD_BYTES + ((size_t)at[10] << 8 | at[11]);
}
