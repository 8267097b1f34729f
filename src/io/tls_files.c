/* tls_files.c - certificates, keys and OCSP responses from files, and the names in them. */
#include "io/tls_internal.h"

#include "base/mem.h"
#include "io/io.h"
#include "stead/error.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHAIN_MAX 16
#define OCSP_SKEW_S 300
#define KEY_MODE_FORBIDDEN 037 /* a group may read it, as Debian's ssl-cert does */

int tls_wrong(char error[TLS_ERROR_MAX], const char *what, const char *file)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    snprintf(error, TLS_ERROR_MAX, "%.200s: %.120s%s%.120s", file, what, reason ? ": " : "",
             reason ? reason : "");
    ERR_clear_error();
    return STEAD_E_CONFIG;
}

/* -- for people -- */

void tls_certificate_text(X509 *x, char subject[TLS_SUBJECT_MAX],
                          char fingerprint[TLS_FINGERPRINT_MAX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    BIO *text = BIO_new(BIO_s_mem());
    int n = 0;
    if (text && X509_NAME_print_ex(text, X509_get_subject_name(x), 0,
                                   XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        n = BIO_read(text, subject, TLS_SUBJECT_MAX - 1);
    subject[n > 0 ? n : 0] = '\0';
    BIO_free(text);
    fingerprint[0] = '\0';
    if (X509_digest(x, EVP_sha256(), digest, &len))
        for (unsigned i = 0; i < len && 2 * i + 2 < TLS_FINGERPRINT_MAX; i++)
            snprintf(fingerprint + 2 * i, 3, "%02x", digest[i]);
}

static time_t asn1_time(const ASN1_TIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) ? timegm(&tm) : 0;
}

/* -- files -- */

static int read_file(const char *path, char **bytes, size_t *len, char error[TLS_ERROR_MAX])
{
    int e = io_read_file(path, TLS_FILE_BYTES_MAX, bytes, len);
    if (e != STEAD_OK)
        snprintf(error, TLS_ERROR_MAX, "%.300s: it cannot be read: %.100s", path,
                 stead_error_text(e));
    return e;
}

static int read_bio(const char *path, BIO **out, char **bytes, char error[TLS_ERROR_MAX])
{
    size_t len;
    *bytes = NULL;
    int e = read_file(path, bytes, &len, error);
    if (e != STEAD_OK)
        return e;
    *out = BIO_new_mem_buf(*bytes, (int)len);
    return *out ? STEAD_OK : STEAD_E_NOMEM;
}

/* What a key lay in is wiped. */
static void close_bio(BIO *b, char *bytes)
{
    BIO_free(b);
    if (bytes)
        explicit_bzero(bytes, strlen(bytes));
    mem_free(bytes);
}

/* An encrypted key must not make the daemon ask at its terminal. */
static int no_password(char *out, int size, int writing, void *context)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)context;
    return 0;
}

/* -- names -- */

static int add_name(struct tls_shown *s, const char *text, size_t len, char error[TLS_ERROR_MAX])
{
    struct tls_context *c = s->context;
    if (c->name_count == TLS_NAMES_MAX) {
        snprintf(error, TLS_ERROR_MAX, "the certificates have more than %d names together",
                 TLS_NAMES_MAX);
        return STEAD_E_CONFIG;
    }
    bool wildcard = len > 2 && text[0] == '*' && text[1] == '.';
    struct tls_name *n = &c->names[c->name_count];
    size_t skip = wildcard ? 2 : 0;
    if (memchr(text, '\0', len) || !(n->text = mem_alloc(len + 1 - skip)))
        return memchr(text, '\0', len) ? STEAD_OK : STEAD_E_NOMEM;
    for (size_t i = skip; i < len; i++)
        n->text[i - skip] = (char)tolower((unsigned char)text[i]);
    n->wildcard = wildcard;
    n->chosen = (uint32_t)(s - c->shown);
    c->name_count++;
    return STEAD_OK;
}

static int add_asn1(struct tls_shown *s, const ASN1_STRING *a, char error[TLS_ERROR_MAX])
{
    return add_name(s, (const char *)ASN1_STRING_get0_data(a), (size_t)ASN1_STRING_length(a),
                    error);
}

static int add_names(struct tls_shown *s, X509 *x, char error[TLS_ERROR_MAX])
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    size_t before = s->context->name_count;
    int e = STEAD_OK;
    for (int i = 0; e == STEAD_OK && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        if (g->type == GEN_DNS)
            e = add_asn1(s, g->d.dNSName, error);
    }
    GENERAL_NAMES_free(all);
    X509_NAME *subject = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (e == STEAD_OK && s->context->name_count == before && at >= 0)
        e = add_asn1(s, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), error);
    return e;
}

/* -- chain, key, staple -- */

