/* member_output.c - what membership asks its caller to do, as data. */
#include "core/roster/member_state.h"

#include "base/mem.h"

#include <string.h>

void member_actions_init(struct member_actions *a)
{
    *a = (struct member_actions){.deadline_ns = TIME_NEVER};
    list_init(&a->outputs);
}

void member_actions_clear(struct member_actions *a)
{
    struct list *link;
    while ((link = list_pop(&a->outputs)) != NULL)
        mem_free(list_entry(link, struct member_output, link));
    member_actions_init(a);
}

static struct member_output *output(struct member_actions *a, enum member_output_type type,
                                    uint64_t inc, uint64_t node, const struct addr *addr,
                                    size_t len)
{
    struct member_output *o = mem_alloc(sizeof *o + len);
    if (o == NULL)
        return NULL;
    o->type = type;
    o->inc = inc;
    o->node = node;
    o->addr = *addr;
    o->len = len;
    list_append(&a->outputs, &o->link);
    return o;
}

bool member_output_send(struct member_actions *a, const struct contact *c, bool reliable,
                        const uint8_t *bytes, size_t len)
{
    struct member_output *o =
        output(a, MEMBER_OUT_SEND, c->entry->inc, c->entry->node, &c->addr, len);
    if (o == NULL)
        return false;
    o->reliable = reliable;
    memcpy(o->bytes, bytes, len);
    return true;
}

bool member_output_hello(struct member_actions *a, const struct addr *to)
{
    return output(a, MEMBER_OUT_HELLO, 0, 0, to, 0) != NULL;
}

bool member_output_admit(struct member_actions *a, const struct contact *c)
{
    return output(a, MEMBER_OUT_ADMIT, c->entry->inc, c->entry->node, &c->addr, 0) != NULL;
}

void member_output_refuse(struct member_actions *a, uint64_t inc, uint64_t node,
                          const struct addr *to, int reason)
{
    struct member_output *o = output(a, MEMBER_OUT_REFUSE, inc, node, to, 0);
    if (o != NULL)
        o->reason = reason;
}

void member_output_remove(struct member_actions *a, const struct contact *c)
{
    (void)output(a, MEMBER_OUT_REMOVE, c->entry->inc, c->entry->node, &c->addr, 0);
}

void member_output_notice(struct member_actions *a, enum member_notice what, uint64_t inc,
                          const struct addr *addr, const char *name, int reason)
{
    struct member_output *o = output(a, MEMBER_OUT_NOTICE, inc, 0, addr, 0);
    if (o == NULL)
        return;
    o->notice = what;
    o->reason = reason;
    strncpy(o->name, name, sizeof o->name - 1);
}
