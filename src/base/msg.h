/* msg.h - a message of bytes with a link, so that it can wait in a list and pass from thread to
 * thread. Whoever takes it out of a list owns it and frees it. */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define MSG_OWN_BYTES 16u /* what of a message to several is each receiver's own */
#define MSG_ALSO_MAX 7u   /* receivers beyond the first */

/* Another receiver of a message: it gets the same bytes but for `own` in the place of own_at. */
struct msg_also {
    uint64_t peer;
    uint8_t own[MSG_OWN_BYTES];
};

struct msg {
    struct list link;
    uint64_t peer; /* the incarnation it goes to, or came from */
    size_t len;
    bool bulk;        /* one of very many, which may take another way than the rest */
    uint32_t bundled; /* so many messages of that peer, each behind its length (32 bits); 0: one */
    uint32_t room;    /* bytes that a bundle may have */
    uint32_t own_at;  /* own_at + MSG_OWN_BYTES <= len where there are others */
    uint8_t also_count;
    struct msg_also *also; /* goes with the message */
    uint8_t bytes[];
};

/* Room for len bytes, zeroed; NULL without memory. */
struct msg *msg_new(uint64_t peer, size_t len) __attribute__((warn_unused_result));
/* Another one gets it too. FULL (MSG_ALSO_MAX), NOMEM. */
int msg_add(struct msg *m, uint64_t peer, const uint8_t own[MSG_OWN_BYTES])
    __attribute__((warn_unused_result));
/* The bytes that the i-th of the others gets, as a message of its own; NULL without memory. */
struct msg *msg_of(const struct msg *m, unsigned i) __attribute__((warn_unused_result));
/* An empty bundle with that room; NULL without memory. */
struct msg *msg_bundle(uint64_t peer, size_t room) __attribute__((warn_unused_result));
/* Frees a bundle and appends what was in it as messages of their own; false: some are missing, for
 * want of memory. */
bool msg_unbundle(struct msg *bundle, struct list *out);
static inline uint32_t msg_count(const struct msg *m)
{
    return m->bundled ? m->bundled : 1;
}
void msg_free(struct msg *m); /* takes NULL */
void msg_list_free(struct list *head);

#endif
