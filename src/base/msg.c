/* msg.c - messages of bytes that wait in lists. */
#include "base/msg.h"

#include "base/mem.h"
#include "base/wire.h"
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

struct msg *msg_bundle(uint64_t peer, size_t room)
{
    struct msg *m = mem_realloc(NULL, sizeof *m + room);
    if (m)
        *m = (struct msg){.peer = peer, .bulk = true, .room = (uint32_t)room};
    return m;
}

bool msg_unbundle(struct msg *bundle, struct list *out)
{
    struct wire_reader r;
    bool all = true;
    wire_reader_init(&r, bundle->bytes, bundle->len);
    for (uint32_t i = 0; i < bundle->bundled; i++) {
        size_t len;
        const uint8_t *bytes = wire_str32(&r, &len);
        struct msg *one = msg_new(bundle->peer, len);
        assert(wire_ok(&r));
        all &= one != NULL;
        if (!one)
            continue;
        memcpy(one->bytes, bytes, len);
        one->bulk = true;
        list_append(out, &one->link);
    }
    msg_free(bundle);
    return all;
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
