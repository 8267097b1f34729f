/* tx.c - what goes to a peer: the queue, packing into frames, the window, loss and sending again.
 *
 * The unit of loss is the part, which fits any frame; frames are packed anew each time, so a frame
 * size that turns out too large costs a retransmission and nothing else. Each frame with parts has
 * a number; an ACK names the greatest number seen, which gives clean round trips and shows what was
 * overtaken. */
#include "core/mesh/mesh_internal.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

#include <openssl/crypto.h>

#define RTO_MIN_NS (5 * NS_PER_MS)
#define RTO_FIRST_NS (50 * NS_PER_MS)
#define RTO_MAX_NS NS_PER_S
#define PATIENT_AFTER 2u /* timeouts in a row; only then does the wait double */
#define BACKOFF_MAX 12u
#define SILENCE_NS (500 * NS_PER_MS) /* some heartbeats */
#define OVERTAKEN_BY 3u              /* later frames seen: then an earlier one is lost */
#define WINDOW_FIRST (64u << 10)
#define WINDOW_FLOOR (16u << 10)
#define GROUP_PATIENCE_NS (80 * NS_PER_MS) /* receivers acknowledge late, and ask before */
#define LARGER_FRAMES_PAY (16u << 10)      /* queued bytes that make it worth to probe */

void tx_init(struct tx *t, const struct mesh_config *c)
{
    *t = (struct tx){.next_seq = 1};
    list_init(&t->waiting);
    list_init(&t->in_flight);
    list_init(&t->grouped);
    list_init(&t->lost);
    list_init(&t->fleeting);
    t->window_bytes = c->window_bytes < WINDOW_FIRST ? c->window_bytes : WINDOW_FIRST;
    t->slow_start_bytes = c->window_bytes;
}

static size_t message_cost(const struct tx_message *message)
{
    return sizeof *message + message->len;
}

static void message_free_if_done(struct tx *t, struct tx_message *message)
{
    if (list_linked(&message->link) || message->parts_out > 0)
        return;
    t->queued_bytes -= message_cost(message);
    if (message->channel == CHANNEL_KEYS)
        OPENSSL_cleanse(message->bytes, message->len);
    mem_free(message);
}

static void part_free(struct tx *t, struct tx_part *part)
{
    cast_forget(part);
    list_remove(&part->link);
    part->message->parts_out--;
    message_free_if_done(t, part->message);
    mem_free(part);
}

static uint32_t part_len(const struct tx_part *part)
{
    return unit_part_len(part->message->len, part->index);
}

uint32_t tx_part_cost(const struct tx_part *part)
{
    return part_len(part) + UNIT_PART_OVERHEAD;
}

static void parts_free(struct tx *t, struct list *parts)
{
    while (!list_empty(parts))
        part_free(t, list_entry(parts->next, struct tx_part, link));
}

static void waiting_drop_first(struct tx *t)
{
    struct tx_message *message = list_entry(t->waiting.next, struct tx_message, link);
    list_remove(&message->link);
    message_free_if_done(t, message);
}

void tx_deinit(struct tx *t)
{
    parts_free(t, &t->in_flight);
    parts_free(t, &t->grouped);
    parts_free(t, &t->lost);
    while (!list_empty(&t->waiting))
        waiting_drop_first(t);
    struct list *link;
    while ((link = list_pop(&t->fleeting)))
        mem_free(list_entry(link, struct tx_message, link));
}

void tx_restart(struct tx *t, const struct mesh_config *c)
{
    parts_free(t, &t->in_flight);
    parts_free(t, &t->grouped);
    parts_free(t, &t->lost);
    if (!list_empty(&t->waiting)) {
        const struct tx_message *first = list_entry(t->waiting.next, struct tx_message, link);
        if (first->next_index > 0)
            waiting_drop_first(t);
    }
    struct tx kept = *t;
    tx_init(t, c);
    list_splice(&t->waiting, &kept.waiting);
    list_splice(&t->fleeting, &kept.fleeting);
    t->fleeting_count = kept.fleeting_count;
    t->queued_bytes = kept.queued_bytes;
    t->heard_ns = kept.heard_ns;
    t->srtt_ns = kept.srtt_ns;
    t->var_ns = kept.var_ns;
}

