/* Do the copies that should be equal differ? All the time, a little of the table is compared with
 * the nodes that hold the same records, by stamp and digest; what differs though both sides are at
 * rest is counted, named, and mended by another round, whose merge loses nothing. */
#include "core/session/session_internal.h"

#define STEP_NS NS_PER_S
#define HASTE_STEP_NS (10 * NS_PER_MS)
#define HASTE_BATCH 64
#define LOOKS 512             /* a step */
#define OPEN_MAX 512          /* questions without an answer yet */
#define OPEN_LOST_NS NS_PER_S /* by then one is answered, or lost */

/* -- what was found -- */

static struct divergence *find(struct session *s, const struct key *key, uint64_t peer)
{
    struct verify *v = &s->verify;
    for (size_t i = 0; i < v->count; i++)
        if (v->found[i].peer == peer && key_equal(&v->found[i].key, key))
            return &v->found[i];
    return NULL;
}

static void note(struct session *s, const struct key *key, uint64_t peer)
{
    struct verify *v = &s->verify;
    if (find(s, key, peer))
        return;
    s->stats.diverged++;
    session_tell(s, NOTICE_DIVERGED, key, peer, 0);
    if (v->count < VERIFY_FOUND_MAX)
        v->found[v->count++] = (struct divergence){.key = *key, .peer = peer};
}

static void forget(struct session *s, const struct key *key, uint64_t peer)
{
    struct divergence *d = find(s, key, peer);
    if (d)
        *d = s->verify.found[--s->verify.count];
}

void verify_forget(struct session *s, const struct key *key)
{
    struct verify *v = &s->verify;
    for (size_t i = v->count; i-- > 0;)
        if (key_equal(&v->found[i].key, key))
            v->found[i] = v->found[--v->count];
}

/* -- asking -- */

/* A record of a kind that makes room by forgetting may be missing anywhere. */
static bool is_compared(struct session *s, const struct item *item)
{
    return kind_of(s, &item->record->key)->when_full != FULL_EVICT &&
           !work_find(s, &item->record->key) && !list_linked(&item->queue) &&
           !item_is_shelved(item);
}

static void ask(struct session *s, const struct item *item, uint64_t to, bool owned)
{
    struct message m = {.type = MESSAGE_VERIFY,
                        .key = item->record->key,
                        .token = s->verify.mends,
                        .stamp = item->record->stamp,
                        .digest = record_digest(item->record),
                        .index = owned,
                        .count = 1};
    if (!peer_is_heard(s, to) || !session_send(s, &m, NULL, to))
        return;
    s->verify.open++;
    s->verify.open_ns = s->now_ns;
}

/* Has that holder confirmed this very version, in the contact of now? */
static bool is_settled(struct session *s, const struct item *item, const struct copy *c)
{
    const struct peer *p = peer_find(s, c->inc);
    return p && peer_heard(&p->view) && !c->going && c->version == item->record->stamp.version &&
           c->granted == p->view.granted && c->counted == p->view.counted;
}

static void compare(struct session *s, const struct item *item)
{
    if (!is_compared(s, item))
        return;
    s->stats.verified++;
    s->stats.sweep_verified++;
    if (item->role != ROLE_OWNER) {
        ask(s, item, item->record->stamp.inc, false);
        return;
    }
    for (size_t i = 0; i < item->state->count; i++)
        if (is_settled(s, item, &item->state->copies[i]))
            ask(s, item, item->state->copies[i].inc, true);
}

/* -- asked -- */

void verify_asked(struct session *s, uint64_t from, const struct message *m)
{
    const struct item *item = table_find(s->table, &m->key);
    struct message reply = {
        .type = MESSAGE_VERIFIED, .key = m->key, .token = m->token, .stamp = m->stamp};
    int order = item ? stamp_compare(&item->record->stamp, &m->stamp) : -1;
    bool differs = order < 0 || (order == 0 && record_digest(item->record) != m->digest);
    if (m->index == 1 && differs)
        reply.status = (uint8_t)-STEAD_E_CONFLICT;
    /* A copy whose owner is not the one that is asked, or counts on it no more: it may have come
     * late, behind what should have told it. */
    bool owns = item && item->role == ROLE_OWNER;
    if (m->index == 0 && (!owns || (order <= 0 && !item_copy(item, from))))
        reply.status = (uint8_t)-STEAD_E_NOT_FOUND;
    session_send(s, &reply, NULL, from);
}

