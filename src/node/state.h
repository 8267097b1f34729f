/* state.h - what a node keeps on disk: its identity and where it last found the farm. One folder,
 * locked while the node runs. A lost folder gives a new id; a copied one is a cloned machine, which
 * the farm refuses. */
#ifndef NODE_STATE_H
#define NODE_STATE_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state {
    char path[256];
    int lock_fd;
    uint64_t node, boot, inc; /* inc is drawn anew at each start */
};

/* Makes or opens the folder, locks it, reads or makes the id and takes the next boot number, on
 * disk before it returns. IN_USE: another node runs on it. PARSE: the file `node` is damaged. IO.
 */
int state_open(const char *path, struct state *out);
void state_close(struct state *s);
/* The farm's addresses as last known: written atomically; read back up to max. */
int state_save_addresses(const struct state *s, const struct addr *addrs, size_t count);
size_t state_load_addresses(const struct state *s, struct addr *out, size_t max);

/* Is the node in maintenance: a file `maint` while it is. Saved before it returns. */
int state_save_maint(const struct state *s, bool maint);
bool state_load_maint(const struct state *s);

/* Makes a new key file (node/keyring.h reads it), mode 0600; EXISTS when there is a file. */
int key_make(const char *path);

#endif
