/* visitor_socket.c - a BIO on a socket that raises no signal when the other side is gone. */
#include "libtls/visitor.h"

#include <errno.h>
#include <openssl/bio.h>
#include <sys/socket.h>
#include <unistd.h>

static int fd_of(BIO *b)
{
    return (int)(intptr_t)BIO_get_data(b);
}

static int after(BIO *b, ssize_t n, int flag)
{
    BIO_clear_retry_flags(b);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_flags(b, flag | BIO_FLAGS_SHOULD_RETRY);
    return (int)n;
}

static int on_write(BIO *b, const char *bytes, int len)
{
    return after(b, send(fd_of(b), bytes, (size_t)len, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static int on_read(BIO *b, char *bytes, int len)
{
    ssize_t n = recv(fd_of(b), bytes, (size_t)len, 0);
    if (n == 0)
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return after(b, n, BIO_FLAGS_READ);
}

static long on_control(BIO *b, int what, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    switch (what) {
    case BIO_C_GET_FD:
        return fd_of(b);
    case BIO_CTRL_EOF:
        return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    case BIO_CTRL_FLUSH:
        return 1;
    default:
        return 0;
    }
}

static int on_free(BIO *b)
{
    if (BIO_get_shutdown(b))
        close(fd_of(b));
    return 1;
}

static BIO_METHOD *method;

static void make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR,
                                 "stead socket");
    if (m && BIO_meth_set_write(m, on_write) && BIO_meth_set_read(m, on_read) &&
        BIO_meth_set_ctrl(m, on_control) && BIO_meth_set_destroy(m, on_free))
        method = m;
    else
        BIO_meth_free(m);
}

bool visitor_socket(SSL *ssl, int fd, bool closes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *b = method ? BIO_new(method) : NULL;
    if (!b)
        return false;
    BIO_set_data(b, (void *)(intptr_t)fd);
    BIO_set_shutdown(b, closes);
    BIO_set_init(b, 1);
    SSL_set_bio(ssl, b, b);
    return true;
}
