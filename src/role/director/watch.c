/* watch.c - watchers: who is written to, and when he is given up. What they are told is made in
 * watch_topic.c. */
#include "role/director/watch_internal.h"

#include "base/mem.h"
#include "stead/error.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define HEAD_BYTES_MAX 2048
#define DROP_BYTES 4096
#define USER_TIMEOUT_MS 60000 /* the peer's machine is gone */

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -- a watcher's life -- */

static void maybe_free(struct watch *w)
{
    if (w->handles > 0 || !w->closing)
        return;
    void (*closed)(void *) = w->closed;
    void *context = w->closed_context;
    while (!list_empty(&w->topics))
        watch_topic_free(list_entry(w->topics.next, struct watch_topic, link));
    watch_frame_unref(w->keepalive);
    watch_feed_free(w->own_feed);
    mem_free(w);
    if (closed != NULL)
        closed(context);
}

static void on_watcher_closed(uv_handle_t *h)
{
    struct watcher *x = h->data;
    struct watch *w = x->watch;
    mem_free(x);
    w->handles--;
    maybe_free(w);
}

static void set_state(struct watcher *x, enum watcher_state state)
{
    if (list_linked(&x->link))
        list_remove(&x->link);
    x->state = (uint8_t)state;
    if (state != WATCHER_CLOSED)
        list_append(&x->watch->states[state], &x->link);
}

static void watcher_end(struct watcher *x)
{
    struct watch *w = x->watch;
    if (x->state == WATCHER_CLOSED)
        return;
    set_state(x, WATCHER_CLOSED);
    list_remove(&x->mate);
    if (--x->topic->watcher_count == 0)
        x->topic->unused_ms = uv_now(w->config.loop);
    watch_frame_unref(x->frame);
    watch_frame_unref(x->wish);
    x->frame = x->wish = NULL;
    uv_close((uv_handle_t *)&x->poll, on_watcher_closed);
    (void)stream_shutdown(&x->stream);
    stream_close(&x->stream, false);
    w->watchers--;
    atomic_fetch_sub_explicit(&w->config.counters->open, 1, memory_order_relaxed);
}

static void watcher_drop(struct watcher *x)
{
    count(&x->watch->config.counters->dropped);
    watcher_end(x);
}

/* -- writing -- */

static void on_idle(uv_idle_t *idle);
static void on_event(uv_poll_t *poll, int status, int events);

static void listen_to(struct watcher *x, bool want_write)
{
    uint32_t events = stream_events(&x->stream, true, want_write);
    uv_poll_start(&x->poll,
                  (events & EPOLLIN ? UV_READABLE : 0) | (events & EPOLLOUT ? UV_WRITABLE : 0),
                  on_event);
}

void watcher_due(struct watcher *x)
{
    if (x->state != WATCHER_IDLE)
        return;
    set_state(x, WATCHER_DUE);
    uv_idle_start(&x->watch->idle, on_idle);
}

/* False: there is none, or the watcher has ended for want of memory. */
static bool next_frame(struct watcher *x)
{
    struct watch_topic *t = x->topic;
    if (x->frame != NULL)
        return true;
    x->sent = 0;
    if (x->wish != NULL) {
        x->frame = x->wish;
        x->wish = NULL;
    } else if (x->whole_due || x->next < t->first) {
        if (!x->whole_due)
            count(&x->watch->config.counters->skipped);
        x->whole_due = false;
        x->next = t->next;
        x->frame = watch_topic_whole(t);
        if (x->frame == NULL)
            watcher_drop(x);
    } else if (x->next < t->next) {
        x->frame = watch_frame_ref(t->frames[x->next++ % WATCH_TOPIC_FRAMES_MAX]);
    }
    return x->frame != NULL;
}

