/* dns_record.h - records as they stand in a message. Their owner is the question's name (a pointer
 * to where every question stands), so a record can be copied behind any question; a name inside a
 * record's data is never compressed, so it can be copied anywhere. What does not fit fails the
 * writer. */
#ifndef CORE_DNS_RECORD_H
#define CORE_DNS_RECORD_H

#include "base/wire.h"
#include "core/dns/dns_name.h"

#define DNS_OWNER_QUESTION (0xc000 | DNS_HEADER_BYTES)
#define DNS_RECORD_HEAD_BYTES 12 /* of a record whose owner is a pointer */

struct dns_soa {
    struct dns_name mname, rname;
    uint32_t serial, refresh_s, retry_s, expire_s, negative_s; /* negative: RFC 2308 */
};

/* owner NULL = the question's name. */
void dns_record_raw(struct wire_writer *w, const struct dns_name *owner, uint16_t type,
                    uint32_t ttl_s, const uint8_t *data, size_t len);
void dns_record_address(struct wire_writer *w, const struct dns_name *owner, const struct addr *a,
                        uint32_t ttl_s);
/* NS, CNAME and other records that are one name. */
void dns_record_name(struct wire_writer *w, uint16_t type, uint32_t ttl_s,
                     const struct dns_name *target);
/* RFC 2782. */
void dns_record_srv(struct wire_writer *w, uint32_t ttl_s, uint16_t priority, uint16_t weight,
                    uint16_t port, const struct dns_name *target);
/* RFC 9460: priority 1, the owner itself, with these addresses as hints. */
void dns_record_https(struct wire_writer *w, uint32_t ttl_s, const struct addr *const *hints,
                      size_t count);
void dns_record_soa(struct wire_writer *w, uint32_t ttl_s, const struct dns_soa *soa);
/* What ANY is answered with: RFC 8482. */
void dns_record_hinfo(struct wire_writer *w, uint32_t ttl_s);

/* The length of the record at `at` that was made without an owner. */
size_t dns_record_bytes(const uint8_t *at);

#endif
