/* TLS to Redis servers, by OpenSSL, over sockets that do not block. */
#include "store/engine_redis_tls.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

static bool is_given(const char *text)
{
    return text && *text;
}

static bool use_files(SSL_CTX *c, const char *ca_file, const char *certificate, const char *key,
                      const char **why)
{
    *why = "the file of trusted authorities cannot be used";
    if (is_given(ca_file) ? SSL_CTX_load_verify_locations(c, ca_file, NULL) != 1
                          : SSL_CTX_set_default_verify_paths(c) != 1)
        return false;
    *why = "certificate and key cannot be used";
    return !is_given(certificate) || (SSL_CTX_use_certificate_chain_file(c, certificate) == 1 &&
                                      SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) == 1 &&
                                      SSL_CTX_check_private_key(c) == 1);
}

struct ssl_ctx_st *redis_tls_rules_new(const char *ca_file, const char *certificate,
                                       const char *key, const char **why)
{
    *why = "out of memory";
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    if (!c)
        return NULL;
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (use_files(c, ca_file, certificate, key, why))
        return c;
    ERR_clear_error();
    SSL_CTX_free(c);
    return NULL;
}

void redis_tls_rules_free(struct ssl_ctx_st *rules)
{
    SSL_CTX_free(rules);
}

static bool set_host(SSL *tls, const char *host)
{
    unsigned char ip[16];
    if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host) == 1;
    return SSL_set_tlsext_host_name(tls, host) == 1 && SSL_set1_host(tls, host) == 1;
}

struct ssl_st *redis_tls_new(struct ssl_ctx_st *rules, int fd, const char *host)
{
    SSL *tls = SSL_new(rules);
    if (tls && SSL_set_fd(tls, fd) == 1 && set_host(tls, host)) {
        SSL_set_connect_state(tls);
        return tls;
    }
    ERR_clear_error();
    SSL_free(tls);
    return NULL;
}

void redis_tls_free(struct ssl_st *tls)
{
    SSL_free(tls);
}

static int judge(SSL *tls, int result, short *events, const char **why)
{
    unsigned long code = ERR_peek_error();
    int kind = SSL_get_error(tls, result);
    ERR_clear_error();
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
        *events = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        return -1;
    }
    if (kind == SSL_ERROR_ZERO_RETURN)
        return 0;
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    long verified = SSL_get_verify_result(tls);
    if (verified != X509_V_OK)
        text = X509_verify_cert_error_string(verified);
    *why = text ? text : "the server has closed the connection";
    return -2;
}

int redis_tls_shake(struct ssl_st *tls, short *events, const char **why)
{
    ERR_clear_error();
    int n = SSL_do_handshake(tls);
    return n == 1 ? 1 : judge(tls, n, events, why);
}

ssize_t redis_tls_write(struct ssl_st *tls, const void *bytes, size_t len, short *events,
                        const char **why)
{
    ERR_clear_error();
    int n = SSL_write(tls, bytes, len < INT_MAX ? (int)len : INT_MAX);
    return n > 0 ? n : judge(tls, n, events, why);
}

ssize_t redis_tls_read(struct ssl_st *tls, void *bytes, size_t cap, short *events, const char **why)
{
    ERR_clear_error();
    int n = SSL_read(tls, bytes, cap < INT_MAX ? (int)cap : INT_MAX);
    return n > 0 ? n : judge(tls, n, events, why);
}
