/* watch_feed.c - the ring of snapshots. */
#include "role/director/watch_feed.h"

#include "base/mem.h"
#include "core/roster/roster_show.h"

#include <pthread.h>

/* Snapshot number n is at n % WATCH_FEED_MAX. */
struct watch_feed {
    pthread_mutex_t lock;
    uint64_t first, next; /* from first to before next */
    size_t nodes;         /* of all of them */
    uint64_t taken_ms;
    struct roster *ring[WATCH_FEED_MAX];
};

struct watch_feed *watch_feed_new(void)
{
    struct watch_feed *f = mem_alloc(sizeof *f);
    if (f != NULL)
        pthread_mutex_init(&f->lock, NULL);
    return f;
}

static void forget_oldest(struct watch_feed *f)
{
    struct roster *r = f->ring[f->first++ % WATCH_FEED_MAX];
    f->nodes -= r->count;
    roster_unref(r);
}

void watch_feed_free(struct watch_feed *f)
{
    if (f == NULL)
        return;
    while (f->first < f->next)
        forget_oldest(f);
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

static struct roster *newest(const struct watch_feed *f)
{
    return f->first < f->next ? f->ring[(f->next - 1) % WATCH_FEED_MAX] : NULL;
}

/* Another worker may have offered a newer one already, and its clock be a little ahead. */
static bool due(const struct watch_feed *f, const struct roster *r, uint64_t now_ms, bool at_once)
{
    const struct roster *last = newest(f);
    uint64_t since_ms = now_ms > f->taken_ms ? now_ms - f->taken_ms : 0;
    if (last == NULL)
        return true;
    if (r->revision <= last->revision)
        return false;
    return at_once || since_ms >= WATCH_COUNTS_MS ||
           (since_ms >= WATCH_PUSH_MS && roster_delta_urgent(last, r, NULL));
}

void watch_feed_offer(struct watch_feed *f, struct roster *r, uint64_t now_ms, bool at_once)
{
    pthread_mutex_lock(&f->lock);
    if (due(f, r, now_ms, at_once)) {
        while (f->first < f->next &&
               (f->next - f->first == WATCH_FEED_MAX || f->nodes + r->count > WATCH_FEED_NODES_MAX))
            forget_oldest(f);
        f->ring[f->next++ % WATCH_FEED_MAX] = roster_ref(r);
        f->nodes += r->count;
        f->taken_ms = now_ms;
    }
    pthread_mutex_unlock(&f->lock);
}

struct roster *watch_feed_newest(struct watch_feed *f)
{
    pthread_mutex_lock(&f->lock);
    struct roster *r = newest(f);
    if (r != NULL)
        roster_ref(r);
    pthread_mutex_unlock(&f->lock);
    return r;
}

struct roster *watch_feed_find(struct watch_feed *f, uint64_t revision)
{
    struct roster *found = NULL;
    pthread_mutex_lock(&f->lock);
    for (uint64_t n = f->first; n < f->next && found == NULL; n++)
        if (f->ring[n % WATCH_FEED_MAX]->revision == revision)
            found = roster_ref(f->ring[n % WATCH_FEED_MAX]);
    pthread_mutex_unlock(&f->lock);
    return found;
}
