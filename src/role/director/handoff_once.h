/* handoff_once.h - which handoffs were taken already: a bounded set that the workers of a node
 * share. An id is remembered until its token ends. When there is no room, a token is not taken:
 * better a client more at the primary than a token that is good twice. */
#ifndef ROLE_DIRECTOR_HANDOFF_ONCE_H
#define ROLE_DIRECTOR_HANDOFF_ONCE_H

#include "role/director/handoff.h"

#define HANDOFF_ONCE_MAX 8192 /* ids at once */

struct handoff_once;

struct handoff_once *handoff_once_new(void) __attribute__((warn_unused_result));
void handoff_once_free(struct handoff_once *o);
/* True the first time, and only then. Any thread. */
bool handoff_once_take(struct handoff_once *o, const struct handoff *h, int64_t now_s);

#endif
