/* sim_client.c - shoppers and applications: what they wish, where they go, what they remember. */
#include "sim_client.h"

#include "sim_check.h"
#include "sim_fault.h"
#include "sim_node.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define APP_KEYS 6 /* fixed names, created if absent */
#define VALUE_BIG_MIN 3000
#define VALUE_BIG_MAX 200000
#define VALUE_BIG_MAX_FULL 8000 /* where memory is short */
#define PATIENCE_BEYOND_MS 1500

#define FENCE_STUBBORN 2 /* clients who ask a node that stands still, where others find out */

/* What clients like, by scenario. */
struct manner {
    unsigned keys;   /* the newest so many are worked with */
    unsigned fresh;  /* of 1000 wishes: a new record */
    unsigned reads;  /* of 100 other wishes */
    unsigned counts; /* of 1000 changes: add to the counter too */
    unsigned think_min_ms, think_max_ms;
    bool ends; /* records are ended */
    unsigned kind_count;
    uint8_t kinds[6];
};

static const struct manner usual = {
    .keys = 40,
    .fresh = 80,
    .reads = 45,
    .counts = 150,
    .think_min_ms = 20,
    .think_max_ms = 250,
    .ends = true,
    .kind_count = 6,
    .kinds = {KIND_PURCHASE, KIND_PURCHASE, KIND_CART, KIND_TRIPLE, KIND_TLS, KIND_BRIEF}};
/* A few records in demand: what gets lost of one is soon missed. */
static const struct manner demand = {
    .keys = 4,
    .fresh = 4,
    .reads = 70,
    .counts = 700,
    .think_min_ms = 1,
    .think_max_ms = 20,
    .kind_count = 4,
    .kinds = {KIND_PURCHASE, KIND_PURCHASE, KIND_CART, KIND_TRIPLE}};
/* A few that all write, with copies on three nodes. */
static const struct manner scramble = {.keys = 3,
                                       .fresh = 4,
                                       .reads = 30,
                                       .counts = 150,
                                       .think_min_ms = 1,
                                       .think_max_ms = 30,
                                       .kind_count = 1,
                                       .kinds = {KIND_TRIPLE}};

/* An app's records, for the most part. */
static const struct manner remakes = {.keys = 4,
                                      .fresh = 4,
                                      .reads = 50,
                                      .think_min_ms = 2,
                                      .think_max_ms = 60,
                                      .ends = true,
                                      .kind_count = 1,
                                      .kinds = {KIND_PURCHASE}};

/* Locks: made if absent, changed and ended by whoever comes. */
static const struct manner locks = {.keys = 20,
                                    .fresh = 60,
                                    .reads = 35,
                                    .counts = 0,
                                    .think_min_ms = 5,
                                    .think_max_ms = 120,
                                    .ends = true,
                                    .kind_count = 1,
                                    .kinds = {KIND_LOCK}};

static const struct manner *client_manner(const struct sim *s)
{
    return s->scenario == SCENARIO_QUORUM    ? &locks
           : s->scenario == SCENARIO_FENCE   ? &demand
           : s->scenario == SCENARIO_OUSTED  ? &demand
           : s->scenario == SCENARIO_REMADE  ? &remakes
           : s->scenario == SCENARIO_SHATTER ? &scramble
                                             : &usual;
}

struct client_state {
    struct rng rng;
    unsigned big; /* of 1000: values that do not fit a frame */
    uint32_t big_max;
    uint32_t app_keys[APP_KEYS];
    bool looking;
    size_t look_next;
    unsigned look_running;
    uint8_t values[MODEL_FIELDS][VALUE_BIG_MAX];
    struct field_op ops[MODEL_FIELDS];
};

/* The clients, and the state that they share behind them. */
struct client_room {
    struct sim_client clients[SIM_CLIENTS];
    struct client_state state;
};

static struct client_state *client_state(struct sim *s)
{
    return &((struct client_room *)(void *)s->clients)->state;
}

struct sim_client *sim_clients_new(struct sim *s)
{
    struct client_room *room = calloc(1, sizeof *room);
    s->clients = room->clients;
    rng_init(&room->state.rng, s->opt.seed ^ 0x636c69);
    room->state.big = s->scenario == SCENARIO_LOSSY       ? 60
                      : sim_chance(&room->state.rng, 300) ? 20
                                                          : 2;
    room->state.big_max = s->scenario == SCENARIO_FULL ? VALUE_BIG_MAX_FULL : VALUE_BIG_MAX;
    return room->clients;
}

void sim_clients_free(struct sim *s)
{
    free(s->clients);
}

/* -- wishes -- */

