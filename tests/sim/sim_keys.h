/* sim_keys.h - the farm's key in the simulator: each node's key file, which outlives its process,
 * and an operator who changes the key at whatever node, as far as the nodes let him. */
#ifndef SIM_KEYS_H
#define SIM_KEYS_H

#include "sim_node.h"

/* The file is written between two steps: a process that dies before that has not got it. */
void sim_keys_step(struct sim *s, struct sim_node *n);
/* The next thing to do about keys, at some node that is up. */
void sim_keys_rotate(struct sim *s, struct rng *r);

#endif
