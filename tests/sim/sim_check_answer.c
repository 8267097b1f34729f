/* sim_check_answer.c - what clients are told: fresh reads, final ends, refusals, life, service. */
#include "sim_watch.h"

#include <inttypes.h>
#include <string.h>

#define ABSENT_NS MS(300) /* so long a kind that may be lost remembers that there was nothing */
#define SERVE_CALM_NS SEC(10)
#define LINK_CALM_NS SEC(3)
#define FULL_CALM_NS SEC(5) /* a node that stood still is heard again by then */
#define SICK_LATE_NS                                                                               \
    MS(3200)                  /* count-out at a slow clock, claims, and a second deadline's beat   \
                               */
#define SICK_AFTER_NS MS(800) /* when the sick node has been counted out */

static const struct key *answer_key(const struct sim *s, const struct model_op *op)
{
    return &s->model->keys[op->key].key;
}

/* Nothing is promised of how fresh the answer is: the farm was cut; or a record of a short life may
 * have ended on one side of a cut and gone on, older, on the other. */
static bool answer_relaxed(const struct sim *s, const struct model_op *op)
{
    const struct model_key *k = &s->model->keys[op->key];
    if (k->key.kind == KIND_LOCK)
        return false;
    uint64_t since = k->key.kind == KIND_BRIEF ? k->made_ns : op->start_ns;
    return sim_model_in_epoch(s, since, op->end_ns);
}

/* Is it over by itself, soon? */
static bool answer_ends(const struct sim *s, const struct key *key)
{
    return key->kind == KIND_BRIEF || (key->kind == KIND_APP && s->scenario == SCENARIO_REMADE);
}

static bool answer_gone(int status)
{
    return status == STEAD_E_ABSENT || status == STEAD_E_ENDED;
}

/* -- read after acknowledgement -- */

static void fresh_value(struct sim *s, const struct model_op *read, unsigned field,
                        const struct field *f)
{
    const struct key *key = answer_key(s, read);
    uint64_t number;
    if (!sim_model_parse(s, field_value(f), f->value_len, &number) ||
        s->model->ops[number].key != read->key ||
        s->model->ops[number].effect[field] != EFFECT_SET) {
        sim_violation(s, check_fresh.name, key, "field %s has a value that nobody wrote there",
                      sim_model_field(field));
        return;
    }
    const struct model_op *w = NULL;
    if (!answer_relaxed(s, read))
        w = sim_model_overruled(s, &s->model->keys[read->key], field, &s->model->ops[number],
                                read->start_ns);
    if (w)
        sim_violation(s, check_fresh.name, key,
                      "at n%u field %s has the value of #%" PRIu64 ", though #%td was acknowledged",
                      read->slot + 1, sim_model_field(field), number, w - s->model->ops);
}

static void fresh_counter(struct sim *s, const struct model_op *read, const struct field *f)
{
    const struct model_key *k = &s->model->keys[read->key];
    int64_t low, high, seen = 0;
    sim_model_counter(s, k, read->start_ns, read->end_ns, &low, &high);
    for (uint32_t i = 0; f && i < f->value_len; i++)
        seen = seen * 10 + (field_value(f)[i] - '0');
    if (seen > high || (seen < low && !answer_relaxed(s, read)))
        sim_violation(s, check_fresh.name, &k->key,
                      "at n%u the counter is %" PRId64 ", not in %" PRId64 "..%" PRId64,
                      read->slot + 1, seen, low, high);
}

/* For want of room the last copy may be on a node that stands still. */
static bool fresh_lacks_copies(const struct sim *s)
{
    return s->scenario == SCENARIO_FULL && (sim_fault_running(s, FAULT_PAUSE) ||
                                            s->now_ns < s->faults->last_harm_ns + FULL_CALM_NS);
}

