/* cast.c - messages to several receivers on their way out: which of them hear the group, frames
 * that hold the parts of several messages for several links, repairs of what was asked for, and the
 * beats that say what went out last. */
#include "core/mesh/mesh_internal.h"

#include "base/mem.h"
#include "base/mutant.h"

#include <assert.h>
#include <string.h>

#define TOGETHER_NS (200 * NS_PER_US) /* so long others may ask for the same */
#define LINGER_NS (1 * NS_PER_MS)     /* who asks again so soon has not seen the answer yet */
#define BEAT_MIN_NS (2 * NS_PER_MS)
#define BEAT_MAX_NS (250 * NS_PER_MS)
#define PARTS_MAX 32u /* of a message that goes by the group */
#define ITEMS_MAX 64u /* in a frame */

_Static_assert(MESH_RECEIVERS_MAX == UNIT_SHARES_MAX && MESH_OWN_BYTES == UNIT_OWN_BYTES,
               "a unit has room for a message's receivers, and for what is their own");

void cast_init(struct cast *f)
{
    *f = (struct cast){.beat_ns = TIME_NEVER};
    list_init(&f->queue);
    list_init(&f->repairs);
}

void cast_deinit(struct cast *f)
{
    struct list *link;
    while ((link = list_pop(&f->queue))) {
        struct cast_send *s = list_entry(link, struct cast_send, link);
        for (unsigned i = 0; i < s->count; i++)
            mem_free(s->to[i].message);
        mem_free(s);
    }
}

void cast_drop_queued(struct mesh *m, uint64_t inc)
{
    struct peer *p = mesh_peer(m, inc);
    for (struct list *l = m->cast.queue.next; p && l != &m->cast.queue; l = l->next) {
        struct cast_send *s = list_entry(l, struct cast_send, link);
        for (unsigned i = 0; i < s->count; i++) {
            if (s->to[i].inc != inc || !s->to[i].message)
                continue;
            tx_message_free(&p->tx, s->to[i].message);
            s->to[i].message = NULL;
            m->stats.unsent_void++;
        }
    }
}

/* -- taking messages -- */

/* A copy for one of the receivers, in no list yet; NULL: its queue does not take it. */
static struct tx_message *copy_for(struct mesh *m, const struct mesh_to *to,
                                   enum mesh_channel channel, size_t own_at, const uint8_t *bytes,
                                   size_t len)
{
    struct peer *p = mesh_peer(m, to->inc);
    struct tx_message *copy = NULL;
    if (!p || tx_message_new(m, &p->tx, channel, bytes, len, &copy) != STEAD_OK)
        return NULL;
    memcpy(copy->bytes + own_at, to->own, MESH_OWN_BYTES);
    m->stats.messages_out++;
    mesh_wake(m, p);
    return copy;
}

static void by_unicast(struct mesh *m, uint64_t inc, struct tx_message *copy)
{
    list_append(&mesh_peer(m, inc)->tx.waiting, &copy->link);
    m->stats.unicast_copies++;
}

unsigned mesh_send_many(struct mesh *m, const struct mesh_to to[], size_t count,
                        enum mesh_channel channel, size_t own_at, const uint8_t *bytes, size_t len,
                        uint64_t now_ns)
{
    (void)now_ns;
    assert(count <= MESH_RECEIVERS_MAX && own_at + MESH_OWN_BYTES <= len &&
           own_at + MESH_OWN_BYTES <= UNIT_PART_MAX);
    unsigned took = 0;
    if (len > MESH_MESSAGE_MAX)
        return 0;
    bool group = m->config.group.family != 0 && m->cast.queued < CAST_QUEUE_MAX;
    struct cast_send *s = group ? mem_alloc(sizeof *s) : NULL;
    for (size_t i = 0; i < count; i++) {
        struct tx_message *copy = copy_for(m, &to[i], channel, own_at, bytes, len);
        if (!copy)
            continue;
        took |= 1u << i;
        if (!s) {
            by_unicast(m, to[i].inc, copy);
            continue;
        }
        s->to[s->count].inc = to[i].inc;
        s->to[s->count++].message = copy;
    }
    if (!s)
        return took;
    s->own_at = (uint16_t)own_at;
    list_append(&m->cast.queue, &s->link);
    m->cast.queued++;
    return took;
}

