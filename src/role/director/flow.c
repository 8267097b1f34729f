/* flow.c - copying, splicing, and going from one to the other. */
#include "role/director/flow.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS_MAX 4 /* read from one side before the other flows get their turn */
/* What a pipe must carry at once to be better than the buffer. */
#define BULK_BYTES_MIN 16384

void flow_means_init(struct flow_means *m, unsigned pipes_max)
{
    m->pipes_max = pipes_max;
    m->pipes_open = m->pipes_free = 0;
    m->no_splice = false;
}

static void pipe_close(struct flow_means *m, const struct flow_pipe *p)
{
    close(p->read);
    close(p->write);
    m->pipes_open--;
}

void flow_means_deinit(struct flow_means *m)
{
    while (m->pipes_free)
        pipe_close(m, &m->free[--m->pipes_free]);
}

static bool pipe_get(struct flow_means *m, struct flow_pipe *p)
{
    int fd[2];
    if (m->pipes_free) {
        *p = m->free[--m->pipes_free];
        return true;
    }
    if (m->no_splice || m->pipes_open >= m->pipes_max || pipe2(fd, O_NONBLOCK | O_CLOEXEC) != 0)
        return false;
    (void)!fcntl(fd[1], F_SETPIPE_SZ, FLOW_PIPE_BYTES); /* beyond the user's share: as it is */
    *p = (struct flow_pipe){fd[0], fd[1]};
    m->pipes_open++;
    return true;
}

/* Only an empty pipe: what is in it would come out at another's. */
static void pipe_put(struct flow_means *m, const struct flow_pipe *p)
{
    m->free[m->pipes_free++] = *p;
}

bool flow_waits(const struct flow *w)
{
    return w->pending || w->piped;
}

bool flow_wants(const struct flow *w)
{
    return flow_waits(w) || (w->eof && !w->shut);
}

void flow_drop(struct flow *w, struct flow_means *m)
{
    mem_free(w->pending);
    w->pending = NULL;
    if (w->piped)
        pipe_close(m, &w->pipe);
    w->piped = 0;
}

bool flow_gather(struct flow *w, struct flow_means *m)
{
    size_t got = 0, rest = w->pending ? w->len - w->off : 0;
    if (!w->piped)
        return true;
    char *all = mem_alloc(w->piped + rest);
    if (!all)
        return false;
    while (got < w->piped) {
        ssize_t n = read(w->pipe.read, all + got, w->piped - got);
        assert(n > 0 || (n < 0 && errno == EINTR)); /* nobody else reads there */
        got += n > 0 ? (size_t)n : 0;
    }
    if (rest)
        memcpy(all + got, w->pending + w->off, rest);
    pipe_put(m, &w->pipe);
    mem_free(w->pending);
    w->pending = all;
    w->off = w->piped = 0;
    w->len = (uint32_t)(got + rest);
    return true;
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

static void pass_end(struct flow *w)
{
    if (!w->eof || w->shut)
        return;
    w->shut = stream_shutdown(w->to) == 0 || !would_block();
}

/* -- copying -- */

/* Sends what `to` takes at once; returns how much that was, or -1. */
static ssize_t send_some(struct stream *to, const char *bytes, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = stream_write(to, bytes + sent, len - sent);
        if (n > 0)
            sent += (size_t)n;
        else if (would_block())
            break;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)sent;
}

/* Passes on what was just read; what is not taken waits. False: `to` broke off. */
static bool pass(struct flow *w, const char *bytes, size_t len)
{
    ssize_t sent = send_some(w->to, bytes, len);
    if (sent < 0)
        return false;
    w->bytes += (uint64_t)sent;
    if ((size_t)sent == len)
        return true;
    w->off = 0;
    w->len = (uint32_t)(len - (size_t)sent);
    w->pending = mem_dup(bytes + sent, w->len);
    return w->pending != NULL;
}

/* Behind what waits already; the first `skip` bytes are gone. */
static bool keep_rest(struct flow *w, const struct iovec *iov, size_t count, size_t skip)
{
    size_t rest = 0, at = w->pending ? w->len : 0;
    for (size_t i = 0; i < count; i++)
        rest += iov[i].iov_len;
    rest -= skip;
    if (!rest)
        return true;
    char *more = mem_realloc(w->pending, at + rest);
    if (!more)
        return false;
    w->pending = more;
    w->off = at ? w->off : 0;
    for (size_t i = 0; i < count; i++) {
        size_t gone = skip < iov[i].iov_len ? skip : iov[i].iov_len;
        skip -= gone;
        if (iov[i].iov_len > gone)
            memcpy(more + at, (const char *)iov[i].iov_base + gone, iov[i].iov_len - gone);
        at += iov[i].iov_len - gone;
    }
    w->len = (uint32_t)at;
    return true;
}