void mesh_drop_waiting(struct mesh *m, uint64_t inc)
{
    struct peer *p = mesh_peer(m, inc);
    cast_drop_queued(m, inc);
    struct list *link = p ? p->tx.waiting.next : NULL;
    while (p && link != &p->tx.waiting) {
        struct tx_message *message = list_entry(link, struct tx_message, link);
        link = link->next;
        if (message->next_index > 0)
            continue;
        list_remove(&message->link);
        message_free_if_done(&p->tx, message);
        m->stats.unsent_void++;
    }
}

static void fleeting_drop(struct mesh *m, struct tx *t, uint32_t keep)
{
    while (t->fleeting_count > keep) {
        mem_free(list_entry(list_pop(&t->fleeting), struct tx_message, link));
        t->fleeting_count--;
        m->stats.dropped_limit++;
    }
}

int tx_message_new(struct mesh *m, struct tx *t, enum mesh_channel channel, const uint8_t *bytes,
                   size_t len, struct tx_message **out)
{
    if (t->queued_bytes + sizeof(struct tx_message) + len > m->config.queue_bytes) {
        m->stats.unsent_full++;
        return STEAD_E_BUSY;
    }
    struct tx_message *message = mem_alloc(sizeof *message + len);
    if (!message)
        return STEAD_E_NOMEM;
    message->len = (uint32_t)len;
    message->channel = (uint8_t)channel;
    if (len)
        memcpy(message->bytes, bytes, len);
    t->queued_bytes += message_cost(message);
    *out = message;
    return STEAD_OK;
}

void tx_message_free(struct tx *t, struct tx_message *message)
{
    t->queued_bytes -= message_cost(message);
    mem_free(message);
}

static int send_fleeting(struct mesh *m, struct tx *t, enum mesh_channel channel,
                         const uint8_t *bytes, size_t len)
{
    struct tx_message *message = mem_alloc(sizeof *message + len);
    if (!message)
        return STEAD_E_NOMEM;
    message->len = (uint32_t)len;
    message->channel = (uint8_t)channel;
    if (len)
        memcpy(message->bytes, bytes, len);
    list_append(&t->fleeting, &message->link);
    t->fleeting_count++;
    fleeting_drop(m, t, FLEETING_MAX);
    return STEAD_OK;
}

int mesh_send(struct mesh *m, uint64_t to, enum mesh_channel channel, bool reliable,
              const uint8_t *bytes, size_t len, uint64_t now_ns)
{
    (void)now_ns;
    struct peer *p = mesh_peer(m, to);
    if (!p)
        return STEAD_E_NOT_FOUND;
    if (len > (reliable ? MESH_MESSAGE_MAX : MESH_FLEETING_BYTES_MAX))
        return STEAD_E_TOO_LARGE;
    struct tx *t = &p->tx;
    struct tx_message *message = NULL;
    int err = reliable ? tx_message_new(m, t, channel, bytes, len, &message)
                       : send_fleeting(m, t, channel, bytes, len);
    if (err)
        return err;
    if (message)
        list_append(&t->waiting, &message->link);
    m->stats.messages_out++;
    mesh_wake(m, p);
    return STEAD_OK;
}

/* Round trips and the window. */

uint64_t tx_rto_ns(const struct tx *t)
{
    uint64_t rto = t->srtt_ns ? t->srtt_ns * 2 + t->var_ns * 4 : RTO_FIRST_NS;
    if (rto < RTO_MIN_NS)
        rto = RTO_MIN_NS;
    unsigned doublings = t->backoff > PATIENT_AFTER ? t->backoff - PATIENT_AFTER : 0;
    rto = rto < RTO_MAX_NS ? rto << doublings : RTO_MAX_NS;
    return rto < RTO_MAX_NS ? rto : RTO_MAX_NS;
}

