/* sim_busy.h - hosts that have too little of everything: a process that gets to run late, a queue
 * to a peer that takes no more, memory that runs out within a step. Nobody is cut off by it, and
 * nothing is promised less, but for time. */
#ifndef SIM_BUSY_H
#define SIM_BUSY_H

#include "sim_fault.h"

void sim_busy_start(struct sim *s, enum sim_fault_type type, unsigned slot);
void sim_busy_end(struct sim *s, const struct sim_fault *fault);

#endif
