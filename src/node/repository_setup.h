/* repository_setup.h - a node's repository from its configuration. */
#ifndef NODE_REPOSITORY_SETUP_H
#define NODE_REPOSITORY_SETUP_H

#include "core/farm/farm.h"
#include "node/config.h"
#include "node/keyring.h"
#include "store/repository.h"
#include "store/snapshot.h"

/* Before the others hear of this node: it has by then what it had. *out stays NULL without a
 * section. Says in the log what is wrong with the password's file (STEAD_E_CONFIG). */
int repository_setup(const struct repository_section *c, struct farm *farm, struct key_rings *rings,
                     struct store *store, struct repository **out);
/* For a node that keeps records. STEAD_E_NOMEM. */
int snapshot_setup(struct farm *farm, struct key_rings *rings, struct store *store,
                   struct snapshot **out);

#endif
