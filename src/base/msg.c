/* msg.c - messages of bytes that wait in lists. */
#include "base/msg.h"

#include "base/mem.h"

struct msg *msg_new(uint64_t peer, size_t len)
{
    if (len > SIZE_MAX - sizeof(struct msg))
        return NULL;
    struct msg *m = mem_alloc(sizeof *m + len);
    if (!m)
        return NULL;
    m->peer = peer;
    m->len = len;
    return m;
}

void msg_free(struct msg *m)
{
    mem_free(m);
}

void msg_list_free(struct list *head)
{
    struct list *link;
    while ((link = list_pop(head)))
        msg_free(list_entry(link, struct msg, link));
}
