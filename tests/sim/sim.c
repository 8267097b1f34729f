/* sim.c - the queue of events, the loop over it, and the story: trace, hash, violations. */
#include "sim.h"

#include "sim_check.h"
#include "sim_fault.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SIM_TIME_MAX SEC(400)

static const char *const scenario_names[SCENARIO_COUNT] = {
    [SCENARIO_CALM] = "calm",
    [SCENARIO_KILLS] = "kills",
    [SCENARIO_ROLLING] = "rolling",
    [SCENARIO_PAUSES] = "pauses",
    [SCENARIO_SICK] = "sick",
    [SCENARIO_PARTITION] = "partition",
    [SCENARIO_SHATTER] = "shatter",
    [SCENARIO_LINK] = "link",
    [SCENARIO_FENCE] = "fence",
    [SCENARIO_LOSSY] = "lossy",
    [SCENARIO_FULL] = "full",
    [SCENARIO_CLONE] = "clone",
    [SCENARIO_WARM] = "warm",
    [SCENARIO_MIXED] = "mixed",
    [SCENARIO_UPGRADE] = "upgrade",
    [SCENARIO_QUORUM] = "quorum",
    [SCENARIO_REPOSITORY] = "repository",
    [SCENARIO_GROUP] = "group",
    [SCENARIO_CROWDED] = "crowded",
    [SCENARIO_OUSTED] = "ousted",
    [SCENARIO_BUSY] = "busy",
    [SCENARIO_REMADE] = "remade",
    [SCENARIO_KEYS] = "keys",
};

const char *sim_scenario_name(enum sim_scenario s)
{
    return scenario_names[s];
}

int sim_scenario_find(const char *name)
{
    for (int i = 0; i < SCENARIO_COUNT; i++)
        if (strcmp(scenario_names[i], name) == 0)
            return i;
    return -1;
}

/* -- the queue: a binary heap by time, then by order of posting -- */

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

void sim_post(struct sim *s, uint64_t at_ns, enum sim_event_type type, unsigned who, uint64_t arg,
              struct sim_frame *frame)
{
    struct sim_queue *q = &s->queue;
    if (q->count == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 1024;
        q->events = realloc(q->events, q->cap * sizeof *q->events);
    }
    struct sim_event ev = {.at_ns = at_ns > s->now_ns ? at_ns : s->now_ns,
                           .seq = q->seq++,
                           .type = type,
                           .who = who,
                           .arg = arg,
                           .frame = frame};
    size_t i = q->count++;
    for (; i > 0 && event_before(&ev, &q->events[(i - 1) / 2]); i = (i - 1) / 2)
        q->events[i] = q->events[(i - 1) / 2];
    q->events[i] = ev;
}

static bool queue_pop(struct sim_queue *q, struct sim_event *out)
{
    if (q->count == 0)
        return false;
    *out = q->events[0];
    struct sim_event last = q->events[--q->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->count)
            break;
        if (child + 1 < q->count && event_before(&q->events[child + 1], &q->events[child]))
            child++;
        if (!event_before(&q->events[child], &last))
            break;
        q->events[i] = q->events[child];
        i = child;
    }
    q->events[i] = last;
    return true;
}

/* -- the story -- */

uint64_t sim_digest(const void *bytes, size_t len)
{
    uint64_t h = 0xcbf29ce484222325ull ^ len;
    const uint8_t *at = bytes;
    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    for (; len > 0; at++, len--)
        h = (h ^ *at) * 0x100000001b3ull;
    return h ^ h >> 32;
}

void sim_hash(struct sim *s, const void *bytes, size_t len)
{
    uint64_t parts[3] = {s->sum.hash, s->now_ns, sim_digest(bytes, len)};
    s->sum.hash = sim_digest(parts, sizeof parts);
}

const char *sim_key_text(const struct key *key)
{
    static char text[4][KEY_BYTES_MAX + 16];
    static unsigned next;
    if (!key)
        return "-";
    char *out = text[next++ % 4];
    snprintf(out, sizeof text[0], "%u:%.*s", key->kind, (int)key->len, (const char *)key->bytes);
    return out;
}

