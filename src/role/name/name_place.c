/* name_place.c - the longest prefix decides. */
#include "role/name/name_place.h"

bool name_prefixes_have(const struct name_prefixes *list, const struct addr *a)
{
    for (size_t i = 0; i < list->count; i++)
        if (prefix_has(&list->list[i], a))
            return true;
    return false;
}

/* Bits of the longest prefix that has the client, -1 when none has. *scope grows until every
 * address with so many bits in common lies in the same prefixes. */
static int longest(const struct name_prefixes *list, const struct addr *client, uint8_t *scope)
{
    int best = -1;
    for (size_t i = 0; i < list->count; i++) {
        const struct prefix *p = &list->list[i];
        if (p->family != client->family)
            continue;
        unsigned common = prefix_common(p, client);
        bool in = common == p->bits;
        unsigned needed = in ? common : common + 1;
        if (needed > *scope)
            *scope = (uint8_t)needed;
        if (in && (int)p->bits > best)
            best = (int)p->bits;
    }
    return best;
}

struct name_place name_place_of(const struct name_config *c, const struct addr *client)
{
    struct name_place out = {.network = NETWORK_OUTSIDE};
    int best = -1;
    for (size_t i = 0; i < c->site_count; i++) {
        int bits = longest(&c->sites[i].clients, client, &out.scope);
        if (bits > best) {
            best = bits;
            out.site = (uint8_t)(i + 1);
        }
    }
    if (longest(&c->inside, client, &out.network_scope) >= 0)
        out.network = NETWORK_INSIDE;
    if (out.network_scope > out.scope)
        out.scope = out.network_scope;
    return out;
}
