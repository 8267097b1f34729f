/* names.h - the name server's configuration, made from the node's. */
#ifndef NODE_NAMES_H
#define NODE_NAMES_H

#include "node/worker.h"

/* Fills in s->names; strings stay the configuration's. */
void names_init(struct shared *s, const struct config *c, size_t workers,
                const uint8_t cookie_key[DNS_COOKIE_KEY_BYTES]);
/* Every zone that a configuration's names lie in, as names_init makes them. */
size_t names_zones(const struct config *c, const char *zones[NAME_ZONES_MAX]);

#endif
