/* mtu.c - the frame size to a peer, found by padded probes (RFC 8899) when there is enough to send
 * that it matters, and given up when large frames vanish again and again. The datagrams must go out
 * unfragmented. */
#include "core/mesh/mesh_internal.h"

#define PROBE_TRIES 3u
#define PROBE_WAIT_NS (100 * NS_PER_MS)
#define RAISE_DELAY_NS (10 * NS_PER_S)
#define RAISE_DELAY_MAX_NS (600 * NS_PER_S) /* RFC 8899, PMTU_RAISE_TIMER */
#define LOSSES_MAX 3u                       /* in a row, until large frames count as vanishing */

/* Ethernet through PPPoE and a tunnel; FDDI-like overlays; jumbo frames. */
static const uint16_t sizes[] = {1452, 4096, MESH_FRAME_MAX};
#define STEPS (sizeof sizes / sizeof *sizes)

void mtu_init(struct mtu *u)
{
    *u = (struct mtu){.size = MESH_FRAME_MIN, .raise_delay_ns = RAISE_DELAY_NS};
}

void mtu_want(struct mtu *u, uint64_t now_ns)
{
    if (u->probing || u->step >= STEPS || now_ns < u->next_ns)
        return;
    u->probing = true;
    u->tries = 0;
    u->next_ns = now_ns;
}

static void give_up(struct mtu *u, uint64_t now_ns)
{
    u->probing = false;
    u->next_ns = now_ns + u->raise_delay_ns;
    u->raise_delay_ns *= 2;
    if (u->raise_delay_ns > RAISE_DELAY_MAX_NS)
        u->raise_delay_ns = RAISE_DELAY_MAX_NS;
}

void mtu_flush(struct mesh *m, struct peer *p, uint64_t now_ns, struct mesh_actions *out)
{
    struct mtu *u = &p->mtu;
    if (!u->probing || !p->state.confirmed || now_ns < u->next_ns)
        return;
    if (u->tries == PROBE_TRIES) {
        give_up(u, now_ns);
        return;
    }
    u->tries++;
    u->next_ns = now_ns + PROBE_WAIT_NS;
    uint8_t bytes[MESH_BODY_MAX] = {0};
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizes[u->step] - FRAME_OVERHEAD);
    struct unit link = link_unit(p, 0);
    struct unit probe = {.type = UNIT_PROBE, .probe_size = sizes[u->step]};
    unit_put(&w, &link);
    unit_put(&w, &probe);
    w.at = w.end; /* zeros are padding */
    mesh_emit(m, p->inc, p->mark, &p->addr, &w, out);
}

void mtu_probed(struct mtu *u, uint16_t size, uint64_t now_ns)
{
    if (!u->probing || size != sizes[u->step])
        return;
    u->size = size;
    u->step++;
    u->tries = 0;
    u->losses = 0;
    u->next_ns = now_ns;
    u->probing = u->step < STEPS;
}

void mtu_arrived(struct mtu *u)
{
    u->losses = 0;
}

void mtu_lost(struct peer *p, uint64_t now_ns)
{
    struct mtu *u = &p->mtu;
    if (u->size == MESH_FRAME_MIN || ++u->losses < LOSSES_MAX)
        return;
    u->size = MESH_FRAME_MIN;
    u->step = 0;
    u->losses = 0;
    give_up(u, now_ns);
    tx_lose_big(&p->tx);
}

uint64_t mtu_deadline_ns(const struct mtu *u)
{
    return u->probing ? u->next_ns : TIME_NEVER;
}