void tx_heard(struct tx *t, uint64_t now_ns)
{
    if (now_ns - t->heard_ns >= SILENCE_NS)
        t->backoff = 0;
    t->heard_ns = now_ns;
}

static uint64_t list_deadline_ns(const struct list *parts, uint64_t patience_ns)
{
    if (list_empty(parts))
        return TIME_NEVER;
    return list_entry(parts->next, struct tx_part, link)->sent_ns + patience_ns;
}

uint64_t tx_deadline_ns(const struct tx *t)
{
    uint64_t at_ns = list_deadline_ns(&t->in_flight, tx_rto_ns(t));
    uint64_t grouped_ns = list_deadline_ns(&t->grouped, tx_rto_ns(t) + GROUP_PATIENCE_NS);
    if (grouped_ns < at_ns)
        at_ns = grouped_ns;
    return at_ns == TIME_NEVER && t->memory_retry_ns ? t->memory_retry_ns : at_ns;
}

static void rtt_sample(struct tx *t, uint64_t rtt_ns)
{
    if (rtt_ns == 0)
        rtt_ns = 1; /* 0 says unknown */
    if (t->srtt_ns == 0) {
        t->srtt_ns = rtt_ns;
        t->var_ns = rtt_ns / 2;
        return;
    }
    uint64_t off = rtt_ns > t->srtt_ns ? rtt_ns - t->srtt_ns : t->srtt_ns - rtt_ns;
    t->var_ns = (t->var_ns * 3 + off) / 4;
    t->srtt_ns = (t->srtt_ns * 7 + rtt_ns) / 8;
}

static void window_grow(struct tx *t, const struct mesh_config *c, uint64_t acked_bytes)
{
    uint64_t window = t->window_bytes;
    if (window < t->slow_start_bytes)
        window += acked_bytes;
    else
        window += acked_bytes * MESH_FRAME_MIN / window;
    t->window_bytes = window < c->window_bytes ? (uint32_t)window : c->window_bytes;
}

static void window_shrink(struct tx *t, uint64_t lost_number)
{
    if (lost_number <= t->recovery_number)
        return; /* once a round trip */
    t->recovery_number = t->number;
    uint32_t window = t->window_bytes / 4 * 3;
    if (window > WINDOW_FLOOR)
        t->window_bytes = window;
    t->slow_start_bytes = t->window_bytes;
}

void tx_part_lose(struct tx *t, struct tx_part *part)
{
    cast_forget(part);
    t->in_flight_bytes -= tx_part_cost(part);
    list_remove(&part->link);
    list_append(&t->lost, &part->link);
}

static void lose_big(struct tx *t, struct list *parts)
{
    struct list *link = parts->next;
    while (link != parts) {
        struct tx_part *part = list_entry(link, struct tx_part, link);
        link = link->next;
        if (part->big)
            tx_part_lose(t, part);
    }
}

void tx_lose_big(struct tx *t)
{
    lose_big(t, &t->in_flight);
    lose_big(t, &t->grouped);
}

/* What the group should have brought: unicast does. */
static void time_out_grouped(struct mesh *m, struct peer *p, uint64_t now_ns)
{
    struct tx *t = &p->tx;
    uint64_t patience_ns = tx_rto_ns(t) + GROUP_PATIENCE_NS, number = 0;
    bool big = false, any = false;
    while (now_ns >= list_deadline_ns(&t->grouped, patience_ns)) {
        struct tx_part *part = list_entry(t->grouped.next, struct tx_part, link);
        number = part->number;
        big |= part->big;
        any = true;
        tx_part_lose(t, part);
        m->stats.group_late++;
    }
    if (!any)
        return;
    window_shrink(t, number);
    reach_missed(m, p);
    if (big)
        mtu_lost(p, now_ns);
}

