/* stead/tls.h - libstead-tls: any OpenSSL server resumes its clients' TLS sessions at every server
 * of the farm, and knows there who has logged in; and libstead's clients over TLS (below).
 *
 *     struct stead_tls_options options = {.size = sizeof options, .set = "shop"};
 *     int err = stead_tls_attach(ctx, &options);
 *
 * is all that a server has to do, once its SSL_CTX has its certificate and its rules for clients'
 * certificates. From then on
 *
 * - clients of TLS 1.2 and 1.3 get tickets under keys that all servers of the set share. The keys
 *   come from the node on this host, are asked for again as they change, and are in memory only;
 * - clients of TLS 1.2 that take no tickets get session ids, whose sessions lie in the farm's
 * store;
 * - with `single_use`, all sessions lie there: TLS 1.3's tickets are good for one time in the whole
 *   farm. Where it is not sure that nobody else has used one, there is a full handshake.
 *
 * A handshake waits for the node no longer than `deadline_ms`; then, and when there is no node, it
 * is a full one. Keys that were fetched go on until they end (4 to 8 hours). When the node comes
 * back, it is used again.
 *
 * By default a handshake that asks the node blocks its thread meanwhile (threads, processes). With
 * `event_driven` nothing blocks: SSL_accept() says SSL_ERROR_WANT_CLIENT_HELLO_CB; then wait for
 * stead_tls_fd() and call it again. Any number of threads may use an attached context; one SSL is
 * one thread's at a time. A server that forks shares nothing with its children but the keys.
 *
 * The context's are from now on: its callbacks for sessions, for tickets (keys and application
 * data), and for the client hello (`hello` is called first); its session id context, session cache
 * mode and timeout. Codes are those of stead/error.h.
 */
#ifndef STEAD_TLS_H
#define STEAD_TLS_H

#include "stead/session.h"
#include "stead/stead.h"

#include <openssl/ssl.h>