static uint32_t client_new_key(struct sim *s)
{
    const struct manner *m = client_manner(s);
    struct client_state *st = client_state(s);
    char name[40];
    int len =
        snprintf(name, sizeof name, "s%zu-%08x", s->model->key_count, (unsigned)rng_u64(&st->rng));
    return sim_model_add_key(s, m->kinds[rng_below(&st->rng, m->kind_count)], name, (size_t)len);
}

/* A key that clients still work with; UINT32_MAX: none was found. */
static uint32_t client_some_key(struct sim *s)
{
    struct client_state *st = client_state(s);
    size_t count = s->model->key_count;
    size_t most = client_manner(s)->keys;
    size_t window = count < most ? count : most;
    for (unsigned tries = 0; tries < 5; tries++) {
        size_t i = sim_chance(&st->rng, 200) ? rng_below(&st->rng, count)
                                             : count - 1 - rng_below(&st->rng, window);
        if (!s->model->keys[i].retired)
            return (uint32_t)i;
    }
    return UINT32_MAX;
}

static uint32_t client_value_len(struct client_state *st)
{
    if (sim_chance(&st->rng, st->big))
        return (uint32_t)sim_between(&st->rng, VALUE_BIG_MIN, st->big_max);
    return (uint32_t)sim_between(&st->rng, 24, 200);
}

static void client_wish_fields(struct sim *s, struct model_op *o)
{
    struct client_state *st = client_state(s);
    unsigned changes = (unsigned)sim_between(&st->rng, 1, 3);
    o->value_len = client_value_len(st);
    for (unsigned i = 0; i < changes; i++) {
        unsigned field = (unsigned)rng_below(&st->rng, MODEL_PLAIN);
        /* A record that was deleted once and has no field left reads as absent: so one field stays.
         */
        bool remove = sim_chance(&st->rng, 250) && field > 0;
        o->effect[field] = remove ? EFFECT_REMOVE : EFFECT_SET;
    }
    if (sim_chance(&st->rng, client_manner(s)->counts) &&
        s->model->keys[o->key].key.kind != KIND_APP && s->model->keys[o->key].key.kind != KIND_LOCK)
        o->effect[MODEL_COUNTER] = EFFECT_ADD;
    o->effect[MODEL_PRESENCE] = EFFECT_SET;
}

static void client_wish_create(struct sim *s, struct model_op *o)
{
    struct client_state *st = client_state(s);
    o->value_len = client_value_len(st);
    o->effect[0] = EFFECT_SET;
    o->effect[1 + rng_below(&st->rng, MODEL_PLAIN - 1)] = EFFECT_SET;
    o->effect[MODEL_PRESENCE] = EFFECT_SET;
}

/* If it is made, nothing is left of what was there before. */
static void client_wish_anew(struct sim *s, struct model_op *o)
{
    client_wish_create(s, o);
    for (unsigned field = 0; field < MODEL_PLAIN; field++)
        if (o->effect[field] == EFFECT_NONE)
            o->effect[field] = EFFECT_REMOVE;
}

static uint64_t client_wish_on(struct sim *s, unsigned who, uint32_t key)
{
    struct client_state *st = client_state(s);
    const struct manner *m = client_manner(s);
    uint8_t kind = s->model->keys[key].key.kind;
    bool app = kind == KIND_APP || kind == KIND_LOCK;
    uint64_t draw = rng_below(&st->rng, 100);
    enum session_op_type type = draw < m->reads ? SESSION_READ : SESSION_CHANGE;
    if (m->ends && app && draw >= 80)
        type = draw >= 92 ? SESSION_END : SESSION_CREATE_IF_ABSENT;
    else if (app && draw >= 97)
        type = SESSION_CREATE_IF_ABSENT;
    else if (m->ends && draw >= 97)
        type = SESSION_END;
    uint64_t op = sim_model_add_op(s, type, key, who);
    struct model_op *o = &s->model->ops[op];
    if (type == SESSION_CHANGE)
        client_wish_fields(s, o);
    if (type == SESSION_CREATE_IF_ABSENT)
        client_wish_anew(s, o);
    if (type == SESSION_END) {
        memset(o->effect, EFFECT_REMOVE, sizeof o->effect);
        s->model->keys[key].retired = !app && sim_chance(&st->rng, 700);
    }
    return op;
}

static uint64_t client_wish(struct sim *s, unsigned who)
{
    struct client_state *st = client_state(s);
    uint32_t key = s->model->key_count < 8 ? UINT32_MAX : client_some_key(s);
    if (key != UINT32_MAX && !sim_chance(&st->rng, client_manner(s)->fresh))
        return client_wish_on(s, who, key);
    key = client_new_key(s);
    uint64_t op = sim_model_add_op(s, SESSION_CREATE, key, who);
    client_wish_create(s, &s->model->ops[op]);
    return op;
}

