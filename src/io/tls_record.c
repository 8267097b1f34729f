/* tls_record.c - keys from secrets, and records sealed and opened with them. */
#include "io/tls_record.h"

#include <assert.h>
#include <openssl/hmac.h>
#include <string.h>

#define TAG 16u
#define ALERT_UNEXPECTED_MESSAGE 10
#define ALERT_BAD_RECORD_MAC 20
#define ALERT_RECORD_OVERFLOW 22
#define ALERT_ILLEGAL_PARAMETER 47
#define ALERT_DECODE_ERROR 50
#define ALERT_INTERNAL 80
#define ALERT_CLOSE_NOTIFY 0
#define ALERT_USER_CANCELED 90
#define KEY_UPDATE 24 /* section 4.6.3 */

/* -- keys -- */

/* HKDF-Expand-Label (section 7.1) with an empty context; out_len is at most the digest's, so that
 * one block is enough. */
static bool expand(const EVP_MD *md, const uint8_t *secret, const char *label, uint8_t *out,
                   size_t out_len)
{
    uint8_t info[64], block[EVP_MAX_MD_SIZE];
    size_t hash = (size_t)EVP_MD_get_size(md), n = strlen(label), at = 0;
    unsigned len = 0;
    assert(out_len <= hash && n + 12 < sizeof info);
    info[at++] = 0;
    info[at++] = (uint8_t)out_len;
    info[at++] = (uint8_t)(n + 6);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, n);
    at += 6 + n;
    info[at++] = 0;
    info[at++] = 1; /* the block's number */
    bool good = HMAC(md, secret, (int)hash, info, at, block, &len) != NULL && len >= out_len;
    if (good)
        memcpy(out, block, out_len);
    explicit_bzero(block, sizeof block);
    return good;
}

static bool derive(const struct tls_record *r, struct tls_direction *d)
{
    d->seq = 0;
    return expand(r->md, d->secret, "key", d->key, (size_t)EVP_CIPHER_get_key_length(r->cipher)) &&
           expand(r->md, d->secret, "iv", d->iv, sizeof d->iv);
}

static bool next_key(const struct tls_record *r, struct tls_direction *d)
{
    uint8_t next[TLS_SECRET_MAX];
    size_t len = (size_t)EVP_MD_get_size(r->md);
    bool good = expand(r->md, d->secret, "traffic upd", next, len);
    if (good)
        memcpy(d->secret, next, len);
    explicit_bzero(next, sizeof next);
    return good && derive(r, d);
}

/* In the order of their numbers, from FIRST_SUITE on (appendix B.4). */
static const struct {
    const char *cipher, *digest;
} suites[TLS_SUITES] = {
    {"AES-128-GCM", "SHA256"}, {"AES-256-GCM", "SHA384"}, {"ChaCha20-Poly1305", "SHA256"}};
#define FIRST_SUITE 0x1301u

bool tls_suites_init(struct tls_suites *s)
{
    bool good = true;
    for (int i = 0; i < TLS_SUITES; i++) {
        s->ciphers[i] = EVP_CIPHER_fetch(NULL, suites[i].cipher, NULL);
        s->digests[i] = EVP_MD_fetch(NULL, suites[i].digest, NULL);
        good = good && s->ciphers[i] && s->digests[i];
    }
    return good;
}

void tls_suites_deinit(struct tls_suites *s)
{
    for (int i = 0; i < TLS_SUITES; i++) {
        EVP_CIPHER_free(s->ciphers[i]);
        EVP_MD_free(s->digests[i]);
    }
    memset(s, 0, sizeof *s);
}

