/* attached.h - inside libstead-tls: what belongs to an SSL_CTX that is attached, and to each SSL of
 * it. An SSL keeps what its context had, also when that is detached.
 *
 * attach.c: life; tickets.c: keys and marks in tickets; kept.c: sessions in the store; login.c. */
#ifndef LIBTLS_ATTACHED_H
#define LIBTLS_ATTACHED_H

#include "libtls/keyset.h"
#include "libtls/link.h"
#include "stead/tls.h"

#define SET_MAX 63
#define STORE_ID_CHARS 64
#define PATH_MAX_BYTES (sizeof "/v1/tls//" + SET_MAX + STORE_ID_CHARS + sizeof "/take")
#define SESSION_ID_BYTES 32
#define HELLO_RANDOM_BYTES 32
#define SESSION_BYTES_MAX 8192 /* of one with a client's certificate; a larger one is not kept */
#define VALUE_TEXT_MAX (SESSION_BYTES_MAX * 4 / 3 + 256) /* of an answer */
#define CONTEXT_BYTES_MAX 32
#define MARK_BYTES 33 /* in a session: a format's number, and 32 random bytes */
#define LOGIN_ID_MAX 250

struct attached {
    atomic_uint users; /* the context, and SSLs that have begun */
    struct link link;
    struct keyset *keys;
    struct link_call keys_call; /* under keys_lock */
    pthread_mutex_t keys_lock;
    EVP_CIPHER *cipher;
    char set[SET_MAX + 1];
    unsigned char context[CONTEXT_BYTES_MAX];
    size_t context_len;
    bool single_use, event_driven;
    uint32_t life_s;
    SSL_client_hello_cb_fn hello;
    void *hello_context;
    void (*tell)(void *context, enum stead_tls_event event);
    void *tell_context;
    atomic_uint_fast64_t opened, unknown, damaged_tickets, found_local, found_peer, absent, late,
        damaged, keys_fetched, keys_failed;
};

/* A connection's question for its session. */
enum asking { ASKING_NOT, ASKING_WAITS, ASKING_DONE };
enum login_step { LOGIN_NONE, LOGIN_CHANGES, LOGIN_MAKES, LOGIN_READS, LOGIN_VERIFIES };

struct guest {
    struct attached *of;
    struct link_call call;
    enum asking asking;
    bool looking_up;
    uint8_t random[HELLO_RANDOM_BYTES]; /* of the hello that is looked at */
    uint8_t id[SESSION_ID_BYTES];
    SSL_SESSION *found;
    bool ticket_known; /* its key was: what fails then is damaged */
    enum login_step login;
    unsigned login_tries;
    uint64_t login_until_ms;
    char login_id[LOGIN_ID_MAX + 1];
    bool was_bound;
};

/* -- attach.c -- */

struct attached *attached_of(const SSL_CTX *ctx);
/* Made with the first call for an SSL; NULL: its context is not attached, or there is no memory. */
struct guest *guest_of(SSL *ssl);
struct guest *guest_find(const SSL *ssl); /* NULL: none was made */
void attached_count(atomic_uint_fast64_t *counter);

/* -- tickets.c -- */

bool tickets_set(SSL_CTX *ctx);
/* Goes on with the keys that are due. wait: for them to come. */
void tickets_refresh(struct attached *a, bool wait);
/* Marks the session, if it has no mark. */
bool tickets_mark(SSL_SESSION *session);
/* The session's mark; NULL: none. */
const uint8_t *tickets_marked(SSL_SESSION *session);

/* -- kept.c -- */

void kept_set(SSL_CTX *ctx);
void kept_unset(SSL_CTX *ctx);
/* "/v1/tls/SET/ID", the id being a digest of what it is for, the context and the bytes. */
bool kept_path(const struct attached *a, const char *use, const uint8_t *bytes, size_t len,
               const char *suffix, char path[PATH_MAX_BYTES]);
/* {"value": ..., "ttl": ...} of at most SESSION_BYTES_MAX bytes, into mem_alloc; NULL: no memory.
 */
char *kept_body(const uint8_t *value, size_t len, uint32_t ttl_s);
void kept_body_free(char *body);
/* The value of an answer, from mem_alloc, with a NUL behind it; *local: it was at this node. NULL:
 * none, or no memory. Pure. */
uint8_t *kept_value(const char *body, size_t len, size_t *value_len, bool *local);

/* hello.c: the id of the session that a client hello asks for. */
bool hello_id(SSL *ssl, uint8_t id[SESSION_ID_BYTES], bool *once);
/* Of the hello's parts; supported_versions and pre_shared_key as their extensions' bodies. tls13:
 * it may be spoken. Pure. */
bool hello_parts(bool tls13, const uint8_t *versions, size_t versions_len, const uint8_t *psk,
                 size_t psk_len, const uint8_t *old_id, size_t old_len,
                 uint8_t id[SESSION_ID_BYTES], bool *once);

#endif
