/* Copies of many records at once, without a round for each. The pump is a scan (repair.c), which
 * goes through the table in the order of hashes as far as answers make room. */
#include "core/session/bulk.h"

#include "core/session/session_internal.h"

#include <string.h>

#define FLIGHT_MAX 512         /* records on the way to a peer, a shard */
#define RECORD_BYTES_BULK 4096 /* a larger one takes a round, whose pace is by bytes */
#define LOST_NS NS_PER_S
#define OFF_NS (5 * NS_PER_S) /* one that answers nothing is served by rounds so long */
#define LOSSES_MAX 3          /* a connection may break now and then */
#define STEP_ROOM 128         /* answers that make it worth going on */
#define STEP_LOOKS 256

static bool takes_bulk(const struct session *s, const struct peer *p)
{
    return p->view.holds && p->view.state <= PEER_UP && s->now_ns >= p->bulk_off_ns;
}

bool bulk_room(const struct session *s, size_t count)
{
    for (size_t i = 0; i < s->peer_count; i++)
        if (takes_bulk(s, &s->peers[i]) && s->peers[i].bulk_flight + count > FLIGHT_MAX)
            return false;
    return true;
}

bool bulk_idle(const struct session *s)
{
    for (size_t i = 0; i < s->peer_count; i++)
        if (s->peers[i].bulk_flight > 0)
            return false;
    return true;
}

/* The contact that it is sent in: an answer from another one confirms nothing. */
static uint64_t token_of(const struct peer *p)
{
    return BULK_TOKEN | (p->view.counted & 0x7fffffffu) << 31 | (p->view.granted & 0x7fffffffu);
}

static bool all_take_bulk(struct session *s, const struct item *item)
{
    for (size_t i = 0; i < item->state->count; i++) {
        const struct copy *c = &item->state->copies[i];
        struct peer *p = peer_find(s, c->inc);
        if (c->going || !p || (c->version != item->record->stamp.version && !takes_bulk(s, p)))
            return false;
    }
    return true;
}

/* As a round begins. What else a round is for, a holder that gives way, is left to one. */
static bool choose(struct session *s, struct item *item, bool *changed)
{
    struct work drops = {.phase = WORK_IDLE};
    struct record *r = item->record;
    struct session_state state = *item->state;
    struct stamp stamp = r->stamp;
    uint64_t holders[RECORD_HOLDERS_MAX];
    uint8_t count = r->holder_count;
    memcpy(holders, r->holders, sizeof holders);
    *changed = item_choose_holders(s, item, &drops);
    if (drops.drop_count == 0 && item->state->count > 0 && all_take_bulk(s, item))
        return true;
    *item->state = state;
    r->stamp = stamp;
    r->holder_count = count;
    memcpy(r->holders, holders, sizeof holders);
    return false;
}

static void send_copy(struct session *s, const struct item *item, struct copy *c)
{
    struct peer *p = peer_find(s, c->inc);
    struct message m = {.type = MESSAGE_REPLICATE,
                        .key = item->record->key,
                        .token = token_of(p),
                        .counted = p->view.counted,
                        .granted = p->view.granted,
                        .base = c->version,
                        .digest = record_digest(item->record),
                        .left_ms = item_left_ms(s, item)};
    if (c->version == 0) {
        c->granted = p->view.granted;
        c->counted = p->view.counted;
    }
    if (!session_send(s, &m, item->record, c->inc))
        return; /* as good as lost on the way */
    s->stats.bulk_sent++;
    if (p->bulk_flight++ == 0)
        p->bulk_heard_ns = s->now_ns;
}

bool bulk_copy(struct session *s, struct item *item)
{
    const struct record *r = item->record;
    bool changed;
    if (r->memory_bytes > RECORD_BYTES_BULK || quorum_rules(s, &r->key) ||
        list_linked(&item->queue) || r->mark || work_find(s, &r->key) || !choose(s, item, &changed))
        return false;
    for (size_t i = 0; i < item->state->count; i++)
        if (changed || item->state->copies[i].version != r->stamp.version)
            send_copy(s, item, &item->state->copies[i]);
    return true;
}

/* -- answers -- */

static void kept(struct session *s, struct item *item, const struct peer *p,
                 const struct message *m)
{
    struct copy *c = item_copy(item, p->view.inc);
    if (!c || c->counted != p->view.counted || c->granted != p->view.granted)
        return;
    c->version = m->stamp.version;
    s->stats.bulk_kept++;
}

static void heard(struct session *s, struct peer *p)
{
    p->bulk_flight -= p->bulk_flight > 0;
    p->bulk_losses = 0;
    p->bulk_heard_ns = s->now_ns;
}

bool bulk_confirmed(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = m->status == 0 && (m->token & BULK_TOKEN) ? peer_find(s, from) : NULL;
    if (!p || m->token != token_of(p))
        return false;
    struct item *item = table_find(s->table, &m->key);
    if (!item || item->role != ROLE_OWNER || work_find(s, &m->key) ||
        stamp_compare(&item->record->stamp, &m->stamp) != 0)
        return false;
    heard(s, p);
    kept(s, item, p, m);
    return true;
}

void bulk_answered(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    if (!p)
        return;
    heard(s, p);
    struct item *item = table_find(s->table, &m->key);
    /* What a round is about, the round will find out. */
    if (!item || item->role != ROLE_OWNER || work_find(s, &m->key) || m->token != token_of(p))
        return;
    if (m->status != 0)
        repair_note(s, item); /* a round knows what to make of a refusal */
    else if (stamp_compare(&item->record->stamp, &m->stamp) == 0)
        kept(s, item, p, m);
}

void bulk_tick(struct session *s)
{
    for (size_t i = 0; i < s->peer_count; i++) {
        struct peer *p = &s->peers[i];
        if (p->bulk_flight == 0 || s->now_ns < p->bulk_heard_ns + LOST_NS)
            continue;
        s->stats.bulk_lost += p->bulk_flight;
        p->bulk_flight = 0;
        if (++p->bulk_losses >= LOSSES_MAX)
            p->bulk_off_ns = s->now_ns + OFF_NS;
        s->scan_again = true;
    }
}

void bulk_step(struct session *s)
{
    if (s->scanning && bulk_room(s, STEP_ROOM))
        repair_scan(s, STEP_LOOKS);
}

/* -- at the receiver -- */

bool bulk_is_late(struct session *s, uint64_t from, const struct message *m)
{
    return (m->token & BULK_TOKEN) && hint_get(s, &m->key) == from;
}