static void differs_there(struct session *s, struct item *item, uint64_t from,
                          const struct message *m)
{
    struct copy *c = item_copy(item, from);
    if (!c || !is_settled(s, item, c) || stamp_compare(&item->record->stamp, &m->stamp) != 0)
        return; /* it has changed since: no answer to that */
    note(s, &m->key, from);
    if (m->token == 0)
        return;
    c->version = 0;
    repair_note(s, item);
}

static void nobodys_copy(struct session *s, struct item *item, uint64_t from,
                         const struct message *m)
{
    if (item->role == ROLE_OWNER || item->record->stamp.inc != from ||
        stamp_compare(&item->record->stamp, &m->stamp) != 0)
        return;
    note(s, &m->key, from);
    if (m->token == 0)
        return;
    item->generation = GENERATION_UNSURE;
    item->mend_ns = 0;
    repair_note(s, item);
}

void verify_answered(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    s->verify.open -= s->verify.open > 0;
    if (!item || !is_compared(s, item))
        return;
    if (m->status == (uint8_t)-STEAD_E_CONFLICT && item->role == ROLE_OWNER)
        differs_there(s, item, from, m);
    else if (m->status == (uint8_t)-STEAD_E_NOT_FOUND)
        nobodys_copy(s, item, from, m);
    else if (m->status == 0)
        forget(s, &m->key, from);
}

/* -- the sweep -- */

void verify_begin(struct session *s, bool mends)
{
    s->verify.haste = true;
    s->verify.mends = mends;
    s->verify.cursor = 0;
    s->verify.next_ns = 0;
    s->verify.count = 0;
    s->stats.sweep_verified = 0;
}

static void end_sweep(struct session *s)
{
    s->verify.haste = false;
    s->verify.mends = true;
    s->verify.sweeps++;
}

/* What lies in ranges that differ (ranges.h). */
static void look_into(struct session *s)
{
    struct item *items[HASTE_BATCH];
    size_t n = 1;
    if (!ranges_look(s))
        return;
    s->verify.next_ns = s->now_ns + HASTE_STEP_NS;
    for (size_t looks = 0; n > 0 && looks < LOOKS && s->verify.open < OPEN_MAX; looks += n) {
        n = table_walk(s->table, &s->looking.cursor, items, HASTE_BATCH);
        for (size_t i = 0; i < n; i++)
            if (ranges_has(s, items[i]))
                compare(s, items[i]);
        session_rest(s);
    }
    s->looking.on = s->looking.cursor != 0;
}

void verify_tick(struct session *s)
{
    struct verify *v = &s->verify;
    struct item *items[HASTE_BATCH];
    if (s->now_ns < v->next_ns)
        return;
    v->next_ns = s->now_ns + (v->haste ? HASTE_STEP_NS : STEP_NS);
    if (v->open > 0 && s->now_ns >= v->open_ns + OPEN_LOST_NS)
        v->open = 0;
    size_t left = v->haste ? HASTE_BATCH : 0;
    if (!v->haste && s->config.ranges) {
        look_into(s);
        return;
    }
    if (!v->haste && s->config.compare_s > 0)
        left = (size_t)(table_count(s->table) / s->config.compare_s + 1);
    bool over = v->over || s->peer_count == 0;
    while (left > 0 && !over && v->open < OPEN_MAX) {
        size_t n = table_walk(s->table, &v->cursor, items, left < HASTE_BATCH ? left : HASTE_BATCH);
        for (size_t i = 0; i < n; i++)
            compare(s, items[i]);
        left -= n < left ? n : left;
        over = v->cursor == 0;
        if (n == 0)
            break;
    }
    v->over = over && v->open > 0;
    if (over && v->open == 0)
        end_sweep(s);
}

bool session_verify(struct session *s, bool begin, bool mends, struct divergence *out,
                    size_t *count)
{
    if (begin)
        verify_begin(s, mends);
    size_t n = s->verify.count < *count ? s->verify.count : *count;
    for (size_t i = 0; i < n; i++)
        out[i] = s->verify.found[i];
    *count = n;
    return s->verify.haste;
}