/* The same change again, with values of its own: the first attempt may still come true. */
static uint64_t client_wish_again(struct sim *s, unsigned who, uint64_t failed)
{
    struct model_op old = s->model->ops[failed];
    uint64_t op = sim_model_add_op(s, old.type, old.key, who);
    memcpy(s->model->ops[op].effect, old.effect, sizeof old.effect);
    s->model->ops[op].value_len = old.value_len;
    return op;
}

/* -- where -- */

/* Most find out at once where nobody answers, where records are in demand. */
static bool client_avoids(const struct sim *s, unsigned who, unsigned slot)
{
    return s->scenario == SCENARIO_FENCE && who >= FENCE_STUBBORN && s->nodes[slot].paused;
}

/* Connections outlive what their process has handed over in an upgrade. */
static bool client_may_ask(const struct sim_node *n)
{
    bool finishes = n->phase == PHASE_LEAVING && n->twin_inc != 0;
    return !n->clone && (n->phase == PHASE_UP || finishes);
}

static int client_some_node(struct sim *s, unsigned who)
{
    struct client_state *st = client_state(s);
    unsigned slots[SIM_SLOTS], count = 0;
    for (unsigned i = 0; i < SIM_SLOTS; i++)
        if (client_may_ask(&s->nodes[i]) && !client_avoids(s, who, i))
            slots[count++] = i;
    return count ? (int)slots[rng_below(&st->rng, count)] : -1;
}

/* Most are in a hurry; some wait longer than a node may be silent before it is counted out and
 * more. */
static uint32_t client_deadline_ms(struct sim *s)
{
    bool patient = sim_chance(&client_state(s)->rng, 250);
    bool all = s->scenario == SCENARIO_SICK || s->scenario == SCENARIO_FENCE;
    return all || patient ? CLIENT_PATIENT_MS : CLIENT_DEADLINE_MS;
}

static void client_due(struct sim *s, unsigned who, uint64_t in_ns)
{
    s->clients[who].due_ns = s->now_ns + in_ns;
    sim_post(s, s->clients[who].due_ns, SIM_EV_CLIENT, who, 0, NULL);
}

static void client_send(struct sim *s, unsigned who, uint64_t op, unsigned slot)
{
    struct sim_client *c = &s->clients[who];
    c->busy = true;
    c->op = op;
    sim_model_begin(s, op, slot);
    s->model->ops[op].inc = s->nodes[slot].inc;
    sim_node_call(s, slot, op);
    s->model->ops[op].deadline_ms = client_deadline_ms(s);
    client_due(s, who, MS(s->model->ops[op].deadline_ms + PATIENCE_BEYOND_MS));
}

static void client_think(struct sim *s, unsigned who)
{
    struct client_state *st = client_state(s);
    const struct manner *m = client_manner(s);
    uint64_t ms = st->looking ? 1 : sim_between(&st->rng, m->think_min_ms, m->think_max_ms);
    client_due(s, who, MS(ms));
}

/* -- the last look -- */

static void client_look_on(struct sim *s, unsigned who)
{
    struct client_state *st = client_state(s);
    if (st->look_next >= 2 * s->model->key_count)
        return;
    int slot = client_some_node(s, who);
    if (slot < 0) {
        client_think(s, who);
        return;
    }
    uint32_t key = (uint32_t)(st->look_next++ / 2);
    st->look_running++;
    client_send(s, who, sim_model_add_op(s, SESSION_READ, key, who), (unsigned)slot);
}

bool sim_clients_look(struct sim *s)
{
    struct client_state *st = client_state(s);
    if (!st->looking) {
        st->looking = true;
        for (unsigned i = 0; i < SIM_CLIENTS; i++)
            client_think(s, i);
    }
    return st->look_next >= 2 * s->model->key_count && st->look_running == 0;
}

/* -- the course of a client -- */

void sim_clients_start(struct sim *s)
{
    struct client_state *st = client_state(s);
    for (unsigned i = 0; i < APP_KEYS; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "app-%u", i);
        st->app_keys[i] = sim_model_add_key(
            s, s->scenario == SCENARIO_QUORUM ? KIND_LOCK : KIND_APP, name, (size_t)len);
    }
    for (unsigned i = 0; i < SIM_CLIENTS; i++)
        client_think(s, i);
}

static void client_next(struct sim *s, unsigned who)
{
    struct sim_client *c = &s->clients[who];
    struct client_state *st = client_state(s);
    if (st->looking) {
        client_look_on(s, who);
        return;
    }
    if (s->stage > STAGE_HEAL)
        return;
    int slot = client_some_node(s, who);
    if (slot < 0) {
        client_think(s, who);
        return;
    }
    bool again = c->retry && c->retries < 5;
    c->retries = again ? c->retries + 1 : 0;
    c->retry = false;
    uint64_t op;
    if (again)
        op = client_wish_again(s, who, c->op);
    else if (sim_chance(&st->rng, s->scenario == SCENARIO_QUORUM || s->scenario == SCENARIO_REMADE
                                      ? 700
                                      : 120))
        op = client_wish_on(s, who, st->app_keys[rng_below(&st->rng, APP_KEYS)]);
    else
        op = client_wish(s, who);
    client_send(s, who, op, (unsigned)slot);
}

