/* sync.h - joining: a starting node waits until everybody has said that the farm has its copies
 * again, and hears how far each is. Within core/session. */
#ifndef CORE_SESSION_SYNC_H
#define CORE_SESSION_SYNC_H

#include "core/session/message.h"
#include "core/session/session.h"

void sync_tick(struct session *s);
void sync_asked(struct session *s, uint64_t from, const struct message *m);
void sync_answered(struct session *s, uint64_t from, const struct message *m);
/* Not complete yet, but so far. */
void sync_heard(struct session *s, uint64_t from, const struct message *m);
void sync_stats(const struct session *s, struct session_stats *out);

#endif
