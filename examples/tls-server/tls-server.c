/* A server that ends TLS itself, with several threads. Its clients resume their TLS sessions at
 * every copy of it in the farm, and stay logged in there:
 *
 *     tls-server ADDRESS:PORT CERTIFICATE KEY NODE [single-use]
 *
 * NODE is where this host's node is: unix:/run/stead/sessions.sock. It speaks HTTP/1.0:
 * GET /            who you are, and how you came
 * GET /login/NAME  logs you in (a real server would ask for a password)
 * GET /logout      and out */
#include <stead/tls.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 4

struct server {
    SSL_CTX *ctx;
    const char *node;
    int listener;
};

/* A login is a session of kind auth; the TLS session leads to it. */
static int login(struct stead_sessions *node, SSL *ssl, const char *user)
{
    const struct stead_field name = {"user", user, strlen(user)};
    const struct stead_change change = {.size = sizeof change, .set = &name, .set_count = 1};
    struct stead_session *made;
    int err = stead_session_create(node, "auth", &change, &made);
    if (!err)
        err = stead_tls_bind_login(ssl, stead_session_id(made));
    stead_session_free(made);
    return err;
}

static int logout(struct stead_sessions *node, SSL *ssl)
{
    struct stead_session *now;
    int err = stead_tls_login(ssl, &now);
    if (!err)
        err = stead_session_end(node, "auth", stead_session_id(now), NULL);
    stead_session_free(now);
    return err ? err : stead_tls_bind_login(ssl, NULL);
}

static void answer(SSL *ssl, int err)
{
    struct stead_session *now;
    char text[1024], subject[256] = "";
    int who = stead_tls_login(ssl, &now);
    X509 *cert = SSL_get0_peer_certificate(ssl);
    if (cert)
        X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof subject);
    int n = snprintf(text, sizeof text,
                     "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n%s %s user=%s cert=%s %s\n",
                     SSL_get_version(ssl), SSL_session_reused(ssl) ? "resumed" : "full",
                     who == STEAD_OK ? stead_session_get(now, "user", NULL) : "", subject,
                     err ? stead_error_name(err) : "");
    stead_session_free(now);
    SSL_write(ssl, text, n);
}

static void serve(struct stead_sessions *node, SSL *ssl)
{
    char request[2048], user[100];
    int len, have = 0, err = STEAD_OK;
    if (SSL_accept(ssl) != 1)
        return;
    do {
        len = SSL_read(ssl, request + have, (int)sizeof request - 1 - have);
        have += len > 0 ? len : 0;
        request[have] = '\0';
    } while (len > 0 && !strstr(request, "\r\n\r\n"));
    if (sscanf(request, "GET /login/%99[a-z0-9]", user) == 1)
        err = login(node, ssl, user);
    else if (strncmp(request, "GET /logout", 11) == 0)
        err = logout(node, ssl);
    answer(ssl, err);
    SSL_shutdown(ssl);
}

/* Each thread has a connection to the node for its own questions. */
static void *work(void *context)
{
    const struct server *s = context;
    const struct timeval patience = {.tv_sec = 5};
    struct stead_sessions *node;
    if (stead_sessions_new(s->node, NULL, &node))
        return NULL;
    for (;;) {
        int fd = accept(s->listener, NULL, NULL);
        SSL *ssl = fd >= 0 ? SSL_new(s->ctx) : NULL;
        if (ssl) {
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
            SSL_set_fd(ssl, fd);
            serve(node, ssl);
        }
        SSL_free(ssl);
        if (fd >= 0)
            close(fd);
    }
}

static void tell(void *context, enum stead_tls_event event)
{
    (void)context;
    fprintf(stderr, "the node %s\n", event == STEAD_TLS_NODE_LOST ? "is lost" : "is back");
}

int main(int argc, char **argv)
{
    struct stead_tls_options options = {.size = sizeof options, .set = "example", .tell = tell};
    struct server s = {.ctx = SSL_CTX_new(TLS_server_method())};
    pthread_t thread;
    if (argc < 5 || SSL_CTX_use_certificate_chain_file(s.ctx, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(s.ctx, argv[3], SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "usage: tls-server ADDRESS:PORT CERTIFICATE KEY NODE [single-use]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    options.node = s.node = argv[4];
    options.single_use = argc > 5;
    /* A client's certificate is asked for; the example trusts its own one. */
    SSL_CTX_load_verify_file(s.ctx, argv[2]);
    SSL_CTX_set_verify(s.ctx, SSL_VERIFY_PEER, NULL);
    int err = stead_tls_attach(s.ctx, &options); /* that is all */
    if (err) {
        fprintf(stderr, "tls-server: %s\n", stead_error_text(err));
        return 1;
    }
    BIO *listener = BIO_new_accept(argv[1]);
    BIO_set_bind_mode(listener, BIO_BIND_REUSEADDR);
    if (BIO_do_accept(listener) != 1) {
        fprintf(stderr, "tls-server: cannot listen at %s\n", argv[1]);
        return 1;
    }
    BIO_get_fd(listener, &s.listener);
    for (int i = 1; i < THREADS; i++)
        pthread_create(&thread, NULL, work, &s);
    work(&s);
    return 1;
}
