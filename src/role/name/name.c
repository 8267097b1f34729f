/* name.c - a name server's life on its loop. */
#include "role/name/name_socket.h"

#include "base/mem.h"
#include "io/io.h"

#include <assert.h>
#include <time.h>
#include <unistd.h>

#define US_PER_MS 1000

void name_handle_closed(struct name *n)
{
    assert(n->handles > 0);
    if (--n->handles || !n->closing)
        return;
    if (n->closed)
        n->closed(n->context);
    name_view_unref(n->view);
    mem_free(n);
}

const struct name_view *name_current(struct name *n)
{
    uint64_t now_ms = uv_now(n->loop);
    if (n->looked_ms && now_ms - n->looked_ms < NAME_LOOK_MS)
        return n->view;
    n->looked_ms = now_ms ? now_ms : 1;
    n->view = name_book_look(n->book, n->view, n->stats);
    return n->view;
}

struct name_asker name_asker_now(struct name *n, bool tcp)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME_COARSE, &wall);
    return (struct name_asker){.tcp = tcp,
                               .now_us = uv_now(n->loop) * US_PER_MS,
                               .now_s = (uint32_t)wall.tv_sec,
                               .limit = &n->limit};
}

static void close_given(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

int name_open(uv_loop_t *loop, const struct name_config *config, struct name_book *book,
              const int *udp_fds, const int *tcp_fds, size_t count, struct name_stats *stats,
              struct name **out)
{
    uint64_t secret[2];
    struct name *n = mem_alloc(sizeof *n);
    assert(count <= NAME_LISTENERS_MAX);
    if (!n) {
        close_given(udp_fds, count);
        close_given(tcp_fds, count);
        return STEAD_E_NOMEM;
    }
    n->loop = loop;
    n->config = config;
    n->book = book;
    n->stats = stats;
    n->listeners = count;
    list_init(&n->connections);
    io_random(&n->chance, sizeof n->chance);
    io_random(secret, sizeof secret);
    dns_limit_init(&n->limit, config->rate, config->slip, secret);
    int err = STEAD_OK;
    for (size_t i = 0; i < count; i++) {
        n->udp[i].fd = -1;
        int udp = udp_fds[i] < 0 ? STEAD_OK : name_udp_open(n, &n->udp[i], udp_fds[i]);
        int tcp = tcp_fds[i] < 0 ? STEAD_OK : name_tcp_open(n, &n->tcp[i], tcp_fds[i]);
        err = err ? err : udp ? udp : tcp;
    }
    if (err) {
        name_close(n, NULL, NULL);
        return err;
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
    for (size_t i = 0; i < n->listeners; i++)
        name_udp_close(&n->udp[i]);
    name_tcp_close(n);
    name_handle_closed(n);
}