bool tls_record_init(struct tls_record *r, const struct tls_suites *s, unsigned suite,
                     const uint8_t *read_secret, const uint8_t *write_secret, size_t secret_len)
{
    memset(r, 0, sizeof *r);
    if (suite < FIRST_SUITE || suite >= FIRST_SUITE + TLS_SUITES)
        return false;
    r->cipher = s->ciphers[suite - FIRST_SUITE];
    r->md = s->digests[suite - FIRST_SUITE];
    if (secret_len != (size_t)EVP_MD_get_size(r->md))
        return false;
    memcpy(r->read.secret, read_secret, secret_len);
    memcpy(r->write.secret, write_secret, secret_len);
    return derive(r, &r->read) && derive(r, &r->write);
}

void tls_record_deinit(struct tls_record *r)
{
    explicit_bzero(r, sizeof *r);
}

/* Section 5.3. */
static void make_nonce(const struct tls_direction *d, uint8_t nonce[12])
{
    memcpy(nonce, d->iv, 12);
    for (unsigned i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(d->seq >> (8 * i));
}

/* -- opening -- */

static bool decrypt(struct tls_record *r, EVP_CIPHER_CTX *ctx, const uint8_t *header,
                    uint8_t *bytes, size_t len)
{
    uint8_t nonce[12];
    int n = 0, rest = 0;
    make_nonce(&r->read, nonce);
    return EVP_CipherInit_ex(ctx, r->cipher, NULL, r->read.key, nonce, 0) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &n, header, TLS_RECORD_HEADER) == 1 &&
           EVP_CipherUpdate(ctx, bytes, &n, bytes, (int)(len - TAG)) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, bytes + len - TAG) == 1 &&
           EVP_CipherFinal_ex(ctx, bytes + n, &rest) == 1;
}

static enum tls_opened wrong(uint8_t *alert, uint8_t why)
{
    *alert = why;
    return TLS_OPENED_WRONG;
}

static enum tls_opened take_alert(const uint8_t *plain, size_t len, uint8_t *alert)
{
    if (len != 2) /* empty: section 5.4 */
        return wrong(alert, len ? ALERT_DECODE_ERROR : ALERT_UNEXPECTED_MESSAGE);
    if (plain[1] == ALERT_CLOSE_NOTIFY)
        return TLS_OPENED_END;
    return plain[1] == ALERT_USER_CANCELED ? TLS_OPENED_NOTHING : TLS_OPENED_BROKEN;
}

/* Nothing but a key update may come after the handshake; in pieces, if the peer likes, and its
 * record ends with it (section 5.1). */
static enum tls_opened take_handshake(struct tls_record *r, const uint8_t *plain, size_t len,
                                      uint8_t *alert)
{
    static const uint8_t update[] = {KEY_UPDATE, 0, 0, 1};
    size_t fixed = sizeof update - r->updating; /* the answer stands behind it */
    if (len == 0 || (!r->updating && plain[0] != KEY_UPDATE))
        return wrong(alert, ALERT_UNEXPECTED_MESSAGE);
    if (memcmp(plain, update + r->updating, len < fixed ? len : fixed) != 0)
        return wrong(alert, ALERT_DECODE_ERROR); /* its length is another (section 6.2) */
    if (len > fixed + 1)
        return wrong(alert, ALERT_UNEXPECTED_MESSAGE);
    if (len <= fixed) {
        r->updating = (uint8_t)(r->updating + len);
        return TLS_OPENED_NOTHING;
    }
    r->updating = 0;
    if (plain[fixed] > 1)
        return wrong(alert, ALERT_ILLEGAL_PARAMETER);
    if (!next_key(r, &r->read))
        return wrong(alert, ALERT_INTERNAL);
    r->update_due |= plain[fixed] == 1;
    return TLS_OPENED_NOTHING;
}

