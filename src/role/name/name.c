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
    name_face_deinit(&n->face);
    mem_free(n);
}

void name_face_init(struct name_face *f, const struct name_config *config, struct name_book *book,
                    struct name_stats *stats)
{
    *f = (struct name_face){.config = config, .book = book, .stats = stats};
    io_random(&f->chance, sizeof f->chance);
}

void name_face_deinit(struct name_face *f)
{
    name_view_unref(f->view);
    f->view = NULL;
}

const struct name_view *name_face_view(struct name_face *f, uint64_t now_ms)
{
    if (f->looked_ms && now_ms - f->looked_ms < NAME_LOOK_MS)
        return f->view;
    f->looked_ms = now_ms ? now_ms : 1;
    f->view = name_book_look(f->book, f->view, f->stats);
    return f->view;
}

static void close_given(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

int name_open(uv_loop_t *loop, const struct name_config *config, struct name_book *book,
              const int *udp_fds, const int *tcp_fds, size_t count,
              struct name_stats stats[NAME_STATS], struct name **out)
{
    struct name *n = mem_alloc(sizeof *n);
    assert(count <= NAME_LISTENERS_MAX);
    if (!n) {
        close_given(udp_fds, count);
        close_given(tcp_fds, count);
        return STEAD_E_NOMEM;
    }
    n->loop = loop;
    n->listeners = count;
    list_init(&n->connections);
    name_face_init(&n->face, config, book, &stats[NAME_LISTENERS_MAX]);
    int err = STEAD_OK;
    for (size_t i = 0; i < count; i++) {
        int tcp = tcp_fds[i] < 0 ? STEAD_OK : name_tcp_open(n, &n->tcp[i], tcp_fds[i]);
        int udp =
            udp_fds[i] < 0 ? STEAD_OK : name_udp_open(&n->udp[i], udp_fds[i], &n->face, &stats[i]);
        err = err ? err : tcp ? tcp : udp;
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
    n->handles++; /* held until all are told */
    for (size_t i = 0; i < n->listeners; i++)
        name_udp_close(n->udp[i]);
    name_tcp_close(n);
    name_handle_closed(n);
}
