/* handoff_once.c - the set of taken handoffs: rows of a few places by the id's first bytes, which
 * are random. */
#include "role/director/handoff_once.h"

#include "base/mem.h"

#include <pthread.h>
#include <string.h>

#define ROW_PLACES 16
#define ROWS (HANDOFF_ONCE_MAX / ROW_PLACES)

struct place {
    uint8_t id[HANDOFF_ID_BYTES];
    int64_t end_s; /* 0 = free */
};

struct handoff_once {
    pthread_mutex_t lock;
    struct place places[ROWS][ROW_PLACES];
};

struct handoff_once *handoff_once_new(void)
{
    struct handoff_once *o = mem_alloc(sizeof *o);
    if (o != NULL)
        pthread_mutex_init(&o->lock, NULL);
    return o;
}

void handoff_once_free(struct handoff_once *o)
{
    if (o == NULL)
        return;
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

/* NULL: it was taken before, or there is no place. */
static struct place *place_for(struct place *row, const uint8_t *id, int64_t now_s)
{
    struct place *spare = NULL;
    for (size_t i = 0; i < ROW_PLACES; i++) {
        if (row[i].end_s <= now_s)
            spare = &row[i];
        else if (memcmp(row[i].id, id, HANDOFF_ID_BYTES) == 0)
            return NULL;
    }
    return spare;
}

bool handoff_once_take(struct handoff_once *o, const struct handoff *h, int64_t now_s)
{
    size_t row = ((size_t)h->id[0] << 8 | h->id[1]) % ROWS;
    if (h->end_s <= now_s)
        return false;
    pthread_mutex_lock(&o->lock);
    struct place *p = place_for(o->places[row], h->id, now_s);
    if (p != NULL) {
        memcpy(p->id, h->id, HANDOFF_ID_BYTES);
        p->end_s = h->end_s;
    }
    pthread_mutex_unlock(&o->lock);
    return p != NULL;
}
