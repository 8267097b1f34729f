/* Life and its end: only the owner decides that a record is over. */
#include "core/session/session_internal.h"

#define EXPIRE_BATCH 256
#define TOUCHES 10 /* renewals are told at most so often in a life */

void expiry_set(struct session *s, struct item *item, uint32_t left_ms)
{
    uint64_t at = TIME_NEVER;
    item->life_ns = left_ms ? s->now_ns + left_ms * NS_PER_MS : TIME_NEVER;
    bool tombstone = record_is_tombstone(item->record);
    s->stats.tombstones += tombstone;
    s->stats.tombstones -= item->tombstone;
    item->tombstone = tombstone;
    if (tombstone)
        at = s->now_ns + s->config.split_max_ms * NS_PER_MS;
    else if (left_ms != 0 && item->role == ROLE_OWNER)
        at = s->now_ns + left_ms * NS_PER_MS;
    else if (left_ms != 0 && MUTANT(EXPIRY_BY_HOLDER))
        at = s->now_ns + left_ms * NS_PER_MS / 8;
    else if (left_ms != 0)
        at = s->now_ns + (left_ms + s->config.grace_ms) * NS_PER_MS;
    table_expire_at(s->table, item, at);
}

static void send_touch(struct session *s, struct item *item, uint64_t to)
{
    struct message m = {.type = MESSAGE_TOUCH, .key = item->record->key};
    if (peer_is_heard(s, to))
        session_send(s, &m, NULL, to);
}

static void touch_holders(struct session *s, struct item *item, uint64_t but)
{
    for (size_t i = 0; i < item->state->count; i++)
        if (item->state->copies[i].inc != but)
            send_touch(s, item, item->state->copies[i].inc);
}

bool expiry_tells(const struct session *s, uint64_t touched_ns, uint32_t ttl_ms)
{
    return s->now_ns >= touched_ns + ttl_ms * NS_PER_MS / TOUCHES;
}

void expiry_touch(struct session *s, struct item *item)
{
    uint64_t ttl_ns = item->record->ttl_ms * NS_PER_MS;
    if (ttl_ns == 0 || !kind_of(s, &item->record->key)->sliding)
        return;
    expiry_set(s, item, item->record->ttl_ms);
    if (!expiry_tells(s, item->touched_ns, item->record->ttl_ms))
        return;
    item->touched_ns = s->now_ns;
    if (item->role == ROLE_OWNER)
        touch_holders(s, item, 0);
    else
        send_touch(s, item, item->record->stamp.inc);
}

static void postpone(struct session *s, struct item *item, uint64_t ns)
{
    table_expire_at(s->table, item, s->now_ns + ns);
}

void expiry_touched(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    if (!item || record_is_tombstone(item->record))
        return;
    bool owned = item->role == ROLE_OWNER, late = peer_lapsed(s, from);
    if (!owned && (item->record->stamp.inc != from || late))
        return;
    /* A life that is told late is too long. At an owner that has only stood still for a moment no
     * harm, since it alone ends it; one that was longer away must not take it for a sign that the
     * record still lives. */
    if (late)
        postpone(s, item, item->record->ttl_ms * NS_PER_MS);
    else
        expiry_set(s, item, item->record->ttl_ms);
    item->touched_ns = s->now_ns;
    if (item->role == ROLE_OWNER)
        touch_holders(s, item, from);
}

static void expire_owned(struct session *s, struct item *item)
{
    bool wait;
    struct session_state *st = item->state;
    bool kept = !quorum_rules(s, &item->record->key) || quorum_keeps(s, item);
    if (!item_confident(s, item, &wait) || !kept) {
        postpone(s, item, 500 * NS_PER_MS);
        return;
    }
    struct message m = {
        .type = MESSAGE_EXPIRED, .key = item->record->key, .stamp = item->record->stamp};
    for (size_t i = 0; i < st->count; i++)
        if (peer_is_heard(s, st->copies[i].inc))
            session_send(s, &m, NULL, st->copies[i].inc);
    s->stats.expired++;
    item_remove(s, item);
}

void expiry_tick(struct session *s)
{
    struct item *item;
    for (int n = 0; n < EXPIRE_BATCH && (item = table_expired(s->table, s->now_ns)); n++) {
        if (work_find(s, &item->record->key))
            postpone(s, item, NS_PER_S);
        else if (record_is_tombstone(item->record))
            item_remove(s, item);
        else if (item->role == ROLE_OWNER)
            expire_owned(s, item);
        else
            item_remove(s, item);
    }
}

void expiry_expired(struct session *s, uint64_t from, const struct message *m)
{
    struct item *item = table_find(s->table, &m->key);
    if (!item || item->role == ROLE_OWNER || item->record->stamp.inc != from ||
        stamp_compare(&item->record->stamp, &m->stamp) > 0)
        return;
    item_remove(s, item);
}
