/* name_tcp.c - queries by TCP (RFC 7766): a length of two bytes before each message, several at
 * once. A client that does not take its answers is not read from. */
#include "role/name/name_socket.h"

#include "base/mem.h"
#include "io/io.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX 65536 /* bytes of answers that wait to be taken */
#define SWEEP_MS 1000

struct tcp_conn {
    uv_tcp_t tcp;
    struct list link;
    struct name *name;
    struct addr from;
    uint64_t idle_since_ms;
    bool paused, closing;
    size_t len;
    uint8_t bytes[2 + NAME_TCP_QUERY_MAX];
};

struct tcp_answer {
    uv_write_t request;
    struct tcp_conn *conn;
    uint8_t bytes[];
};

static void conn_closed(uv_handle_t *handle)
{
    struct tcp_conn *c = handle->data;
    struct name *n = c->name;
    mem_free(c);
    name_handle_closed(n);
}

static void conn_close(struct tcp_conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    if (list_linked(&c->link)) {
        list_remove(&c->link);
        c->name->connection_count--;
    }
    uv_close((uv_handle_t *)&c->tcp, conn_closed);
}

static void conn_run(struct tcp_conn *c);

static void written(uv_write_t *request, int status)
{
    struct tcp_answer *a = list_entry(request, struct tcp_answer, request);
    struct tcp_conn *c = a->conn;
    mem_free(a);
    if (status < 0)
        conn_close(c);
    else if (c->paused && !c->closing)
        conn_run(c);
}

/* False: the connection is being closed. */
static bool conn_write(struct tcp_conn *c, const uint8_t *bytes, size_t len)
{
    uv_stream_t *stream = (uv_stream_t *)&c->tcp;
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
    size_t done = 0;
    if (uv_stream_get_write_queue_size(stream) == 0) {
        int r = uv_try_write(stream, &buf, 1);
        if (r >= 0)
            done = (size_t)r;
        else if (r != UV_EAGAIN) {
            conn_close(c);
            return false;
        }
    }
    if (done == len)
        return true;
    struct tcp_answer *a = mem_alloc(sizeof *a + len - done);
    if (!a) {
        conn_close(c);
        return false;
    }
    a->conn = c;
    memcpy(a->bytes, bytes + done, len - done);
    buf = uv_buf_init((char *)a->bytes, (unsigned)(len - done));
    if (uv_write(&a->request, stream, &buf, 1, written) < 0) {
        mem_free(a);
        conn_close(c);
        return false;
    }
    return true;
}

/* Only whole queries keep a connection: drops of bytes do not. */
static void conn_active(struct tcp_conn *c)
{
    c->idle_since_ms = uv_now(c->name->loop);
    list_remove(&c->link);
    list_append(&c->name->connections, &c->link);
}

static bool conn_answer(struct tcp_conn *c, const struct name_view *v, const uint8_t *query,
                        size_t len)
{
    struct name *n = c->name;
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME_COARSE, &wall);
    struct name_asker by = {
        .from = c->from, .tcp = true, .now_s = (uint32_t)wall.tv_sec, .chance = n->face.chance++};
    conn_active(c);
    memcpy(n->stream + 2, query, len);
    size_t bytes = v ? name_answer(v, &by, n->stream + 2, len, DNS_TCP_MAX, n->face.stats) : 0;
    if (bytes == 0) {
        conn_close(c); /* whoever sends what is no query */
        return false;
    }
    n->stream[0] = (uint8_t)(bytes >> 8);
    n->stream[1] = (uint8_t)bytes;
    return conn_write(c, n->stream, bytes + 2);
}

/* Answers the whole queries in the buffer; false when the connection is being closed. */
static bool conn_answer_all(struct tcp_conn *c)
{
    const struct name_view *v = name_face_view(&c->name->face, uv_now(c->name->loop));
    size_t at = 0;
    bool open = true;
    while (open && c->len - at >= 2 && !c->paused) {
        size_t len = (size_t)c->bytes[at] << 8 | c->bytes[at + 1];
        if (len > NAME_TCP_QUERY_MAX) {
            name_count(&c->name->face.stats->oversized);
            conn_close(c);
            open = false;
        } else if (c->len - at - 2 < len) {
            break;
        } else {
            open = conn_answer(c, v, c->bytes + at + 2, len);
            at += 2 + len;
            c->paused = open && uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) > QUEUE_MAX;
        }
    }
    if (open) {
        memmove(c->bytes, c->bytes + at, c->len - at);
        c->len -= at;
    }
    return open;
}

