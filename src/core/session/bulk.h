/* bulk.h - copies of many records at once: what a scan finds short of copies goes to its holders
 * without a round for each (docs/protocol.md, Bulk).
 *
 * A record's list of holders and its version change when it is sent, as in a round. Until a holder
 * has answered, its copy is not counted on: a write, another scan or mending brings it the record
 * again. So whatever is lost or late costs time only.
 */
#ifndef CORE_SESSION_BULK_H
#define CORE_SESSION_BULK_H

#include "core/session/message.h"
#include "core/session/session.h"

struct item;
struct peer;

/* Of a message sent in bulk: may go by another way than the rest, and come later than they. */
#define BULK_TOKEN (1ull << 63)

/* Room for `count` more records on the way to everybody who takes them in bulk? */
bool bulk_room(const struct session *s, size_t count);
/* Sends the record to those who are to keep it and do not have this version yet. False, with
 * nothing done: it takes a round. There must be room, and the owner must be confident. */
bool bulk_copy(struct session *s, struct item *item);
/* The answer that nearly all give: it confirms the stamp that the record has here. False, with
 * nothing done: it is another one. */
bool bulk_confirmed(struct session *s, uint64_t from, const struct message *m);
void bulk_answered(struct session *s, uint64_t from, const struct message *m);
/* What was not answered in time counts as lost, and is looked for again. */
void bulk_tick(struct session *s);
/* Has everything been answered? */
bool bulk_idle(const struct session *s);
/* Goes on with a scan that has waited for room; after a message. */
void bulk_step(struct session *s);
/* Does what has come in bulk come too late? The receiver was told to drop it. */
bool bulk_is_late(struct session *s, uint64_t from, const struct message *m);

#endif
