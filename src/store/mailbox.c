/* Results on their way to the worker that asked. */
#include "store/mailbox.h"

void mailbox_init(struct mailbox *m)
{
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->wake_lock, NULL);
    list_init(&m->results);
    m->due = false;
    m->wake = (struct store_wake){0};
}

void mailbox_deinit(struct mailbox *m)
{
    struct session_result *r;
    while ((r = mailbox_take(m)))
        session_result_free(r);
    pthread_mutex_destroy(&m->wake_lock);
    pthread_mutex_destroy(&m->lock);
}

void mailbox_set_wake(struct mailbox *m, struct store_wake wake)
{
    pthread_mutex_lock(&m->wake_lock);
    m->wake = wake;
    pthread_mutex_unlock(&m->wake_lock);
}

void mailbox_put(struct mailbox *m, struct session_result *r)
{
    pthread_mutex_lock(&m->lock);
    list_append(&m->results, &r->link);
    m->due = true;
    pthread_mutex_unlock(&m->lock);
}

void mailbox_tell(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    bool due = m->due;
    m->due = false;
    pthread_mutex_unlock(&m->lock);
    if (!due)
        return;
    pthread_mutex_lock(&m->wake_lock);
    if (m->wake.call)
        m->wake.call(m->wake.context);
    pthread_mutex_unlock(&m->wake_lock);
}

struct session_result *mailbox_take(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    struct list *first = list_pop(&m->results);
    pthread_mutex_unlock(&m->lock);
    return first ? list_entry(first, struct session_result, link) : NULL;
}
