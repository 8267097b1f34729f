/* tlsmin.c - the least that a TLS server with OpenSSL can do: one thread, epoll, the handshake, one
 * read, the same answer each time, close_notify. Sessions by id (TLS 1.2) in OpenSSL's own cache,
 * by ticket (TLS 1.3) under OpenSSL's own key. CERTIFICATE and KEY are PEM files. */
#include "util.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#define EVENTS_MAX 128
#define ACCEPTS_MAX 32

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

struct conn {
    int fd;
    SSL *ssl;
};

static SSL_CTX *context_make(const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
        !SSL_CTX_use_certificate_chain_file(context, certificate) ||
        !SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) ||
        !SSL_CTX_set1_groups_list(context, "X25519:P-256") ||
        !SSL_CTX_set_session_id_context(context, (const unsigned char *)"min", 3) ||
        !SSL_CTX_set_num_tickets(context, 1)) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    return context;
}

static void conns_accept(int epoll, int listener, SSL_CTX *context)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        no_delay(fd);
        struct conn *c = must_alloc(1, sizeof *c);
        c->fd = fd;
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, fd);
        SSL_set_accept_state(c->ssl);
        watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

static void conn_serve(struct conn *c)
{
    char input[4096];
    int n = SSL_read(c->ssl, input, sizeof input); /* the handshake, too */
    if (n <= 0 && SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ)
        return;
    if (n > 0) {
        SSL_write(c->ssl, answer, sizeof answer - 1);
        SSL_shutdown(c->ssl);
    } else {
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        ERR_clear_error();
    }
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        usage("tlsmin ADDRESS CERTIFICATE KEY");
    signal(SIGPIPE, SIG_IGN);
    files_max();
    struct target target = target_parse(argv[1]);
    SSL_CTX *context = context_make(argv[2], argv[3]);
    int listener = target_listen(&target), epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                conn_serve(events[i].data.ptr);
            else
                conns_accept(epoll, listener, context);
        }
    }
}
