/* held.h - what several readers of an immutable thing hold: the last one who lets go frees it. The
 * thing has a struct held as a member, and frees itself by it. */
#ifndef BASE_HELD_H
#define BASE_HELD_H

#include <stdatomic.h>

struct held {
    atomic_uint refs;
    void (*free)(struct held *h);
};

static inline void held_init(struct held *h, void (*free)(struct held *h))
{
    atomic_init(&h->refs, 1);
    h->free = free;
}

/* Both take NULL, for what is never freed. */
static inline struct held *held_ref(struct held *h)
{
    if (h)
        atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return h;
}

static inline void held_unref(struct held *h)
{
    if (h && atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) == 1)
        h->free(h);
}

#endif
