/* Joining: a starting node waits until everybody has said that the farm has its copies again. */
#include "core/session/session_internal.h"

#define SYNC_AGAIN_NS (500 * NS_PER_MS)

static bool must_answer(const struct peer *p)
{
    return p->view.holds && (p->view.state == PEER_UP || p->view.state == PEER_LEAVING);
}

/* How far this shard is with the copies that others are to have, in percent: less than all. */
static uint8_t progress(const struct session *s)
{
    if (s->scanning)
        return (uint8_t)((s->scan_cursor >> 32) * 99 >> 32);
    return s->scan_again ? 0 : 99;
}

static void tell_progress(struct session *s, uint64_t to, uint64_t nonce)
{
    struct message m = {.type = MESSAGE_SYNCING,
                        .token = nonce,
                        .index = s->config.shard_index,
                        .count = s->config.shard_count,
                        .status = progress(s)};
    session_send(s, &m, NULL, to);
}

void sync_tick(struct session *s)
{
    bool idle = repair_idle(s);
    for (size_t i = 0; i < s->peer_count; i++) {
        struct peer *p = &s->peers[i];
        for (; idle && p->sync_owed_count > 0; p->sync_owed_count--) {
            struct message m = {.type = MESSAGE_SYNCED,
                                .token = p->sync_owed[p->sync_owed_count - 1],
                                .index = s->config.shard_index,
                                .count = s->config.shard_count};
            session_send(s, &m, NULL, p->view.inc);
        }
        bool joins = s->self_state == PEER_JOINING && must_answer(p) && !p->sync_done;
        if ((!joins && !missing_asks(s, p)) ||
            (p->sync_asked_ns != 0 && s->now_ns < p->sync_asked_ns + SYNC_AGAIN_NS))
            continue;
        struct message m = {.type = MESSAGE_SYNC, .token = s->sync_nonce};
        p->sync_asked_ns = s->now_ns;
        session_send(s, &m, NULL, p->view.inc);
    }
}

/* Answered when nothing here is short of copies; several shards of the asker ask, each with its own
 * nonce. */
void sync_asked(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    if (!p)
        return;
    if (!repair_idle(s) && p->view.state == PEER_JOINING)
        tell_progress(s, from, m->token);
    for (size_t i = 0; i < p->sync_owed_count; i++)
        if (p->sync_owed[i] == m->token)
            return;
    if (p->sync_owed_count < SYNC_OWED_MAX)
        p->sync_owed[p->sync_owed_count++] = m->token;
    sync_tick(s);
}

void sync_answered(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    if (!p || m->token != s->sync_nonce || m->count == 0 || m->count > 64 || m->index >= m->count)
        return;
    p->sync_parts = m->count;
    p->sync_percent[m->index] = 100;
    p->sync_shards |= 1ull << m->index;
    p->sync_done = p->sync_shards == (m->count == 64 ? UINT64_MAX : (1ull << m->count) - 1);
    p->complete |= p->sync_done;
}

void sync_heard(struct session *s, uint64_t from, const struct message *m)
{
    struct peer *p = peer_find(s, from);
    if (!p || m->token != s->sync_nonce || m->count == 0 || m->count > SYNC_OWED_MAX ||
        m->index >= m->count)
        return;
    p->sync_parts = m->count;
    p->sync_percent[m->index] = m->status < 100 ? m->status : 99;
}

void sync_stats(const struct session *s, struct session_stats *out)
{
    for (size_t i = 0; i < s->peer_count; i++) {
        const struct peer *p = &s->peers[i];
        out->sync_peers += p->sync_asked_ns != 0;
        out->sync_done += p->sync_done;
        out->sync_parts += p->sync_parts;
        for (size_t k = 0; k < p->sync_parts; k++)
            out->sync_percent += p->sync_percent[k];
    }
}

bool session_synced(const struct session *s)
{
    if (MUTANT(READY_TOO_EARLY))
        return true;
    for (size_t i = 0; i < s->peer_count && s->self_state == PEER_JOINING; i++)
        if (must_answer(&s->peers[i]) && !s->peers[i].sync_done)
            return false;
    return true;
}