enum tls_opened tls_record_open(struct tls_record *r, EVP_CIPHER_CTX *ctx, uint8_t *bytes,
                                size_t len, size_t *used, uint8_t **out, size_t *out_len,
                                uint8_t *alert)
{
    if (len < TLS_RECORD_HEADER)
        return TLS_OPENED_MORE;
    size_t body = (size_t)bytes[3] << 8 | bytes[4];
    if (bytes[0] != TLS_DATA)
        return wrong(alert, ALERT_UNEXPECTED_MESSAGE);
    if (body > TLS_RECORD_PLAIN_MAX + 256 || body < TLS_RECORD_EXTRA)
        return wrong(alert, body < TLS_RECORD_EXTRA ? ALERT_BAD_RECORD_MAC : ALERT_RECORD_OVERFLOW);
    if (len - TLS_RECORD_HEADER < body)
        return TLS_OPENED_MORE;
    uint8_t *plain = bytes + TLS_RECORD_HEADER;
    if (!decrypt(r, ctx, bytes, plain, body))
        return wrong(alert, ALERT_BAD_RECORD_MAC);
    r->read.seq++;
    *used = TLS_RECORD_HEADER + body;
    size_t n = body - TAG;
    if (n > TLS_RECORD_PLAIN_MAX + 1) /* with its padding, section 5.4 */
        return wrong(alert, ALERT_RECORD_OVERFLOW);
    while (n > 0 && plain[n - 1] == 0) /* padding */
        n--;
    if (n == 0)
        return wrong(alert, ALERT_UNEXPECTED_MESSAGE);
    uint8_t type = plain[--n];
    r->empty = type == TLS_DATA && n ? 0 : (uint8_t)(r->empty + 1);
    if (r->empty > TLS_RECORDS_EMPTY_MAX)
        return wrong(alert, ALERT_UNEXPECTED_MESSAGE);
    *out = plain;
    *out_len = n;
    if (r->updating && type != TLS_HANDSHAKE) /* nothing may come between the pieces */
        return wrong(alert, ALERT_UNEXPECTED_MESSAGE);
    if (type == TLS_DATA)
        return TLS_OPENED_DATA;
    if (type == TLS_ALERT)
        return take_alert(plain, n, alert);
    return type == TLS_HANDSHAKE ? take_handshake(r, plain, n, alert)
                                 : wrong(alert, ALERT_UNEXPECTED_MESSAGE);
}

/* -- sealing -- */

static size_t seal(struct tls_record *r, EVP_CIPHER_CTX *ctx, enum tls_record_type type,
                   const void *plain, size_t len, uint8_t *out)
{
    uint8_t nonce[12], inner = (uint8_t)type;
    size_t body = len + TLS_RECORD_EXTRA;
    int n = 0, m = 0, rest = 0;
    uint8_t *at = out + TLS_RECORD_HEADER;
    const uint8_t header[TLS_RECORD_HEADER] = {TLS_DATA, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
    memcpy(out, header, sizeof header);
    make_nonce(&r->write, nonce);
    if (EVP_CipherInit_ex(ctx, r->cipher, NULL, r->write.key, nonce, 1) != 1 ||
        EVP_CipherUpdate(ctx, NULL, &n, header, sizeof header) != 1)
        return 0;
    n = 0;
    if ((len && EVP_CipherUpdate(ctx, at, &n, plain, (int)len) != 1) ||
        EVP_CipherUpdate(ctx, at + n, &m, &inner, 1) != 1 ||
        EVP_CipherFinal_ex(ctx, at + n + m, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, at + len + 1) != 1)
        return 0;
    r->write.seq++;
    return TLS_RECORD_HEADER + body;
}

size_t tls_record_seal(struct tls_record *r, EVP_CIPHER_CTX *ctx, enum tls_record_type type,
                       const void *plain, size_t len, uint8_t *out)
{
    static const uint8_t update[] = {KEY_UPDATE, 0, 0, 1, 0};
    size_t before = 0;
    assert(len <= TLS_RECORD_PLAIN_MAX);
    if (r->update_due || r->write.seq >= TLS_RECORDS_A_KEY) {
        before = seal(r, ctx, TLS_HANDSHAKE, update, sizeof update, out);
        if (!before || !next_key(r, &r->write))
            return 0;
        r->update_due = false;
    }
    size_t n = seal(r, ctx, type, plain, len, out + before);
    return n ? before + n : 0;
}