/* -- frames -- */

struct cast_frame {
    struct wire_writer w; /* the SHARED units */
    size_t body_max;      /* least of the receivers' */
    unsigned receivers, items;
    struct peer *table[UNIT_FLOW_MAX];
    struct cast_item *item[ITEMS_MAX];
    uint8_t bytes[MESH_BODY_MAX];
};

static void frame_init(struct cast_frame *f)
{
    f->receivers = f->items = 0;
    f->body_max = MESH_BODY_MAX;
    wire_writer_init(&f->w, f->bytes, sizeof f->bytes);
}

static size_t cast_bytes(unsigned receivers)
{
    return UNIT_FLOW_OVERHEAD + receivers * UNIT_FLOW_ENTRY_BYTES;
}

static void frame_end(struct cast_frame *f, struct mesh *m, struct mesh_actions *out)
{
    uint8_t body[MESH_BODY_MAX], table[UNIT_FLOW_MAX * UNIT_FLOW_ENTRY_BYTES];
    struct wire_writer w;
    if (f->receivers == 0)
        return;
    wire_writer_init(&w, table, sizeof table);
    for (unsigned i = 0; i < f->receivers; i++) {
        struct peer *p = f->table[i];
        struct unit_flow_entry e = {p->state.own, p->state.theirs, (uint32_t)p->reach.high,
                                    (uint32_t)p->rx.upto};
        unit_put_flow_entry(&w, &e);
        cast_in_told(p);
    }
    struct unit u = {.type = UNIT_FLOW, .flow = {.count = (uint8_t)f->receivers, .table = table}};
    wire_writer_init(&w, body, sizeof body);
    unit_put(&w, &u);
    wire_put_bytes(&w, f->bytes, wire_written(&f->w));
    bool big = wire_written(&w) + FRAME_OVERHEAD > MESH_FRAME_MIN;
    for (unsigned i = 0; i < f->items; i++)
        for (unsigned k = 0; k < f->item[i]->count; k++)
            if (f->item[i]->to[k].part)
                f->item[i]->to[k].part->big = big;
    m->stats.group_frames_out++;
    m->stats.group_bytes_out += wire_written(&w) + FRAME_OVERHEAD;
    mesh_emit(m, 0, 0, &m->config.group, &w, out);
    frame_init(f);
}

/* The peer's place in the table; it gets one if it has none. */
static uint8_t frame_place(struct cast_frame *f, struct peer *p)
{
    unsigned i = 0;
    while (i < f->receivers && f->table[i] != p)
        i++;
    if (i == f->receivers) {
        f->table[f->receivers++] = p;
        if (p->mtu.size - FRAME_OVERHEAD < f->body_max)
            f->body_max = p->mtu.size - FRAME_OVERHEAD;
    }
    return (uint8_t)i;
}

static size_t item_bytes(const struct cast_item *item, unsigned part_len)
{
    return UNIT_SHARED_OVERHEAD + part_len + item->count * UNIT_SHARE_BYTES_MAX;
}

static bool frame_has_room(const struct cast_frame *f, const struct cast_item *item,
                           unsigned part_len)
{
    size_t body_max = f->body_max;
    unsigned more = 0;
    for (unsigned i = 0; i < item->count; i++) {
        const struct peer *p = item->to[i].peer;
        unsigned k = 0;
        while (k < f->receivers && f->table[k] != p)
            k++;
        more += k == f->receivers;
        if (p->mtu.size - FRAME_OVERHEAD < body_max)
            body_max = p->mtu.size - FRAME_OVERHEAD;
    }
    return f->items < ITEMS_MAX && f->receivers + more <= UNIT_FLOW_MAX &&
           cast_bytes(f->receivers + more) + wire_written(&f->w) + item_bytes(item, part_len) <=
               body_max;
}

