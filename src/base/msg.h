/* msg.h - a message of bytes with a link, so that it can wait in a list and pass from thread to thread.
 * Whoever takes it out of a list owns it and frees it. */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct msg {
    struct list link;
    uint64_t peer; /* the incarnation it goes to, or came from */
    size_t len;
    bool bulk; /* one of very many, which may take another way than the rest */
    uint8_t bytes[];
};

/* Room for len bytes, zeroed; NULL without memory. */
struct msg *msg_new(uint64_t peer, size_t len) __attribute__((warn_unused_result));
void msg_free(struct msg *m); /* takes NULL */
void msg_list_free(struct list *head);

#endif
