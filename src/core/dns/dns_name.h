/* dns_name.h - names on the wire. A name here is uncompressed wire form: labels with their length
 * before them, and the root's zero byte at the end. A label's length is below any letter, so a
 * whole name can be put in lower case without looking at its labels. */
#ifndef CORE_DNS_NAME_H
#define CORE_DNS_NAME_H

#include "core/dns/dns.h"

#include <endian.h>
#include <string.h>

#define DNS_LABEL_MAX 63

struct dns_name {
    size_t len;                      /* 1 for the root, at most DNS_NAME_MAX */
    uint8_t bytes[DNS_NAME_MAX + 9]; /* the rest is room for reading whole words */
};

/* Reads the name at `at`, through compression pointers. Each pointer must lead further back than
 * the last one, so there are no loops. Returns the offset after the name, or 0 when it is
 * malformed. */
size_t dns_name_read(const uint8_t *msg, size_t len, size_t at, struct dns_name *out);
/* From "a.b" or "a.b."; "" and "." are the root. False on an empty or long label, or a long name.
 */
bool dns_name_from_text(const char *text, struct dns_name *out);
/* Puts a label before a name. False: it does not fit. */
bool dns_name_prepend(struct dns_name *n, const char *label, size_t len);
bool dns_name_equal(const uint8_t *a, const uint8_t *b); /* ASCII case-insensitive */
/* Lower case in place; the name has 8 more bytes of room, which are set to zero. */
void dns_name_lower(uint8_t *name, size_t len);
/* Of a name in lower case; 7 bytes after it must be readable, and do not count. */
uint32_t dns_name_hash(const uint8_t *lower, size_t len);
/* Copies a name of `len` bytes into lower case, zeros behind it up to a whole word, and returns its
 * hash; at least 8 bytes end where `readable` do, and nothing behind them is looked at. */
uint32_t dns_name_fold(const uint8_t *name, size_t len, size_t readable, uint8_t *lower);
/* Labels but the root's. */
unsigned dns_name_labels(const uint8_t *name);

/* The bytes of a word at `i` that belong to a name of `len` bytes, which has more than `i`. */
static inline uint64_t dns_name_mask(size_t len, size_t i)
{
    return len - i >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * (len - i)) - 1;
}

/* Two names in lower case of one length, with 7 readable bytes behind each. */
static inline bool dns_name_same(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint64_t difference = 0, x, y;
    for (size_t i = 0; i < len; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        difference |= (le64toh(x) ^ le64toh(y)) & dns_name_mask(len, i);
    }
    return difference == 0;
}

#endif
