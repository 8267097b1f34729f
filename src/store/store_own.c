/* store_own.c - the tallies of this node's own servers, behind one lock that nobody holds for long.
 * What requests need on their way (store_healthy) is kept in atomics. */
#include "store/store_own.h"

#include "store/store_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void store_own_init(struct store *s)
{
    const struct tally_config blank = {.from = USERS_FORWARD};
    pthread_mutex_init(&s->own_lock, NULL);
    for (unsigned i = 0; i < ENTRY_SERVERS_MAX; i++)
        tally_init(&s->own[i].tally, &blank);
}

void store_own_deinit(struct store *s)
{
    pthread_mutex_destroy(&s->own_lock);
}

void store_own_open(struct store *s, unsigned server, const char *service,
                    const struct tally_config *c)
{
    assert(server < ENTRY_SERVERS_MAX);
    pthread_mutex_lock(&s->own_lock);
    snprintf(s->own[server].service, sizeof s->own[server].service, "%s", service);
    tally_init(&s->own[server].tally, c);
    pthread_mutex_unlock(&s->own_lock);
}

void store_own_set(struct store *s, unsigned server, const char *service,
                   const struct tally_config *c)
{
    assert(server < ENTRY_SERVERS_MAX);
    pthread_mutex_lock(&s->own_lock);
    struct own_server *o = &s->own[server];
    bool same = service && strcmp(o->service, service) == 0;
    if (same)
        o->tally.config = *c;
    else
        tally_init(&o->tally, c);
    snprintf(o->service, sizeof o->service, "%s", service ? service : "");
    if (!same) {
        atomic_store(&s->out[server], false);
        atomic_store(&s->told_users[server], 0);
    }
    pthread_mutex_unlock(&s->own_lock);
    store_wake_mesh(s);
}

int store_own_find(struct store *s, struct slice service)
{
    int found = -1;
    pthread_mutex_lock(&s->own_lock);
    for (int i = 0; service.len > 0 && found < 0 && i < ENTRY_SERVERS_MAX; i++)
        if (slice_is(service, s->own[i].service))
            found = i;
    pthread_mutex_unlock(&s->own_lock);
    return found;
}

static void state_locked(struct store *s, unsigned server, uint64_t now_ns, struct tally_state *out)
{
    tally_state(&s->own[server].tally, atomic_load(&s->users[server]), now_ns, out);
    atomic_store(&s->told_users[server], out->from == USERS_FORWARD || out->stale ? 0 : out->users);
}

static bool same(const struct tally_state *a, const struct tally_state *b)
{
    struct tally_state x = *a, y = *b;
    x.age_ns = y.age_ns = 0;
    return memcmp(&x, &y, sizeof x) == 0;
}

/* w == NULL: forget. */
static void change(struct store *s, unsigned server, enum teller by, const struct told *w,
                   uint64_t now_ns)
{
    struct tally_state before, after;
    assert(server < ENTRY_SERVERS_MAX);
    pthread_mutex_lock(&s->own_lock);
    state_locked(s, server, now_ns, &before);
    if (w)
        tally_tell(&s->own[server].tally, by, w, now_ns);
    else
        tally_forget(&s->own[server].tally, by);
    state_locked(s, server, now_ns, &after);
    atomic_store(&s->out[server], after.down || after.maint);
    pthread_mutex_unlock(&s->own_lock);
    if (!same(&before, &after))
        store_wake_mesh(s);
}

void store_own_tell(struct store *s, unsigned server, enum teller by, const struct told *w,
                    uint64_t now_ns)
{
    change(s, server, by, w, now_ns);
}

void store_own_forget(struct store *s, unsigned server, enum teller by, uint64_t now_ns)
{
    change(s, server, by, NULL, now_ns);
}

bool store_own_told(struct store *s, unsigned server, enum teller by, uint64_t now_ns,
                    struct told *out, uint64_t *age_ns)
{
    assert(server < ENTRY_SERVERS_MAX && by < TELLERS);
    pthread_mutex_lock(&s->own_lock);
    const struct tally *t = &s->own[server].tally;
    bool told = t->told_ns[by] != 0;
    *out = t->told[by];
    *age_ns = tally_age(t, by, now_ns);
    pthread_mutex_unlock(&s->own_lock);
    return told;
}

void store_own_state(struct store *s, unsigned server, uint64_t now_ns, struct tally_state *out)
{
    assert(server < ENTRY_SERVERS_MAX);
    pthread_mutex_lock(&s->own_lock);
    state_locked(s, server, now_ns, out);
    pthread_mutex_unlock(&s->own_lock);
}

bool store_own_checked(const struct store *s, unsigned server)
{
    assert(server < ENTRY_SERVERS_MAX);
    return atomic_load(&s->healthy[server]);
}

void store_own_up(struct store *s, unsigned server, uint64_t now_ns)
{
    assert(server < ENTRY_SERVERS_MAX);
    pthread_mutex_lock(&s->own_lock);
    tally_up(&s->own[server].tally, now_ns);
    pthread_mutex_unlock(&s->own_lock);
}

void store_own_why(struct store *s, unsigned server, const char *why)
{
    assert(server < ENTRY_SERVERS_MAX);
    atomic_store(&s->why[server], why);
}

const char *store_own_reason(const struct store *s, unsigned server)
{
    assert(server < ENTRY_SERVERS_MAX);
    const char *why = atomic_load(&s->why[server]);
    return why && *why ? why : "forward";
}

void store_own_answered(struct store *s, unsigned server, bool error)
{
    assert(server < ENTRY_SERVERS_MAX);
    atomic_fetch_add_explicit(&s->answers[server], 1, memory_order_relaxed);
    if (error)
        atomic_fetch_add_explicit(&s->errors[server], 1, memory_order_relaxed);
}

void store_own_answers(const struct store *s, unsigned server, uint64_t *answers, uint64_t *errors)
{
    assert(server < ENTRY_SERVERS_MAX);
    *errors = atomic_load_explicit(&s->errors[server], memory_order_relaxed);
    *answers = atomic_load_explicit(&s->answers[server], memory_order_relaxed);
}