/* Goes on until all is sent or the socket takes no more. */
static void watcher_pump(struct watcher *x)
{
    while (next_frame(x)) {
        ssize_t n = stream_write(&x->stream, x->frame->bytes + x->sent, x->frame->len - x->sent);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (x->state != WATCHER_BLOCKED) {
                x->progress_ms = uv_now(x->watch->config.loop);
                set_state(x, WATCHER_BLOCKED);
                listen_to(x, true);
            }
            return;
        }
        if (n < 0) {
            watcher_end(x);
            return;
        }
        x->progress_ms = uv_now(x->watch->config.loop);
        x->sent += (size_t)n;
        if (x->state == WATCHER_BLOCKED)
            set_state(x, WATCHER_BLOCKED); /* the last of them */
        if (x->sent < x->frame->len)
            continue;
        watch_frame_unref(x->frame);
        x->frame = NULL;
    }
    if (x->state == WATCHER_CLOSED)
        return;
    if (x->state == WATCHER_BLOCKED)
        listen_to(x, false);
    set_state(x, WATCHER_IDLE);
}

static void on_idle(uv_idle_t *idle)
{
    struct watch *w = idle->data;
    for (int i = 0; i < WATCH_A_TURN && !list_empty(&w->states[WATCHER_DUE]); i++)
        watcher_pump(list_entry(w->states[WATCHER_DUE].next, struct watcher, link));
    if (list_empty(&w->states[WATCHER_DUE]))
        uv_idle_stop(idle);
}

/* What a client still says is dropped. */
static void on_event(uv_poll_t *poll, int status, int events)
{
    struct watcher *x = poll->data;
    char drop[DROP_BYTES];
    if (status < 0) {
        watcher_end(x);
        return;
    }
    if (events & UV_READABLE) {
        do {
            ssize_t n = stream_read(&x->stream, drop, sizeof drop);
            if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                watcher_end(x);
                return;
            }
        } while (stream_pending(&x->stream));
    }
    if (events & UV_WRITABLE)
        watcher_pump(x);
}

/* -- the timer -- */

struct roster *watch_newest(struct watch *w, bool at_once)
{
    struct roster *r = w->config.roster(w->config.context);
    if (r != NULL)
        watch_feed_offer(w->config.feed, r, uv_now(w->config.loop), at_once);
    roster_unref(r);
    return watch_feed_newest(w->config.feed);
}

static void push(struct watch *w, bool last)
{
    uint64_t now = uv_now(w->config.loop);
    struct roster *r = watch_newest(w, last);
    struct list *link, *next, *mate;
    for (link = w->topics.next; r != NULL && link != &w->topics; link = next) {
        struct watch_topic *t = list_entry(link, struct watch_topic, link);
        next = link->next;
        if (t->watcher_count == 0 && now - t->unused_ms >= WATCH_RESUME_MS) {
            watch_topic_free(t);
            continue;
        }
        if (!watch_topic_push(t, r))
            continue;
        for (mate = t->watchers.next; mate != &t->watchers; mate = mate->next)
            watcher_due(list_entry(mate, struct watcher, mate));
    }
    roster_unref(r);
}

static struct watcher *front(struct watch *w, enum watcher_state state)
{
    struct list *head = &w->states[state];
    return list_empty(head) ? NULL : list_entry(head->next, struct watcher, link);
}

static void give_up_stalled(struct watch *w, uint64_t now)
{
    struct watcher *x;
    while ((x = front(w, WATCHER_BLOCKED)) != NULL &&
           (now - x->progress_ms >= WATCH_STALL_MS || w->held_bytes > WATCH_HELD_BYTES_MAX))
        watcher_drop(x);
}

static void keep_alive(struct watch *w, uint64_t now)
{
    struct watcher *x;
    while ((x = front(w, WATCHER_IDLE)) != NULL && now - x->progress_ms >= WATCH_KEEPALIVE_MS) {
        x->frame = watch_frame_ref(w->keepalive);
        x->sent = 0;
        watcher_due(x);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    uint64_t now = uv_now(w->config.loop);
    push(w, false);
    give_up_stalled(w, now);
    keep_alive(w, now);
    if (list_empty(&w->topics))
        uv_timer_stop(timer);
}

/* -- a new watcher -- */

/* The head of the answer, and after how long a browser shall come back: each another time within
 * the window. */
static struct watch_frame *head_frame(struct watch *w, const struct watch_topic *t,
                                      const struct watch_ask *a)
{
    char text[HEAD_BYTES_MAX], date[40];
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    uint64_t retry_ms = rng_below(&w->rng, (uint64_t)t->window_ms + 1);
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 200 OK\r\nDate: %s\r\nServer: stead\r\n"
                     "Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n"
                     "Connection: close\r\n%s\r\nretry: %llu\n\n",
                     date, a->headers, (unsigned long long)retry_ms);
    assert(n > 0 && (size_t)n < sizeof text);
    return watch_frame_new(w, text, (size_t)n);
}

