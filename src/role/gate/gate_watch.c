/* gate_watch.c - who watches a session: a read that waits for another version, and server-sent
 * events (WHATWG HTML, section 9.2). The store counts changes; a watch asks it only when the count
 * of its key has moved, or GATE_LOOK_AGAIN_MS have gone by, since what other nodes keep is not
 * counted here. Looking is no use of the session: its life is not renewed. */
#include "role/gate/gate_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "io/io.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define EVENT_HEAD_MAX 128
#define DROP_BYTES 4096

struct gate_watch {
    struct list link;
    struct gate_call *call;
    bool asking;            /* the store; its result is to come */
    uint32_t changes;       /* before the last look */
    uint64_t look_ns;       /* then it is looked at in any case */
    uint64_t end_ns;        /* of the wait */
    int status;             /* of the last look */
    uint64_t term, version; /* that the client knows */

    bool streams;
    struct stream stream;
    uv_poll_t poll;
    char *out; /* what the client has not taken yet; nothing is looked at meanwhile */
    size_t out_at, out_len;
    bool last;           /* closed when that is out */
    uint64_t written_ns; /* when it last took something */
};

/* -- what a request asks for -- */

bool gate_watch_streams(const struct http_head *h)
{
    static const char type[] = "text/event-stream";
    const struct http_header *a = http_find(h->headers, h->header_count, "accept");
    return a && slice_is(h->method, "GET") &&
           memmem(a->value.at, a->value.len, type, sizeof type - 1);
}

/* Has the client of a stream seen that version before its connection broke? */
static bool knows(const struct http_head *h, const struct record *r)
{
    const struct http_header *id = http_find(h->headers, h->header_count, "last-event-id");
    char version[GATE_VERSION_MAX];
    gate_version_text(r, version);
    return id && slice_is(id->value, version);
}

/* -- the end of a watch -- */

static void on_poll_closed(uv_handle_t *handle)
{
    struct gate_watch *w = handle->data;
    struct gate *g = w->call->gate;
    gate_call_free(w->call);
    mem_free_wiped(w->out, w->out_len);
    mem_free(w);
    gate_part_closed(g);
}

/* Takes it off the list; what is left is to answer the call, if it is no stream. */
static void watch_drop(struct gate_watch *w)
{
    struct gate_call *call = w->call;
    struct gate *g = call->gate;
    list_remove(&w->link);
    g->watch_count--;
    atomic_fetch_sub_explicit(&g->config.counters->watching, 1, memory_order_relaxed);
    if (list_empty(&g->watches))
        uv_timer_stop(&g->timer);
    if (w->streams) {
        uv_close((uv_handle_t *)&w->poll, on_poll_closed);
        (void)stream_shutdown(&w->stream);
        stream_close(&w->stream, false);
        return;
    }
    call->watch = NULL;
    mem_free(w);
}

void gate_watch_stop(struct gate_call *call)
{
    struct gate_watch *w = call->watch;
    bool streams = w->streams;
    if (!list_linked(&w->link))
        return;
    watch_drop(w);
    if (!streams)
        gate_reply_status(call, STEAD_E_BUSY);
}

/* -- a stream's bytes -- */

static void on_event(uv_poll_t *poll, int status, int events);

static void listen_to(struct gate_watch *w)
{
    uint32_t events = stream_events(&w->stream, true, w->out != NULL);
    uv_poll_start(&w->poll,
                  (events & EPOLLIN ? UV_READABLE : 0) | (events & EPOLLOUT ? UV_WRITABLE : 0),
                  on_event);
}

/* False: the watch has ended. */
static bool flush(struct gate_watch *w)
{
    while (w->out_at < w->out_len) {
        ssize_t n = stream_write(&w->stream, w->out + w->out_at, w->out_len - w->out_at);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            listen_to(w);
            return true;
        }
        if (n < 0) {
            watch_drop(w);
            return false;
        }
        w->out_at += (size_t)n;
        w->written_ns = io_now_ns();
    }
    mem_free_wiped(w->out, w->out_len);
    w->out = NULL;
    w->out_at = w->out_len = 0;
    if (w->last) {
        watch_drop(w);
        return false;
    }
    listen_to(w);
    return true;
}

/* Takes the bytes, from mem_alloc; NULL: no memory, the watch ends. */
static void put(struct gate_watch *w, char *bytes, size_t len)
{
    assert(!w->out);
    w->out = bytes;
    w->out_len = len;
    if (bytes)
        (void)flush(w);
    else
        watch_drop(w);
}

static void put_text(struct gate_watch *w, const char *text)
{
    put(w, mem_strdup(text), strlen(text));
}