#ifdef __cplusplus
extern "C" {
#endif

enum stead_tls_event {
    STEAD_TLS_NODE_LOST = 1, /* the node does not answer: what needs it is a full handshake */
    STEAD_TLS_NODE_BACK
};

/* Zeroed but for size, it has the defaults. Strings and bytes are copied. Fields are only ever
 * added at the end. */
struct stead_tls_options {
    size_t size;       /* sizeof(struct stead_tls_options) */
    const char *node;  /* as of stead_sessions_new(); NULL: the usual unix socket */
    const char *token; /* likewise */
    const char *set;   /* servers with the same name share sessions: 1 to 63 letters, digits, '-',
                          '_', '.'. NULL: "tls" */
    /* What a session is bound to, 32 bytes at most: sessions of another context are refused. NULL:
     * the context's rules for clients' certificates as they are now. */
    const void *session_id_context;
    size_t session_id_context_len;
    int single_use;       /* not 0: sessions are in the store, not in tickets */
    int event_driven;     /* not 0: nothing blocks but stead_tls_attach() */
    uint32_t deadline_ms; /* of one wait for the node; 0: 300; at most 5,000 */
    uint32_t life_s;      /* of a session; 0: 7,200; at most 28,800 */
    /* From any thread that finds it out, once each time. It must not block, nor use the context. */
    void (*tell)(void *context, enum stead_tls_event event);
    void *tell_context;
    /* The application's own client hello callback; it may be called again for the same hello. */
    SSL_client_hello_cb_fn hello;
    void *hello_context;
};

/* Waits for the node, deadline_ms at most; without it too, the context is attached. STEAD_E_INVAL,
 * STEAD_E_NOMEM, STEAD_E_EXISTS (attached already). */
int stead_tls_attach(SSL_CTX *ctx, const struct stead_tls_options *options)
    __attribute__((warn_unused_result));
/* While no handshake of the context is under way. Keys are wiped once its last SSL is freed; the
 * context does as OpenSSL does by itself. Freeing the context does it too. */
void stead_tls_detach(SSL_CTX *ctx);

/* What has become of sessions since the context was attached. Fields are only ever added at the
 * end.
 */
struct stead_tls_stats {
    size_t size; /* sizeof(struct stead_tls_stats), set by the caller */
    uint64_t tickets_opened, tickets_unknown, tickets_damaged;
    /* Sessions that were asked for: found at this node, at another; no session (used up, ended);
     * no answer in time; damaged. */
    uint64_t found_local, found_peer, absent, late, damaged;
    uint64_t kept, unkept;              /* sessions that were stored, and that could not be */
    uint64_t keys_fetched, keys_failed; /* questions for the keys */
    int node_answers;                   /* 0: it is lost */
    int has_keys;                       /* there is a key that seals now */
};
void stead_tls_stats(SSL_CTX *ctx, struct stead_tls_stats *stats);

/* -- event-driven servers -- */

/* What a handshake (SSL_ERROR_WANT_CLIENT_HELLO_CB) or a call below (STEAD_PENDING) waits for:
 * the descriptor (-1: none, go on at once; it may be another each time), poll()'s events, and
 * milliseconds at most. */
int stead_tls_fd(SSL *ssl);
short stead_tls_events(SSL *ssl);
int stead_tls_timeout_ms(SSL *ssl);

/* -- who has logged in -- */

/* Ties a login (the id of a record of kind auth, as POST /v1/auth gives it) to the connection's TLS
 * session: whoever resumes the session, at any server, has it. Also to tickets that the client has
 * got before. login NULL: to none any more. After the handshake. The login stays what it is: its
 * end, or `stead session end --user`, ends it here too. STEAD_E_INVAL; STEAD_E_UNSUPPORTED: this
 * session cannot be resumed; STEAD_E_UNREACHABLE, DEADLINE, UNKNOWN, FULL, BUSY, NOMEM.
 * STEAD_PENDING, where event_driven: call again with the same login. */
int stead_tls_bind_login(SSL *ssl, const char *login);
/* The login that this connection's session has, as it is now: *login is the caller's, to be freed
 * with stead_session_free(); its field `user` says who it is. STEAD_E_ABSENT: none, or it has
 * ended; STEAD_E_DENIED: it has expired; STEAD_E_UNREACHABLE, DEADLINE, NOMEM: it cannot be found
 * out. STEAD_PENDING, where event_driven. The client's certificate is in the session itself: ask
 * SSL_get0_peer_certificate(). */
int stead_tls_login(SSL *ssl, struct stead_session **login);

/* -- clients -- */

/* A client of one farm, over TLS: whom it trusts, and its sessions, which are tried at every server
 * of the farm whose name their certificate has. Any thread. */
struct stead_tls_client;

/* Fields are only ever added at the end. */
struct stead_tls_client_options {
    size_t size;         /* sizeof(struct stead_tls_client_options) */
    const char *ca_file; /* whom to trust, in PEM; NULL: whom the system does */
};

/* options NULL: the defaults. STEAD_E_INVAL; STEAD_E_IO: ca_file cannot be used; STEAD_E_NOMEM. */
int stead_tls_client_new(const struct stead_tls_client_options *options,
                         struct stead_tls_client **client) __attribute__((warn_unused_result));
/* When nothing uses it any more; its SSLs may go on. Takes NULL. */
void stead_tls_client_free(struct stead_tls_client *client);
/* To be given a certificate, protocols, ciphers. Its session callbacks are the client's. */
SSL_CTX *stead_tls_client_context(struct stead_tls_client *client);
/* For stead_options.secure: then first servers are asked by https, and their names verified. */
const struct stead_secure *stead_tls_client_secure(struct stead_tls_client *client);

/* An SSL on a connected socket to that server, as stead_event.url or stead_choice_url() has it:
 * with its name asked for and to be verified, and a session if there is one. SSL_connect() is the
 * caller's, and so is the socket. No signal is raised. STEAD_E_INVAL, STEAD_E_NOMEM. */
int stead_tls_client_start(struct stead_tls_client *client, const char *url, int fd, SSL **ssl);
/* stead_connect() and the handshake; a server whose handshake fails is passed over. *ssl is on a
 * blocking socket, which SSL_free() closes. options.secure is the client's. choice may be NULL.
 * Errors as of stead_connect(); STEAD_E_DENIED: a certificate is not good, or of another name. */
int stead_tls_connect(struct stead_tls_client *client, const char *url,
                      const struct stead_options *options, SSL **ssl, struct stead_choice **choice)
    __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif
