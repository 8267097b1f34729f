/* mailbox.h - a bounded queue of results from any thread to one worker, which is woken apart from
 * that: who puts results in holds a shard's lock, and a worker that is woken wants it. */
#ifndef STORE_MAILBOX_H
#define STORE_MAILBOX_H

#include "base/list.h"
#include "core/session/session.h"
#include "store/store.h"

#include <pthread.h>

struct mailbox {
    pthread_mutex_t lock; /* of the results */
    struct list results;
    bool due; /* results came since the last wake */
    pthread_mutex_t wake_lock;
    struct store_wake wake;
};

void mailbox_init(struct mailbox *m);
void mailbox_deinit(struct mailbox *m);
void mailbox_set_wake(struct mailbox *m, struct store_wake wake);
/* Takes the result. The number in a mailbox is bounded by the operations its worker has waiting,
 * each of which gets exactly one result. */
void mailbox_put(struct mailbox *m, struct session_result *r);
/* Wakes the worker if there is anything new. Without any lock held. */
void mailbox_tell(struct mailbox *m);
struct session_result *mailbox_take(struct mailbox *m);

#endif