static void time_out(struct peer *p, uint64_t now_ns)
{
    struct tx *t = &p->tx;
    uint64_t rto_ns = tx_rto_ns(t);
    uint64_t number = 0;
    bool big = false;
    while (!list_empty(&t->in_flight)) {
        struct tx_part *part = list_entry(t->in_flight.next, struct tx_part, link);
        if (now_ns < part->sent_ns + rto_ns)
            break;
        number = part->number;
        big |= part->big;
        tx_part_lose(t, part);
    }
    if (number == 0)
        return;
    if (t->backoff < BACKOFF_MAX)
        t->backoff++;
    window_shrink(t, number);
    if (big)
        mtu_lost(p, now_ns);
}

/* Acknowledgements. */

bool tx_ack_valid(const struct tx *t, const struct unit_ack *a)
{
    if (a->upto >= t->next_seq || a->newest > t->number)
        return false;
    for (uint64_t bit = t->next_seq - a->upto - 1; bit < a->words * 64u; bit++) {
        if (a->bits[bit / 64] >> bit % 64 & 1)
            return false;
    }
    return true;
}

static uint64_t take_acked(struct tx *t, struct list *parts, const struct unit_ack *a)
{
    uint64_t bytes = 0;
    struct list *link = parts->next;
    while (link != parts) {
        struct tx_part *part = list_entry(link, struct tx_part, link);
        link = link->next;
        if (unit_acked(a, part->seq)) {
            bytes += tx_part_cost(part);
            part_free(t, part);
        }
    }
    return bytes;
}

/* What the group brought: it was in flight, and the peer hears the group. */
static uint64_t take_acked_grouped(struct peer *p, const struct unit_ack *a)
{
    uint64_t bytes = take_acked(&p->tx, &p->tx.grouped, a);
    p->tx.in_flight_bytes -= bytes;
    if (bytes)
        p->reach.misses = 0;
    return bytes;
}

void tx_ack(struct mesh *m, struct peer *p, const struct unit_ack *a, uint64_t now_ns)
{
    struct tx *t = &p->tx;
    uint64_t acked_bytes = take_acked(t, &t->lost, a), lost_number = 0;
    acked_bytes += take_acked_grouped(p, a);
    bool big_lost = false, sampled = false;
    struct list *link = t->in_flight.next;
    while (link != &t->in_flight) {
        struct tx_part *part = list_entry(link, struct tx_part, link);
        link = link->next;
        if (unit_acked(a, part->seq)) {
            /* Only the newest frame is known to have come: what was sent twice may be here by its
             * first copy. */
            if (part->number == a->newest && !sampled) {
                rtt_sample(t, now_ns - part->sent_ns);
                sampled = true;
                if (part->big)
                    mtu_arrived(&p->mtu);
            }
            acked_bytes += tx_part_cost(part);
            t->in_flight_bytes -= tx_part_cost(part);
            part_free(t, part);
        } else if (part->number + OVERTAKEN_BY <= a->newest) {
            lost_number = part->number;
            big_lost |= part->big;
            tx_part_lose(t, part);
        }
    }
    if (a->upto > t->acked_upto)
        t->acked_upto = a->upto;
    if (acked_bytes) {
        t->backoff = 0;
        window_grow(t, &m->config, acked_bytes);
    }
    if (lost_number)
        window_shrink(t, lost_number);
    if (big_lost)
        mtu_lost(p, now_ns);
}

/* Packing. */

struct frame {
    struct wire_writer w;
    uint64_t number; /* if it carries parts */
    bool parts, anything;
    uint8_t bytes[MESH_BODY_MAX];
};