/* A kind that may be lost remembers for a moment that there was nothing. */
static bool fresh_remembered(const struct sim *s, const struct model_op *read)
{
    const struct model_key *k = &s->model->keys[read->key];
    for (size_t i = 0; i < k->op_count && k->key.kind == KIND_TLS; i++) {
        const struct model_op *o = &s->model->ops[k->ops[i]];
        if (o->type == SESSION_CREATE &&
            (o->outcome == OUTCOME_RUNNING || read->start_ns < o->end_ns + ABSENT_NS))
            return true;
    }
    return false;
}

static void fresh_absent(struct sim *s, const struct model_op *op, unsigned field)
{
    const struct model_key *k = &s->model->keys[op->key];
    const struct model_op *why;
    if (fresh_remembered(s, op))
        return;
    if (answer_relaxed(s, op) || (field == MODEL_PRESENCE && fresh_lacks_copies(s)) ||
        sim_model_may_be_absent(s, k, field, op->start_ns, op->end_ns, &why))
        return;
    sim_violation(s, check_fresh.name, &k->key,
                  "at n%u %s is not there, though #%td set it and was acknowledged", op->slot + 1,
                  sim_model_field(field), why - s->model->ops);
}

/* Somebody must have made the record that is read, after it was last ended. */
static void fresh_present(struct sim *s, const struct model_op *read)
{
    const struct model_key *k = &s->model->keys[read->key];
    if (answer_relaxed(s, read))
        return;
    for (size_t i = 0; i < k->op_count; i++) {
        const struct model_op *o = &s->model->ops[k->ops[i]];
        if (o->effect[MODEL_PRESENCE] == EFFECT_SET && o->outcome != OUTCOME_REFUSED &&
            !sim_model_overruled(s, k, MODEL_PRESENCE, o, read->start_ns))
            return;
    }
    sim_violation(s, check_fresh.name, &k->key, "at n%u it is there, though it was deleted",
                  read->slot + 1);
}

static void fresh_answer(struct sim *s, struct sim_node *n, const struct model_op *op,
                         const struct session_result *r)
{
    (void)n;
    const struct key *key = answer_key(s, op);
    if (answer_gone(r->status) && op->type != SESSION_CREATE && !answer_ends(s, key))
        fresh_absent(s, op, MODEL_PRESENCE);
    if (r->status != STEAD_OK || op->type != SESSION_READ)
        return;
    if (!r->record) {
        sim_violation(s, check_fresh.name, key, "a read succeeds without a record");
        return;
    }
    fresh_present(s, op);
    for (unsigned f = 0; f < MODEL_PLAIN && !s->over; f++) {
        const char *name = sim_model_field(f);
        const struct field *field = record_get(r->record, name, strlen(name));
        if (field)
            fresh_value(s, op, f, field);
        else
            fresh_absent(s, op, f);
    }
    const char *counter = sim_model_field(MODEL_COUNTER);
    if (!s->over && key->kind != KIND_TLS)
        fresh_counter(s, op, record_get(r->record, counter, strlen(counter)));
}

const struct sim_checker check_fresh = {
    .name = "fresh",
    .promise = "a read after an acknowledgement gives that write or a later one",
    .answered = fresh_answer,
};

/* -- a final deletion stays -- */

static void ended_answer(struct sim *s, struct sim_node *n, const struct model_op *op,
                         const struct session_result *r)
{
    const struct model_key *k = &s->model->keys[op->key];
    if (s->kinds.kind[k->key.kind].deletion != DELETE_FINAL)
        return;
    if (r->status != STEAD_OK && r->status != STEAD_E_ENDED)
        return;
    bool attempted = false;
    for (size_t i = 0; i < k->op_count; i++) {
        const struct model_op *o = &s->model->ops[k->ops[i]];
        if (o->type != SESSION_END)
            continue;
        attempted |= o->outcome != OUTCOME_REFUSED;
        if (o->outcome == OUTCOME_ACKED && o->end_ns < op->start_ns && r->status == STEAD_OK &&
            op->type != SESSION_END && !sim_model_in_epoch(s, op->start_ns, op->end_ns))
            sim_violation(s, check_ended.name, &k->key,
                          "#%" PRIu64 " succeeds at %s after #%" PRIu64 " ended it", r->request,
                          n->name, k->ops[i]);
    }
    if (r->status == STEAD_E_ENDED && !attempted)
        sim_violation(s, check_ended.name, &k->key, "it is ended at %s, and nobody ended it",
                      n->name);
}

