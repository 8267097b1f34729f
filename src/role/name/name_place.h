/* name_place.h - inside role/name: where a client is, by the networks in the configuration. */
#ifndef ROLE_NAME_PLACE_H
#define ROLE_NAME_PLACE_H

#include "role/name/name.h"

struct name_place {
    uint8_t site;         /* index + 1; 0 = none */
    enum network network; /* inside or outside */
    /* Leading bits of the address that decide both, and the network alone, as RFC 7871 means it. */
    uint8_t scope, network_scope;
};

struct name_place name_place_of(const struct name_config *c, const struct addr *client);

/* Index of a place among (sites + 1) * 2. */
static inline unsigned name_place_index(const struct name_place *p)
{
    return p->site * 2u + (p->network == NETWORK_OUTSIDE);
}

bool name_prefixes_have(const struct name_prefixes *list, const struct addr *a);

#endif