static int load_chain(struct tls_shown *s, const char *path, char error[TLS_ERROR_MAX])
{
    BIO *b = NULL;
    char *bytes;
    X509 *x = NULL;
    int e = read_bio(path, &b, &bytes, error);
    if (e == STEAD_OK && !(x = PEM_read_bio_X509_AUX(b, NULL, no_password, NULL)))
        e = tls_wrong(error, "there is no certificate in it", path);
    if (e == STEAD_OK && SSL_CTX_use_certificate(s->ssl, x) != 1)
        e = tls_wrong(error, "the certificate cannot be used", path);
    for (int i = 0; e == STEAD_OK && i < CHAIN_MAX; i++) {
        X509 *next = PEM_read_bio_X509(b, NULL, no_password, NULL);
        if (!next)
            break;
        if (SSL_CTX_add0_chain_cert(s->ssl, next) != 1) {
            X509_free(next);
            e = tls_wrong(error, "its chain cannot be used", path);
        }
    }
    ERR_clear_error(); /* the end of the file is one */
    if (e == STEAD_OK) {
        s->info.not_after = asn1_time(X509_get0_notAfter(x));
        tls_certificate_text(x, s->info.subject, s->info.fingerprint);
        e = add_names(s, x, error);
    }
    X509_free(x);
    close_bio(b, bytes);
    return e;
}

static int load_key(struct tls_shown *s, const char *path, char error[TLS_ERROR_MAX])
{
    BIO *b = NULL;
    char *bytes;
    struct stat st;
    EVP_PKEY *key = NULL;
    int e = read_bio(path, &b, &bytes, error);
    if (e == STEAD_OK && (stat(path, &st) || st.st_mode & KEY_MODE_FORBIDDEN)) {
        snprintf(error, TLS_ERROR_MAX, "%.300s: others may read the key: chmod 600", path);
        e = STEAD_E_DENIED;
    }
    if (e == STEAD_OK && !(key = PEM_read_bio_PrivateKey(b, NULL, no_password, NULL)))
        e = tls_wrong(error, "there is no key in it that can be read without a password", path);
    if (e == STEAD_OK && SSL_CTX_use_PrivateKey(s->ssl, key) != 1)
        e = tls_wrong(error, "the key is not the certificate's", path);
    EVP_PKEY_free(key);
    close_bio(b, bytes);
    return e;
}

/* Its part about this certificate; NULL when there is none. */
static OCSP_SINGLERESP *ocsp_find(OCSP_BASICRESP *basic, X509 *x)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        ASN1_INTEGER *serial = NULL;
        OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);
        OCSP_id_get0_info(NULL, NULL, NULL, &serial,
                          (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(one));
        if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(x)) == 0)
            return one;
    }
    return NULL;
}

/* A response that is no good, or is still about the certificate before, is none: a new certificate
 * does not wait for its response, nor does a listener stay closed for want of a fresh one. */
static void ocsp_check(struct tls_shown *s, OCSP_BASICRESP *basic)
{
    ASN1_GENERALIZEDTIME *since = NULL, *until = NULL;
    int reason;
    OCSP_SINGLERESP *one = ocsp_find(basic, SSL_CTX_get0_certificate(s->ssl));
    int status = one ? OCSP_single_get0_status(one, &reason, NULL, &since, &until) : 0;
    if (!one)
        s->info.ocsp_mistake = "it is about another certificate";
    else if (status != V_OCSP_CERTSTATUS_GOOD)
        s->info.ocsp_mistake = "it says that the certificate is not good";
    else if (!OCSP_check_validity(since, until, OCSP_SKEW_S, -1))
        s->info.ocsp_mistake = "it is out of date";
    else
        s->info.ocsp_until = until ? asn1_time(until) : (time_t)INT64_MAX;
}

static int load_ocsp(struct tls_shown *s, const char *path, char error[TLS_ERROR_MAX])
{
    char *bytes = NULL;
    size_t len;
    OCSP_BASICRESP *basic = NULL;
    int e = read_file(path, &bytes, &len, error);
    if (e != STEAD_OK)
        return e;
    const unsigned char *at = (unsigned char *)bytes;
    OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &at, (long)len);
    if (!r)
        e = tls_wrong(error, "it is no OCSP response in DER", path);
    else if (OCSP_response_status(r) != OCSP_RESPONSE_STATUS_SUCCESSFUL ||
             !(basic = OCSP_response_get1_basic(r)))
        s->info.ocsp_mistake = "the responder did not answer";
    else
        ocsp_check(s, basic);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
    s->ocsp = (unsigned char *)bytes;
    s->ocsp_len = (int)len;
    return e;
}

int tls_files_load(struct tls_shown *s, const struct tls_files *f, char error[TLS_ERROR_MAX])
{
    snprintf(s->info.name, sizeof s->info.name, "%s", f->name);
    int e = load_chain(s, f->chain, error);
    if (e == STEAD_OK)
        e = load_key(s, *f->key ? f->key : f->chain, error);
    if (e == STEAD_OK && *f->ocsp)
        e = load_ocsp(s, f->ocsp, error);
    return e;
}