bool flow_give(struct flow *w, const struct iovec *iov, size_t count)
{
    ssize_t n = 0;
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += iov[i].iov_len;
    if (total && !flow_waits(w) && count == 1)
        n = stream_write(w->to, iov->iov_base, total);
    else if (total && !flow_waits(w))
        n = stream_writev(w->to, iov, count);
    if (n < 0 && !would_block() && errno != EINTR)
        return false;
    if (n < 0)
        n = 0;
    w->bytes += (uint64_t)n;
    return (size_t)n == total || keep_rest(w, iov, count, (size_t)n);
}

bool flow_hold(struct flow *w, const struct iovec *iov, size_t count)
{
    return keep_rest(w, iov, count, 0);
}

static size_t most(const struct flow *w, size_t room)
{
    return w->bounded && w->left < room ? (size_t)w->left : room;
}

/* One buffer. *more: there may be more to read. */
static enum flow_end copy(struct flow *w, struct flow_means *m, bool *more)
{
    ssize_t n = stream_read(w->from, m->buffer, most(w, sizeof m->buffer));
    *more = false;
    if (n < 0 && errno == EINTR) {
        *more = true;
        return FLOW_OPEN;
    }
    if (n < 0)
        return would_block() ? FLOW_OPEN : FLOW_FROM_BROKE;
    if (n == 0) {
        w->eof = true;
        pass_end(w);
        return FLOW_OPEN;
    }
    w->bulk = *more = n == sizeof m->buffer;
    w->left -= w->bounded ? (uint64_t)n : 0;
    return pass(w, m->buffer, (size_t)n) ? FLOW_OPEN : FLOW_TO_BROKE;
}

/* -- splicing -- */

/* Empties the pipe as far as `to` takes it. False: it broke off. */
static bool pipe_out(struct flow *w, struct flow_means *m)
{
    while (w->piped) {
        ssize_t n = splice(w->pipe.read, NULL, w->to->fd, NULL, w->piped,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n > 0) {
            w->piped -= (uint32_t)n;
            w->bytes += (uint64_t)n;
        } else if (n < 0 && would_block()) {
            return true;
        } else if (n == 0 || errno != EINTR) {
            return false;
        }
    }
    pipe_put(m, &w->pipe);
    return true;
}

/* One pipe full. *more as in copy(). */
static enum flow_end carry(struct flow *w, struct flow_means *m, bool *more)
{
    ssize_t n = splice(w->from->fd, NULL, w->pipe.write, NULL, most(w, FLOW_PIPE_BYTES),
                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    *more = false;
    if (n <= 0)
        pipe_put(m, &w->pipe);
    if (n < 0 && errno == EINVAL) {
        m->no_splice = true;
        w->bulk = false;
        *more = true;
        return FLOW_OPEN;
    }
    if (n < 0 && errno == EINTR) {
        *more = true;
        return FLOW_OPEN;
    }
    if (n < 0)
        return would_block() ? FLOW_OPEN : FLOW_FROM_BROKE;
    if (n == 0) {
        w->eof = true;
        pass_end(w);
        return FLOW_OPEN;
    }
    w->piped = (uint32_t)n;
    w->left -= w->bounded ? (uint64_t)n : 0;
    *more = n >= BULK_BYTES_MIN;
    w->bulk = *more;
    w->unread = !*more; /* a pipe may be full long before it has its bytes */
    return pipe_out(w, m) ? FLOW_OPEN : FLOW_TO_BROKE;
}

enum flow_end flow_pump(struct flow *w, struct flow_means *m)
{
    enum flow_end end = FLOW_OPEN;
    bool more = true;
    w->unread = false;
    for (int round = 0; more && round < ROUNDS_MAX && end == FLOW_OPEN; round++) {
        if (flow_waits(w) || w->eof || (w->bounded && !w->left))
            break;
        w->unread = false;
        if (w->bulk && !w->from->tls && !w->to->tls && pipe_get(m, &w->pipe))
            end = carry(w, m, &more);
        else
            end = copy(w, m, &more);
    }
    w->unread |= more;
    return end;
}

bool flow_flush(struct flow *w, struct flow_means *m)
{
    if (w->piped && !pipe_out(w, m))
        return false;
    if (w->pending) {
        ssize_t n = send_some(w->to, w->pending + w->off, w->len - w->off);
        if (n < 0)
            return false;
        w->off += (uint32_t)n;
        w->bytes += (uint64_t)n;
        if (w->off == w->len) {
            mem_free(w->pending);
            w->pending = NULL;
        }
    }
    if (!flow_waits(w))
        pass_end(w);
    return true;
}
