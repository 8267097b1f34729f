/* mesh_relay.c - datagrams between two processes of one node: the sender's address, then the bytes
 * as they came. */
#include "node/mesh_relay.h"

#include "base/wire.h"
#include "core/mesh/seal.h"
#include "core/roster/entry.h"
#include "node/mesh_loop.h"
#include "stead/error.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAY_BATCH 64
#define ADDR_BYTES 19 /* at most, as entries have them */
#define DATAGRAM_BYTES 9216

static void pass(struct mesh_relay *r, const struct addr *from, const uint8_t *bytes, size_t len)
{
    uint8_t packet[ADDR_BYTES + DATAGRAM_BYTES];
    struct wire_writer w;
    wire_writer_init(&w, packet, sizeof packet);
    entry_encode_addr(from, &w);
    wire_put_bytes(&w, bytes, len);
    bool sent =
        wire_put_ok(&w) && send(r->fd, packet, wire_written(&w), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
    /* A full socket is as good as a loss on the way. */
    atomic_fetch_add_explicit(sent ? &r->passed : &r->lost, 1, memory_order_relaxed);
}

bool mesh_relay_mine(struct mesh_relay *r, uint64_t self, const struct addr *from,
                     const uint8_t *bytes, size_t len)
{
    struct frame_header h;
    if (r->fd < 0 || seal_peek(bytes, len, &h) != STEAD_OK)
        return true;
    if (h.to == self)
        return true;
    pass(r, from, bytes, len);
    return h.to == 0 && h.inc != self;
}

static void on_relayed(uv_poll_t *poll, int status, int events)
{
    struct mesh_loop *m = poll->data;
    uint8_t packet[ADDR_BYTES + DATAGRAM_BYTES];
    (void)events;
    for (int i = 0; i < RELAY_BATCH && status == 0; i++) {
        struct wire_reader r;
        struct addr from;
        ssize_t n = recv(m->relay.fd, packet, sizeof packet, MSG_DONTWAIT);
        if (n == 0)
            status = -1; /* the other process is gone */
        if (n <= 0)
            break;
        wire_reader_init(&r, packet, (size_t)n);
        entry_decode_addr(&r, &from);
        size_t left = wire_left(&r);
        const uint8_t *bytes = wire_bytes(&r, left);
        if (wire_ok(&r) && from.family != 0)
            mesh_loop_relayed(m, &from, bytes, left);
    }
    if (status)
        mesh_relay_close(&m->relay);
    mesh_loop_turn(m);
}

int mesh_relay_open(struct mesh_relay *r, struct mesh_loop *m, uv_loop_t *loop, int fd)
{
    r->poll.data = m;
    r->fd = fd;
    if (uv_poll_init(loop, &r->poll, fd))
        return STEAD_E_IO;
    r->open = true;
    return uv_poll_start(&r->poll, UV_READABLE | UV_DISCONNECT, on_relayed) ? STEAD_E_IO : STEAD_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct mesh_loop *m = handle->data;
    m->relay.closing = false;
}

void mesh_relay_close(struct mesh_relay *r)
{
    if (r->open) {
        r->closing = true;
        uv_close((uv_handle_t *)&r->poll, on_closed);
    }
    if (r->fd >= 0)
        close(r->fd);
    r->open = false;
    r->fd = -1;
}