/* Takes what is there of a part without the receivers' own bytes. */
static void put_common(struct unit_shared *s, const uint8_t *part, uint32_t part_len,
                       uint8_t room[UNIT_PART_MAX])
{
    size_t before = s->own_at;
    if (s->own_at == UNIT_OWN_NONE) {
        s->bytes = part;
        s->len = part_len;
        return;
    }
    memcpy(room, part, before);
    memcpy(room + before, part + before + UNIT_OWN_BYTES, part_len - before - UNIT_OWN_BYTES);
    s->bytes = room;
    s->len = part_len - UNIT_OWN_BYTES;
}

/* For all who have not acknowledged it, or for those who asked. */
static void put_item(struct cast_frame *f, struct mesh *m, struct cast_item *item, bool asked,
                     uint64_t now_ns, struct mesh_actions *out)
{
    uint8_t room[UNIT_PART_MAX];
    struct unit u = {.type = UNIT_SHARED};
    struct unit_shared *s = &u.shared;
    const struct tx_part *any = NULL;
    for (unsigned i = 0; i < item->count; i++)
        if (item->to[i].part)
            any = item->to[i].part;
    if (!any)
        return;
    uint32_t part_len = unit_part_len(any->message->len, any->index);
    if (!frame_has_room(f, item, part_len))
        frame_end(f, m, out);
    *s = (struct unit_shared){.total = any->message->len,
                              .index = any->index,
                              .channel = any->message->channel,
                              .own_at = item->own_at};
    put_common(s, any->message->bytes + (size_t)any->index * UNIT_PART_MAX, part_len, room);
    for (unsigned i = 0; i < item->count; i++) {
        struct cast_share *to = &item->to[i];
        if (!to->part || (asked && !to->asked))
            continue;
        struct unit_share *share = &s->to[s->count++];
        share->place = frame_place(f, to->peer);
        share->low = (uint16_t)to->part->seq;
        if (item->own_at != UNIT_OWN_NONE)
            memcpy(share->own, to->part->message->bytes + item->own_at, UNIT_OWN_BYTES);
        if (to->part->seq > to->peer->reach.high)
            to->peer->reach.high = to->part->seq;
        to->part->sent_ns = now_ns;
        to->part->number = to->peer->tx.number;
    }
    unit_put(&f->w, &u);
    f->item[f->items++] = item;
}

/* -- sending -- */

void cast_forget(struct tx_part *part)
{
    struct cast_item *item = part->item;
    bool others = false;
    if (!item)
        return;
    part->item = NULL;
    for (unsigned i = 0; i < item->count; i++) {
        struct cast_share *to = &item->to[i];
        if (to->part == part) {
            item->asked = (uint8_t)(item->asked - to->asked);
            *to = (struct cast_share){.peer = to->peer};
        }
        others |= to->part != NULL;
    }
    if (others)
        return;
    if (list_linked(&item->link))
        list_remove(&item->link);
    mem_free(item);
}

/* Can the group bring it to this peer: does it hear the group, and opens what is sealed for all? */
static bool may_share(const struct mesh *m, struct peer *p, uint32_t frame_bytes, uint64_t now_ns)
{
    bool opens = p->mark == 0 || p->mark == seal_keys(m->config.seal)->active;
    if (!p->state.confirmed || !opens || !reach_is(p, now_ns))
        return false;
    if (frame_bytes <= p->mtu.size)
        return true;
    mtu_want(&p->mtu, now_ns); /* a larger frame would do */
    return false;
}

static void items_free(struct cast_item *items[], uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        mem_free(items[i]);
}

