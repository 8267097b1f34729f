/* tls_try.c - one handshake, blocking. What is tried and what it means is the verb's. */
#include "cli/tls_try.h"

#include "io/io.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define SESSION_WAIT_MS 1000 /* tickets of TLS 1.3 come behind the handshake, mostly at once */

/* -- the socket -- */

static void set_timeout(int fd, uint32_t ms)
{
    struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static int open_socket(const struct tls_try *t, char why[TLS_TRY_WHY_MAX])
{
    struct sockaddr_storage to;
    socklen_t len = io_sockaddr(t->to, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        set_timeout(fd, t->timeout_ms);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, len) == 0)
        return fd;
    const char *text = errno == EINPROGRESS ? "no answer in time" : io_error_text(errno);
    snprintf(why, TLS_TRY_WHY_MAX, "no connection: %s", text);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* -- the handshake -- */

static SSL *make_client(const struct tls_try *t, int fd)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    if (!ctx)
        return NULL;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY); /* a read returns when a ticket has come */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (SSL_CTX_set_min_proto_version(ctx, t->version) &&
        SSL_CTX_set_max_proto_version(ctx, t->version))
        ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (!ssl)
        return NULL;
    SSL_set_connect_state(ssl);
    if (SSL_set_fd(ssl, fd) && (!*t->name || SSL_set_tlsext_host_name(ssl, t->name)) &&
        (!t->old || SSL_set_session(ssl, t->old)))
        return ssl;
    SSL_free(ssl);
    return NULL;
}

static void say_why(SSL *ssl, int result, char why[TLS_TRY_WHY_MAX])
{
    int e = SSL_get_error(ssl, result);
    unsigned long reason = ERR_get_error();
    const char *text = reason ? ERR_reason_error_string(reason) : NULL;
    if (ERR_GET_REASON(reason) == SSL_AD_REASON_OFFSET + SSL_AD_PROTOCOL_VERSION)
        text = "this version is not spoken";
    else if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        text = "no answer in time";
    else if (!text)
        text = "the server has closed the connection";
    snprintf(why, TLS_TRY_WHY_MAX, "handshake: %s", text);
}

/* The server may say something, too: what is waited for comes before that. */
static SSL_SESSION *take_session(SSL *ssl, int fd)
{
    char byte;
    int n = 0;
    uint64_t end_ns = io_now_ns() + SESSION_WAIT_MS * 1000000ull;
    set_timeout(fd, SESSION_WAIT_MS);
    while (SSL_version(ssl) == TLS1_3_VERSION && n <= 0 && io_now_ns() < end_ns &&
           !SSL_SESSION_is_resumable(SSL_get0_session(ssl))) {
        n = SSL_peek(ssl, &byte, 1);
        if (n <= 0 && SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ)
            break;
    }
    SSL_SESSION *s = SSL_get1_session(ssl);
    if (s && SSL_SESSION_is_resumable(s))
        return s;
    SSL_SESSION_free(s);
    return NULL;
}

void tls_try(const struct tls_try *t, struct tls_tried *out)
{
    *out = (struct tls_tried){.why = ""};
    int fd = open_socket(t, out->why);
    if (fd < 0)
        return;
    ERR_clear_error();
    SSL *ssl = make_client(t, fd);
    int n = ssl ? SSL_do_handshake(ssl) : 0;
    if (!ssl) {
        snprintf(out->why, sizeof(out->why), "there is no memory");
    } else if (n == 1) {
        out->done = true;
        out->resumed = SSL_session_reused(ssl);
        out->session = take_session(ssl, fd);
        (void)SSL_shutdown(ssl); /* a server may forget the session of a connection that broke */
    } else {
        say_why(ssl, n, out->why);
    }
    SSL_free(ssl);
    close(fd);
    ERR_clear_error();
}
