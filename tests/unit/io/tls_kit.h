/* tls_kit.h - certificates made on the spot, and a client by OpenSSL's own means. */
#ifndef TESTS_TLS_KIT_H
#define TESTS_TLS_KIT_H

#include "io/tls_context.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIT_PATH 300

struct kit {
    char dir[64];
    EVP_PKEY *ca_key;
    X509 *ca;
    long serial;
    char ca_path[KIT_PATH];
};

__attribute__((unused)) static const char *kit_path(const struct kit *k, const char *name,
                                                    char out[KIT_PATH])
{
    snprintf(out, KIT_PATH, "%s/%s", k->dir, name);
    return out;
}

static void kit_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

static X509 *kit_certificate(struct kit *k, EVP_PKEY *key, const char *cn, const char *names,
                             long days)
{
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++k->serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -86400 * 400);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400 * days);
    X509_set_pubkey(x, key);
    X509_NAME *n = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(x, k->ca ? X509_get_subject_name(k->ca) : n);
    kit_extension(x, k->ca ? k->ca : x, NID_basic_constraints,
                  k->ca ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names)
        kit_extension(x, k->ca ? k->ca : x, NID_subject_alt_name, names);
    assert_true(X509_sign(x, k->ca_key ? k->ca_key : key, EVP_sha256()) > 0);
    return x;
}

static void kit_open(struct kit *k)
{
    memset(k, 0, sizeof *k);
    snprintf(k->dir, sizeof k->dir, "/tmp/stead-tls-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *ca = kit_certificate(k, key, "test authority", NULL, 10);
    k->ca = ca;
    k->ca_key = key;
    FILE *f = fopen(kit_path(k, "ca.pem", k->ca_path), "w");
    assert_non_null(f);
    PEM_write_X509(f, ca);
    fclose(f);
}

static void kit_close(struct kit *k)
{
    char command[KIT_PATH];
    X509_free(k->ca);
    EVP_PKEY_free(k->ca_key);
    snprintf(command, sizeof command, "%s", k->dir);
    const char *const arguments[] = {"rm", "-rf", command, NULL};
    if (fork() == 0)
        execv("/bin/rm", (char *const *)(uintptr_t)arguments);
}

/* NAME.pem (with the authority behind it) and NAME.key. */
__attribute__((unused)) static void kit_issue(struct kit *k, const char *name, const char *cn,
                                              const char *names, long days)
{
    char file[64], path[KIT_PATH];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = kit_certificate(k, key, cn, names, days);
    snprintf(file, sizeof file, "%s.pem", name);
    FILE *f = fopen(kit_path(k, file, path), "w");
    PEM_write_X509(f, x);
    PEM_write_X509(f, k->ca);
    fclose(f);
    snprintf(file, sizeof file, "%s.key", name);
    f = fopen(kit_path(k, file, path), "w");
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    chmod(path, 0600);
    X509_free(x);
    EVP_PKEY_free(key);
}

__attribute__((unused)) static void kit_write(struct kit *k, const char *name, const void *bytes,
                                              size_t len)
{
    char path[KIT_PATH];
    FILE *f = fopen(kit_path(k, name, path), "w");
    assert_non_null(f);
    fwrite(bytes, 1, len, f);
    fclose(f);
    chmod(path, 0600);
}

/* A response about NAME.pem: status as V_OCSP_CERTSTATUS_*, good from..until seconds from now. */
__attribute__((unused)) static void kit_ocsp(struct kit *k, const char *name, const char *out,
                                             int status, long from, long until)
{
    char file[64], path[KIT_PATH];
    snprintf(file, sizeof file, "%s.pem", name);
    FILE *f = fopen(kit_path(k, file, path), "r");
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, x, k->ca);
    ASN1_TIME *a = X509_gmtime_adj(NULL, from), *b = X509_gmtime_adj(NULL, until);
    ASN1_TIME *revoked = status == V_OCSP_CERTSTATUS_REVOKED ? a : NULL;
    assert_non_null(OCSP_basic_add1_status(basic, id, status, 0, revoked, a, b));
    assert_true(OCSP_basic_sign(basic, k->ca, k->ca_key, EVP_sha256(), NULL, 0));
    OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char *der = NULL;
    int len = i2d_OCSP_RESPONSE(r, &der);
    kit_write(k, out, der, (size_t)len);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(r);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(a);
    ASN1_TIME_free(b);
    X509_free(x);
}

/* Rules with certificates of these names (NAME.pem, NAME.key), NULL at the end. */
struct kit_rules {
    struct tls_rules rules;
    struct tls_files files[4];
    char paths[12][KIT_PATH];
};

__attribute__((unused)) static void kit_rules(const struct kit *k, struct kit_rules *r,
                                              const char *const *names)
{
    char file[64];
    memset(r, 0, sizeof *r);
    r->rules.certificates = r->files;
    for (size_t i = 0; names[i]; i++, r->rules.count++) {
        snprintf(file, sizeof file, "%s.pem", names[i]);
        r->files[i] = (struct tls_files){names[i], kit_path(k, file, r->paths[2 * i]), "", ""};
        snprintf(file, sizeof file, "%s.key", names[i]);
        r->files[i].key = kit_path(k, file, r->paths[2 * i + 1]);
    }
}

/* A client that believes the authority; its certificate, when cert is not NULL, is that name's. */
__attribute__((unused)) static SSL *kit_client(const struct kit *k, int fd, const char *server,
                                               const char *cert)
{
    char file[64], path[KIT_PATH];
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_true(SSL_CTX_load_verify_file(ctx, k->ca_path));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (cert) {
        snprintf(file, sizeof file, "%s.pem", cert);
        assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, kit_path(k, file, path)), 1);
        snprintf(file, sizeof file, "%s.key", cert);
        assert_int_equal(
            SSL_CTX_use_PrivateKey_file(ctx, kit_path(k, file, path), SSL_FILETYPE_PEM), 1);
    }
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    if (server)
        SSL_set_tlsext_host_name(ssl, server);
    return ssl;
}

__attribute__((unused)) static bool kit_waits(SSL *ssl, int n)
{
    int e = SSL_get_error(ssl, n);
    return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

#endif
