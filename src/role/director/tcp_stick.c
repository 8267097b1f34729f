/* tcp_stick.c - rows of a few places by the key's low bits, which are spread evenly. */
#include "role/director/tcp_stick.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ROW_PLACES 8
#define ROWS (TCP_STICK_MAX / ROW_PLACES)

struct place {
    uint64_t key, end_ms; /* end 0 = free */
    char node[NAME_MAX_BYTES + 1];
};

struct tcp_stick {
    pthread_mutex_t lock;
    atomic_bool used; /* without any failure there is nothing to lock for */
    struct place places[ROWS][ROW_PLACES];
};

struct tcp_stick *tcp_stick_new(void)
{
    struct tcp_stick *s = mem_alloc(sizeof(*s));
    if (s)
        pthread_mutex_init(&s->lock, NULL);
    return s;
}

void tcp_stick_free(struct tcp_stick *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

static struct place *find(struct tcp_stick *s, uint64_t key)
{
    struct place *row = s->places[key % ROWS];
    for (size_t i = 0; i < ROW_PLACES; i++)
        if (row[i].end_ms && row[i].key == key)
            return &row[i];
    return NULL;
}

static struct place *soonest(struct tcp_stick *s, uint64_t key)
{
    struct place *row = s->places[key % ROWS], *first = &row[0];
    for (size_t i = 1; i < ROW_PLACES; i++)
        if (row[i].end_ms < first->end_ms)
            first = &row[i];
    return first;
}

bool tcp_stick_find(struct tcp_stick *s, uint64_t key, uint64_t now_ms,
                    char node[NAME_MAX_BYTES + 1])
{
    if (!atomic_load_explicit(&s->used, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&s->lock);
    struct place *p = find(s, key);
    if (p && p->end_ms <= now_ms) {
        p->end_ms = 0;
        p = NULL;
    }
    if (p)
        memcpy(node, p->node, sizeof(p->node));
    pthread_mutex_unlock(&s->lock);
    return p != NULL;
}

void tcp_stick_put(struct tcp_stick *s, uint64_t key, const char *node, uint64_t now_ms,
                   uint64_t end_ms)
{
    size_t len = strlen(node);
    if (len > NAME_MAX_BYTES || end_ms <= now_ms)
        return;
    pthread_mutex_lock(&s->lock);
    struct place *p = find(s, key);
    if (!p)
        p = soonest(s, key);
    *p = (struct place){.key = key, .end_ms = end_ms};
    memcpy(p->node, node, len + 1);
    atomic_store_explicit(&s->used, true, memory_order_relaxed);
    pthread_mutex_unlock(&s->lock);
}

void tcp_stick_drop(struct tcp_stick *s, uint64_t key)
{
    pthread_mutex_lock(&s->lock);
    struct place *p = find(s, key);
    if (p)
        p->end_ms = 0;
    pthread_mutex_unlock(&s->lock);
}

size_t tcp_stick_count(struct tcp_stick *s, uint64_t now_ms)
{
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < ROW_PLACES; i++)
            n += s->places[r][i].end_ms > now_ms;
    pthread_mutex_unlock(&s->lock);
    return n;
}
