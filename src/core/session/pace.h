/* pace.h - how fast a shard goes on by itself (claims, copies made anew, handovers): as fast as the
 * others acknowledge, with so much under way at once and no more. What a client waits for is not
 * counted, nor is what has had no answer for so long that it was asked again. */
#ifndef CORE_SESSION_PACE_H
#define CORE_SESSION_PACE_H

#include "core/session/work.h"

/* May one more be begun? */
bool pace_room(const struct session *s);
/* Around a start of something about an item: it is counted until its work is idle again. */
void pace_begin(struct session *s, struct work *w, const struct item *item);
void pace_begun(struct session *s, struct work *w);
void pace_end(struct session *s, struct work *w);
/* Every 10 ms, and after a message: what was acknowledged has made room. */
void pace_tick(struct session *s);
void pace_step(struct session *s);

#endif
