/* config_place.h - the sections of a configuration one by one, and what is wrong with one among the
 * others. */
#ifndef NODE_CONFIG_PLACE_H
#define NODE_CONFIG_PLACE_H

#include "node/config.h"

/* What is wrong with a server or service among the others, in `why`; false: nothing. */
bool config_server_mistake(const struct config *c, const struct server_section *s, char *why,
                           size_t cap);
bool config_external_mistake(const struct config *c, const struct external_section *x, char *why,
                             size_t cap);
bool config_service_mistake(const struct config *c, const struct service_section *s, char *why,
                            size_t cap);

/* A section of a configuration as the table of settings knows it. */
struct config_place {
    const char *section; /* as in the table: "server.check" */
    const char *title;   /* "" when it has none; of the outer one when it is nested */
    const void *at;      /* the section's struct */
};
#define CONFIG_PLACES_MAX 160

/* Every section that is there but sessions.kind, in the table's order. Returns how many. */
size_t config_places(const struct config *c, struct config_place out[CONFIG_PLACES_MAX]);

/* A server of a service over TCP, or in line: its listeners are made at the start, so only weight,
 * capacity, users and checks change while the node runs. */
bool config_server_fixed(const struct config *c, const struct server_section *s);

/* What is wrong with the admin listener or the session API's, and in which section; NULL: nothing.
 */
const char *config_listeners_mistake(const struct config *c, const char **section);

#endif
