/* line.c - bytes to and from a server. */
#include "cli/line.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

void line_close(struct line *l)
{
    ERR_clear_error();
    if (l->ssl && l->shaken)
        SSL_shutdown(l->ssl); /* else its session would not be resumed */
    SSL_free(l->ssl);
    *l = (struct line){.fd = -1};
}

int line_open(struct line *l, struct stead_tls_client *tls, const char *url, int fd)
{
    bool https = strncmp(url, "https://", 8) == 0;
    line_close(l);
    if (https && !tls)
        return STEAD_E_UNSUPPORTED;
    l->fd = fd;
    l->shaken = !https;
    return https ? stead_tls_client_start(tls, url, fd, &l->ssl) : STEAD_OK;
}

/* What a call of OpenSSL has come to: 1 done, 0 the end, -1 not now, -2 broken. */
static int judge(struct line *l, int result)
{
    int e = SSL_get_error(l->ssl, result);
    l->wants_write = e == SSL_ERROR_WANT_WRITE;
    if (e == SSL_ERROR_NONE)
        return 1;
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return -1;
    return e == SSL_ERROR_ZERO_RETURN ? 0 : -2;
}

int line_shake(struct line *l)
{
    if (l->shaken)
        return STEAD_OK;
    ERR_clear_error();
    int got = judge(l, SSL_do_handshake(l->ssl));
    l->shaken = got == 1;
    if (got == -1)
        return STEAD_PENDING;
    if (got == 1)
        return STEAD_OK;
    return SSL_get_verify_result(l->ssl) != X509_V_OK ? STEAD_E_DENIED : STEAD_E_IO;
}

ssize_t line_read(struct line *l, char *bytes, size_t cap)
{
    size_t n = 0;
    if (l->ssl) {
        ERR_clear_error();
        int got = judge(l, SSL_read_ex(l->ssl, bytes, cap, &n));
        return got == 1 ? (ssize_t)n : got;
    }
    ssize_t got = recv(l->fd, bytes, cap, MSG_DONTWAIT);
    return got >= 0 ? got : errno == EAGAIN || errno == EINTR ? -1 : -2;
}

size_t line_write(struct line *l, const char *bytes, size_t len)
{
    size_t n = 0;
    if (l->ssl) {
        ERR_clear_error();
        return judge(l, SSL_write_ex(l->ssl, bytes, len, &n)) == 1 ? n : 0;
    }
    ssize_t sent = send(l->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? (size_t)sent : 0;
}

void line_finish(struct line *l)
{
    ERR_clear_error();
    if (l->ssl)
        SSL_shutdown(l->ssl);
    else
        shutdown(l->fd, SHUT_WR);
}