static bool items_new(struct cast_item *items[], uint32_t n, uint16_t own_at)
{
    for (uint32_t i = 0; i < n; i++) {
        items[i] = mem_alloc(sizeof *items[i]);
        if (!items[i]) {
            items_free(items, i);
            return false;
        }
        items[i]->own_at = i == 0 ? own_at : UNIT_OWN_NONE;
    }
    return true;
}

/* Those that can be reached by the group; marks the others' copies for unicast. */
static unsigned choose(struct mesh *m, struct cast_send *s, uint32_t n, struct peer *chosen[],
                       uint64_t now_ns)
{
    unsigned count = 0;
    for (unsigned i = 0; i < s->count; i++) {
        const struct tx_message *copy = s->to[i].message;
        struct peer *p = copy ? mesh_peer(m, s->to[i].inc) : NULL;
        uint32_t part = copy ? unit_part_len(copy->len, 0) : 0;
        uint32_t most = (uint32_t)(FRAME_OVERHEAD + cast_bytes(s->count) + UNIT_SHARED_OVERHEAD +
                                   s->count * UNIT_SHARE_BYTES_MAX) +
                        part;
        chosen[i] = p && n <= PARTS_MAX && may_share(m, p, most, now_ns) ? p : NULL;
        count += chosen[i] != NULL;
    }
    return count;
}

static void share(struct mesh *m, struct cast_frame *f, struct cast_send *s, struct peer *chosen[],
                  uint32_t n, uint64_t now_ns, struct mesh_actions *out)
{
    struct cast_item *items[PARTS_MAX];
    struct tx_part *parts[PARTS_MAX];
    unsigned count = 0;
    if (!items_new(items, n, s->own_at))
        return;
    for (unsigned i = 0; i < s->count; i++) {
        if (!chosen[i] || !tx_share(&chosen[i]->tx, s->to[i].message, parts, n))
            continue;
        s->to[i].message = NULL;
        for (uint32_t k = 0; k < n; k++) {
            items[k]->to[items[k]->count++] = (struct cast_share){chosen[i], parts[k], false};
            parts[k]->item = items[k];
        }
        count++;
    }
    if (count == 0) {
        items_free(items, n);
        return;
    }
    m->stats.group_messages_out++;
    m->stats.group_copies += count;
    for (uint32_t k = 0; k < n; k++)
        put_item(f, m, items[k], false, now_ns, out);
    m->cast.beat_delay_ns = BEAT_MIN_NS;
    m->cast.beat_ns = now_ns + BEAT_MIN_NS;
}

static void send_queued(struct mesh *m, struct cast_frame *f, uint64_t now_ns,
                        struct mesh_actions *out)
{
    struct list *link;
    while ((link = list_pop(&m->cast.queue))) {
        struct cast_send *s = list_entry(link, struct cast_send, link);
        struct peer *chosen[UNIT_SHARES_MAX];
        uint32_t n = 0;
        for (unsigned i = 0; i < s->count; i++)
            if (s->to[i].message)
                n = unit_parts(s->to[i].message->len);
        if (choose(m, s, n, chosen, now_ns) >= 2)
            share(m, f, s, chosen, n, now_ns, out);
        for (unsigned i = 0; i < s->count; i++)
            if (s->to[i].message)
                by_unicast(m, s->to[i].inc, s->to[i].message);
        mem_free(s);
    }
    m->cast.queued = 0;
}

/* -- repairs and beats -- */

void cast_asked(struct mesh *m, struct peer *p, uint64_t high, uint64_t now_ns)
{
    uint64_t linger_ns = p->tx.srtt_ns > LINGER_NS ? p->tx.srtt_ns : LINGER_NS;
    m->stats.asks_in++;
    if (MUTANT(REPAIR_NEVER))
        return;
    for (struct list *l = p->tx.grouped.next; l != &p->tx.grouped; l = l->next) {
        struct tx_part *part = list_entry(l, struct tx_part, link);
        struct cast_item *item = part->item;
        if (part->seq > high || (part->again && now_ns < part->sent_ns + linger_ns))
            continue;
        for (unsigned i = 0; i < item->count; i++) {
            item->asked = (uint8_t)(item->asked + (item->to[i].part == part && !item->to[i].asked));
            item->to[i].asked |= item->to[i].part == part;
        }
        if (list_linked(&item->link))
            continue;
        item->due_ns = now_ns + TOGETHER_NS;
        list_append(&m->cast.repairs, &item->link);
    }
}

