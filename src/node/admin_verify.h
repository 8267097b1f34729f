/* admin_verify.h - the comparison of copies as JSON, for the admin role. */
#ifndef NODE_ADMIN_VERIFY_H
#define NODE_ADMIN_VERIFY_H

#include "store/store.h"

/* How the comparison stands; begin: one is begun first, repair: which mends. The caller frees it
 * with free(); NULL without memory. */
char *admin_verify(struct store *store, bool begin, bool repair);

#endif
