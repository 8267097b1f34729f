/* tls_bio.c - between OpenSSL and the socket: one read of the socket serves all records that came
 * with it, out of a buffer that exists only while a call runs; and writes raise no signal. */
#include "io/tls_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static bool again(int errnum)
{
    return errnum == EAGAIN || errnum == EWOULDBLOCK || errnum == EINTR;
}

/* -1 with EAGAIN when there is nothing. */
static ssize_t refill(struct tls *t)
{
    struct tls_raw *raw = t->raw;
    if (raw->drained || raw->closed) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t n = recv(t->fd, raw->bytes, sizeof raw->bytes, 0);
    raw->at = 0;
    raw->len = n > 0 ? (size_t)n : 0;
    /* What fits is what was there; the next call's first read tells of what came since. */
    raw->drained = n > 0 && (size_t)n < sizeof raw->bytes;
    return n;
}

static int bio_read(BIO *b, char *out, int max)
{
    struct tls *t = BIO_get_data(b);
    struct tls_raw *raw = t->raw;
    BIO_clear_retry_flags(b);
    if (!raw || max <= 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    if (raw->at == raw->len) {
        ssize_t n = refill(t);
        if (n < 0 && again(errno)) {
            BIO_set_retry_read(b);
            return -1;
        }
        if (n <= 0) {
            t->error = n < 0 ? errno : ECONNRESET; /* an end that was not said is none */
            return n < 0 ? -1 : 0;
        }
    }
    size_t have = raw->len - raw->at;
    size_t some = have < (size_t)max ? have : (size_t)max;
    memcpy(out, raw->bytes + raw->at, some);
    raw->at += some;
    return (int)some;
}

static int bio_write(BIO *b, const char *bytes, int len)
{
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (len <= 0)
        return 0;
    ssize_t n = send(t->fd, bytes, (size_t)len, MSG_NOSIGNAL);
    if (n < 0 && again(errno))
        BIO_set_retry_write(b);
    else if (n < 0)
        t->error = errno;
    return (int)n;
}

static long bio_control(BIO *b, int command, long number, void *pointer)
{
    (void)b;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stead");
    if (m && BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
        BIO_meth_set_ctrl(m, bio_control))
        return m;
    BIO_meth_free(m);
    return NULL;
}

void tls_raw_open(struct tls *t, struct tls_raw *raw)
{
    raw->at = 0;
    raw->len = t->left_len;
    raw->drained = raw->closed = false;
    if (t->left_len)
        memcpy(raw->bytes, t->left, t->left_len);
    mem_free(t->left);
    t->left = NULL;
    t->left_len = 0;
    t->raw = raw;
}

bool tls_raw_close(struct tls *t)
{
    struct tls_raw *raw = t->raw;
    size_t rest = raw->len - raw->at;
    t->raw = NULL;
    if (rest == 0)
        return true;
    t->left = mem_dup(raw->bytes + raw->at, rest);
    if (t->left)
        t->left_len = (uint32_t)rest;
    else
        t->error = ENOMEM; /* bytes of the stream are lost: it cannot go on */
    return t->left != NULL;
}
