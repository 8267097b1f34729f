/* dns_answer.c - answers, record by record. A record is written whole or not at all; the first one
 * that does not fit sets TC, and nothing more is written then. */
#include "base/wire.h"
#include "core/dns/dns_name.h"

#include <assert.h>
#include <string.h>

enum section { SECTION_QUESTION, SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL };

#define DNS_HINFO 13
#define SOA_REFRESH_S 3600
#define SOA_RETRY_S 600
#define SOA_EXPIRE_S 86400
#define TXT_STRING_MAX 255

void dns_answer_begin(struct dns_answer *a, const struct dns_query *q, uint8_t *buf, size_t cap,
                      bool authoritative)
{
    struct wire_writer w;
    /* Header, the longest question and OPT go into the smallest message that everybody takes. */
    assert(cap >= DNS_UDP_PLAIN);
    *a = (struct dns_answer){.buf = buf, .cap = cap, .authoritative = authoritative};
    a->edns_room = q->edns ? DNS_OPT_BYTES : 0;
    wire_writer_init(&w, buf, cap);
    for (int i = 0; i < DNS_HEADER_BYTES / 4; i++)
        wire_put_u32(&w, 0); /* dns_answer_end() fills it */
    if (q->wire_len) {
        wire_put_bytes(&w, q->wire_name, q->wire_len);
        wire_put_u16(&w, q->type);
        wire_put_u16(&w, q->class);
        a->counts[SECTION_QUESTION] = 1;
    }
    a->len = wire_written(&w);
}

/* As much of the name as the question's name ends in too is a pointer to there. */
static void put_name(struct wire_writer *w, const struct dns_answer *a, const char *text)
{
    struct dns_name name;
    if (!dns_name_from_text(text, &name)) {
        w->failed = true;
        return;
    }
    const uint8_t *at = name.bytes;
    for (; *at; at += *at + 1) {
        size_t to = DNS_HEADER_BYTES;
        if (a->counts[SECTION_QUESTION] == 0)
            break;
        for (; a->buf[to]; to += (size_t)a->buf[to] + 1)
            if (dns_name_equal(a->buf + to, at))
                break;
        if (a->buf[to]) {
            wire_put_bytes(w, name.bytes, (size_t)(at - name.bytes));
            wire_put_u16(w, (uint16_t)(0xc000 | to));
            return;
        }
    }
    wire_put_bytes(w, name.bytes, name.len);
}

/* Begins a record; the space for its data's length is filled by record_end(). */
static void record_begin(struct wire_writer *w, const struct dns_answer *a, const char *owner,
                         uint16_t type, uint32_t ttl)
{
    wire_writer_init(w, a->buf + a->len, a->cap - a->edns_room - a->len);
    if (owner)
        put_name(w, a, owner);
    else
        wire_put_u16(w, 0xc000 | DNS_HEADER_BYTES);
    wire_put_u16(w, type);
    wire_put_u16(w, DNS_CLASS_IN);
    wire_put_u32(w, ttl);
    wire_put_u16(w, 0);
}

static void record_end(struct wire_writer *w, struct dns_answer *a, size_t data_at,
                       enum section section)
{
    if (a->truncated || !wire_put_ok(w)) {
        a->truncated = true;
        return;
    }
    size_t bytes = wire_written(w), data = bytes - data_at;
    w->start[data_at - 2] = (uint8_t)(data >> 8);
    w->start[data_at - 1] = (uint8_t)data;
    a->len += bytes;
    a->counts[section]++;
}

void dns_answer_address(struct dns_answer *a, const char *owner, const struct addr *addr,
                        uint32_t ttl)
{
    struct wire_writer w;
    bool v4 = addr->family == 4;
    assert(addr->family != 0);
    record_begin(&w, a, owner, v4 ? DNS_A : DNS_AAAA, ttl);
    size_t data_at = wire_written(&w);
    wire_put_bytes(&w, addr->ip, v4 ? 4 : 16);
    record_end(&w, a, data_at, SECTION_ANSWER);
}

