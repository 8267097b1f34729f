/* external.h - servers without a node beside them: told by the configuration, checked by every node
 * that has them there, and shown in the roster among the others. On the main thread's loop. */
#ifndef NODE_EXTERNAL_H
#define NODE_EXTERNAL_H

#include "core/roster/roster.h"
#include "node/config.h"

#include <uv.h>

struct externals;

struct externals_config {
    uv_loop_t *loop;
    /* On the loop: the farm's snapshot with them in it; takes the reference. */
    void (*show)(void *context, struct roster *r);
    void *context;
};

/* None are there until externals_set(). STEAD_E_NOMEM. */
int externals_open(const struct externals_config *c, struct externals **out);
/* Those of the configuration from now on; one that is as before keeps its state. */
void externals_set(struct externals *x, const struct config *c);
/* The farm's newest snapshot, with its reference: shown with them. */
void externals_roster(struct externals *x, struct roster *r);
/* `closed` is called on the loop when nothing is left, then it is freed. Takes NULL: called at
 * once.
 */
void externals_close(struct externals *x, void (*closed)(void *context), void *context);

/* The entry of one that is healthy or not; false: its settings make none. */
bool external_entry(const struct external_section *s, bool healthy, struct entry *out);

#endif
