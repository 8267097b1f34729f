/* attach.c - from options to a context's callbacks, and what lives with a context and its SSLs. */
#include "libtls/attached.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#define DEADLINE_MS 300
#define DEADLINE_MAX_MS 5000
#define LIFE_S 7200
#define LIFE_MAX_S 28800

void attached_count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -- where OpenSSL keeps them -- */

static void attached_leave(struct attached *a)
{
    if (!a || atomic_fetch_sub(&a->users, 1) > 1)
        return;
    link_end(&a->link, &a->keys_call);
    link_deinit(&a->link);
    keyset_free(a->keys);
    EVP_CIPHER_free(a->cipher);
    pthread_mutex_destroy(&a->keys_lock);
    mem_free(a);
}

static void context_goes(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
                         void *argp)
{
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    attached_leave(ptr);
}

static void guest_goes(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
                       void *argp)
{
    struct guest *g = ptr;
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    if (!g)
        return;
    link_end(&g->of->link, &g->call);
    SSL_SESSION_free(g->found);
    attached_leave(g->of);
    OPENSSL_cleanse(g, sizeof *g);
    mem_free(g);
}

/* What is copied with SSL_dup() is another connection. */
static int guest_copied(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **ptr, int index,
                        long argl, void *argp)
{
    (void)to, (void)from, (void)index, (void)argl, (void)argp;
    *ptr = NULL;
    return 1;
}

static int context_index = -1, guest_index = -1;

static void make_indexes(void)
{
    context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, context_goes);
    guest_index = SSL_get_ex_new_index(0, NULL, NULL, guest_copied, guest_goes);
}

static bool have_indexes(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_indexes);
    return context_index >= 0 && guest_index >= 0;
}

struct attached *attached_of(const SSL_CTX *ctx)
{
    return have_indexes() ? SSL_CTX_get_ex_data(ctx, context_index) : NULL;
}

struct guest *guest_find(const SSL *ssl)
{
    return have_indexes() ? SSL_get_ex_data(ssl, guest_index) : NULL;
}

struct guest *guest_of(SSL *ssl)
{
    struct guest *g = guest_find(ssl);
    struct attached *a = g ? g->of : attached_of(SSL_get_SSL_CTX(ssl));
    if (g || !a)
        return g;
    g = mem_alloc(sizeof *g);
    if (!g)
        return NULL;
    g->of = a;
    atomic_fetch_add(&a->users, 1);
    if (SSL_set_ex_data(ssl, guest_index, g) == 1)
        return g;
    attached_leave(a);
    mem_free(g);
    return NULL;
}

/* -- options -- */

static bool set_valid(const char *set)
{
    size_t len = strspn(set, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");
    return len > 0 && len <= SET_MAX && set[len] == '\0';
}

static bool valid(const struct stead_tls_options *o)
{
    return o->size == sizeof *o && (!o->set || set_valid(o->set)) &&
           o->session_id_context_len <= CONTEXT_BYTES_MAX &&
           (!o->session_id_context == !o->session_id_context_len) &&
           o->deadline_ms <= DEADLINE_MAX_MS && o->life_s <= LIFE_MAX_S;
}

/* Who resumes a session is not asked for a certificate again, so a session is good only under the
 * rules for clients that it began with. */
static bool rules_digest(SSL_CTX *ctx, unsigned char out[CONTEXT_BYTES_MAX])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char mode = (unsigned char)SSL_CTX_get_verify_mode(ctx), digest[EVP_MAX_MD_SIZE];
    STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(ctx);
    bool good = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) && EVP_DigestUpdate(md, &mode, 1);
    for (int i = 0; good && i < sk_X509_NAME_num(names); i++)
        good = X509_NAME_digest(sk_X509_NAME_value(names, i), EVP_sha256(), digest, NULL) &&
               EVP_DigestUpdate(md, digest, CONTEXT_BYTES_MAX);
    good = good && EVP_DigestFinal_ex(md, out, NULL);
    EVP_MD_CTX_free(md);
    return good;
}

static void told(void *context, bool lost)
{
    const struct attached *a = context;
    if (a->tell)
        a->tell(a->tell_context, lost ? STEAD_TLS_NODE_LOST : STEAD_TLS_NODE_BACK);
}

