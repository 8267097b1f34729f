/* swarm.c - the world: events in order of virtual time, members, and what they put out. */
#include "swarm.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An incarnation is made so that its slot can be read off it, and is spread over all buckets. */
#define SLOT_BITS 16

static uint64_t inc_of(unsigned slot, unsigned boot, uint64_t seed)
{
    uint64_t v = (seed + 1) * 0x9e3779b97f4a7c15ull + slot * 0xbf58476d1ce4e5b9ull +
                 boot * 0x94d049bb133111ebull;
    v ^= v >> 29;
    v *= 0xff51afd7ed558ccdull;
    return ((v ^ v >> 32) << SLOT_BITS) | slot;
}

int swarm_slot(const struct swarm *w, uint64_t inc)
{
    unsigned slot = (unsigned)(inc & ((1u << SLOT_BITS) - 1));
    return slot < w->count ? (int)slot : -1;
}

uint64_t swarm_inc(const struct swarm *w, unsigned node)
{
    return w->nodes[node].told->inc;
}

struct entry *swarm_entry(const struct swarm *w, unsigned node, unsigned boot)
{
    return w->nodes[node].past[boot];
}

static bool before(const struct swarm_event *a, const struct swarm_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static void post(struct swarm *w, uint64_t at_ns, enum swarm_event_type type, uint32_t node,
                 uint64_t from, struct swim_output *o)
{
    if (w->heap_count == w->heap_capacity) {
        w->heap_capacity = w->heap_capacity == 0 ? 1024 : w->heap_capacity * 2;
        w->heap = realloc(w->heap, w->heap_capacity * sizeof w->heap[0]);
    }
    struct swarm_event e = {
        .at_ns = at_ns, .seq = w->seq++, .type = type, .node = node, .from = from, .o = o};
    size_t i = w->heap_count++;
    while (i > 0 && before(&e, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = e;
}

static struct swarm_event take(struct swarm *w)
{
    struct swarm_event first = w->heap[0], last = w->heap[--w->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->heap_count)
            break;
        if (child + 1 < w->heap_count && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return first;
}

static void wake_at(struct swarm *w, unsigned node, uint64_t at_ns)
{
    struct swarm_node *n = &w->nodes[node];
    if (at_ns < n->blocked_ns)
        at_ns = n->blocked_ns;
    if (at_ns < n->wake_ns) {
        n->wake_ns = at_ns;
        post(w, at_ns, EVENT_WAKE, node, 0, NULL);
    }
}

/* The copy of this content that everybody shares, or NULL when it is no longer the latest. */
static struct entry *shared(const struct swarm *w, uint64_t inc, uint64_t revision)
{
    int slot = swarm_slot(w, inc);
    assert(slot >= 0);
    const struct swarm_node *n = &w->nodes[slot];
    for (unsigned i = n->boots; i-- > 0;) {
        if (n->past[i]->inc == inc)
            return n->past[i]->revision == revision ? n->past[i] : NULL;
    }
    return NULL;
}

/* A newer start of the same node: the older ones make way, as membership decides it. False when it
 * is itself an old one. */
static bool makes_way(struct swarm *w, struct swim *s, const struct entry *e)
{
    const struct swarm_node *n = &w->nodes[swarm_slot(w, e->inc)];
    struct swim_view v;
    for (unsigned i = 0; i < n->boots; i++) {
        uint64_t inc = n->past[i]->inc;
        if (inc == e->inc || !swim_look(s, inc, w->now_ns, &v))
            continue;
        if (v.entry->boot > e->boot)
            return false;
        swim_forget(s, inc);
    }
    return true;
}

static void meet(struct swarm *w, unsigned node, struct entry *e, uint32_t life,
                 enum swim_rank rank, enum swim_source source)
{
    struct swim *s = w->nodes[node].swim;
    struct entry *same = shared(w, e->inc, e->revision);
    if (makes_way(w, s, e))
        (void)swim_learn(s, same != NULL ? same : e, life, rank, source, w->now_ns, &w->actions);
}

/* What a member now holds of another is set against the truth. */
static void judge(struct swarm *w, unsigned node, const struct swim_output *o)
{
    int about = swarm_slot(w, o->inc);
    struct swarm_node *n = &w->nodes[about];
    bool lives = n->swim != NULL && swarm_inc(w, (unsigned)about) == o->inc;
    if (w->opt.trace && o->was != o->rank)
        printf("%9.3f ms: %u holds %d for %s\n", (double)w->now_ns / 1e6, node, about,
               o->rank == SWIM_ALIVE     ? "alive"
               : o->rank == SWIM_SUSPECT ? "suspect"
                                         : "down");
    if (o->rank == SWIM_SUSPECT && o->was == SWIM_ALIVE)
        w->sum.suspicions++;
    if (o->rank != SWIM_DOWN || o->was > SWIM_SUSPECT)
        return;
    if (lives && !n->deaf && !w->split) {
        if (n->sick) {
            w->sum.downs_nap++;
        } else {
            w->sum.false_all++;
            w->sum.false_healthy += !w->nodes[node].sick;
        }
    }
    if (about == w->watched && !lives) {
        uint64_t after = w->now_ns - n->killed_ns;
        if (w->sum.first_down_ns == 0)
            w->sum.first_down_ns = after;
        w->sum.last_down_ns = after;
    }
}

static void send(struct swarm *w, unsigned node, struct swim_output *o)
{
    int to = swarm_slot(w, o->inc);
    uint64_t delay_ns;
    w->sum.messages++;
    w->sum.bytes += o->len;
    assert(to >= 0 && o->len > 0);
    if (!swarm_carries(w, node, (unsigned)to, o->reliable, &delay_ns)) {
        w->sum.lost++;
        swim_output_free(o);
        return;
    }
    post(w, w->now_ns + delay_ns, EVENT_ARRIVAL, (uint32_t)to, swarm_inc(w, node), o);
}

static void share_self(struct swarm *w, unsigned node)
{
    struct swarm_node *n = &w->nodes[node];
    struct entry *self = (struct entry *)(uintptr_t)swim_self(n->swim);
    if (self == n->told)
        return;
    entry_unref(n->told);
    entry_unref(n->past[n->boots - 1]);
    n->told = entry_ref(self);
    n->past[n->boots - 1] = entry_ref(self);
}

static void share_content(struct swarm *w, unsigned node, uint64_t inc)
{
    struct swim_view v;
    struct swim *s = w->nodes[node].swim;
    if (!swim_look(s, inc, w->now_ns, &v))
        return;
    struct entry *same = shared(w, inc, v.entry->revision);
    if (same != NULL && same != v.entry && inc != swarm_inc(w, node))
        (void)swim_learn(s, same, 0, SWIM_ALIVE, SWIM_HEARSAY, w->now_ns, &w->actions);
}

/* Everything that a member put out, until it is quiet. */
static void settle(struct swarm *w, unsigned node)
{
    struct list *link;
    uint64_t deadline_ns = w->actions.deadline_ns;
    share_self(w, node);
    while ((link = list_pop(&w->actions.outputs)) != NULL) {
        struct swim_output *o = list_entry(link, struct swim_output, link);
        if (o->type == SWIM_OUT_SEND) {
            send(w, node, o);
            continue;
        }
        if (o->type == SWIM_OUT_CHANGED) {
            judge(w, node, o);
            if (o->was == o->rank)
                share_content(w, node, o->inc);
        } else if (o->type == SWIM_OUT_STRANGER && o->rank <= SWIM_SUSPECT) {
            meet(w, node, o->entry, o->life, o->rank, SWIM_HEARSAY);
        }
        swim_output_free(o);
    }
    if (w->actions.deadline_ns < deadline_ns)
        deadline_ns = w->actions.deadline_ns;
    w->actions.deadline_ns = TIME_NEVER;
    if (deadline_ns != TIME_NEVER)
        wake_at(w, node, deadline_ns);
}

static void process(struct swarm *w, unsigned node, uint64_t from, struct swim_output *o)
{
    struct swarm_node *n = &w->nodes[node];
    int slot = swarm_slot(w, from);
    struct swim_view v;
    /* To an incarnation that is no more; or from a stranger, who proves himself first. */
    if (o->inc == swarm_inc(w, node)) {
        if (!swim_look(n->swim, from, w->now_ns, &v)) {
            for (unsigned i = 0; i < w->nodes[slot].boots; i++) {
                struct entry *e = w->nodes[slot].past[i];
                if (e->inc == from)
                    meet(w, node, e, e->life, SWIM_ALIVE, SWIM_PROVEN);
            }
        }
        swim_message(n->swim, from, o->bytes, o->len, w->now_ns, &w->actions);
        settle(w, node);
        n->busy_ns = w->now_ns + SWARM_COST_NS;
    }
    swim_output_free(o);
}

static void arrive(struct swarm *w, const struct swarm_event *e)
{
    struct swarm_node *n = &w->nodes[e->node];
    if (n->swim == NULL) {
        swim_output_free(e->o);
        return;
    }
    if (w->now_ns >= n->blocked_ns && w->now_ns >= n->busy_ns && n->inbox_count == 0) {
        process(w, e->node, e->from, e->o);
        return;
    }
    if (n->inbox_count == SWARM_INBOX_MAX) {
        w->sum.overflow++;
        swim_output_free(e->o);
        return;
    }
    if (n->inbox == NULL)
        n->inbox = calloc(SWARM_INBOX_MAX, sizeof n->inbox[0]);
    n->inbox[(n->inbox_first + n->inbox_count++) % SWARM_INBOX_MAX] =
        (struct swarm_message){.from = e->from, .o = e->o};
    wake_at(w, e->node, n->busy_ns > w->now_ns ? n->busy_ns : w->now_ns);
}

static void wake(struct swarm *w, unsigned node)
{
    struct swarm_node *n = &w->nodes[node];
    if (n->swim == NULL || w->now_ns < n->wake_ns)
        return;
    n->wake_ns = TIME_NEVER;
    if (w->now_ns < n->blocked_ns) {
        wake_at(w, node, n->blocked_ns);
        return;
    }
    swim_tick(n->swim, w->now_ns, &w->actions);
    settle(w, node);
    if (n->inbox_count > 0 && w->now_ns >= n->busy_ns) {
        struct swarm_message m = n->inbox[n->inbox_first];
        n->inbox_first = (n->inbox_first + 1) % SWARM_INBOX_MAX;
        n->inbox_count--;
        process(w, node, m.from, m.o);
    }
    if (n->inbox_count > 0)
        wake_at(w, node, n->busy_ns);
}

static void block(struct swarm *w, unsigned node)
{
    struct swarm_node *n = &w->nodes[node];
    if (w->now_ns >= w->block_until_ns || n->swim == NULL)
        return;
    n->blocked_ns = w->now_ns + w->block_ns;
    if (w->opt.trace)
        printf("%9.3f ms: %u sleeps for %.0f ms\n", (double)w->now_ns / 1e6, node,
               (double)w->block_ns / 1e6);
    if (w->gap_ns > 0)
        post(w, n->blocked_ns + w->gap_ns, EVENT_BLOCK, node, 0, NULL);
}

void swarm_starve(struct swarm *w, uint64_t block_ns, uint64_t gap_ns, uint64_t until_ns)
{
    w->block_ns = block_ns;
    w->gap_ns = gap_ns;
    w->block_until_ns = until_ns;
    for (unsigned i = 0; i < w->count; i++) {
        if (w->nodes[i].sick)
            post(w, w->now_ns, EVENT_BLOCK, i, 0, NULL);
    }
}

void swarm_run(struct swarm *w, uint64_t for_ns)
{
    uint64_t until_ns = w->now_ns + for_ns;
    while (w->heap_count > 0 && w->heap[0].at_ns <= until_ns) {
        struct swarm_event e = take(w);
        w->now_ns = e.at_ns;
        w->sum.events++;
        if (e.type == EVENT_WAKE)
            wake(w, e.node);
        else if (e.type == EVENT_ARRIVAL)
            arrive(w, &e);
        else
            block(w, e.node);
    }
    w->now_ns = until_ns;
}

static void fill_entry(const struct swarm *w, unsigned node, struct entry *e)
{
    unsigned boot = w->nodes[node].boots;
    *e = (struct entry){
        .node = node + 1,
        .inc = inc_of(node, boot, w->opt.seed),
        .boot = boot + 1,
        .revision = 1,
        .status = STATUS_UP,
        .address = {.family = 4,
                    .port = 7946,
                    .ip = {10, (uint8_t)(node >> 16), (uint8_t)(node >> 8), (uint8_t)node}},
        .holds = true,
        .server_count = 1,
    };
    snprintf(e->name, sizeof e->name, "n%u", node);
    struct server *v = &e->servers[0];
    snprintf(v->service, sizeof v->service, "www.shop.test");
    v->url_count = 1;
    snprintf(v->urls[0], sizeof v->urls[0], "http://n%u.shop.test:8080/", node);
    v->weight = 10;
    v->capacity = 1000;
    v->healthy = true;
    v->load = LOAD_UNKNOWN;
}

void swarm_start(struct swarm *w, unsigned node, int contact)
{
    struct swarm_node *n = &w->nodes[node];
    struct entry e;
    assert(n->swim == NULL && n->boots < SWARM_BOOTS_MAX);
    fill_entry(w, node, &e);
    n->swim = swim_new(&w->opt.timing, rng_u64(&w->rng), &e, w->now_ns);
    entry_unref(n->told);
    n->told = entry_ref((struct entry *)(uintptr_t)swim_self(n->swim));
    n->past[n->boots++] = entry_ref(n->told);
    n->wake_ns = TIME_NEVER;
    n->busy_ns = n->blocked_ns = 0;
    wake_at(w, node, w->now_ns);
    if (contact >= 0) {
        meet(w, node, w->nodes[contact].told, 0, SWIM_ALIVE, SWIM_PROVEN);
        settle(w, node);
    }
}

void swarm_kill(struct swarm *w, unsigned node)
{
    struct swarm_node *n = &w->nodes[node];
    swim_free(n->swim);
    n->swim = NULL;
    n->killed_ns = w->now_ns;
    for (; n->inbox_count > 0; n->inbox_count--) {
        swim_output_free(n->inbox[n->inbox_first].o);
        n->inbox_first = (n->inbox_first + 1) % SWARM_INBOX_MAX;
    }
}

void swarm_leave(struct swarm *w, unsigned node)
{
    swim_leave(w->nodes[node].swim, w->now_ns, &w->actions);
    settle(w, node);
    swarm_kill(w, node);
}

void swarm_set_users(struct swarm *w, unsigned node, uint32_t users)
{
    struct entry e;
    entry_copy(w->nodes[node].told, &e);
    e.servers[0].users = users;
    swim_set_self(w->nodes[node].swim, &e, w->now_ns, &w->actions);
    settle(w, node);
}

struct swarm *swarm_new(const struct swarm_options *opt)
{
    struct swarm *w = calloc(1, sizeof *w);
    w->opt = *opt;
    w->count = opt->nodes;
    w->now_ns = SEC(100);
    w->watched = -1;
    w->nodes = calloc(opt->nodes, sizeof w->nodes[0]);
    rng_init(&w->rng, opt->seed);
    rng_init(&w->net, opt->seed ^ 0x6e6574);
    swim_actions_init(&w->actions);
    return w;
}

void swarm_free(struct swarm *w)
{
    while (w->heap_count > 0)
        swim_output_free(w->heap[--w->heap_count].o);
    for (unsigned i = 0; i < w->count; i++) {
        struct swarm_node *n = &w->nodes[i];
        if (n->swim != NULL)
            swarm_kill(w, i);
        for (unsigned j = 0; j < n->boots; j++)
            entry_unref(n->past[j]);
        entry_unref(n->told);
        free(n->inbox);
    }
    free(w->nodes);
    free(w->heap);
    free(w);
}

static int by_inc(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return ((*x)->inc > (*y)->inc) - ((*x)->inc < (*y)->inc);
}

void swarm_acquaint(struct swarm *w)
{
    /* In ascending order a table grows at its end. */
    struct entry **all = calloc(w->count, sizeof(struct entry *));
    for (unsigned i = 0; i < w->count; i++) {
        if (w->nodes[i].swim == NULL)
            swarm_start(w, i, -1);
        all[i] = w->nodes[i].told;
    }
    qsort(all, w->count, sizeof(struct entry *), by_inc);
    for (unsigned i = 0; i < w->count; i++) {
        for (unsigned j = 0; j < w->count; j++) {
            if (all[j] != w->nodes[i].told)
                (void)swim_learn(w->nodes[i].swim, all[j], 0, SWIM_ALIVE, SWIM_HEARSAY, w->now_ns,
                                 &w->actions);
            if (j % 64 == 0)
                swim_actions_clear(&w->actions);
        }
        swim_actions_clear(&w->actions);
    }
    free(all);
}

unsigned swarm_seen(const struct swarm *w, unsigned node, enum swim_rank rank)
{
    unsigned count = 0;
    struct swim_view v;
    for (unsigned i = 0; i < w->count; i++) {
        const struct swim *s = w->nodes[i].swim;
        if (i != node && s != NULL && swim_look(s, swarm_inc(w, node), w->now_ns, &v))
            count += v.rank == rank;
    }
    return count;
}

unsigned swarm_known(const struct swarm *w, unsigned node)
{
    unsigned count = 0;
    struct swim_view v;
    for (unsigned i = 0; i < w->count; i++) {
        const struct swim *s = w->nodes[i].swim;
        if (i != node && s != NULL && swim_look(s, swarm_inc(w, node), w->now_ns, &v))
            count += v.entry->revision == w->nodes[node].told->revision;
    }
    return count;
}

bool swarm_agrees(const struct swarm *w)
{
    unsigned running = 0;
    for (unsigned i = 0; i < w->count; i++)
        running += w->nodes[i].swim != NULL;
    for (unsigned i = 0; i < w->count; i++) {
        if (w->nodes[i].swim == NULL)
            continue;
        if (swim_alive(w->nodes[i].swim) != running - 1 ||
            swarm_seen(w, i, SWIM_ALIVE) + swarm_seen(w, i, SWIM_SUSPECT) != running - 1 ||
            swarm_known(w, i) != running - 1)
            return false;
    }
    return true;
}
