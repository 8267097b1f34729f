/* answer.c - writing a last answer and lingering until it is read. */
#include "role/director/answer.h"

#include "base/list.h"
#include "base/mem.h"
#include "stead/error.h"

#include <string.h>
#include <unistd.h>

#define DROP_BYTES 16384

struct answer {
    struct list link;
    struct answers *answers;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    unsigned handles;
    size_t len;
    char bytes[];
};

struct answers {
    uv_loop_t *loop;
    struct list list;
    uint32_t count, max;
    atomic_uint_fast64_t *dropped;
    uv_timer_t anchor; /* never started: lets close() be reported by the loop */
    bool closing, anchor_closed;
    void (*closed)(void *context);
    void *closed_context;
    char drop[DROP_BYTES];
};

static void maybe_free(struct answers *a)
{
    if (!a->closing || !a->anchor_closed || a->count > 0)
        return;
    void (*closed)(void *) = a->closed;
    void *context = a->closed_context;
    mem_free(a);
    if (closed)
        closed(context);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct answer *x = h->data;
    if (--x->handles > 0)
        return;
    struct answers *a = x->answers;
    mem_free(x);
    a->count--;
    maybe_free(a);
}

static void answer_end(struct answer *x)
{
    if (!list_linked(&x->link))
        return;
    list_remove(&x->link);
    uv_close((uv_handle_t *)&x->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&x->timer, on_handle_closed);
}

static void on_timeout(uv_timer_t *t)
{
    answer_end(t->data);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct answer *x = h->data;
    (void)suggested;
    *buf = uv_buf_init(x->answers->drop, DROP_BYTES);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n < 0)
        answer_end(s->data);
}

static void on_shutdown(uv_shutdown_t *q, int status)
{
    if (status < 0)
        answer_end(q->data);
}

static void on_written(uv_write_t *q, int status)
{
    struct answer *x = q->data;
    x->shutdown.data = x;
    if (status < 0 || uv_shutdown(&x->shutdown, (uv_stream_t *)&x->tcp, on_shutdown) != 0 ||
        uv_read_start((uv_stream_t *)&x->tcp, on_alloc, on_read) != 0)
        answer_end(x);
}

void answer_last(struct answers *a, int fd, const void *bytes, size_t len)
{
    struct answer *x = NULL;
    if (!a->closing && a->count < a->max)
        x = mem_alloc(sizeof(*x) + len);
    if (!x) {
        atomic_fetch_add_explicit(a->dropped, 1, memory_order_relaxed);
        close(fd);
        return;
    }
    memcpy(x->bytes, bytes, len);
    x->answers = a;
    x->handles = 2;
    a->count++;
    list_append(&a->list, &x->link);
    uv_tcp_init(a->loop, &x->tcp);
    uv_timer_init(a->loop, &x->timer);
    x->tcp.data = x->timer.data = x->write.data = x;
    uv_timer_start(&x->timer, on_timeout, ANSWER_LINGER_MS, 0);
    if (uv_tcp_open(&x->tcp, fd) != 0) {
        close(fd);
        answer_end(x);
        return;
    }
    uv_buf_t buf = uv_buf_init(x->bytes, (unsigned)len);
    if (uv_write(&x->write, (uv_stream_t *)&x->tcp, &buf, 1, on_written) != 0)
        answer_end(x);
}

int answers_open(uv_loop_t *loop, uint32_t max, atomic_uint_fast64_t *dropped, struct answers **out)
{
    struct answers *a = mem_alloc(sizeof(*a));
    if (!a)
        return STEAD_E_NOMEM;
    a->loop = loop;
    a->max = max;
    a->dropped = dropped;
    list_init(&a->list);
    uv_timer_init(loop, &a->anchor);
    a->anchor.data = a;
    *out = a;
    return STEAD_OK;
}

static void on_anchor_closed(uv_handle_t *h)
{
    struct answers *a = h->data;
    a->anchor_closed = true;
    maybe_free(a);
}

void answers_close(struct answers *a, void (*closed)(void *context), void *context)
{
    a->closing = true;
    a->closed = closed;
    a->closed_context = context;
    while (!list_empty(&a->list))
        answer_end(list_entry(a->list.next, struct answer, link));
    uv_close((uv_handle_t *)&a->anchor, on_anchor_closed);
}
