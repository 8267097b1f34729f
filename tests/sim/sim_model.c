/* sim_model.c - the history of every key, and what follows from it for a reader. */
#include "sim_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct sim_model *sim_model_new(void)
{
    return calloc(1, sizeof(struct sim_model));
}

void sim_model_free(struct sim_model *m)
{
    for (size_t i = 0; i < m->key_count; i++)
        free(m->keys[i].ops);
    free(m->keys);
    free(m->ops);
    free(m->epochs);
    free(m);
}

/* Room for one more element of an array that doubles. */
static void *model_room(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    *cap = *cap ? *cap * 2 : 16;
    return realloc(array, *cap * size);
}

uint32_t sim_model_add_key(struct sim *s, uint8_t kind, const void *bytes, size_t len)
{
    struct sim_model *m = s->model;
    m->keys = model_room(m->keys, m->key_count, &m->key_cap, sizeof *m->keys);
    struct model_key *k = &m->keys[m->key_count];
    *k = (struct model_key){.made_ns = s->now_ns, .renewed_ns = s->now_ns};
    if (!key_set(&k->key, kind, bytes, len))
        abort();
    return (uint32_t)m->key_count++;
}

uint64_t sim_model_add_op(struct sim *s, enum session_op_type type, uint32_t key, unsigned client)
{
    struct sim_model *m = s->model;
    m->ops = model_room(m->ops, m->op_count, &m->op_cap, sizeof *m->ops);
    m->ops[m->op_count] = (struct model_op){.type = type, .key = key, .client = client};
    return m->op_count++;
}

void sim_model_begin(struct sim *s, uint64_t op, unsigned slot)
{
    struct sim_model *m = s->model;
    struct model_op *o = &m->ops[op];
    struct model_key *k = &m->keys[o->key];
    o->slot = slot;
    o->start_ns = s->now_ns;
    k->ops = model_room(k->ops, k->op_count, &k->op_cap, sizeof *k->ops);
    k->ops[k->op_count++] = op;
}

/* An answer that promises: the write is kept, or the record was read. */
static enum model_outcome model_outcome(const struct sim *s, const struct model_op *o)
{
    const struct kind *kind = &s->kinds.kind[s->model->keys[o->key].key.kind];
    switch (o->status) {
    case STEAD_OK:
        if (o->type == SESSION_READ)
            return OUTCOME_ACKED;
        return kind->ack && o->copies >= 2 ? OUTCOME_ACKED : OUTCOME_MAYBE;
    case STEAD_E_ABSENT:
    case STEAD_E_ENDED:
    case STEAD_E_EXISTS:
    case STEAD_E_CONFLICT:
    case STEAD_E_INVAL:
    case STEAD_E_TOO_LARGE:
    case STEAD_E_FULL:
    case STEAD_E_ALONE:
    case STEAD_E_NO_QUORUM:
        return OUTCOME_REFUSED;
    default:
        return OUTCOME_MAYBE;
    }
}

void sim_model_end(struct sim *s, uint64_t op, int status, uint8_t copies)
{
    struct model_op *o = &s->model->ops[op];
    o->end_ns = s->now_ns;
    o->status = status;
    o->copies = copies;
    o->outcome = model_outcome(s, o);
    /* When it was used, between asking and answering, is not known. */
    struct model_key *k = &s->model->keys[o->key];
    if (status == STEAD_OK && o->start_ns > k->renewed_ns)
        k->renewed_ns = o->start_ns;
}

/* -- values -- */

static uint8_t model_filler(uint64_t op, size_t i)
{
    return (uint8_t)('a' + (op * 31 + i * 7 + i / 26) % 26);
}

void sim_model_value(uint64_t op, uint8_t *out, size_t len)
{
    char head[24];
    size_t head_len = (size_t)snprintf(head, sizeof head, "%" PRIu64 ".", op);
    for (size_t i = 0; i < len; i++)
        out[i] = i < head_len ? (uint8_t)head[i] : model_filler(op, i);
}

bool sim_model_parse(const struct sim *s, const uint8_t *value, size_t len, uint64_t *op)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < len && value[i] >= '0' && value[i] <= '9' && i < 18; i++)
        n = n * 10 + (uint64_t)(value[i] - '0');
    if (i == 0 || i == len || value[i] != '.' || n >= s->model->op_count ||
        s->model->ops[n].value_len != len)
        return false;
    for (i++; i < len; i++)
        if (value[i] != model_filler(n, i))
            return false;
    *op = n;
    return true;
}

const char *sim_model_field(unsigned field)
{
    static const char *const names[MODEL_FIELDS] = {"f0", "f1", "f2",    "f3",
                                                    "f4", "f5", "count", "(presence)"};
    return names[field];
}

