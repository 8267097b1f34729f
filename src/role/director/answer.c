/* answer.c - writing a last answer and lingering until it is read. */
#include "role/director/answer.h"

#include "base/list.h"
#include "base/mem.h"
#include "stead/error.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define DROP_BYTES 16384

struct answer {
    struct list link;
    struct answers *answers;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles;
    struct stream client;
    bool said; /* all is written, and our half is closed */
    size_t len, sent;
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
    uv_close((uv_handle_t *)&x->poll, on_handle_closed);
    uv_close((uv_handle_t *)&x->timer, on_handle_closed);
    stream_close(&x->client, false);
}

static void on_timeout(uv_timer_t *t)
{
    answer_end(t->data);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* False: the client is gone. */
static bool say(struct answer *x)
{
    while (x->sent < x->len) {
        ssize_t n = stream_write(&x->client, x->bytes + x->sent, x->len - x->sent);
        if (n < 0)
            return would_block();
        x->sent += (size_t)n;
    }
    if (!x->said && stream_shutdown(&x->client) == 0)
        x->said = true;
    return x->said || would_block();
}

/* False: the client has said all too, or is gone. */
static bool drop(struct answer *x)
{
    ssize_t n;
    do
        n = stream_read(&x->client, x->answers->drop, DROP_BYTES);
    while (n > 0 && stream_pending(&x->client));
    return n > 0 || (n < 0 && would_block());
}

static void on_event(uv_poll_t *poll, int status, int events);

/* What the client sends is looked at only after the answer is out: its end must not take it back.
 */
static void go_on(struct answer *x)
{
    if (!x->said && !say(x)) {
        answer_end(x);
        return;
    }
    uint32_t events = stream_events(&x->client, x->said, !x->said);
    uv_poll_start(&x->poll,
                  (events & EPOLLIN ? UV_READABLE : 0) | (events & EPOLLOUT ? UV_WRITABLE : 0),
                  on_event);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct answer *x = poll->data;
    (void)events;
    if (status < 0 || (x->said && !drop(x)))
        answer_end(x);
    else
        go_on(x);
}

void answer_last(struct answers *a, struct stream client, const void *bytes, size_t len)
{
    struct answer *x = NULL;
    if (!a->closing && a->count < a->max)
        x = mem_alloc(sizeof(*x) + len);
    if (!x || uv_poll_init(a->loop, &x->poll, client.fd) != 0) {
        mem_free(x);
        atomic_fetch_add_explicit(a->dropped, 1, memory_order_relaxed);
        stream_close(&client, false);
        return;
    }
    memcpy(x->bytes, bytes, len);
    x->len = len;
    x->client = client;
    x->answers = a;
    x->handles = 2;
    a->count++;
    list_append(&a->list, &x->link);
    uv_timer_init(a->loop, &x->timer);
    x->poll.data = x->timer.data = x;
    uv_timer_start(&x->timer, on_timeout, ANSWER_LINGER_MS, 0);
    go_on(x);
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
