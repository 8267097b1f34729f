/* Ending all records that a field's value names, wherever they are (cull.h). */
#include "core/session/session_internal.h"

#include <string.h>

#define STEP_NS (10 * NS_PER_MS)
#define STEP_WALKS 16              /* of TABLE_WALK_MAX items */
#define OPEN_MAX 1024              /* ends under way of one cull */
#define END_WAIT_NS (5 * NS_PER_S) /* each is done by then, or counted as failed */

bool cull_wish_set(struct cull_wish *w, uint8_t kind, const void *name, size_t name_len,
                   const void *value, size_t value_len)
{
    if (name_len == 0 || name_len > FIELD_NAME_MAX || value_len > CULL_VALUE_MAX)
        return false;
    *w = (struct cull_wish){
        .kind = kind, .name_len = (uint8_t)name_len, .value_len = (uint16_t)value_len};
    memcpy(w->name, name, name_len);
    if (value_len)
        memcpy(w->value, value, value_len);
    return true;
}

static struct cull *find(struct session *s, uint64_t number)
{
    for (size_t i = 0; i < CULLS_MAX; i++)
        if (s->culls[i].number == number && number != 0)
            return &s->culls[i];
    return NULL;
}

/* -- what is here -- */

static struct cull *begin(struct session *s, const struct cull_wish *w, uint64_t asker,
                          uint64_t token)
{
    struct cull *c = NULL;
    for (size_t i = 0; i < CULLS_MAX && !c; i++)
        if (s->culls[i].number == 0 || (s->culls[i].done && s->culls[i].asker != 0))
            c = &s->culls[i];
    if (!c)
        return NULL;
    *c = (struct cull){.number = ++s->next_token,
                       .wish = *w,
                       .asker = asker,
                       .token = token,
                       .until_ns = s->now_ns + CULL_WAIT_NS};
    s->cull_ns = s->now_ns;
    return c;
}

static bool matches(struct session *s, const struct cull *c, const struct item *item)
{
    const struct cull_wish *w = &c->wish;
    const struct record *r = item->record;
    if (r->key.kind != w->kind || record_is_tombstone(r))
        return false;
    if (item->role != ROLE_OWNER && peer_is_heard(s, r->stamp.inc))
        return false;
    const struct field *f = record_get(r, w->name, w->name_len);
    return f && f->value_len == w->value_len && memcmp(field_value(f), w->value, w->value_len) == 0;
}

static void end(struct session *s, struct cull *c, const struct key *key)
{
    struct session_op op = {.type = SESSION_END,
                            .key = key,
                            .cull = c->number,
                            .silent = true,
                            .deadline_ns = s->now_ns + END_WAIT_NS};
    struct waiter *w = waiter_new(s, &op, 0, 0, 0, op.deadline_ns);
    if (!w) {
        c->failed++;
        return;
    }
    c->open++;
    serve_waiter(s, w);
}

void cull_ended(struct session *s, uint64_t number, int status)
{
    struct cull *c = find(s, number);
    if (!c)
        return;
    c->open -= c->open > 0;
    c->ended += status == STEAD_OK;
    c->failed += status != STEAD_OK && status != STEAD_E_ABSENT && status != STEAD_E_ENDED;
}

/* Ending one may free others: the keys are taken first. */
static void look(struct session *s, struct cull *c)
{
    struct item *items[TABLE_WALK_MAX];
    struct key keys[TABLE_WALK_MAX];
    size_t count = 0, n = table_walk(s->table, &c->cursor, items, TABLE_WALK_MAX);
    for (size_t i = 0; i < n; i++)
        if (matches(s, c, items[i]))
            keys[count++] = items[i]->record->key;
    c->walked = c->cursor == 0;
    for (size_t i = 0; i < count; i++)
        end(s, c, &keys[i]);
}

static void go_on(struct session *s, struct cull *c)
{
    for (int i = 0; i < STEP_WALKS && !c->walked && c->open < OPEN_MAX; i++)
        look(s, c);
    if (!c->walked || c->open > 0)
        return;
    c->done = true;
    if (c->asker == 0)
        return;
    struct message m = {.type = MESSAGE_CULLED,
                        .token = c->token,
                        .counted = c->ended,
                        .granted = c->failed,
                        .index = s->config.shard_index,
                        .count = s->config.shard_count};
    session_send(s, &m, NULL, c->asker);
}