const struct sim_checker check_ended = {
    .name = "ended",
    .promise = "a final deletion stays",
    .answered = ended_answer,
};

/* -- what was refused was not done -- */

static void refused_answer(struct sim *s, struct sim_node *n, const struct model_op *op,
                           const struct session_result *r)
{
    (void)n;
    if (r->status != STEAD_OK || !r->record)
        return;
    for (unsigned f = 0; f < MODEL_PLAIN; f++) {
        const char *name = sim_model_field(f);
        const struct field *field = record_get(r->record, name, strlen(name));
        uint64_t number;
        if (field && sim_model_parse(s, field_value(field), field->value_len, &number) &&
            s->model->ops[number].outcome == OUTCOME_REFUSED)
            sim_violation(s, check_refused.name, answer_key(s, op),
                          "field %s has the value of #%" PRIu64 ", which was answered with %s",
                          name, number, stead_error_name(s->model->ops[number].status));
    }
}

const struct sim_checker check_refused = {
    .name = "refused",
    .promise = "a write that was refused was not done",
    .answered = refused_answer,
};

/* -- life: only the owner decides that a record is over -- */

/* A use at a holder is told to the owner once: not where their link is down, the queue is full or
 * there is no memory for it. */
static bool brief_untold(const struct sim *s, const struct model_key *k)
{
    bool running = sim_fault_running(s, FAULT_LINK) || sim_fault_running(s, FAULT_FLOOD) ||
                   sim_fault_running(s, FAULT_STARVE);
    return (s->scenario == SCENARIO_LINK || s->scenario == SCENARIO_BUSY) &&
           (running || s->faults->last_harm_ns + LINK_CALM_NS > k->renewed_ns);
}

static void brief_answer(struct sim *s, struct sim_node *n, const struct model_op *op,
                         const struct session_result *r)
{
    (void)n;
    const struct model_key *k = &s->model->keys[op->key];
    if (k->key.kind != KIND_BRIEF || r->status != STEAD_E_ABSENT || op->type == SESSION_CREATE ||
        op->end_ns > k->renewed_ns + MS(BRIEF_SURE_MS) || brief_untold(s, k))
        return;
    fresh_absent(s, op, MODEL_PRESENCE);
}

static void brief_final(struct sim *s)
{
    for (size_t i = 0; i < s->model->key_count; i++) {
        const struct model_key *k = &s->model->keys[i];
        if (k->key.kind != KIND_BRIEF)
            continue;
        for (unsigned slot = 0; slot < SIM_SLOTS; slot++) {
            const struct record *r = sim_node_peek(&s->nodes[slot], &k->key, NULL);
            if (r && !record_is_tombstone(r))
                sim_violation(s, check_brief.name, &k->key,
                              "%s still keeps it, long after its life", s->nodes[slot].name);
        }
    }
}

const struct sim_checker check_brief = {
    .name = "life",
    .promise = "a record lives as long as its ttl from the last use, and no longer",
    .answered = brief_answer,
    .final = brief_final,
};

/* -- where a majority decides, one wins -- */

/* May d have ended the record between a and b, or at any time after if nobody knows? */
static bool winner_parts(const struct model_op *d, const struct model_op *a,
                         const struct model_op *b)
{
    uint64_t from = a->start_ns < b->start_ns ? a->start_ns : b->start_ns;
    uint64_t to = a->end_ns > b->end_ns ? a->end_ns : b->end_ns;
    return d->type == SESSION_END && d->outcome != OUTCOME_REFUSED && d->start_ns <= to &&
           !(d->outcome == OUTCOME_ACKED && d->end_ns < from);
}

static bool winner_made(const struct model_op *o)
{
    return (o->type == SESSION_CREATE || o->type == SESSION_CREATE_IF_ABSENT) &&
           o->status == STEAD_OK && o->outcome != OUTCOME_RUNNING;
}