void sim_violation(struct sim *s, const char *checker, const struct key *key, const char *format,
                   ...)
{
    if (s->over || (s->opt.without && strstr(s->opt.without, checker)))
        return;
    s->over = true;
    s->sum.violated = true;
    snprintf(s->sum.checker, sizeof s->sum.checker, "%s", checker);
    if (s->opt.quiet)
        return;
    printf("violation: seed=%llu nodes=%u scenario=%s time=%.6f checker=\"%s\" key=%s ",
           (unsigned long long)s->opt.seed, s->node_count, sim_scenario_name(s->scenario),
           (double)s->now_ns / 1e9, checker, sim_key_text(key));
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

void sim_trace(struct sim *s, const char *format, ...)
{
    if (!s->opt.trace)
        return;
    printf("%11.6f ", (double)s->now_ns / 1e9);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

bool sim_traces_key(const struct sim *s, const struct key *key)
{
    if (!s->opt.trace)
        return false;
    const char *want = s->opt.trace_key;
    return !want || (strlen(want) == key->len && memcmp(want, key->bytes, key->len) == 0);
}

/* -- the run -- */

static void sim_make_kinds(struct kinds *k)
{
    static const struct kind rows[KIND_COUNT] = {
        [KIND_PURCHASE] = {.name = "purchase",
                           .copies = 2,
                           .ack = ACK_ALL,
                           .when_alone = ALONE_REFUSE,
                           .deletion = DELETE_FINAL},
        [KIND_CART] = {.name = "cart",
                       .copies = 2,
                       .ack = ACK_ALL,
                       .when_alone = ALONE_ACCEPT,
                       .deletion = DELETE_FINAL},
        [KIND_APP] = {.name = "app",
                      .copies = 2,
                      .ack = ACK_ALL,
                      .when_alone = ALONE_ACCEPT,
                      .deletion = DELETE_VERSIONED},
        [KIND_TRIPLE] = {.name = "triple",
                         .copies = 3,
                         .ack = ACK_ALL,
                         .when_alone = ALONE_REFUSE,
                         .deletion = DELETE_FINAL},
        [KIND_TLS] = {.name = "tls",
                      .copies = 2,
                      .losable = true,
                      .when_alone = ALONE_ACCEPT,
                      .deletion = DELETE_FINAL,
                      .ttl_ms = 120000},
        [KIND_BRIEF] = {.name = "brief",
                        .copies = 2,
                        .ack = ACK_ALL,
                        .sliding = true,
                        .when_alone = ALONE_ACCEPT,
                        .deletion = DELETE_FINAL,
                        .ttl_ms = BRIEF_TTL_MS},
        [KIND_LOCK] = {.name = "lock",
                       .copies = 2,
                       .ack = ACK_ALL,
                       .when_alone = ALONE_REFUSE,
                       .deletion = DELETE_VERSIONED,
                       .atomic = ATOMIC_QUORUM},
    };
    k->count = KIND_COUNT;
    memcpy(k->kind, rows, sizeof rows);
}

static void sim_sharpen_kinds(struct sim *s)
{
    if (s->scenario == SCENARIO_WARM && s->node_count > 3)
        s->kinds.kind[KIND_TRIPLE].short_refuse = true;
    for (unsigned i = 0; s->scenario == SCENARIO_GROUP && i < KIND_COUNT; i++)
        if (s->kinds.kind[i].atomic == ATOMIC_AVAILABLE)
            s->kinds.kind[i].copies = 3;
    if (s->scenario == SCENARIO_REMADE)
        s->kinds.kind[KIND_APP].ttl_ms = REMADE_TTL_MS;
    if (s->scenario == SCENARIO_QUORUM)
        s->voters = s->node_count >= 5 && (s->opt.seed & 1) ? 5 : 3;
}

static enum sim_scenario sim_pick_scenario(struct sim *s)
{
    static const struct {
        enum sim_scenario scenario;
        unsigned weight;
    } weights[] = {{SCENARIO_CALM, 4},    {SCENARIO_KILLS, 14}, {SCENARIO_ROLLING, 12},
                   {SCENARIO_PAUSES, 11}, {SCENARIO_SICK, 4},   {SCENARIO_PARTITION, 11},
                   {SCENARIO_SHATTER, 4}, {SCENARIO_LINK, 5},   {SCENARIO_FENCE, 4},
                   {SCENARIO_LOSSY, 8},   {SCENARIO_FULL, 5},   {SCENARIO_CLONE, 3},
                   {SCENARIO_WARM, 4},    {SCENARIO_MIXED, 11}};
    uint64_t draw = rng_below(&s->rng, 100);
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
        if (draw < weights[i].weight)
            return weights[i].scenario;
        draw -= weights[i].weight;
    }
    return SCENARIO_MIXED;
}

static void sim_init(struct sim *s, const struct sim_options *opt)
{
    memset(s, 0, sizeof *s);
    s->opt = *opt;
    rng_init(&s->rng, opt->seed);
    enum sim_scenario drawn = sim_pick_scenario(s);
    unsigned drawn_nodes = (unsigned)sim_between(&s->rng, 3, 7);
    s->scenario = opt->scenario >= 0 ? (enum sim_scenario)opt->scenario : drawn;
    s->node_count = opt->nodes ? opt->nodes : drawn_nodes;
    for (size_t i = 0; i < sizeof s->farm_key; i++)
        s->farm_key[i] = (uint8_t)rng_u64(&s->rng);
    s->grouped = opt->multicast || s->scenario == SCENARIO_GROUP;
    sim_make_kinds(&s->kinds);
    sim_sharpen_kinds(s);
    s->model = sim_model_new();
    s->watch = sim_watch_new();
    s->net = sim_net_new(s);
    s->nodes = sim_nodes_new(s);
    s->clients = sim_clients_new(s);
    s->faults = sim_faults_new(s);
}

static void sim_deinit(struct sim *s)
{
    for (size_t i = 0; i < s->queue.count; i++)
        sim_frame_unref(s->queue.events[i].frame);
    free(s->queue.events);
    sim_faults_free(s->faults);
    sim_clients_free(s);
    sim_nodes_free(s);
    sim_net_free(s->net);
    sim_watch_free(s->watch);
    sim_model_free(s->model);
}

static void sim_event(struct sim *s, struct sim_event *ev)
{
    switch (ev->type) {
    case SIM_EV_WAKE:
        if (s->nodes[ev->who].wake_ns == ev->at_ns)
            sim_node_run(s, ev->who);
        break;
    case SIM_EV_FRAME:
        sim_node_frame(s, ev->who, ev->frame);
        break;
    case SIM_EV_START:
        sim_node_start(s, ev->who);
        break;
    case SIM_EV_CLIENT:
        sim_client_act(s, ev->who);
        break;
    case SIM_EV_FAULT:
        sim_fault_act(s);
        break;
    case SIM_EV_MEND:
        sim_fault_mend(s, (size_t)ev->arg);
        break;
    case SIM_EV_SWEEP:
        CHECK_ALL(s, sweep, s);
        sim_post(s, s->now_ns + MS(40), SIM_EV_SWEEP, 0, 0, NULL);
        break;
    case SIM_EV_STAGE:
        sim_stage_step(s);
        break;
    }
}

static void sim_sum_up(struct sim *s)
{
    for (size_t i = 0; i < s->model->op_count; i++) {
        const struct model_op *op = &s->model->ops[i];
        s->sum.ops++;
        s->sum.reads += op->type == SESSION_READ;
        s->sum.acked += op->outcome == OUTCOME_ACKED;
        s->sum.refused += op->outcome == OUTCOME_REFUSED;
        s->sum.maybe += op->outcome == OUTCOME_MAYBE;
    }
    sim_nodes_sum(s);
    s->sum.virtual_ns = s->now_ns;
}

void sim_run(const struct sim_options *opt, struct sim_summary *out)
{
    struct sim s;
    mutant_planted = opt->mutant;
    sim_init(&s, opt);
    sim_stage_start(&s);
    struct sim_event ev;
    while (!s.over && queue_pop(&s.queue, &ev)) {
        s.now_ns = ev.at_ns;
        if (s.now_ns > SIM_TIME_MAX)
            sim_violation(&s, "the run ends", NULL, "still in stage %d", (int)s.stage);
        sim_event(&s, &ev);
        sim_frame_unref(ev.frame);
    }
    sim_sum_up(&s);
    *out = s.sum;
    sim_deinit(&s);
    mutant_planted = MUTANT_NONE;
}
