/* sim_check_store.c - what the stores of all nodes hold: acknowledged writes, owners, terms. */
#include "sim_watch.h"

#include <inttypes.h>
#include <string.h>

#define RECENT_NS SEC(3)
#define CALM_NS SEC(6)
#define OUTLIVED_CALM_NS SEC(3)

/* -- durability at the moment of the answer -- */

static const struct field *store_field(const struct record *r, const char *name)
{
    for (uint32_t i = 0; i < r->field_count; i++)
        if (r->fields[i]->name_len == strlen(name) &&
            memcmp(field_name(r->fields[i]), name, strlen(name)) == 0)
            return r->fields[i];
    return NULL;
}

/* Does the copy have the field as the answer had it, or a later one? */
static bool store_has_field(const struct record *copy, const struct record *answer, unsigned field)
{
    const struct field *told = store_field(answer, sim_model_field(field));
    if (!told || stamp_compare(&copy->died, &told->stamp) >= 0)
        return true;
    const struct field *kept = store_field(copy, sim_model_field(field));
    return kept && stamp_compare(&kept->stamp, &told->stamp) >= 0;
}

/* Is the copy a descendant of the acknowledged write? */
static bool store_descends(const struct record *copy, const struct model_op *op,
                           const struct record *answer)
{
    if (copy->ended)
        return true;
    if (op->type == SESSION_END)
        return copy->died.term != 0;
    for (unsigned f = 0; f <= MODEL_COUNTER && answer; f++)
        if (op->effect[f] != EFFECT_NONE && !store_has_field(copy, answer, f))
            return false;
    return true;
}

/* Two processes of one node keep one copy between them. */
static unsigned store_descendants(struct sim *s, const struct key *key, const struct model_op *op,
                                  const struct record *answer)
{
    bool kept[SIM_SLOTS] = {false};
    unsigned count = 0;
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        const struct record *copy = sim_node_peek(&s->nodes[i], key, NULL);
        kept[s->nodes[i].home] |= copy && store_descends(copy, op, answer);
    }
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        count += kept[i];
    return count;
}

static unsigned store_recently_gone(const struct sim *s)
{
    unsigned count = 0;
    for (unsigned i = 0; i < s->node_count; i++) {
        const struct sim_node *n = &s->nodes[i];
        count += n->gone_ns && s->now_ns < n->gone_ns + RECENT_NS;
    }
    return count;
}

/* As many copies as the kind promises when the farm has been in order for a while. */
static unsigned store_promised(struct sim *s, const struct kind *kind)
{
    unsigned holders = 0;
    if (s->scenario == SCENARIO_FULL)
        return 1;
    for (unsigned i = 0; i < s->node_count; i++) {
        const struct sim_node *n = &s->nodes[i];
        if (n->phase != PHASE_UP || n->paused || s->now_ns < n->up_ns + CALM_NS)
            return 1;
        holders += n->entry.holds;
    }
    if (!sim_net_whole(s) || s->now_ns < s->faults->last_harm_ns + CALM_NS)
        return 1;
    return kind->copies < holders ? kind->copies : holders;
}

static void durable_answer(struct sim *s, struct sim_node *n, const struct model_op *op,
                           const struct session_result *r)
{
    const struct key *key = &s->model->keys[op->key].key;
    const struct kind *kind = &s->kinds.kind[key->kind];
    if (op->type == SESSION_READ || r->status != STEAD_OK || !kind->ack)
        return;
    if (key->kind == KIND_BRIEF && s->now_ns > op->start_ns + MS(BRIEF_SURE_MS))
        return; /* who was asked stood still, and the record has ended since */
    if (key->kind == KIND_APP && s->scenario == SCENARIO_REMADE)
        return; /* a write does not make it live longer */
    unsigned kept = store_descendants(s, key, op, r->record);
    if (kept + store_recently_gone(s) < r->copies)
        sim_violation(s, check_durable.name, key,
                      "#%" PRIu64 " was acknowledged at %s with %u copies, but %u nodes have it",
                      r->request, n->name, r->copies, kept);
    unsigned promised = 1 + (unsigned)kind_least(kind);
    if (store_promised(s, kind) > promised)
        promised = store_promised(s, kind);
    if (r->copies < promised)
        sim_violation(s, check_durable.name, key,
                      "#%" PRIu64 " was acknowledged at %s with %u copies; %u are promised",
                      r->request, n->name, r->copies, promised);
}