static void winner_answer(struct sim *s, struct sim_node *n, const struct model_op *op,
                          const struct session_result *r)
{
    const struct model_key *k = &s->model->keys[op->key];
    if (k->key.kind != KIND_LOCK || !winner_made(op))
        return;
    for (size_t i = 0; i < k->op_count; i++) {
        const struct model_op *o = &s->model->ops[k->ops[i]];
        bool parted = o == op || !winner_made(o);
        for (size_t j = 0; j < k->op_count && !parted; j++)
            parted = winner_parts(&s->model->ops[k->ops[j]], o, op);
        if (!parted)
            sim_violation(s, check_winner.name, &k->key,
                          "#%" PRIu64 " made it at %s, as #%" PRIu64 " did, and nobody ended it",
                          r->request, n->name, k->ops[i]);
    }
}

const struct sim_checker check_winner = {
    .name = "one winner",
    .promise = "where a majority decides, a record is made once",
    .answered = winner_answer,
};

/* -- a farm in order serves -- */

/* Nothing was wrong while the operation ran, nor for a while before. */
static bool serves_must(struct sim *s, const struct model_op *op)
{
    uint64_t calm = op->start_ns - SERVE_CALM_NS;
    if (op->start_ns < s->faults->last_harm_ns + SERVE_CALM_NS || !sim_net_whole(s) ||
        sim_model_in_epoch(s, op->start_ns, op->end_ns))
        return false;
    for (unsigned i = 0; i < s->node_count; i++) {
        const struct sim_node *n = &s->nodes[i];
        if (n->phase != PHASE_UP || n->paused || n->up_ns > calm)
            return false;
    }
    return true;
}

static void serves_answer(struct sim *s, struct sim_node *n, const struct model_op *op,
                          const struct session_result *r)
{
    bool served = r->status == STEAD_OK || r->status == STEAD_E_ABSENT ||
                  r->status == STEAD_E_ENDED || r->status == STEAD_E_EXISTS;
    if (s->scenario == SCENARIO_FULL)
        served |= r->status == STEAD_E_FULL || r->status == STEAD_E_UNKNOWN;
    if (!served && serves_must(s, op))
        sim_violation(s, check_serves.name, answer_key(s, op),
                      "#%" PRIu64 " at %s is answered with %s", r->request, n->name,
                      stead_error_name(r->status));
}

static void serves_unanswered(struct sim *s, const struct model_op *op)
{
    if (serves_must(s, op))
        sim_violation(s, check_serves.name, answer_key(s, op), "#%td at n%u is not answered",
                      op - s->model->ops, op->slot + 1);
}

const struct sim_checker check_serves = {
    .name = "serves",
    .promise = "a farm in order answers what it is asked",
    .answered = serves_answer,
    .unanswered = serves_unanswered,
};

/* -- one sick node -- */

static void sick_answer(struct sim *s, struct sim_node *n, const struct model_op *op,
                        const struct session_result *r)
{
    const struct sim_faults *f = s->faults;
    if (s->scenario != SCENARIO_SICK || f->sick_from_ns == 0 || n->slot == f->sick_slot ||
        op->start_ns < f->sick_from_ns || op->end_ns > f->sick_until_ns)
        return;
    bool late = op->start_ns > f->sick_from_ns + SICK_LATE_NS;
    uint64_t allowed = late ? SICK_AFTER_NS : SICK_LATE_NS;
    uint64_t took = op->end_ns - op->start_ns;
    if (took > allowed || r->status == STEAD_E_DEADLINE || r->status == STEAD_E_UNREACHABLE)
        sim_violation(s, check_sick.name, answer_key(s, op),
                      "#%" PRIu64 " at %s took %.1f ms (%s), %.1f ms after n%u fell sick",
                      r->request, n->name, (double)took / 1e6, stead_error_name(r->status),
                      (double)(op->start_ns - f->sick_from_ns) / 1e6, f->sick_slot + 1);
}

const struct sim_checker check_sick = {
    .name = "one sick node",
    .promise = "one sick node delays others once, by a bounded time",
    .answered = sick_answer,
};