static void conn_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct tcp_conn *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init((char *)c->bytes + c->len, (unsigned)(sizeof c->bytes - c->len));
}

static void conn_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct tcp_conn *c = stream->data;
    (void)buf;
    if (got < 0) {
        conn_close(c);
        return;
    }
    c->len += (size_t)got;
    if (conn_answer_all(c) && c->paused)
        uv_read_stop(stream);
}

/* Goes on after a pause. */
static void conn_run(struct tcp_conn *c)
{
    if (uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) > QUEUE_MAX / 2)
        return;
    c->paused = false;
    if (conn_answer_all(c) && !c->paused &&
        uv_read_start((uv_stream_t *)&c->tcp, conn_allocate, conn_read) < 0)
        conn_close(c);
}

static void accepted(uv_stream_t *listener, int status);

static void sweep(uv_timer_t *timer)
{
    struct name *n = timer->data;
    uint64_t now = uv_now(n->loop);
    bool waiting = n->waiting;
    for (size_t i = 0; waiting && i < n->listeners; i++)
        if (n->tcp[i].open)
            accepted((uv_stream_t *)&n->tcp[i].listener, 0);
    while (!list_empty(&n->connections)) {
        struct tcp_conn *c = list_entry(n->connections.next, struct tcp_conn, link);
        if (now - c->idle_since_ms < NAME_TCP_IDLE_MS)
            return;
        name_count(&n->face.stats->idle);
        conn_close(c);
    }
    if (!n->waiting)
        uv_timer_stop(timer);
}

static void make_room(struct name *n)
{
    if (n->connection_count < NAME_TCP_CONNECTIONS_MAX)
        return;
    name_count(&n->face.stats->evicted);
    conn_close(list_entry(n->connections.next, struct tcp_conn, link));
}

static void find_peer(struct tcp_conn *c)
{
    struct sockaddr_storage sa;
    int len = sizeof sa;
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&sa, &len) == 0)
        io_from_sockaddr((struct sockaddr *)&sa, &c->from);
}

static void accepted(uv_stream_t *listener, int status)
{
    struct name_tcp *t = listener->data;
    struct name *n = t->name;
    if (status < 0)
        return;
    struct tcp_conn *c = mem_alloc(sizeof *c);
    n->waiting = !c;
    if (!uv_is_active((uv_handle_t *)&n->sweep))
        uv_timer_start(&n->sweep, sweep, SWEEP_MS, SWEEP_MS);
    if (!c)
        return; /* the sweep tries again */
    c->name = n;
    uv_tcp_init(n->loop, &c->tcp);
    c->tcp.data = c;
    n->handles++;
    make_room(n);
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) < 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, conn_allocate, conn_read) < 0) {
        conn_close(c);
        return;
    }
    find_peer(c);
    name_count(&n->face.stats->connections);
    uv_tcp_nodelay(&c->tcp, 1);
    c->idle_since_ms = uv_now(n->loop);
    list_append(&n->connections, &c->link);
    n->connection_count++;
}

static void listener_closed(uv_handle_t *handle)
{
    struct name_tcp *t = handle->data;
    name_handle_closed(t->name);
}

static void sweep_closed(uv_handle_t *handle)
{
    name_handle_closed(handle->data);
}

int name_tcp_open(struct name *n, struct name_tcp *t, int fd)
{
    if (!n->sweep_open) {
        uv_timer_init(n->loop, &n->sweep);
        n->sweep.data = n;
        n->sweep_open = true;
        n->handles++;
    }
    uv_tcp_init(n->loop, &t->listener);
    t->listener.data = t;
    t->name = n;
    t->open = true;
    n->handles++;
    int r = uv_tcp_open(&t->listener, fd);
    if (r < 0)
        close(fd);
    else
        r = uv_listen((uv_stream_t *)&t->listener, SOMAXCONN, accepted);
    return r < 0 ? io_error(-r) : STEAD_OK;
}

void name_tcp_close(struct name *n)
{
    while (!list_empty(&n->connections))
        conn_close(list_entry(n->connections.next, struct tcp_conn, link));
    if (n->sweep_open)
        uv_close((uv_handle_t *)&n->sweep, sweep_closed);
    for (size_t i = 0; i < n->listeners; i++)
        if (n->tcp[i].open)
            uv_close((uv_handle_t *)&n->tcp[i].listener, listener_closed);
}
