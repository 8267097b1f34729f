/* sim_check_wire.c - what goes over the network: nothing is sealed, accepted or delivered twice. */
#include "sim_watch.h"

static void sealed_frame(struct sim *s, const uint8_t *bytes, size_t len)
{
    struct frame_header h;
    if (seal_peek(bytes, len, &h) != STEAD_OK)
        return;
    uint64_t name[2] = {h.inc, h.counter};
    uint64_t digest = sim_digest(bytes, len) | 1;
    uint64_t *known = sim_map_at(&s->watch->sealed, sim_digest(name, sizeof name));
    if (*known != 0 && *known != digest)
        sim_violation(s, check_sealed_once.name, NULL,
                      "incarnation %016llx sealed two frames with counter %llu",
                      (unsigned long long)h.inc, (unsigned long long)h.counter);
    *known = digest;
}

const struct sim_checker check_sealed_once = {
    .name = "sealed once",
    .promise = "no (key, nonce) pair is used twice",
    .frame_sent = sealed_frame,
};

static void accepted_frame(struct sim *s, struct sim_node *n, struct sim_frame *f, bool accepted)
{
    if (!accepted)
        return;
    if (f->accepted_by == n->inc)
        sim_violation(s, check_accepted_once.name, NULL,
                      "%s took a frame of %zu bytes from n%u in a second time", n->name, f->len,
                      f->from + 1);
    f->accepted_by = n->inc;
}

const struct sim_checker check_accepted_once = {
    .name = "accepted once",
    .promise = "no frame is accepted twice",
    .frame_taken = accepted_frame,
};

static uint64_t *message_balance(struct sim *s, uint64_t from, uint64_t to, const struct msg *m)
{
    uint64_t name[3] = {from, to, sim_digest(m->bytes, m->len)};
    return sim_map_at(&s->watch->messages, sim_digest(name, sizeof name));
}

static void sent_message(struct sim *s, const struct sim_node *n, const struct msg *m)
{
    ++*message_balance(s, n->inc, m->peer, m);
}

static void taken_message(struct sim *s, const struct sim_node *n, const struct msg *m)
{
    uint64_t *balance = message_balance(s, m->peer, n->inc, m);
    if (*balance == 0)
        sim_violation(s, check_delivered_once.name, NULL,
                      "%s got a message of %zu bytes that %016llx did not send, or sent once",
                      n->name, m->len, (unsigned long long)m->peer);
    else
        --*balance;
}

const struct sim_checker check_delivered_once = {
    .name = "delivered once",
    .promise = "a message is delivered once, whole, or not at all",
    .message_sent = sent_message,
    .message_taken = taken_message,
};
