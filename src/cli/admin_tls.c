/* admin_tls.c - one request under TLS, blocking, with a deadline. */
#include "cli/admin_tls.h"

#include "base/mem.h"
#include "client/net.h"
#include "stead/error.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SCHEME "https://"
#define PORT_DEFAULT "7380"
#define HOST_MAX 256

struct call {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
    uint64_t deadline_ms;
};

bool admin_tls_is(const char *where)
{
    return strncmp(where, SCHEME, sizeof(SCHEME) - 1) == 0;
}

static bool fail(char why[ADMIN_TLS_WHY_MAX], const char *what, const char *detail)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = detail ? detail : e ? ERR_reason_error_string(e) : NULL;
    snprintf(why, ADMIN_TLS_WHY_MAX, "%.80s%s%.110s", what, reason ? ": " : "",
             reason ? reason : "");
    ERR_clear_error();
    return false;
}

/* -- where -- */

/* "[::1]:7380", "s1.shop.test". False: it is too long. */
static bool split(const char *where, char host[HOST_MAX], char port[16])
{
    const char *text = where + sizeof(SCHEME) - 1, *end = strchr(text, ']');
    const char *colon = strrchr(text, ':');
    if (colon && end && colon < end)
        colon = NULL;
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    bool bracket = len > 2 && text[0] == '[' && text[len - 1] == ']';
    if (len - 2 * bracket >= HOST_MAX || (colon && strlen(colon + 1) >= 16))
        return false;
    snprintf(host, HOST_MAX, "%.*s", (int)(len - 2 * bracket), text + bracket);
    snprintf(port, 16, "%s", colon ? colon + 1 : PORT_DEFAULT);
    return true;
}

static bool dial(struct call *c, const char *host, const char *port, char why[ADMIN_TLS_WHY_MAX])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    struct addr to;
    int err = STEAD_E_UNREACHABLE, e = getaddrinfo(host, port, &hints, &list);
    if (e)
        return fail(why, host, gai_strerror(e));
    for (struct addrinfo *i = list; i && err; i = i->ai_next)
        if (net_from_sockaddr(i->ai_addr, &to))
            err = net_connect(SOCK_STREAM, &to, c->deadline_ms, &c->fd);
    freeaddrinfo(list);
    return err ? fail(why, "no connection", stead_error_text(err)) : true;
}

/* -- the handshake -- */

static bool make_context(struct call *c, const struct cli_options *o, char why[ADMIN_TLS_WHY_MAX])
{
    c->ctx = SSL_CTX_new(TLS_client_method());
    if (!c->ctx)
        return fail(why, "TLS", NULL);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
    if (!(o->cacert ? SSL_CTX_load_verify_file(c->ctx, o->cacert)
                    : SSL_CTX_set_default_verify_paths(c->ctx)))
        return fail(why, o->cacert ? o->cacert : "the system's authorities", NULL);
    if (o->cert && SSL_CTX_use_certificate_chain_file(c->ctx, o->cert) != 1)
        return fail(why, o->cert, NULL);
    const char *key = o->key ? o->key : o->cert;
    if (key && SSL_CTX_use_PrivateKey_file(c->ctx, key, SSL_FILETYPE_PEM) != 1)
        return fail(why, key, NULL);
    return true;
}

/* Waits for what the last call wants. False: it failed, or the time is over. */
static bool wait_for(const struct call *c, int result)
{
    int e = SSL_get_error(c->ssl, result);
    uint64_t now = net_now_ms();
    if ((e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) || now >= c->deadline_ms)
        return false;
    struct pollfd p = {c->fd, e == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, 0};
    return poll(&p, 1, (int)(c->deadline_ms - now)) > 0;
}

static bool shake(struct call *c, const char *host, char why[ADMIN_TLS_WHY_MAX])
{
    c->ssl = SSL_new(c->ctx);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd))
        return fail(why, "TLS", NULL);
    bool address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), host) == 1;
    if (!address && (!SSL_set1_host(c->ssl, host) || !SSL_set_tlsext_host_name(c->ssl, host)))
        return fail(why, host, NULL);
    ERR_clear_error();
    int n;
    while ((n = SSL_connect(c->ssl)) != 1)
        if (!wait_for(c, n)) {
            long v = SSL_get_verify_result(c->ssl);
            return fail(why, "handshake", v == X509_V_OK ? NULL : X509_verify_cert_error_string(v));
        }
    return true;
}

/* -- the request -- */

static bool send_all(const struct call *c, const char *text, char why[ADMIN_TLS_WHY_MAX])
{
    size_t len = strlen(text), sent = 0, n;
    while (sent < len) {
        int r = SSL_write_ex(c->ssl, text + sent, len - sent, &n);
        if (r == 1)
            sent += n;
        else if (!wait_for(c, r))
            return fail(why, "sending", NULL);
    }
    return true;
}

/* TLS 1.3: a certificate that the node does not like is told of here. */
static bool read_all(const struct call *c, size_t max, char **out, size_t *len,
                     char why[ADMIN_TLS_WHY_MAX])
{
    size_t cap = 0, used = 0, n;
    char *bytes = NULL;
    for (;;) {
        if (cap - used < 4096) {
            char *more = used < max ? mem_realloc(bytes, cap = 2 * cap + 16384) : NULL;
            if (!more) {
                mem_free(bytes);
                return fail(why, "the answer", used < max ? "no memory" : "it is too long");
            }
            bytes = more;
        }
        int r = SSL_read_ex(c->ssl, bytes + used, cap - used - 1, &n);
        if (r == 1)
            used += n;
        else if (SSL_get_error(c->ssl, r) == SSL_ERROR_ZERO_RETURN)
            break;
        else if (!wait_for(c, r)) {
            mem_free(bytes);
            return fail(why, "no answer", NULL);
        }
    }
    bytes[used] = '\0';
    *out = bytes;
    *len = used;
    return true;
}

bool admin_tls_ask(const struct cli_options *o, const char *request, size_t max,
                   uint64_t deadline_ms, char **out, size_t *len, char why[ADMIN_TLS_WHY_MAX])
{
    struct call c = {.fd = -1, .deadline_ms = deadline_ms};
    char host[HOST_MAX], port[16];
    ERR_clear_error();
    bool good = split(o->where, host, port) || fail(why, o->where, "it is too long");
    good = good && make_context(&c, o, why) && dial(&c, host, port, why);
    if (good)
        (void)fcntl(c.fd, F_SETFL, fcntl(c.fd, F_GETFL) | O_NONBLOCK);
    good = good && shake(&c, host, why) && send_all(&c, request, why) &&
           read_all(&c, max, out, len, why);
    if (good)
        (void)SSL_shutdown(c.ssl);
    SSL_free(c.ssl);
    SSL_CTX_free(c.ctx);
    if (c.fd >= 0)
        close(c.fd);
    return good;
}
