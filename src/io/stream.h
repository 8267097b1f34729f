/* stream.h - a connection as its owners see it: a non-blocking socket, plain or under TLS.
 *
 * A small value that is moved, never shared: whoever has it reads, writes and closes. The calls
 * behave as the system's: -1 and errno; EAGAIN means that stream_events() tells what to wait for.
 * Three things are other than with a bare socket, and cost an owner a line each:
 *   - what to watch is asked of stream_events(), as reading may have to write first, and shutting
 *     down may have to wait;
 *   - a read smaller than STREAM_READ_WHOLE may leave decrypted bytes for which no event will come:
 *     stream_pending(). A larger one never does;
 *   - a write that gave EAGAIN must be repeated with the same bytes (more may follow them).
 * splice(2) and the socket's options are for the descriptor itself, splice only when tls is NULL.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define STREAM_READ_WHOLE 65536u

struct tls;

struct stream {
    int fd;
    struct tls *tls; /* NULL: plain */
};

/* 0: the peer has ended its half, in order. ECONNRESET: it broke off; with TLS also when it ended
 * without saying so (a truncated stream), EPROTO when what came is no TLS. */
ssize_t stream_read(struct stream *s, void *out, size_t max);
/* May take a part. Never raises SIGPIPE. */
ssize_t stream_write(struct stream *s, const void *bytes, size_t len);
ssize_t stream_writev(struct stream *s, const struct iovec *iov, size_t count);
/* The epoll events to watch for what the owner wants to do next. */
uint32_t stream_events(const struct stream *s, bool want_read, bool want_write);
/* Decrypted bytes wait: no event will come for them. */
bool stream_pending(const struct stream *s);
/* Ends our half. -1 with EAGAIN: not said yet; watch for what stream_events() says (it includes
 * EPOLLOUT until then) and call again. Everything written before must have been taken. */
int stream_shutdown(struct stream *s);
/* Closes the descriptor, with a reset if wanted, and frees what belongs to it. The stream is empty
 * (fd -1) after; an empty one may be closed. */
void stream_close(struct stream *s, bool reset);

#endif
