/* tls_record_fuzz.c - bytes of a peer after the handshake. The first byte says how it sends: the
 * rest as it stands, or as the text of records that it seals with the right keys, so that what is
 * behind the seal is met too. */
#include "fuzz_check.h"
#include "io/tls_record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t wire[1u << 18];

/* As records: a byte of type, two of length, the text. */
static size_t seal_all(struct tls_record *peer, EVP_CIPHER_CTX *ctx, const uint8_t *data,
                       size_t size)
{
    size_t len = 0;
    while (size >= 3 && len + 2 * TLS_RECORD_MAX < sizeof wire) {
        size_t n = (size_t)data[1] << 8 | data[2];
        n = n > TLS_RECORD_PLAIN_MAX ? TLS_RECORD_PLAIN_MAX : n;
        n = n > size - 3 ? size - 3 : n;
        len += tls_record_seal(peer, ctx, (enum tls_record_type)data[0], data + 3, n, wire + len);
        data += 3 + n;
        size -= 3 + n;
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tls_suites suites;
    static EVP_CIPHER_CTX *ctx;
    static const uint8_t a[TLS_SECRET_MAX] = {1}, b[TLS_SECRET_MAX] = {2};
    struct tls_record us, peer;
    if (!ctx) {
        ctx = EVP_CIPHER_CTX_new();
        CHECK(ctx && tls_suites_init(&suites));
    }
    if (size == 0)
        return 0;
    unsigned suite = 0x1301 + (data[0] >> 1) % TLS_SUITES;
    size_t secret = suite == 0x1302 ? 48 : 32, len = size - 1, at = 0;
    CHECK(tls_record_init(&us, &suites, suite, a, b, secret));
    CHECK(tls_record_init(&peer, &suites, suite, b, a, secret));
    if (data[0] & 1) {
        len = seal_all(&peer, ctx, data + 1, size - 1);
    } else {
        len = len < sizeof wire ? len : sizeof wire;
        memcpy(wire, data + 1, len);
    }
    for (;;) {
        size_t used = 0, out_len = 0;
        uint8_t *out = NULL, alert = 0;
        enum tls_opened o =
            tls_record_open(&us, ctx, wire + at, len - at, &used, &out, &out_len, &alert);
        CHECK(used <= len - at);
        CHECK(o != TLS_OPENED_DATA || (out >= wire + at && out + out_len <= wire + at + used));
        CHECK(o != TLS_OPENED_WRONG || alert);
        at += used;
        if (o != TLS_OPENED_DATA && o != TLS_OPENED_NOTHING)
            return 0;
        CHECK(used > TLS_RECORD_HEADER);
    }
}