static void client_done(struct sim *s, unsigned who, int status, uint8_t copies)
{
    struct sim_client *c = &s->clients[who];
    sim_model_end(s, c->op, status, copies);
    c->busy = false;
    const struct model_op *o = &s->model->ops[c->op];
    c->retry = o->outcome == OUTCOME_MAYBE && status != STEAD_OK && o->type == SESSION_CHANGE;
    struct client_state *st = client_state(s);
    st->look_running -= st->looking && st->look_running > 0;
    sim_hash(s, &status, sizeof status);
    client_think(s, who);
}

void sim_client_act(struct sim *s, unsigned who)
{
    struct sim_client *c = &s->clients[who];
    if (s->now_ns != c->due_ns)
        return;
    c->due_ns = 0;
    if (!c->busy) {
        client_next(s, who);
    } else {
        sim_trace(s, "client %u gives up on #%" PRIu64, who, c->op);
        client_done(s, who, STEAD_E_UNKNOWN, 0);
        CHECK_ALL(s, unanswered, s, &s->model->ops[c->op]);
    }
}

static void client_field_op(struct client_state *st, const struct model_op *o, uint64_t op,
                            unsigned field, struct field_op *out)
{
    const char *name = sim_model_field(field);
    *out = (struct field_op){.name = (const uint8_t *)name, .name_len = strlen(name)};
    if (o->effect[field] == EFFECT_ADD) {
        out->type = FIELD_ADD;
        out->amount = 1;
    } else if (o->effect[field] == EFFECT_REMOVE) {
        out->type = FIELD_DELETE;
    } else {
        out->type = FIELD_SET;
        sim_model_value(op, st->values[field], o->value_len);
        out->value = st->values[field];
        out->value_len = o->value_len;
    }
}

void sim_client_operation(struct sim *s, uint64_t op, uint64_t node_now_ns, struct session_op *out)
{
    struct client_state *st = client_state(s);
    const struct model_op *o = &s->model->ops[op];
    *out = (struct session_op){.type = o->type,
                               .key = &s->model->keys[o->key].key,
                               .ops = st->ops,
                               .deadline_ns = node_now_ns + MS(o->deadline_ms),
                               .request = op};
    if (o->type == SESSION_READ || o->type == SESSION_END)
        return;
    for (unsigned f = 0; f <= MODEL_COUNTER; f++)
        if (o->effect[f] != EFFECT_NONE)
            client_field_op(st, o, op, f, &st->ops[out->op_count++]);
}

static void client_trace(struct sim *s, unsigned slot, uint64_t op, const struct session_result *r)
{
    static const char *const types[] = {"create", "create-if-absent", "read", "change", "end"};
    const struct model_op *o = &s->model->ops[op];
    const struct key *key = &s->model->keys[o->key].key;
    if (!sim_traces_key(s, key))
        return;
    sim_trace(s,
              "client %u #%" PRIu64 " %s %s at n%u: %s copies=%u origin=%d (%.1f ms) stamp=%" PRIu64
              ".%" PRIu64,
              o->client, op, types[o->type], sim_key_text(key), slot + 1,
              r->status == STEAD_OK ? "OK" : stead_error_name(r->status), r->copies, (int)r->origin,
              (double)(s->now_ns - o->start_ns) / 1e6, r->record ? r->record->stamp.term : 0,
              r->record ? r->record->stamp.version : 0);
}

void sim_client_result(struct sim *s, unsigned slot, const struct session_result *r)
{
    if (r->request >= s->model->op_count) {
        sim_violation(s, "an answer to a question", NULL, "n%u answers request %" PRIu64, slot + 1,
                      r->request);
        return;
    }
    struct model_op *o = &s->model->ops[r->request];
    struct sim_client *c = &s->clients[o->client];
    client_trace(s, slot, r->request, r);
    if (o->outcome != OUTCOME_RUNNING || !c->busy || c->op != r->request) {
        /* The client's patience was over. A second answer to one question is another matter. */
        if (o->status != STEAD_E_UNKNOWN || o->outcome != OUTCOME_MAYBE)
            sim_violation(s, "one answer", &s->model->keys[o->key].key,
                          "n%u answers #%" PRIu64 " twice", slot + 1, r->request);
        return;
    }
    unsigned who = o->client;
    client_done(s, who, r->status, r->copies);
    CHECK_ALL(s, answered, s, &s->nodes[slot], &s->model->ops[r->request], r);
}
