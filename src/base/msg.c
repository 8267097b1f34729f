/* msg.c - messages of bytes that wait in lists. */
#include "base/msg.h"

#include "base/mem.h"
#include "stead/error.h"

#include <assert.h>
#include <string.h>

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

int msg_add(struct msg *m, uint64_t peer, const uint8_t own[MSG_OWN_BYTES])
{
    assert(m->own_at + MSG_OWN_BYTES <= m->len);
    if (m->also_count == MSG_ALSO_MAX)
        return STEAD_E_FULL;
    if (!m->also && !(m->also = mem_alloc(MSG_ALSO_MAX * sizeof *m->also)))
        return STEAD_E_NOMEM;
    struct msg_also *also = &m->also[m->also_count++];
    also->peer = peer;
    memcpy(also->own, own, MSG_OWN_BYTES);
    return STEAD_OK;
}

struct msg *msg_of(const struct msg *m, unsigned i)
{
    assert(i < m->also_count);
    struct msg *one = msg_new(m->also[i].peer, m->len);
    if (!one)
        return NULL;
    memcpy(one->bytes, m->bytes, m->len);
    memcpy(one->bytes + m->own_at, m->also[i].own, MSG_OWN_BYTES);
    return one;
}

void msg_free(struct msg *m)
{
    if (m)
        mem_free(m->also);
    mem_free(m);
}

void msg_list_free(struct list *head)
{
    struct list *link;
    while ((link = list_pop(head)))
        msg_free(list_entry(link, struct msg, link));
}