static void frame_begin(struct frame *f, const struct peer *p, uint32_t frame_size)
{
    f->number = p->tx.number + 1;
    f->parts = f->anything = false;
    wire_writer_init(&f->w, f->bytes, frame_size - FRAME_OVERHEAD);
    struct unit u = link_unit(p, 0); /* frame_end writes the number */
    unit_put(&f->w, &u);
}

static bool frame_has_room(const struct frame *f, size_t bytes)
{
    return (size_t)(f->w.end - f->w.at) >= bytes;
}

static void frame_put(struct frame *f, const struct unit *u)
{
    unit_put(&f->w, u);
    f->anything = true;
}

static void frame_end(struct frame *f, struct mesh *m, struct peer *p, struct mesh_actions *out)
{
    struct tx *t = &p->tx;
    if (f->parts) {
        struct wire_writer first;
        wire_writer_init(&first, f->bytes, UNIT_LINK_BYTES);
        struct unit u = link_unit(p, f->number);
        unit_put(&first, &u);
        t->number = f->number;
    }
    bool big = wire_written(&f->w) + FRAME_OVERHEAD > MESH_FRAME_MIN;
    for (struct list *l = t->in_flight.prev; l != &t->in_flight; l = l->prev) {
        struct tx_part *part = list_entry(l, struct tx_part, link);
        if (part->number != f->number)
            break;
        part->big = big;
    }
    mesh_emit(m, p->inc, p->mark, &p->addr, &f->w, out);
}

static void put_part(struct frame *f, struct tx *t, struct tx_part *part, uint64_t now_ns)
{
    struct unit u = {.type = UNIT_PART,
                     .part = {.seq = part->seq,
                              .total = part->message->len,
                              .index = part->index,
                              .channel = part->message->channel,
                              .bytes = part->message->bytes + (size_t)part->index * UNIT_PART_MAX,
                              .len = part_len(part)}};
    frame_put(f, &u);
    f->parts = true;
    part->number = f->number;
    part->sent_ns = now_ns;
    t->in_flight_bytes += tx_part_cost(part);
    list_append(&t->in_flight, &part->link);
}

/* The next part that was never sent, or NULL: none, or no memory for it now. */
static struct tx_part *part_new(struct tx *t, uint64_t now_ns)
{
    if (list_empty(&t->waiting) || t->next_seq > t->acked_upto + SEQ_WINDOW)
        return NULL;
    struct tx_part *part = mem_alloc(sizeof *part);
    t->memory_retry_ns = part ? 0 : now_ns + RTO_MIN_NS;
    if (!part)
        return NULL;
    struct tx_message *message = list_entry(t->waiting.next, struct tx_message, link);
    part->message = message;
    part->seq = t->next_seq++;
    part->index = (uint16_t)message->next_index++;
    message->parts_out++;
    if (message->next_index == unit_parts(message->len))
        list_remove(&message->link);
    return part;
}

bool tx_share(struct tx *t, struct tx_message *message, struct tx_part *parts[], uint32_t n)
{
    uint64_t cost = message->len + (uint64_t)n * UNIT_PART_OVERHEAD;
    const struct list *first = list_empty(&t->waiting) ? NULL : t->waiting.next;
    bool begun = first && list_entry(first, struct tx_message, link)->next_index > 0;
    uint32_t made = 0;
    if (begun || t->next_seq + n - 1 > t->acked_upto + SEQ_WINDOW ||
        (t->in_flight_bytes > 0 && t->in_flight_bytes + cost > t->window_bytes))
        return false;
    while (made < n && (parts[made] = mem_alloc(sizeof *parts[made])))
        made++;
    if (made < n) {
        while (made > 0)
            mem_free(parts[--made]);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        *parts[i] =
            (struct tx_part){.message = message, .seq = t->next_seq++, .index = (uint16_t)i};
        list_append(&t->grouped, &parts[i]->link);
        t->in_flight_bytes += tx_part_cost(parts[i]);
    }
    message->next_index = message->parts_out = n;
    return true;
}

