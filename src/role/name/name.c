/* name.c - a name server's life on its loop. */
#include "role/name/name_socket.h"

#include "base/mem.h"
#include "io/io.h"

#include <assert.h>
#include <unistd.h>

void name_handle_closed(struct name *n)
{
    assert(n->handles > 0);
    if (--n->handles || !n->closing)
        return;
    if (n->closed)
        n->closed(n->context);
    mem_free(n);
}

static void close_given(int fd)
{
    if (fd >= 0)
        close(fd);
}

int name_open(uv_loop_t *loop, const struct name_config *config, int udp_fd, int tcp_fd,
              struct store *store, struct name_stats *stats, struct name **out)
{
    struct name *n = mem_alloc(sizeof *n);
    if (!n) {
        close_given(udp_fd);
        close_given(tcp_fd);
        return STEAD_E_NOMEM;
    }
    *n =
        (struct name){.loop = loop, .config = config, .store = store, .stats = stats, .udp.fd = -1};
    list_init(&n->tcp.connections);
    io_random(&n->chance, sizeof n->chance);
    int udp = udp_fd < 0 ? STEAD_OK : name_udp_open(n, udp_fd);
    int tcp = tcp_fd < 0 ? STEAD_OK : name_tcp_open(n, tcp_fd);
    if (udp || tcp) {
        name_close(n, NULL, NULL);
        return udp ? udp : tcp;
    }
    *out = n;
    return STEAD_OK;
}

void name_close(struct name *n, void (*closed)(void *context), void *context)
{
    n->closing = true;
    n->closed = closed;
    n->context = context;
    n->handles++; /* held until both are told */
    name_udp_close(n);
    name_tcp_close(n);
    name_handle_closed(n);
}
