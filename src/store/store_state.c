/* What the threads share beside the shards: the roster snapshot, the outbox, notices, doubts, own
 * servers. */
#include "base/mem.h"
#include "store/store_internal.h"

#include <assert.h>

void store_state_init(struct store *s)
{
    pthread_mutex_init(&s->state_lock, NULL);
    list_init(&s->outbox);
    list_init(&s->bulk);
    store_own_init(s);
}

void store_state_deinit(struct store *s)
{
    msg_list_free(&s->outbox);
    msg_list_free(&s->bulk);
    roster_unref(s->roster);
    pthread_mutex_destroy(&s->state_lock);
    store_own_deinit(s);
}

void store_set_mesh_wake(struct store *s, struct store_wake wake)
{
    pthread_mutex_lock(&s->state_lock);
    s->mesh_wake = wake;
    pthread_mutex_unlock(&s->state_lock);
}

/* With the lock held. */
static void wake_locked(struct store *s)
{
    if (s->mesh_wake.call)
        s->mesh_wake.call(s->mesh_wake.context);
}

void store_wake_mesh(struct store *s)
{
    pthread_mutex_lock(&s->state_lock);
    wake_locked(s);
    pthread_mutex_unlock(&s->state_lock);
}

bool store_outbox_fills(struct store *s)
{
    return atomic_load_explicit(&s->outbox_count, memory_order_relaxed) > STORE_OUTBOX_MAX / 2 ||
           atomic_load_explicit(&s->outbox_bytes, memory_order_relaxed) >
               STORE_OUTBOX_BYTES_MAX / 2;
}

/* With the lock held. A message that is dropped here costs its operation the deadline, never a
 * false answer. */
static void put_locked(struct store *s, struct msg *m)
{
    size_t bytes = sizeof(*m) + m->len;
    if (s->outbox_count >= STORE_OUTBOX_MAX || s->outbox_bytes + bytes > STORE_OUTBOX_BYTES_MAX) {
        msg_free(m);
        s->outbox_full++;
        return;
    }
    list_append(&s->outbox, &m->link);
    s->outbox_count++;
    s->outbox_bytes += bytes;
}

static void put_bulk_locked(struct store *s, struct msg *m)
{
    size_t bytes = sizeof(*m) + (m->room ? m->room : m->len);
    if (s->bulk_count >= STORE_BULK_MAX || s->bulk_bytes + bytes > STORE_BULK_BYTES_MAX) {
        s->outbox_full += msg_count(m);
        msg_free(m);
        return;
    }
    list_append(&s->bulk, &m->link);
    s->bulk_count += msg_count(m);
    s->bulk_bytes += bytes;
}

/* What comes in bundles goes one by one with the rest. */
static void put_each_locked(struct store *s, struct msg *m)
{
    struct list each, *link;
    if (!m->bundled) {
        put_locked(s, m);
        return;
    }
    list_init(&each);
    (void)msg_unbundle(m, &each); /* what is missing is asked for again */
    while ((link = list_pop(&each)))
        put_locked(s, list_entry(link, struct msg, link));
}

static void notices_put(struct store *s, const struct session_actions *a)
{
    for (uint32_t i = 0; i < a->notice_count; i++) {
        if (s->notice_count < STORE_NOTICES_MAX)
            s->notices[s->notice_count++] = a->notices[i];
        else
            s->notices_dropped++;
    }
}

bool store_outbox_put(struct store *s, struct session_actions *a)
{
    if (list_empty(&a->sends) && a->notice_count == 0)
        return false;
    pthread_mutex_lock(&s->state_lock);
    notices_put(s, a);
    bool apart = s->bulk_wake.call != NULL, bulk = s->bulk_count > 0;
    bool usual = a->notice_count > 0;
    struct list *link;
    while ((link = list_pop(&a->sends))) {
        struct msg *m = list_entry(link, struct msg, link);
        usual |= !(m->bulk && apart);
        if (m->bulk && apart)
            put_bulk_locked(s, m);
        else
            put_each_locked(s, m);
    }
    if (!bulk && s->bulk_count > 0)
        s->bulk_wake.call(s->bulk_wake.context);
    pthread_mutex_unlock(&s->state_lock);
    return usual;
}

void store_set_bulk_wake(struct store *s, struct store_wake wake)
{
    pthread_mutex_lock(&s->state_lock);
    s->bulk_wake = wake;
    atomic_store(&s->bulk_apart, wake.call != NULL);
    pthread_mutex_unlock(&s->state_lock);
}

void store_take_bulk(struct store *s, struct list *out)
{
    pthread_mutex_lock(&s->state_lock);
    list_splice(out, &s->bulk);
    s->bulk_count = s->bulk_bytes = 0;
    pthread_mutex_unlock(&s->state_lock);
}

