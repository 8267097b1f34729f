/* names.h - the name server's configuration, made from the node's. */
#ifndef NODE_NAMES_H
#define NODE_NAMES_H

#include "node/config.h"
#include "role/name/name.h"

/* Fills in *n; strings stay the configuration's. */
void names_init(struct name_config *n, const struct config *c, size_t workers,
                const uint8_t cookie_key[DNS_COOKIE_KEY_BYTES]);
/* Reads the file of further records, if there is one, and forgets it again. False: *error says what
 * is wrong with it. */
bool names_check(const struct config *c, char *error, size_t cap);

#endif