/* What a client still says is dropped. */
static void on_event(uv_poll_t *poll, int status, int events)
{
    struct gate_watch *w = poll->data;
    char drop[DROP_BYTES];
    if (status < 0) {
        watch_drop(w);
        return;
    }
    if (events & UV_READABLE) {
        ssize_t n = stream_read(&w->stream, drop, sizeof drop);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            watch_drop(w);
            return;
        }
    }
    if (events & UV_WRITABLE)
        (void)flush(w);
}

static void put_record(struct gate_watch *w, const struct record *r, uint32_t left_ms)
{
    struct gate *g = w->call->gate;
    const char *kind = store_kinds(g->config.store)->kind[r->key.kind].name;
    char head[EVENT_HEAD_MAX], version[GATE_VERSION_MAX];
    gate_version_text(r, version);
    char *json = gate_record_json(r, g->config.private, left_ms, kind, 0);
    size_t json_len = json ? strlen(json) : 0;
    int n = snprintf(head, sizeof head, "event: record\nid: %s\ndata: ", version);
    size_t head_len = (size_t)n;
    char *all = json ? mem_alloc(head_len + json_len + 1) : NULL;
    if (all) {
        memcpy(all, head, head_len);
        memcpy(all + head_len, json, json_len); /* with a newline at its end */
        all[head_len + json_len] = '\n';
    }
    gate_text_free(json);
    put(w, all, head_len + json_len + 1);
}

static void put_gone(struct gate_watch *w, int err)
{
    char text[EVENT_HEAD_MAX + KEY_BYTES_MAX + KIND_NAME_MAX];
    const struct key *key = &w->call->key;
    const char *kind = store_kinds(w->call->gate->config.store)->kind[key->kind].name;
    snprintf(text, sizeof text,
             "event: gone\ndata: {\"id\":\"%.*s\",\"kind\":\"%s\",\"error\":\"%s\"}\n\n",
             (int)key->len, (const char *)key->bytes, kind, stead_error_name(err));
    w->last = true;
    put_text(w, text);
}

/* -- looking -- */

struct look {
    struct gate_watch *watch;
    struct record *record; /* NULL: nothing new, or no memory */
    uint32_t left_ms;
};

static bool is_new(const struct gate_watch *w, const struct record *r)
{
    return r->stamp.term != w->term || r->stamp.version != w->version;
}

static void take(void *context, const struct session_reading *r)
{
    struct look *l = context;
    l->left_ms = r->left_ms;
    if (is_new(l->watch, r->record))
        l->record = record_clone(r->record);
}

static void see(struct gate_watch *w, int status, const struct record *r, uint32_t left_ms,
                const char *origin)
{
    struct gate_call *call = w->call;
    w->status = status;
    bool gone = status == STEAD_E_ABSENT || status == STEAD_E_ENDED;
    if (!gone && (status != STEAD_OK || !r || !is_new(w, r)))
        return;
    if (r) {
        w->term = r->stamp.term;
        w->version = r->stamp.version;
    }
    if (w->streams) {
        if (gone)
            put_gone(w, status);
        else
            put_record(w, r, left_ms);
        return;
    }
    watch_drop(w);
    call->left_ms = left_ms;
    if (gone)
        gate_reply_status(call, status);
    else
        gate_reply_record(call, 200, r, 0, origin);
}

void gate_watch_result(struct gate_call *call, const struct session_result *r)
{
    struct gate_watch *w = call->watch;
    if (!list_linked(&w->link))
        return; /* its stream is about to be closed */
    w->asking = false;
    static const char *const names[] = {
        [ORIGIN_LOCAL] = "local", [ORIGIN_OWNER] = "owner", [ORIGIN_CLAIM] = "claim"};
    see(w, r->status, r->record, r->left_ms, names[r->origin]);
}

static void look(struct gate_watch *w, uint64_t now)
{
    struct gate_call *call = w->call;
    struct store *store = call->gate->config.store;
    struct session_op op = {.type = SESSION_READ, .key = &call->key, .peek = true};
    struct look l = {.watch = w};
    w->changes = store_changes(store, &call->key);
    w->look_ns = now + GATE_LOOK_AGAIN_MS * NS_PER_MS;
    int status = store_read(store, &op, now, take, &l);
    if (status != STEAD_PENDING) {
        see(w, status, l.record, l.left_ms, "local");
        record_free(l.record);
        return;
    }
    w->asking = true;
    call->last_ns = now + call->deadline_ms * NS_PER_MS;
    gate_call_submit(call, &op); /* goes on in gate_watch_result() */
}

static void answer_in_time(struct gate_watch *w)
{
    struct gate_call *call = w->call;
    int status = w->status;
    char headers[64 + GATE_VERSION_MAX];
    snprintf(headers, sizeof headers, "Cache-Control: no-store\r\nETag: \"%llu.%llu\"\r\n",
             (unsigned long long)w->term, (unsigned long long)w->version);
    watch_drop(w);
    if (status != STEAD_OK) {
        gate_reply_status(call, status);
        return;
    }
    http_reply(call->request, 304, NULL, headers, NULL, 0);
    gate_call_free(call);
}