void cull_tick(struct session *s)
{
    bool any = false;
    if (s->now_ns < s->cull_ns)
        return;
    for (size_t i = 0; i < CULLS_MAX; i++) {
        struct cull *c = &s->culls[i];
        if (c->number != 0 && !c->done)
            go_on(s, c);
        any |= c->number != 0 && !c->done;
    }
    s->cull_ns = any ? s->now_ns + STEP_NS : TIME_NEVER;
}

/* -- others -- */

void cull_asked(struct session *s, uint64_t from, const struct message *m)
{
    struct cull_wish w;
    const struct field_op *f = m->op.op_count == 1 ? &m->op.ops[0] : NULL;
    if (!f || m->index >= s->kinds.count ||
        !cull_wish_set(&w, m->index, f->name, f->name_len, f->value, f->value_len)) {
        s->stats.malformed++;
        return;
    }
    for (size_t i = 0; i < CULLS_MAX; i++)
        if (s->culls[i].number != 0 && s->culls[i].asker == from && s->culls[i].token == m->token)
            return;
    begin(s, &w, from, m->token); /* where too many are under way the asker hears nothing */
}

/* Those that have answered with all of their shards are no longer waited for. */
void cull_answered(struct session *s, uint64_t from, const struct message *m)
{
    struct cull *c = find(s, m->token);
    if (!c || c->asker != 0 || m->count == 0 || m->count > 64 || m->index >= m->count)
        return;
    for (size_t i = 0; i < c->asked_count; i++) {
        struct cull_asked_peer *p = &c->asked[i];
        uint64_t bit = 1ull << m->index;
        if (p->inc != from || (p->shards & bit))
            continue;
        p->shards |= bit;
        p->done = p->shards == (m->count == 64 ? UINT64_MAX : (1ull << m->count) - 1);
        c->ended += m->counted;
        c->failed += m->granted;
    }
}

static bool ask_others(struct session *s, struct cull *c)
{
    struct field_op f = {.type = FIELD_SET,
                         .name = c->wish.name,
                         .name_len = c->wish.name_len,
                         .value = c->wish.value,
                         .value_len = c->wish.value_len};
    struct message m = {
        .type = MESSAGE_CULL, .token = c->number, .index = c->wish.kind, .count = 1};
    m.op = (struct session_op){.type = SESSION_END, .ops = &f, .op_count = 1};
    c->asked = mem_alloc((s->peer_count + 1) * sizeof(*c->asked));
    if (!c->asked)
        return false;
    for (size_t i = 0; i < s->peer_count; i++) {
        const struct peer_view *p = &s->peers[i].view;
        if (!peer_heard(p) || !p->holds)
            continue;
        c->asked[c->asked_count++].inc = p->inc;
        session_send(s, &m, NULL, p->inc);
    }
    return true;
}

void cull_free(struct cull *c)
{
    mem_free(c->asked);
    *c = (struct cull){0};
}

/* Those of this node end when the next is asked for. */
uint64_t session_cull(struct session *s, const struct cull_wish *w, bool farm, uint64_t now_ns,
                      struct session_actions *out)
{
    s->now_ns = now_ns > s->now_ns ? now_ns : s->now_ns;
    s->out = out;
    for (size_t i = 0; i < CULLS_MAX; i++)
        if (s->culls[i].number != 0 && s->culls[i].asker == 0)
            cull_free(&s->culls[i]);
    struct cull *c = begin(s, w, 0, 0);
    if (c && farm && !ask_others(s, c)) {
        cull_free(c);
        c = NULL;
    }
    out->deadline_ns = s->now_ns;
    s->out = NULL;
    return c ? c->number : 0;
}

bool session_cull_state(struct session *s, uint64_t number, struct cull_state *out)
{
    const struct cull *c = find(s, number);
    *out = (struct cull_state){0};
    if (!c)
        return false;
    out->running = !c->done;
    out->ended = c->ended;
    out->failed = c->failed;
    for (size_t i = 0; i < c->asked_count; i++) {
        const struct cull_asked_peer *p = &c->asked[i];
        if (p->done)
            continue;
        out->running |= peer_is_heard(s, p->inc) && s->now_ns < c->until_ns;
        if (out->silent_count < CULL_SILENT_MAX)
            out->silent[out->silent_count++] = p->inc;
    }
    return true;
}