/* The cost of the part that part_new would give. */
static uint32_t next_cost(const struct tx *t)
{
    struct tx_part probe = {.message = list_entry(t->waiting.next, struct tx_message, link)};
    probe.index = (uint16_t)probe.message->next_index;
    return tx_part_cost(&probe);
}

static bool window_open(const struct tx *t, uint32_t cost)
{
    return t->in_flight_bytes == 0 || t->in_flight_bytes + cost <= t->window_bytes;
}

/* Fills the frame with parts. True when more could go out now, in another frame. */
static bool put_parts(struct frame *f, struct mesh *m, struct tx *t, uint64_t now_ns)
{
    while (!list_empty(&t->lost)) {
        struct tx_part *part = list_entry(t->lost.next, struct tx_part, link);
        if (!window_open(t, tx_part_cost(part)))
            return false;
        if (!frame_has_room(f, tx_part_cost(part)))
            return true;
        list_remove(&part->link);
        put_part(f, t, part, now_ns);
        m->stats.retransmits++;
    }
    while (!list_empty(&t->waiting)) {
        uint32_t cost = next_cost(t);
        if (!window_open(t, cost))
            return false;
        if (!frame_has_room(f, cost))
            return true;
        struct tx_part *part = part_new(t, now_ns);
        if (!part)
            return false;
        put_part(f, t, part, now_ns);
    }
    return false;
}

static void put_fleeting(struct frame *f, struct tx *t)
{
    while (!list_empty(&t->fleeting)) {
        struct tx_message *message = list_entry(t->fleeting.next, struct tx_message, link);
        if (!frame_has_room(f, message->len + UNIT_FLEETING_OVERHEAD))
            return;
        struct unit u = {.type = UNIT_FLEETING,
                         .fleeting = {.channel = message->channel,
                                      .bytes = message->bytes,
                                      .len = message->len}};
        frame_put(f, &u);
        list_remove(&message->link);
        mem_free(message);
        t->fleeting_count--;
    }
}

/* ACK and MISSED, PROBED, an answered LINK. */
static void put_control(struct frame *f, struct peer *p)
{
    if (p->rx.ack_due) {
        struct unit u;
        rx_ack_unit(&p->rx, &u);
        frame_put(f, &u);
        p->rx.ack_due = false;
        cast_in_acked(p);
    }
    if (p->reach.ask) {
        struct unit u = {.type = UNIT_MISSED, .high = p->reach.wanted};
        frame_put(f, &u);
        p->reach.ask = false;
    }
    if (p->mtu.answer) {
        struct unit u = {.type = UNIT_PROBED, .probe_size = p->mtu.answer};
        frame_put(f, &u);
        p->mtu.answer = 0;
    }
    f->anything |= p->state.answer;
    p->state.answer = false;
}

void tx_flush(struct mesh *m, struct peer *p, uint64_t now_ns, struct mesh_actions *out)
{
    struct tx *t = &p->tx;
    if (!p->state.confirmed) {
        fleeting_drop(m, t, FLEETING_STALE);
        return;
    }
    time_out(p, now_ns);
    time_out_grouped(m, p, now_ns);
    cast_in_flush(m, p, now_ns);
    struct frame f;
    bool more = true;
    while (more) {
        /* What must not be lost to a wrong frame size travels in small frames. */
        bool small = p->rx.ack_due || p->mtu.answer || p->state.answer || t->fleeting_count > 0;
        frame_begin(&f, p, small ? MESH_FRAME_MIN : p->mtu.size);
        put_control(&f, p);
        put_fleeting(&f, t);
        more = put_parts(&f, m, t, now_ns);
        if (more && t->queued_bytes >= LARGER_FRAMES_PAY)
            mtu_want(&p->mtu, now_ns);
        more |= t->fleeting_count > 0;
        if (f.anything)
            frame_end(&f, m, p, out);
    }
}