static void watch_turn(struct gate_watch *w, uint64_t now)
{
    struct gate_call *call = w->call;
    bool again = now >= w->look_ns;
    bool due = again || store_changes(call->gate->config.store, &call->key) != w->changes;
    if (w->streams && w->out) {
        if (now - w->written_ns >= GATE_WATCH_STALL_MS * NS_PER_MS) {
            gate_count(&call->gate->config.counters->watch_dropped);
            watch_drop(w);
        }
        return;
    }
    bool retired = call->gate->retired;
    bool over = !w->streams &&
                (retired || now >= w->end_ns || (again && http_request_is_left(call->request)));
    if (over && !w->asking)
        answer_in_time(w);
    else if (w->streams && retired)
        watch_drop(w);
    else if (w->streams && now - w->written_ns >= GATE_WATCH_KEEPALIVE_MS * NS_PER_MS)
        put_text(w, ":\n\n");
    else if (due && !w->asking)
        look(w, now);
}

void gate_watch_timer(uv_timer_t *timer)
{
    struct gate *g = timer->data;
    uint64_t now = io_now_ns();
    for (struct list *l = g->watches.next, *next; l != &g->watches; l = next) {
        next = l->next;
        watch_turn(list_entry(l, struct gate_watch, link), now);
    }
    if (private_any(g->config.private))
        mem_wipe_stack();
}

/* -- a new one -- */

static void add(struct gate_watch *w, uint64_t now)
{
    struct gate *g = w->call->gate;
    w->look_ns = now + GATE_LOOK_AGAIN_MS * NS_PER_MS;
    w->end_ns = now + (uint64_t)w->call->wait_s * NS_PER_S;
    if (list_empty(&g->watches))
        uv_timer_start(&g->timer, gate_watch_timer, GATE_LOOK_MS, GATE_LOOK_MS);
    list_append(&g->watches, &w->link);
    g->watch_count++;
    gate_count(&g->config.counters->watching);
}

static struct gate_watch *watch_new(struct gate_call *call, const struct record *r)
{
    if (call->gate->watch_count >= GATE_WATCHES_MAX)
        return NULL;
    struct gate_watch *w = mem_alloc(sizeof *w);
    if (!w)
        return NULL;
    w->call = call;
    w->changes = call->changes;
    w->term = r->stamp.term;
    w->version = r->stamp.version;
    w->stream.fd = -1;
    return w;
}

/* The head of the answer is written at once: it fits into an empty socket. */
static void begin_stream(struct gate_watch *w)
{
    char text[512], date[40];
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/event-stream\r\n"
                     "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                     "X-Accel-Buffering: no\r\nConnection: close\r\n\r\nretry: 1000\n\n",
                     date);
    assert(n > 0 && (size_t)n < sizeof text);
    w->written_ns = io_now_ns();
    put_text(w, text);
}

/* Takes the request's connection. False: it could not be, and the request is still there. */
static bool take_stream(struct gate_watch *w)
{
    struct gate_call *call = w->call;
    char *bytes = NULL;
    size_t len = 0;
    if (http_take(call->request, &w->stream, &bytes, &len) != STEAD_OK)
        return false;
    mem_free(bytes);
    call->request = NULL;
    return true;
}

static bool start_stream(struct gate_call *call, const struct session_result *r)
{
    struct gate *g = call->gate;
    bool known = knows(http_request_head(call->request), r->record);
    struct gate_watch *w = watch_new(call, r->record);
    if (!w)
        return false;
    if (!take_stream(w)) {
        mem_free(w);
        return false;
    }
    if (uv_poll_init(g->config.loop, &w->poll, w->stream.fd) != 0) {
        stream_close(&w->stream, false);
        mem_free(w);
        gate_call_free(call);
        return true;
    }
    w->poll.data = w;
    w->streams = true;
    call->watch = w;
    g->open_handles++;
    add(w, io_now_ns());
    begin_stream(w);
    if (known || !list_linked(&w->link))
        return true;
    if (w->out) /* the head is not out: the next look tells it */
        w->term = w->version = 0;
    else
        put_record(w, r->record, r->left_ms);
    return true;
}

bool gate_watch_start(struct gate_call *call, const struct session_result *r, bool same)
{
    const struct http_head *h = http_request_head(call->request);
    bool streams = gate_watch_streams(h);
    if (!streams && !(call->wait_s && same))
        return false;
    struct gate_watch *w = NULL;
    if (streams && start_stream(call, r))
        return true;
    if (!streams && (w = watch_new(call, r->record))) {
        call->watch = w;
        add(w, io_now_ns());
        return true;
    }
    gate_count(&call->gate->config.counters->busy);
    gate_reply_status(call, STEAD_E_BUSY);
    return true;
}