static int take_options(struct attached *a, SSL_CTX *ctx, const struct stead_tls_options *o)
{
    int err = link_init(&a->link, o->node, o->token, o->deadline_ms ? o->deadline_ms : DEADLINE_MS);
    if (err)
        return err;
    a->link.tell = told;
    a->link.context = a;
    memcpy(a->set, o->set ? o->set : "tls", strlen(o->set ? o->set : "tls"));
    a->single_use = o->single_use;
    a->event_driven = o->event_driven;
    a->life_s = o->life_s ? o->life_s : LIFE_S;
    a->hello = o->hello;
    a->hello_context = o->hello_context;
    a->tell = o->tell;
    a->tell_context = o->tell_context;
    a->context_len = o->session_id_context ? o->session_id_context_len : CONTEXT_BYTES_MAX;
    if (o->session_id_context)
        memcpy(a->context, o->session_id_context, a->context_len);
    else if (!rules_digest(ctx, a->context))
        err = STEAD_E_NOMEM;
    a->keys = keyset_new();
    a->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!err && a->keys && a->cipher)
        return STEAD_OK;
    keyset_free(a->keys);
    EVP_CIPHER_free(a->cipher);
    link_deinit(&a->link);
    return STEAD_E_NOMEM;
}

/* -- contexts -- */

static bool set_context(SSL_CTX *ctx, struct attached *a)
{
    bool good = SSL_CTX_set_session_id_context(ctx, a->context, (unsigned)a->context_len) &&
                tickets_set(ctx) && SSL_CTX_set_ex_data(ctx, context_index, a);
    if (!good)
        return false;
    SSL_CTX_set_timeout(ctx, (long)a->life_s);
    /* If tickets were off before, they are not turned on again. */
    a->single_use = a->single_use && !(SSL_CTX_get_options(ctx) & SSL_OP_NO_TICKET);
    if (a->single_use)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    kept_set(ctx);
    return true;
}

int stead_tls_attach(SSL_CTX *ctx, const struct stead_tls_options *options)
{
    if (!ctx || !options || !valid(options))
        return STEAD_E_INVAL;
    if (!have_indexes())
        return STEAD_E_NOMEM;
    if (attached_of(ctx))
        return STEAD_E_EXISTS;
    struct attached *a = mem_alloc(sizeof *a);
    if (!a)
        return STEAD_E_NOMEM;
    atomic_init(&a->users, 1);
    int err = take_options(a, ctx, options);
    if (err) {
        mem_free(a);
        return err;
    }
    pthread_mutex_init(&a->keys_lock, NULL);
    if (!set_context(ctx, a)) {
        attached_leave(a);
        return STEAD_E_NOMEM;
    }
    tickets_refresh(a, true);
    return STEAD_OK;
}

void stead_tls_detach(SSL_CTX *ctx)
{
    struct attached *a = ctx ? attached_of(ctx) : NULL;
    if (!a)
        return;
    kept_unset(ctx);
    if (a->single_use)
        SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, NULL);
    SSL_CTX_set_session_ticket_cb(ctx, NULL, NULL, NULL);
    SSL_CTX_set_ex_data(ctx, context_index, NULL);
    attached_leave(a);
}

void stead_tls_stats(SSL_CTX *ctx, struct stead_tls_stats *out)
{
    struct attached *a = attached_of(ctx);
    struct stead_tls_stats s = {.size = sizeof s};
    struct keyset_key key;
    if (a) {
        s.tickets_opened = a->opened;
        s.tickets_unknown = a->unknown;
        s.tickets_damaged = a->damaged_tickets;
        s.found_local = a->found_local;
        s.found_peer = a->found_peer;
        s.absent = a->absent;
        s.late = a->late;
        s.damaged = a->damaged;
        link_settle(&a->link);
        s.kept = a->link.kept;
        s.unkept = a->link.unkept;
        s.keys_fetched = a->keys_fetched;
        s.keys_failed = a->keys_failed;
        s.node_answers = !link_is_lost(&a->link);
        s.has_keys = keyset_seal(a->keys, time(NULL), &key);
        OPENSSL_cleanse(&key, sizeof key);
    }
    size_t size = out->size < sizeof s ? out->size : sizeof s;
    s.size = out->size;
    memcpy(out, &s, size);
}

/* -- what is waited for -- */

int stead_tls_fd(SSL *ssl)
{
    const struct guest *g = guest_find(ssl);
    return g && g->call.node ? stead_sessions_fd(g->call.node) : -1;
}

short stead_tls_events(SSL *ssl)
{
    const struct guest *g = guest_find(ssl);
    return g && g->call.node ? stead_sessions_events(g->call.node) : 0;
}

int stead_tls_timeout_ms(SSL *ssl)
{
    const struct guest *g = guest_find(ssl);
    if (!g || !g->call.node)
        return 0;
    uint64_t now = link_now_ms();
    int ms = stead_sessions_timeout_ms(g->call.node);
    if (g->login == LOGIN_NONE)
        return ms;
    int left = g->login_until_ms > now ? (int)(g->login_until_ms - now) : 0;
    return left < ms ? left : ms;
}
