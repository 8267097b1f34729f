/* admin_cull.h - ending all sessions of a user (core/session/cull.h) for the admin role, as JSON.
 */
#ifndef NODE_ADMIN_CULL_H
#define NODE_ADMIN_CULL_H

#include "store/store.h"

/* value NULL: how the last one stands; else one is begun first, in the whole farm. The caller frees
 * the text with free(). NULL: there is no such kind, a text is too long, too many are under way, or
 * memory is short; *error says which. */
char *admin_cull(struct store *store, struct store_cull *c, const char *kind, const char *field,
                 const char *value, uint64_t now_ns, int *error);

#endif