const struct sim_checker check_durable = {
    .name = "durable",
    .promise = "a write that was answered with success is kept by as many nodes as promised before",
    .answered = durable_answer,
};

/* -- one owner per term -- */

static void owner_key(struct sim *s, const struct key *key)
{
    struct sim_node *owners[SIM_SLOTS];
    uint64_t terms[SIM_SLOTS];
    unsigned count = 0;
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        bool owned;
        const struct record *r = sim_node_peek(&s->nodes[i], key, &owned);
        if (!r || !owned)
            continue;
        for (unsigned j = 0; j < count; j++)
            if (terms[j] == r->stamp.term)
                sim_violation(s, check_one_owner.name, key, "%s and %s own term %" PRIu64,
                              owners[j]->name, s->nodes[i].name, r->stamp.term);
        owners[count] = &s->nodes[i];
        terms[count++] = r->stamp.term;
    }
}

/* An owner that stands still while the record's life ends does not know it when the key is made
 * anew: two lives, two records. */
static bool owner_outlived(const struct sim *s, const struct key *key)
{
    return key->kind == KIND_APP && s->scenario == SCENARIO_REMADE &&
           (sim_fault_running(s, FAULT_PAUSE) ||
            s->now_ns < s->faults->last_harm_ns + OUTLIVED_CALM_NS);
}

/* Two sides of a cut may both claim; they meet when it is healed. So may two whose claims nobody
 * has room to keep a copy of. */
static void owner_sweep(struct sim *s)
{
    if (sim_model_in_epoch(s, s->now_ns, s->now_ns) || s->scenario == SCENARIO_FULL)
        return;
    for (size_t i = 0; i < s->model->key_count && !s->over; i++)
        if (!owner_outlived(s, &s->model->keys[i].key))
            owner_key(s, &s->model->keys[i].key);
}

const struct sim_checker check_one_owner = {
    .name = "one owner",
    .promise = "a record has one owner per term",
    .sweep = owner_sweep,
};

/* -- two copies merge to the same, whichever comes first -- */

static uint64_t merge_digest(const struct record *into, const struct record *from)
{
    struct record *r = record_clone(into);
    uint64_t digest = record_merge(r, from, 1, NULL, NULL) == STEAD_OK ? record_digest(r) : 0;
    record_free(r);
    return digest;
}

static void merge_key(struct sim *s, const struct key *key)
{
    const struct record *first = NULL;
    for (unsigned i = 0; i < SIM_SLOTS; i++) {
        const struct record *r = sim_node_peek(&s->nodes[i], key, NULL);
        if (!r || !first || record_digest(r) == record_digest(first)) {
            first = first ? first : r;
            continue;
        }
        uint64_t one = merge_digest(first, r), other = merge_digest(r, first);
        if (one != other && one != 0 && other != 0)
            sim_violation(s, check_merge.name, key, "the copy of %s merges to something else",
                          s->nodes[i].name);
    }
}

static void merge_sweep(struct sim *s)
{
    if (s->now_ns / MS(40) % 10 != 0)
        return;
    for (size_t i = 0; i < s->model->key_count && !s->over; i++)
        merge_key(s, &s->model->keys[i].key);
}

const struct sim_checker check_merge = {
    .name = "merge",
    .promise = "two copies merge to the same, whichever way",
    .sweep = merge_sweep,
};

/* -- terms never fall at a holder -- */

static void fall_step(struct sim *s, struct sim_node *n, const struct key *key,
                      const struct stamp *before)
{
    const struct record *r = before ? sim_node_peek(n, key, NULL) : NULL;
    if (!r)
        return;
    if (r->stamp.term < before->term ||
        (r->stamp.term == before->term && r->stamp.version < before->version))
        sim_violation(s, check_no_fall.name, key,
                      "%s went from %" PRIu64 ".%" PRIu64 " to %" PRIu64 ".%" PRIu64, n->name,
                      before->term, before->version, r->stamp.term, r->stamp.version);
}

const struct sim_checker check_no_fall = {
    .name = "terms never fall",
    .promise = "terms never fall at a holder",
    .stepped = fall_step,
};
