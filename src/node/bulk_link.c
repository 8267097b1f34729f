/* bulk_link.c - a connection's life: greeting, then frames both ways. What comes before the other
 * side has proved the secret is 40 bytes at most and answered by 16. */
#include "node/bulk_link.h"

#include "base/mem.h"
#include "base/wire.h"
#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define LINK_FRAMES 8 /* taken in before others get their turn */

static bool open_buffers(struct bulk_link *l, int fd, uint64_t now_ns)
{
    int one = 1;
    *l = (struct bulk_link){.fd = fd, .began_ns = now_ns};
    list_init(&l->pending);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    l->in = mem_realloc(NULL, BULK_FRAME_MAX);
    l->out = mem_realloc(NULL, BULK_FRAME_MAX);
    return l->in && l->out;
}

int bulk_link_accept(struct bulk_link *l, int fd, uint64_t now_ns)
{
    bool ok = open_buffers(l, fd, now_ns);
    l->state = LINK_ACCEPTED;
    if (ok)
        return STEAD_OK;
    bulk_link_close(l);
    return STEAD_E_NOMEM;
}

int bulk_link_connect(struct bulk_link *l, const struct link_own *own, uint64_t peer,
                      const struct addr *to, uint64_t now_ns)
{
    struct sockaddr_storage ss;
    socklen_t len = io_sockaddr(to, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return STEAD_E_IO;
    bool ok = open_buffers(l, fd, now_ns);
    l->state = LINK_CONNECTING;
    l->peer = peer;
    l->hello = (struct bulk_hello){.from = own->inc, .to = peer};
    io_random(l->hello.nonce, sizeof l->hello.nonce);
    if (ok) {
        bulk_hello_put(&l->hello, l->out);
        l->out_len = BULK_HELLO_BYTES;
        if (connect(fd, (struct sockaddr *)&ss, len) == 0 || errno == EINPROGRESS)
            return STEAD_OK;
    }
    bulk_link_close(l);
    return ok ? STEAD_E_IO : STEAD_E_NOMEM;
}

void bulk_link_close(struct bulk_link *l)
{
    if (l->state == LINK_CLOSED)
        return;
    close(l->fd);
    bulk_seal_free(l->seal);
    mem_free(l->in);
    mem_free(l->out);
    l->in = l->out = NULL;
    l->seal = NULL;
    l->fd = -1;
    l->state = LINK_CLOSED;
}

short bulk_link_events(const struct bulk_link *l)
{
    bool more = l->state == LINK_OPEN && !list_empty(&l->pending);
    bool writes = l->state == LINK_CONNECTING || l->out_done < l->out_len || more;
    return (short)((l->state == LINK_CONNECTING ? 0 : POLLIN) | (writes ? POLLOUT : 0));
}

/* In a frame; what is in a bundle has its lengths already. */
static size_t framed_bytes(const struct msg *m)
{
    return m->bundled ? m->len : sizeof(uint32_t) + m->len;
}

static size_t memory_of(const struct msg *m)
{
    return m->room ? m->room : m->len;
}

bool bulk_link_queue(struct bulk_link *l, struct msg *m)
{
    if (framed_bytes(m) > BULK_BODY_MAX || l->pending_bytes + memory_of(m) > LINK_PENDING_MAX)
        return false;
    list_append(&l->pending, &m->link);
    l->pending_bytes += memory_of(m);
    return true;
}

/* -- greeting -- */

/* Keys are made, and the first frame, an empty one, is added to what goes out. */
static bool begin_sealed(struct bulk_link *l, const struct link_own *own,
                         const uint8_t answer[BULK_NONCE_BYTES], bool asked)
{
    l->seal = bulk_seal_new(own->secret, &l->hello, answer, asked);
    if (!l->seal)
        return false;
    size_t len = bulk_seal_put(l->seal, l->out + l->out_len, 0);
    l->out_len += len;
    l->state = LINK_UNPROVEN;
    return len > 0;
}

static bool greeted(struct bulk_link *l, const struct link_own *own)
{
    uint8_t answer[BULK_NONCE_BYTES];
    if (!bulk_hello_get(&l->hello, l->in) || l->hello.to != own->inc)
        return false;
    l->peer = l->hello.from;
    io_random(answer, sizeof answer);
    memcpy(l->out, answer, sizeof answer);
    l->out_len = sizeof answer;
    return begin_sealed(l, own, answer, false);
}

/* The hello has gone out whole, or nobody could have answered it. */
static bool answered(struct bulk_link *l, const struct link_own *own)
{
    l->out_len = l->out_done = 0;
    return begin_sealed(l, own, l->in, true);
}

/* -- in -- */

static bool take_body(struct bulk_link *l, const uint8_t *body, size_t len, link_take *take,
                      void *context)
{
    struct wire_reader r;
    struct session_slice slices[STORE_BATCH_MAX];
    size_t count = 0;
    wire_reader_init(&r, body, len);
    l->state = LINK_OPEN;
    while (wire_ok(&r) && wire_left(&r) > 0) {
        size_t n;
        const uint8_t *bytes = wire_str32(&r, &n);
        if (wire_ok(&r))
            slices[count++] = (struct session_slice){.bytes = bytes, .len = n};
        if (count > 0 && (count == STORE_BATCH_MAX || !wire_ok(&r) || wire_left(&r) == 0)) {
            take(context, l->peer, slices, count);
            count = 0;
        }
    }
    return wire_ok(&r);
}

/* So many bytes are needed to go on; 0: malformed. */
static size_t needed(const struct bulk_link *l)
{
    if (l->state == LINK_ACCEPTED)
        return BULK_HELLO_BYTES;
    if (l->state == LINK_ASKED)
        return BULK_NONCE_BYTES;
    return l->in_len < BULK_HEAD_BYTES ? BULK_HEAD_BYTES : bulk_frame_bytes(l->in);
}

static bool take_whole(struct bulk_link *l, const struct link_own *own, link_take *take,
                       void *context)
{
    size_t body;
    bool ok;
    if (l->state == LINK_ACCEPTED)
        ok = greeted(l, own);
    else if (l->state == LINK_ASKED)
        ok = answered(l, own);
    else
        ok = bulk_seal_get(l->seal, l->in, l->in_len, &body) &&
             take_body(l, l->in + BULK_HEAD_BYTES, body, take, context);
    l->in_len = 0;
    return ok;
}

static bool receive(struct bulk_link *l, const struct link_own *own, link_take *take, void *context)
{
    for (int frames = 0; frames < LINK_FRAMES;) {
        size_t need = needed(l);
        if (need == 0)
            return false;
        ssize_t got = recv(l->fd, l->in + l->in_len, need - l->in_len, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (got <= 0)
            return false;
        l->in_len += (size_t)got;
        bool head = l->in_len == BULK_HEAD_BYTES && l->state >= LINK_UNPROVEN;
        if (l->in_len < need || head)
            continue;
        if (!take_whole(l, own, take, context))
            return false;
        frames++;
    }
    return true;
}

/* -- out -- */

/* As many of those that wait as fit. */
static bool fill(struct bulk_link *l)
{
    struct wire_writer w;
    wire_writer_init(&w, l->out + BULK_HEAD_BYTES, BULK_BODY_MAX);
    while (!list_empty(&l->pending)) {
        struct msg *m = list_entry(l->pending.next, struct msg, link);
        if (wire_written(&w) + framed_bytes(m) > BULK_BODY_MAX)
            break;
        if (m->bundled)
            wire_put_bytes(&w, m->bytes, m->len);
        else
            wire_put_str32(&w, m->bytes, m->len);
        l->pending_bytes -= memory_of(m);
        list_remove(&m->link);
        msg_free(m);
    }
    l->out_done = 0;
    l->out_len = bulk_seal_put(l->seal, l->out, wire_written(&w));
    return l->out_len > 0;
}

static bool send_some(struct bulk_link *l)
{
    for (int frames = 0; frames < LINK_FRAMES; frames++) {
        if (l->out_done == l->out_len) {
            if (l->state != LINK_OPEN || list_empty(&l->pending))
                return true;
            if (!fill(l))
                return false;
        }
        ssize_t sent = send(l->fd, l->out + l->out_done, l->out_len - l->out_done, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        l->out_done += (size_t)sent;
        if (l->out_done < l->out_len)
            return true;
    }
    return true;
}

static bool connected(struct bulk_link *l)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
        return false;
    l->state = LINK_ASKED;
    return true;
}

bool bulk_link_go(struct bulk_link *l, const struct link_own *own, short events, link_take *take,
                  void *context)
{
    if (l->state == LINK_CONNECTING && events && !connected(l))
        return false;
    if ((events & (POLLIN | POLLHUP | POLLERR)) && !receive(l, own, take, context))
        return false;
    return l->state == LINK_CONNECTING || send_some(l);
}
