/* admin_snapshot.h - a snapshot's state as JSON, for the admin role. */
#ifndef NODE_ADMIN_SNAPSHOT_H
#define NODE_ADMIN_SNAPSHOT_H

#include "store/snapshot.h"

/* How it stands; path: one is begun first. The caller frees it with free(). NULL: *error says why:
 * BUSY, INVAL (the path), NOMEM, UNSUPPORTED (s is NULL: this node keeps no records). */
char *admin_snapshot(struct snapshot *s, bool load, const char *path, int *error);

#endif
