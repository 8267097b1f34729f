/* node.h - a node's life: start, run until a signal, leave. The only place that knows all roles. */
#ifndef NODE_H
#define NODE_H

#include "node/config.h"

/* Runs in the foreground until SIGTERM or SIGINT. Returns the process's exit status: 0 it left in
 * order, 1 it could not start or was refused; the reason was said in one sentence on standard
 * error. */
int node_run(const struct config *c);

#endif
