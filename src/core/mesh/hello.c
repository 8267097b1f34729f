/* hello.c - proof of life. A side takes another for alive when a nonce of its own comes back that
 * is at most two slots old. Nonces are computed, not stored, so strangers cost no memory. */
#include "core/mesh/mesh_internal.h"

#include <assert.h>
#include <string.h>

#define NONCE_SLOT_NS (5 * NS_PER_S)
#define STRANGER_DELAY_NS (200 * NS_PER_MS) /* between answers to the same incarnation */
#define STRANGER_PACE_NS (2 * NS_PER_MS)    /* between answers to any */
#define CONTACT_MAX (1 + 8 + 8 + 2 + MESH_CARD_MAX)

/* Sent to an address behind which anybody may be, so it is bound to the time alone. */
static uint64_t hello_nonce(const struct mesh *m, uint64_t slot)
{
    uint8_t bytes[16];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_u64(&w, slot);
    wire_put_u64(&w, m->config.inc);
    return seal_nonce(m->config.seal, bytes, wire_written(&w));
}

/* Sent in answer to one incarnation at one address. */
static uint64_t welcome_nonce(const struct mesh *m, uint64_t asker, const struct addr *addr,
                              uint64_t slot)
{
    uint8_t bytes[64];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_u64(&w, slot);
    wire_put_u64(&w, m->config.inc);
    wire_put_u64(&w, asker);
    wire_put_u8(&w, addr->family);
    wire_put_u16(&w, addr->port);
    wire_put_bytes(&w, addr->ip, sizeof addr->ip);
    assert(wire_put_ok(&w));
    return seal_nonce(m->config.seal, bytes, wire_written(&w));
}

static bool hello_nonce_fresh(const struct mesh *m, uint64_t echo, uint64_t now_ns)
{
    uint64_t slot = now_ns / NONCE_SLOT_NS;
    return echo == hello_nonce(m, slot) || (slot > 0 && echo == hello_nonce(m, slot - 1));
}

static bool welcome_nonce_fresh(const struct mesh *m, uint64_t asker, const struct addr *addr,
                                uint64_t echo, uint64_t now_ns)
{
    uint64_t slot = now_ns / NONCE_SLOT_NS;
    return echo == welcome_nonce(m, asker, addr, slot) ||
           (slot > 0 && echo == welcome_nonce(m, asker, addr, slot - 1));
}

/* mark: of the generation under which the other side is known to open it. */
static void contact_out(struct mesh *m, uint64_t to, uint64_t mark, const struct addr *addr,
                        enum unit_type type, const struct unit_contact *c, struct mesh_actions *out)
{
    uint8_t bytes[CONTACT_MAX];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    struct unit u = {.type = type, .contact = *c};
    u.contact.card = m->card;
    u.contact.card_len = m->card_len;
    unit_put(&w, &u);
    mesh_emit(m, to, mark, addr, &w, out);
}

static void hello_under(struct mesh *m, uint64_t mark, const struct addr *to, uint64_t now_ns,
                        struct mesh_actions *out)
{
    struct unit_contact c = {.nonce = hello_nonce(m, now_ns / NONCE_SLOT_NS)};
    contact_out(m, 0, mark, to, UNIT_HELLO, &c, out);
}

/* Who is there may have any of the generations that are accepted here. */
void mesh_hello(struct mesh *m, const struct addr *to, uint64_t now_ns, struct mesh_actions *out)
{
    const struct keys *k = seal_keys(m->config.seal);
    for (size_t i = 0; i < k->count; i++)
        if (k->list[i].state == KEY_ACCEPTED)
            hello_under(m, k->list[i].mark, to, now_ns, out);
}

