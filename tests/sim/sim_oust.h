/* sim_oust.h - a plan of one fault after another: an owner stands still until another has its
 * records, comes back when it is too busy for that one, or that one for it, and then the new owner
 * dies or stands still in turn. Only a third node knows what was written meanwhile. */
#ifndef SIM_OUST_H
#define SIM_OUST_H

#include "sim_fault.h"

void sim_oust_start(struct sim *s);
/* The next stage; false when it was the last. */
bool sim_oust_next(struct sim *s, size_t number);

#endif
