/* swim_output.c - what SWIM asks its caller to do, as data. */
#include "core/roster/swim_state.h"

#include "base/mem.h"

#include <string.h>

void swim_actions_init(struct swim_actions *a)
{
    *a = (struct swim_actions){.deadline_ns = TIME_NEVER};
    list_init(&a->outputs);
}

void swim_output_free(struct swim_output *o)
{
    if (o == NULL)
        return;
    entry_unref(o->entry);
    mem_free(o);
}

void swim_actions_clear(struct swim_actions *a)
{
    struct list *link;
    while ((link = list_pop(&a->outputs)) != NULL)
        swim_output_free(list_entry(link, struct swim_output, link));
    swim_actions_init(a);
}

static struct swim_output *output(struct swim_actions *a, enum swim_output_type type, uint64_t inc,
                                  size_t len)
{
    struct swim_output *o = mem_alloc(sizeof *o + len);
    if (o == NULL)
        return NULL;
    o->type = type;
    o->inc = inc;
    o->len = len;
    list_append(&a->outputs, &o->link);
    return o;
}

/* Without memory it is as if the network had lost it. */
bool swim_send(struct swim *s, uint64_t to, bool reliable, const struct wire_writer *w,
               struct swim_actions *out)
{
    struct swim_output *o = s->left ? NULL : output(out, SWIM_OUT_SEND, to, wire_written(w));
    if (o == NULL)
        return false;
    o->reliable = reliable;
    memcpy(o->bytes, w->start, o->len);
    s->stats.messages_out++;
    s->stats.bytes_out += o->len;
    return true;
}

void swim_changed(struct swim *s, const struct swim_peer *p, enum swim_rank was,
                  struct swim_actions *out)
{
    if (was <= SWIM_SUSPECT && p->rank == SWIM_DOWN)
        s->stats.downs++;
    if (was == SWIM_DOWN && p->rank <= SWIM_SUSPECT)
        s->stats.returns++;
    struct swim_output *o = output(out, SWIM_OUT_CHANGED, swim_inc(p), 0);
    if (o == NULL) {
        out->missed = true;
        return;
    }
    o->was = was;
    o->rank = (enum swim_rank)p->rank;
}

void swim_compared(uint64_t inc, struct swim_actions *out)
{
    (void)output(out, SWIM_OUT_COMPARED, inc, 0);
}

void swim_stranger(const struct swim_record *r, struct swim_actions *out)
{
    struct entry *e = entry_new(&r->entry);
    struct swim_output *o = e != NULL ? output(out, SWIM_OUT_STRANGER, r->inc, 0) : NULL;
    if (o == NULL) {
        entry_unref(e);
        return;
    }
    o->entry = e;
    o->life = r->life;
    o->rank = r->rank;
    o->age_ms = r->age_ms;
}
