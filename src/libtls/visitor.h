/* visitor.h - inside libstead-tls: a client of one farm over TLS.
 *
 * visitor.c: life and sessions; visitor_socket.c: OpenSSL's bytes on a socket, without SIGPIPE;
 * visitor_connect.c: connections to first servers (stead_secure) and to second ones. */
#ifndef LIBTLS_VISITOR_H
#define LIBTLS_VISITOR_H

#include "stead/tls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define VISITOR_SESSIONS_MAX 16 /* the newest are kept */
#define VISITOR_HOST_MAX 255

struct stead_tls_client {
    SSL_CTX *ctx;
    struct stead_secure secure;
    pthread_mutex_t lock;
    SSL_SESSION *sessions[VISITOR_SESSIONS_MAX]; /* the newest is the last */
    size_t count;
};

/* For a server of that name or address: name, verification, session; without a socket. NULL: no
 * memory, or no name. */
SSL *visitor_ssl(struct stead_tls_client *c, const char *host);
/* What a failed call means. */
int visitor_error(SSL *ssl, int result);
void visitor_secure(struct stead_tls_client *c, struct stead_secure *out);

/* The socket stays the caller's, unless closes. False: no memory. */
bool visitor_socket(SSL *ssl, int fd, bool closes);

#endif