/* -- epochs -- */

size_t sim_model_cut(struct sim *s, uint64_t start_ns, bool sided, const uint8_t side[SIM_SLOTS])
{
    struct sim_model *m = s->model;
    m->epochs = model_room(m->epochs, m->epoch_count, &m->epoch_cap, sizeof *m->epochs);
    struct model_epoch *e = &m->epochs[m->epoch_count];
    *e = (struct model_epoch){.start_ns = start_ns, .cut_ns = s->now_ns, .sided = sided};
    if (side)
        memcpy(e->side, side, sizeof e->side);
    return m->epoch_count++;
}

void sim_model_heal(struct sim *s, size_t epoch)
{
    if (s->model->epochs[epoch].heal_ns == 0)
        s->model->epochs[epoch].heal_ns = s->now_ns;
}

static bool epoch_touches(const struct model_epoch *e, uint64_t start_ns, uint64_t end_ns)
{
    return end_ns >= e->start_ns && (e->heal_ns == 0 || start_ns <= e->heal_ns + MODEL_SETTLE_NS);
}

bool sim_model_in_epoch(const struct sim *s, uint64_t start_ns, uint64_t end_ns)
{
    for (size_t i = 0; i < s->model->epoch_count; i++)
        if (epoch_touches(&s->model->epochs[i], start_ns, end_ns))
            return true;
    return false;
}

/* Two writes of one epoch, unless both were made on one side while it was cut: no order is
 * promised. */
static bool model_unordered(const struct sim *s, const struct model_op *a, const struct model_op *b)
{
    /* Where a majority decides there is an order, whatever is cut. */
    size_t count = s->model->keys[a->key].key.kind == KIND_LOCK ? 0 : s->model->epoch_count;
    for (size_t i = 0; i < count; i++) {
        const struct model_epoch *e = &s->model->epochs[i];
        if (!epoch_touches(e, a->start_ns, a->end_ns) || !epoch_touches(e, b->start_ns, b->end_ns))
            continue;
        bool inside = a->start_ns > e->cut_ns && b->start_ns > e->cut_ns &&
                      (e->heal_ns == 0 || (a->end_ns < e->heal_ns && b->end_ns < e->heal_ns));
        if (!(e->sided && inside && e->side[a->slot] == e->side[b->slot]))
            return true;
    }
    return false;
}

/* Is v surely older than the acknowledged write w? */
static bool model_precedes(const struct sim *s, const struct model_op *v, const struct model_op *w)
{
    if (!v)
        return true;
    if (v->outcome != OUTCOME_ACKED)
        return false;
    return v->end_ns < w->start_ns && !model_unordered(s, v, w);
}

const struct model_op *sim_model_overruled(const struct sim *s, const struct model_key *k,
                                           unsigned field, const struct model_op *v,
                                           uint64_t read_ns)
{
    for (size_t i = 0; i < k->op_count; i++) {
        const struct model_op *w = &s->model->ops[k->ops[i]];
        if (w != v && w->effect[field] != EFFECT_NONE && w->outcome == OUTCOME_ACKED &&
            w->end_ns < read_ns && model_precedes(s, v, w))
            return w;
    }
    return NULL;
}

bool sim_model_may_be_absent(const struct sim *s, const struct model_key *k, unsigned field,
                             uint64_t start_ns, uint64_t end_ns, const struct model_op **why)
{
    *why = sim_model_overruled(s, k, field, NULL, start_ns);
    if (!*why)
        return true;
    for (size_t i = 0; i < k->op_count; i++) {
        const struct model_op *d = &s->model->ops[k->ops[i]];
        if (d->effect[field] == EFFECT_REMOVE && d->outcome != OUTCOME_REFUSED &&
            d->start_ns <= end_ns && !sim_model_overruled(s, k, field, d, start_ns))
            return true;
    }
    return false;
}

void sim_model_counter(const struct sim *s, const struct model_key *k, uint64_t start_ns,
                       uint64_t end_ns, int64_t *low, int64_t *high)
{
    *low = *high = 0;
    for (size_t i = 0; i < k->op_count; i++) {
        const struct model_op *o = &s->model->ops[k->ops[i]];
        if (o->effect[MODEL_COUNTER] != EFFECT_ADD || o->outcome == OUTCOME_REFUSED)
            continue;
        *high += o->start_ns <= end_ns;
        *low += o->outcome == OUTCOME_ACKED && o->end_ns < start_ns &&
                !sim_model_in_epoch(s, o->start_ns, o->end_ns);
    }
}