bool watch_admits(struct watch *w)
{
    if (!w->closing && w->watchers < w->config.here_max &&
        atomic_load(&w->config.counters->open) < w->config.watchers_max)
        return true;
    count(&w->config.counters->refused);
    return false;
}

static void tune(int fd)
{
    int bytes = WATCH_SOCKET_BYTES;
    unsigned timeout_ms = USER_TIMEOUT_MS;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

static void join(struct watcher *x, struct watch_topic *t, const struct watch_ask *a)
{
    struct watch *w = x->watch;
    x->topic = t;
    snprintf(x->on, sizeof x->on, "%s", a->on);
    x->whole_due = !watch_topic_resume(t, a->last_id, &x->wish);
    x->next = t->next;
    if (!x->whole_due)
        count(&w->config.counters->resumed);
    list_append(&t->watchers, &x->mate);
    t->watcher_count++;
    w->watchers++;
    w->handles++;
    count(&w->config.counters->opened);
    count(&w->config.counters->open);
    set_state(x, WATCHER_IDLE);
    listen_to(x, false);
}

void watch_add(struct watch *w, struct stream client, const struct watch_ask *a)
{
    struct watch_topic *t = w->closing ? NULL : watch_topic_find(w, a, uv_now(w->config.loop));
    struct watcher *x = t != NULL ? mem_alloc(sizeof *x) : NULL;
    struct watch_frame *head = x != NULL ? head_frame(w, t, a) : NULL;
    if (head == NULL || uv_poll_init(w->config.loop, &x->poll, client.fd) != 0) {
        count(&w->config.counters->refused);
        watch_frame_unref(head);
        mem_free(x);
        stream_close(&client, false);
        return;
    }
    tune(client.fd);
    x->watch = w;
    x->stream = client;
    x->poll.data = x;
    x->frame = head;
    join(x, t, a);
    if (!uv_is_active((uv_handle_t *)&w->timer))
        uv_timer_start(&w->timer, on_timer, WATCH_PUSH_MS, WATCH_PUSH_MS);
    watcher_pump(x);
}

/* -- the whole -- */

int watch_open(const struct watch_config *c, struct watch **out)
{
    static const char comment[] = ":\n\n";
    struct watch *w = mem_alloc(sizeof *w);
    if (w == NULL)
        return STEAD_E_NOMEM;
    w->config = *c;
    rng_init(&w->rng, c->seed);
    list_init(&w->topics);
    for (int i = 0; i < WATCHER_CLOSED; i++)
        list_init(&w->states[i]);
    w->keepalive = watch_frame_new(w, comment, sizeof comment - 1);
    if (c->feed == NULL)
        w->config.feed = w->own_feed = watch_feed_new();
    if (w->keepalive == NULL || w->config.feed == NULL) {
        watch_frame_unref(w->keepalive);
        watch_feed_free(w->own_feed);
        mem_free(w);
        return STEAD_E_NOMEM;
    }
    uv_timer_init(c->loop, &w->timer);
    uv_idle_init(c->loop, &w->idle);
    w->timer.data = w->idle.data = w;
    w->handles = 2;
    *out = w;
    return STEAD_OK;
}

static void on_part_closed(uv_handle_t *h)
{
    struct watch *w = h->data;
    w->handles--;
    maybe_free(w);
}

void watch_close(struct watch *w, void (*closed)(void *context), void *context)
{
    struct watcher *x;
    push(w, true);
    while ((x = front(w, WATCHER_DUE)) != NULL)
        watcher_pump(x);
    w->closing = true;
    w->closed = closed;
    w->closed_context = context;
    for (int i = 0; i < WATCHER_CLOSED; i++)
        while ((x = front(w, (enum watcher_state)i)) != NULL)
            watcher_end(x);
    uv_close((uv_handle_t *)&w->timer, on_part_closed);
    uv_close((uv_handle_t *)&w->idle, on_part_closed);
}