void hello_stranger(struct mesh *m, const struct addr *from, const struct frame_header *h,
                    uint64_t now_ns, struct mesh_actions *out)
{
    uint64_t inc = h->inc;
    if (inc == 0 || inc == m->config.inc || now_ns < m->stranger_next_ns)
        return;
    unsigned slot = (unsigned)(inc % STRANGERS_MAX);
    if (m->strangers[slot].inc == inc && now_ns < m->strangers[slot].next_ns)
        return;
    m->strangers[slot].inc = inc;
    m->strangers[slot].next_ns = now_ns + STRANGER_DELAY_NS;
    m->stranger_next_ns = now_ns + STRANGER_PACE_NS;
    hello_under(m, h->mark, from, now_ns, out);
}

static void proven(struct mesh *m, const struct addr *from, const struct frame_header *h,
                   const struct unit_contact *c, struct mesh_actions *out)
{
    if (mesh_peer(m, h->inc))
        return;
    struct mesh_output *o = mesh_output_new(MESH_OUT_PROVEN, h->inc, h->node, c->card_len);
    if (!o)
        return; /* as if the frame was lost */
    o->addr = *from;
    if (c->card_len)
        memcpy(o->bytes, c->card, c->card_len);
    mesh_output_add(out, o);
    unsigned slot = 0;
    while (slot < PROVEN_MAX && m->proven[slot].inc != h->inc)
        slot++;
    if (slot == PROVEN_MAX) {
        slot = m->proven_next;
        m->proven_next = (slot + 1) % PROVEN_MAX;
    }
    m->proven[slot].inc = h->inc;
    m->proven[slot].nonce = c->nonce;
    m->proven[slot].mark = h->mark;
}

static void refused(const struct frame_header *h, const struct addr *from, uint8_t reason,
                    struct mesh_actions *out)
{
    struct mesh_output *o = mesh_output_new(MESH_OUT_REFUSED, h->inc, h->node, 1);
    if (!o)
        return;
    o->addr = *from;
    o->bytes[0] = reason;
    mesh_output_add(out, o);
}

void hello_in(struct mesh *m, const struct addr *from, const struct frame_header *h,
              const struct unit *u, uint64_t now_ns, struct mesh_actions *out)
{
    const struct unit_contact *c = &u->contact;
    uint64_t slot = now_ns / NONCE_SLOT_NS;
    bool fresh_hello = u->type != UNIT_HELLO && hello_nonce_fresh(m, c->echo, now_ns);
    bool fresh_welcome = (u->type == UNIT_PROOF || u->type == UNIT_REFUSE) &&
                         welcome_nonce_fresh(m, h->inc, from, c->echo, now_ns);
    struct unit_contact answer = {.echo = c->nonce};
    if (u->type == UNIT_HELLO) {
        answer.nonce = welcome_nonce(m, h->inc, from, slot);
        contact_out(m, h->inc, h->mark, from, UNIT_WELCOME, &answer, out);
    } else if (u->type == UNIT_WELCOME && fresh_hello) {
        answer.nonce = hello_nonce(m, slot);
        contact_out(m, h->inc, h->mark, from, UNIT_PROOF, &answer, out);
        proven(m, from, h, c, out);
    } else if (u->type == UNIT_PROOF && fresh_welcome) {
        proven(m, from, h, c, out);
    } else if (u->type == UNIT_REFUSE && (fresh_hello || fresh_welcome)) {
        refused(h, from, c->reason, out);
    }
}

void mesh_refuse(struct mesh *m, uint64_t inc, const struct addr *addr, int reason, uint64_t now_ns,
                 struct mesh_actions *out)
{
    (void)now_ns;
    /* A refusal proves that it is fresh by the nonce that came with the proof. */
    struct unit_contact c = {.reason = (uint8_t)(reason < 0 ? -reason : reason)};
    uint64_t mark = 0;
    for (unsigned i = 0; i < PROVEN_MAX; i++) {
        if (m->proven[i].inc != inc || inc == 0)
            continue;
        c.echo = m->proven[i].nonce;
        mark = m->proven[i].mark;
    }
    assert(c.reason != 0);
    contact_out(m, inc, mark, addr, UNIT_REFUSE, &c, out);
}