void store_return_bulk(struct store *s, struct list *messages)
{
    if (list_empty(messages))
        return;
    pthread_mutex_lock(&s->state_lock);
    struct list *link;
    while ((link = list_pop(messages)))
        put_each_locked(s, list_entry(link, struct msg, link));
    wake_locked(s);
    pthread_mutex_unlock(&s->state_lock);
}

bool store_sends_wait(const struct store *s)
{
    return atomic_load_explicit(&s->outbox_count, memory_order_relaxed) > 0;
}

void store_take_sends(struct store *s, struct list *out)
{
    pthread_mutex_lock(&s->state_lock);
    list_splice(out, &s->outbox);
    s->outbox_count = 0;
    s->outbox_bytes = 0;
    pthread_mutex_unlock(&s->state_lock);
}

size_t store_take_notices(struct store *s, struct session_notice *out, size_t max)
{
    pthread_mutex_lock(&s->state_lock);
    size_t n = s->notice_count < max ? s->notice_count : max;
    for (size_t i = 0; i < n; i++)
        out[i] = s->notices[i];
    for (size_t i = n; i < s->notice_count; i++)
        s->notices[i - n] = s->notices[i];
    s->notice_count -= n;
    pthread_mutex_unlock(&s->state_lock);
    return n;
}

struct roster *store_roster(struct store *s)
{
    pthread_mutex_lock(&s->state_lock);
    struct roster *r = s->roster ? roster_ref(s->roster) : NULL;
    pthread_mutex_unlock(&s->state_lock);
    return r;
}

struct roster *store_roster_renew(struct store *s, struct roster *have)
{
    /* As long as the caller's reference is there no other snapshot can have its address. */
    if (have && have == atomic_load_explicit(&s->roster, memory_order_relaxed))
        return have;
    roster_unref(have);
    return store_roster(s);
}

void store_set_roster(struct store *s, struct roster *r)
{
    pthread_mutex_lock(&s->state_lock);
    struct roster *old = s->roster;
    s->roster = r;
    pthread_mutex_unlock(&s->state_lock);
    roster_unref(old);
}

void store_users_add(struct store *s, unsigned server, int delta)
{
    assert(server < ENTRY_SERVERS_MAX);
    atomic_fetch_add(&s->users[server], (unsigned)delta);
    store_wake_mesh(s);
}

uint32_t store_users(const struct store *s, unsigned server)
{
    assert(server < ENTRY_SERVERS_MAX);
    unsigned forwarded = atomic_load(&s->users[server]), told = atomic_load(&s->told_users[server]);
    return forwarded > told ? forwarded : told;
}

void store_set_healthy(struct store *s, unsigned server, bool healthy)
{
    assert(server < ENTRY_SERVERS_MAX);
    if (atomic_exchange(&s->healthy[server], healthy) != healthy)
        store_wake_mesh(s);
}

bool store_healthy(const struct store *s, unsigned server)
{
    assert(server < ENTRY_SERVERS_MAX);
    return atomic_load(&s->healthy[server]) && !atomic_load(&s->out[server]);
}

void store_doubt(struct store *s, uint64_t node)
{
    pthread_mutex_lock(&s->state_lock);
    bool known = false;
    for (size_t i = 0; i < s->doubt_count; i++)
        known |= s->doubts[i] == node;
    if (!known && s->doubt_count < STORE_DOUBTS_MAX)
        s->doubts[s->doubt_count++] = node;
    wake_locked(s);
    pthread_mutex_unlock(&s->state_lock);
}

size_t store_take_doubts(struct store *s, uint64_t *nodes, size_t max)
{
    pthread_mutex_lock(&s->state_lock);
    size_t n = s->doubt_count < max ? s->doubt_count : max;
    for (size_t i = 0; i < n; i++)
        nodes[i] = s->doubts[--s->doubt_count];
    pthread_mutex_unlock(&s->state_lock);
    return n;
}

void store_set_draining(struct store *s, bool draining)
{
    if (atomic_exchange(&s->draining, draining) != draining)
        store_wake_mesh(s);
}

bool store_draining(const struct store *s)
{
    return atomic_load(&s->draining);
}

void store_set_maint(struct store *s, bool maint)
{
    if (atomic_exchange(&s->maint, maint) != maint)
        store_wake_mesh(s);
}

bool store_maint(const struct store *s)
{
    return atomic_load(&s->maint);
}

void store_state_stats(struct store *s, struct store_stats *out)
{
    pthread_mutex_lock(&s->state_lock);
    out->outbox = s->outbox_count;
    out->outbox_bytes = s->outbox_bytes;
    out->outbox_full = s->outbox_full;
    out->bulk_waiting = s->bulk_count;
    out->notices_dropped = s->notices_dropped;
    pthread_mutex_unlock(&s->state_lock);
}