/* One asked: it gets the part by its link. Several did: the group gets it, for them. */
static void repair(struct mesh *m, struct cast_frame *f, struct cast_item *item, uint64_t now_ns,
                   struct mesh_actions *out)
{
    bool alone = item->asked < 2;
    struct tx_part *lost = NULL;
    struct peer *to = NULL;
    for (unsigned i = 0; i < item->count; i++) {
        struct tx_part *part = item->to[i].part;
        if (!part || !item->to[i].asked)
            continue;
        if (alone) {
            lost = part;
            to = item->to[i].peer;
            continue;
        }
        part->again = true;
        list_remove(&part->link);
        list_append(&item->to[i].peer->tx.grouped, &part->link);
        m->stats.repairs_group++;
    }
    if (lost) {
        m->stats.repairs_unicast++;
        tx_part_lose(&to->tx, lost); /* the item may be gone */
        mesh_wake(m, to);
    }
    if (alone) /* or nobody is left who asked */
        return;
    put_item(f, m, item, true, now_ns, out);
    for (unsigned i = 0; i < item->count; i++)
        item->to[i].asked = false;
    item->asked = 0;
}

static void send_repairs(struct mesh *m, struct cast_frame *f, uint64_t now_ns,
                         struct mesh_actions *out)
{
    while (!list_empty(&m->cast.repairs)) {
        struct cast_item *item = list_entry(m->cast.repairs.next, struct cast_item, link);
        if (now_ns < item->due_ns)
            return;
        list_remove(&item->link);
        repair(m, f, item, now_ns, out);
    }
}

/* Says the last numbers to all that have not acknowledged them. */
static void beat(struct mesh *m, struct cast_frame *f, uint64_t now_ns, struct mesh_actions *out)
{
    struct cast *cast = &m->cast;
    bool any = false;
    if (now_ns < cast->beat_ns)
        return;
    for (struct list *l = m->active.next; l != &m->active; l = l->next) {
        struct peer *p = list_entry(l, struct peer, active);
        if (list_empty(&p->tx.grouped))
            continue;
        any = true;
        frame_place(f, p);
        if (f->receivers == UNIT_FLOW_MAX)
            frame_end(f, m, out);
        m->stats.group_beats++;
    }
    frame_end(f, m, out);
    cast->beat_ns = any ? now_ns + cast->beat_delay_ns : TIME_NEVER;
    if (cast->beat_delay_ns < BEAT_MAX_NS / 2)
        cast->beat_delay_ns *= 2;
    else
        cast->beat_delay_ns = BEAT_MAX_NS;
}

void cast_flush(struct mesh *m, uint64_t now_ns, struct mesh_actions *out)
{
    struct cast_frame f;
    struct cast *cast = &m->cast;
    if (list_empty(&cast->queue) && list_empty(&cast->repairs) && cast->beat_ns == TIME_NEVER)
        return;
    frame_init(&f);
    send_repairs(m, &f, now_ns, out);
    send_queued(m, &f, now_ns, out);
    frame_end(&f, m, out);
    beat(m, &f, now_ns, out);
    if (cast->beat_ns < out->deadline_ns)
        out->deadline_ns = cast->beat_ns;
    if (!list_empty(&cast->repairs)) {
        uint64_t due_ns = list_entry(cast->repairs.next, struct cast_item, link)->due_ns;
        if (due_ns < out->deadline_ns)
            out->deadline_ns = due_ns;
    }
}
