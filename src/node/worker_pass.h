/* worker_pass.h - tunnels that pass from one process to its successor as they run: a worker's part
 * in it. On its loop. */
#ifndef NODE_WORKER_PASS_H
#define NODE_WORKER_PASS_H

#include "node/worker_hand.h"

/* Sends tunnels on, HAND_TUNNELS_A_TURN of each listener at most. */
void worker_pass_on(struct worker *w);
/* Takes one, at the same listener or another of its service. The descriptors are the worker's; a
 * tunnel that it has no room or no service for is reset. */
void worker_pass_adopt(struct worker *w, struct hand *h, struct upgrade_fds *fds);

#endif
