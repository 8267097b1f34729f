/* dns_name.h - inside core/dns: names on the wire. A name here is uncompressed wire form: labels
 * with their length before them, and the root's zero byte at the end. */
#ifndef CORE_DNS_NAME_H
#define CORE_DNS_NAME_H

#include "core/dns/dns.h"

#define DNS_HEADER_BYTES 12
#define DNS_LABEL_MAX 63
#define DNS_CLASS_IN 1
#define DNS_OPT_BYTES 11 /* an OPT record without options */

struct dns_name {
    size_t len; /* 1 for the root, at most DNS_NAME_MAX */
    uint8_t bytes[DNS_NAME_MAX];
};

/* Reads the name at `at`, through compression pointers. Each pointer must lead further back than
 * the last one, so there are no loops. Returns the offset after the name, or 0 when it is
 * malformed. */
size_t dns_name_read(const uint8_t *msg, size_t len, size_t at, struct dns_name *out);
/* From "a.b" or "a.b."; "" and "." are the root. False on an empty or long label, or a long name.
 */
bool dns_name_from_text(const char *text, struct dns_name *out);
/* Lower case, dotted, no final dot. Bytes that are not of a host name's kind (also a dot inside a
 * label) come out as
 * '?', which no configured name has. */
void dns_name_to_text(const uint8_t *name, char out[DNS_NAME_MAX + 1]);
bool dns_name_equal(const uint8_t *a, const uint8_t *b); /* ASCII case-insensitive */

#endif
