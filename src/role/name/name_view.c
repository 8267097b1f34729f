/* name_view.c - views and the book that has the newest. */
#include "role/name/name_view.h"

#include "base/mem.h"
#include "io/io.h"
#include "role/name/name_farm.h"
#include "store/store.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

struct name_book {
    const struct name_config *config;
    struct store *store;
    pthread_mutex_t lock;
    struct name_view *view;
    struct name_records *records;
    bool making;                   /* a worker does */
    uint64_t next_ns;              /* no view is made before */
    uint64_t held_ns;              /* what is held in the view ends then */
    struct name_failback failback; /* of the worker that makes */
};

struct name_view *name_view_new(const struct name_config *c, const struct roster *r,
                                struct name_records *records, const struct name_failback *failback)
{
    struct name_view *v = mem_alloc(sizeof *v);
    if (!v)
        return NULL;
    const struct name_table *file = records ? name_records_table(records) : NULL;
    v->farm = name_farm_table(c, r, file, failback);
    if (!v->farm) {
        mem_free(v);
        return NULL;
    }
    atomic_init(&v->refs, 1);
    v->config = c;
    held_ref(c->held);
    v->records = records ? name_records_ref(records) : NULL;
    v->file = file;
    v->revision = r->revision;
    return v;
}

struct name_view *name_view_ref(struct name_view *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void name_view_unref(struct name_view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    name_table_free(v->farm);
    name_records_unref(v->records);
    held_unref(v->config->held);
    mem_free(v);
}

struct name_book *name_book_new(const struct name_config *config, struct store *store)
{
    struct name_book *b = mem_alloc(sizeof *b);
    if (!b)
        return NULL;
    b->config = config;
    held_ref(config->held);
    b->store = store;
    b->held_ns = UINT64_MAX;
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

void name_book_free(struct name_book *b)
{
    if (!b)
        return;
    name_view_unref(b->view);
    name_records_unref(b->records);
    held_unref(b->config->held);
    pthread_mutex_destroy(&b->lock);
    mem_free(b);
}

void name_book_set(struct name_book *b, const struct name_config *config)
{
    held_ref(config->held);
    pthread_mutex_lock(&b->lock);
    const struct name_config *old = b->config;
    b->config = config;
    pthread_mutex_unlock(&b->lock);
    held_unref(old->held);
}

/* With a reference. */
static const struct name_config *config_of(struct name_book *b)
{
    pthread_mutex_lock(&b->lock);
    const struct name_config *c = b->config;
    held_ref(c->held);
    pthread_mutex_unlock(&b->lock);
    return c;
}

bool name_book_load(struct name_book *b, const char *path, char *error, size_t cap)
{
    const struct name_config *c = config_of(b);
    struct name_records *fresh = name_records_read(path, c, error, cap);
    held_unref(c->held);
    if (!fresh)
        return false;
    pthread_mutex_lock(&b->lock);
    struct name_records *old = b->records;
    b->records = fresh;
    pthread_mutex_unlock(&b->lock);
    name_records_unref(old);
    return true;
}

/* With the lock held. A reference of the records to make a view with is given when it is this
 * worker's turn. */
static bool is_turn(struct name_book *b, const struct roster *r, uint64_t now_ns,
                    struct name_records **records)
{
    bool current = b->view && now_ns < b->held_ns && b->view->revision == r->revision &&
                   b->view->records == b->records && b->view->config == b->config;
    if (b->making || current || (b->view && now_ns < b->next_ns))
        return false;
    b->making = true;
    *records = b->records ? name_records_ref(b->records) : NULL;
    return true;
}

static void make(struct name_book *b, const struct roster *r, struct name_records *records,
                 uint64_t began_ns, struct name_stats *stats)
{
    const struct name_config *c = config_of(b);
    name_failback_see(&b->failback, c, r, began_ns);
    struct name_view *fresh = name_view_new(c, r, records, &b->failback);
    uint64_t now_ns = io_now_ns();
    name_records_unref(records);
    held_unref(c->held);
    name_count(fresh ? &stats->views : &stats->views_failed);
    pthread_mutex_lock(&b->lock);
    struct name_view *old = fresh ? b->view : NULL;
    if (fresh)
        b->view = fresh;
    b->next_ns = now_ns + NAME_REST * (now_ns - began_ns);
    b->held_ns = name_failback_next(&b->failback);
    b->making = false;
    pthread_mutex_unlock(&b->lock);
    name_view_unref(old);
}

struct name_view *name_book_look(struct name_book *b, struct name_view *old,
                                 struct name_stats *stats)
{
    struct roster *r = store_roster(b->store);
    struct name_records *records = NULL;
    uint64_t now_ns = io_now_ns();
    if (!r)
        return old;
    pthread_mutex_lock(&b->lock);
    bool mine = is_turn(b, r, now_ns, &records);
    pthread_mutex_unlock(&b->lock);
    if (mine)
        make(b, r, records, now_ns, stats);
    roster_unref(r);
    pthread_mutex_lock(&b->lock);
    struct name_view *newest = b->view ? name_view_ref(b->view) : NULL;
    pthread_mutex_unlock(&b->lock);
    name_view_unref(old);
    return newest;
}