void dns_answer_soa(struct dns_answer *a, bool in_authority, const char *zone, const char *mname,
                    uint32_t serial, uint32_t ttl)
{
    struct wire_writer w;
    struct dns_name contact;
    record_begin(&w, a, zone, DNS_SOA, ttl);
    size_t data_at = wire_written(&w);
    put_name(&w, a, mname);
    /* hostmaster.<zone>; a zone whose name leaves no room for that is its own contact. */
    bool fits = dns_name_from_text(zone, &contact) && contact.len + 11 <= DNS_NAME_MAX;
    if (fits)
        wire_put_str8(&w, "hostmaster", 10);
    put_name(&w, a, zone);
    wire_put_u32(&w, serial);
    wire_put_u32(&w, SOA_REFRESH_S);
    wire_put_u32(&w, SOA_RETRY_S);
    wire_put_u32(&w, SOA_EXPIRE_S);
    wire_put_u32(&w, ttl); /* how long "there is none" may be believed: RFC 2308 */
    record_end(&w, a, data_at, in_authority ? SECTION_AUTHORITY : SECTION_ANSWER);
}

void dns_answer_ns(struct dns_answer *a, const char *zone, const char *host, uint32_t ttl)
{
    struct wire_writer w;
    record_begin(&w, a, zone, DNS_NS, ttl);
    size_t data_at = wire_written(&w);
    put_name(&w, a, host);
    record_end(&w, a, data_at, SECTION_ANSWER);
}

void dns_answer_txt(struct dns_answer *a, const char *owner, const char *text, uint32_t ttl)
{
    struct wire_writer w;
    size_t left = strlen(text);
    record_begin(&w, a, owner, DNS_TXT, ttl);
    size_t data_at = wire_written(&w);
    do {
        size_t n = left < TXT_STRING_MAX ? left : TXT_STRING_MAX;
        wire_put_str8(&w, text, n);
        text += n;
        left -= n;
    } while (left);
    record_end(&w, a, data_at, SECTION_ANSWER);
}

void dns_answer_hinfo(struct dns_answer *a, uint32_t ttl)
{
    struct wire_writer w;
    record_begin(&w, a, NULL, DNS_HINFO, ttl);
    size_t data_at = wire_written(&w);
    wire_put_str8(&w, "RFC8482", 7);
    wire_put_str8(&w, "", 0);
    record_end(&w, a, data_at, SECTION_ANSWER);
}

static void put_opt(struct dns_answer *a, const struct dns_query *q, unsigned rcode)
{
    struct wire_writer w;
    wire_writer_init(&w, a->buf + a->len, a->cap - a->len);
    wire_put_u8(&w, 0);
    wire_put_u16(&w, DNS_OPT);
    wire_put_u16(&w, DNS_UDP_MAX);
    wire_put_u8(&w, (uint8_t)(rcode >> 4));
    wire_put_u8(&w, 0); /* version */
    wire_put_u16(&w, q->edns_do ? 0x8000 : 0);
    wire_put_u16(&w, 0);
    a->len += wire_written(&w);
    a->counts[SECTION_ADDITIONAL]++;
}

size_t dns_answer_end(struct dns_answer *a, const struct dns_query *q, unsigned rcode)
{
    struct wire_writer w;
    assert(rcode < 16 || q->edns);
    if (q->edns)
        put_opt(a, q, rcode);
    wire_writer_init(&w, a->buf, DNS_HEADER_BYTES);
    wire_put_u16(&w, q->id);
    unsigned flags = 0x8000u | (unsigned)q->opcode << 11 | (rcode & 15);
    if (a->authoritative)
        flags |= 0x0400;
    if (a->truncated)
        flags |= 0x0200;
    if (q->rd)
        flags |= 0x0100;
    wire_put_u16(&w, (uint16_t)flags);
    for (int i = 0; i < 4; i++)
        wire_put_u16(&w, a->counts[i]);
    return a->len;
}
