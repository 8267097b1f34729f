/* prefix.h - a network of IP addresses, as 10.1.0.0/16. */
#ifndef BASE_PREFIX_H
#define BASE_PREFIX_H

#include "base/addr.h"

struct prefix {
    uint8_t family; /* 4, 6, or 0 = none */
    uint8_t bits;
    uint8_t ip[16]; /* no bit beyond the prefix is set */
};

/* "10.1.0.0/16", "2001:db8::/32"; an address alone is one with all its bits. False on anything
 * else, also when a bit beyond the prefix is set; *out is untouched then. */
bool prefix_parse(const char *text, struct prefix *out);
bool prefix_has(const struct prefix *p, const struct addr *a);
/* How many leading bits the two have in common, up to the prefix's; of one family. */
unsigned prefix_common(const struct prefix *p, const struct addr *a);

#endif
