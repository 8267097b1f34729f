/* rx.c - what comes from a peer: each sequence number once, parts put together into messages.
 *
 * A part is marked as received only when it is kept, so what finds no room comes again. A message's
 * parts have consecutive numbers, so it is known by its first; the one that holds back all
 * acknowledgement (it contains upto + 1) is taken even beyond the limit, one at a time, so half
 * messages cannot block each other. */
#include "core/mesh/mesh_internal.h"

#include "base/mem.h"
#include "base/mutant.h"

#include <string.h>

void rx_init(struct rx *x)
{
    *x = (struct rx){0};
    list_init(&x->partial_list);
}

static void partial_drop(struct rx *x, struct partial *h)
{
    incmap_remove(&x->partials, &h->map);
    list_remove(&h->link);
    if (x->beyond_limit == h)
        x->beyond_limit = NULL;
    mem_free(h);
}

void rx_deinit(struct rx *x)
{
    while (!list_empty(&x->partial_list)) {
        struct partial *h = list_entry(x->partial_list.next, struct partial, link);
        mesh_output_free(h->output);
        partial_drop(x, h);
    }
    incmap_deinit(&x->partials);
}

/* Marks upto + 1 + bit, which is within the window. */
static void mark(struct rx *x, uint64_t bit)
{
    x->bits[bit / 64] |= 1ull << bit % 64;
    while (x->bits[0] & 1) {
        unsigned run = ~x->bits[0] ? (unsigned)__builtin_ctzll(~x->bits[0]) : 64;
        x->upto += run;
        for (unsigned i = 0; i < ACK_WORDS; i++) {
            uint64_t next = i + 1 < ACK_WORDS ? x->bits[i + 1] : 0;
            x->bits[i] = run == 64 ? next : x->bits[i] >> run | next << (64 - run);
        }
    }
}

static bool seen(const struct rx *x, uint64_t seq)
{
    if (seq <= x->upto)
        return true;
    uint64_t bit = seq - x->upto - 1;
    return x->bits[bit / 64] >> bit % 64 & 1;
}

static struct mesh_output *message_new(const struct peer *p, const struct unit_part *part)
{
    struct mesh_output *o = mesh_output_new(MESH_OUT_MESSAGE, p->inc, p->node, part->total);
    if (!o)
        return NULL;
    o->addr = p->addr;
    o->channel = part->channel;
    return o;
}

static void deliver(struct mesh *m, struct mesh_output *o, struct mesh_actions *out)
{
    m->stats.messages_in++;
    mesh_output_add(out, o);
}

static struct partial *partial_find(const struct rx *x, uint64_t first)
{
    struct incmap_node *n = incmap_find(&x->partials, first);
    return n ? incmap_entry(n, struct partial, map) : NULL;
}

static struct partial *partial_new(struct mesh *m, struct peer *p, const struct unit_part *part)
{
    struct rx *x = &p->rx;
    bool beyond = x->held_bytes + part->total > m->config.reassembly_bytes;
    if (beyond && (part->seq != x->upto + 1 || x->beyond_limit)) {
        m->stats.dropped_limit++;
        return NULL;
    }
    struct partial *h = mem_alloc(sizeof *h);
    struct mesh_output *o = message_new(p, part);
    if (!h || !o || !incmap_insert(&x->partials, &h->map, part->seq - part->index)) {
        mesh_output_free(o);
        mem_free(h);
        m->stats.dropped_limit++;
        return NULL;
    }
    h->output = o;
    h->missing = unit_parts(part->total);
    list_append(&x->partial_list, &h->link);
    if (beyond)
        x->beyond_limit = h;
    x->held_bytes += part->total;
    return h;
}

/* Keeps one part of several. False when it cannot be kept. */
static bool keep_part(struct mesh *m, struct peer *p, const struct unit_part *part,
                      struct mesh_actions *out)
{
    struct rx *x = &p->rx;
    struct partial *h = partial_find(x, part->seq - part->index);
    if (h && (h->output->len != part->total || h->output->channel != part->channel)) {
        m->stats.dropped_malformed++;
        return false;
    }
    if (!h && !(h = partial_new(m, p, part)))
        return false;
    memcpy(h->output->bytes + (size_t)part->index * UNIT_PART_MAX, part->bytes, part->len);
    h->missing--;
    bool last = part->index + 1u == unit_parts(part->total);
    if (h->missing == 0 || (MUTANT(LOST_PART) && last)) {
        x->held_bytes -= part->total;
        deliver(m, h->output, out);
        partial_drop(x, h);
    }
    return true;
}

static bool keep_whole(struct mesh *m, struct peer *p, const struct unit_part *part,
                       struct mesh_actions *out)
{
    struct mesh_output *o = message_new(p, part);
    if (!o) {
        m->stats.dropped_limit++;
        return false;
    }
    if (part->len)
        memcpy(o->bytes, part->bytes, part->len);
    deliver(m, o, out);
    return true;
}

void rx_part(struct mesh *m, struct peer *p, const struct unit_part *part, struct mesh_actions *out)
{
    struct rx *x = &p->rx;
    bool whole = unit_parts(part->total) == 1;
    if (part->seq > x->upto && part->seq - x->upto > SEQ_WINDOW) {
        m->stats.dropped_limit++;
        return;
    }
    if (seen(x, part->seq)) {
        if (MUTANT(DEDUP_OFF) && whole)
            keep_whole(m, p, part, out);
        return;
    }
    if (whole ? keep_whole(m, p, part, out) : keep_part(m, p, part, out))
        mark(x, part->seq - x->upto - 1);
}

void rx_fleeting(struct mesh *m, struct peer *p, const struct unit_fleeting *f,
                 struct mesh_actions *out)
{
    struct mesh_output *o = mesh_output_new(MESH_OUT_MESSAGE, p->inc, p->node, f->len);
    if (!o)
        return;
    o->addr = p->addr;
    o->channel = f->channel;
    if (f->len)
        memcpy(o->bytes, f->bytes, f->len);
    deliver(m, o, out);
}

void rx_ack_unit(const struct rx *x, struct unit *u)
{
    *u = (struct unit){.type = UNIT_ACK, .ack = {.upto = x->upto, .newest = x->newest}};
    for (uint8_t i = 0; i < ACK_WORDS; i++) {
        u->ack.bits[i] = x->bits[i];
        if (x->bits[i])
            u->ack.words = (uint8_t)(i + 1);
    }
}
