/* tls_record.h - the records of TLS 1.3 (RFC 8446, section 5) for a connection whose handshake
 * OpenSSL has done: its keys and counters, and nothing else.
 *
 * What OpenSSL keeps for a connection is 14 KB, most of it for handshakes that never come again;
 * here it is 0.3 KB. Bytes come in and go out as data; no socket is known here. One thread.
 */
#ifndef IO_TLS_RECORD_H
#define IO_TLS_RECORD_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_HEADER 5u
#define TLS_RECORD_PLAIN_MAX 16384u
#define TLS_RECORD_EXTRA 17u /* the inner type and the tag */
#define TLS_RECORD_MAX (TLS_RECORD_HEADER + TLS_RECORD_PLAIN_MAX + 256u)
#define TLS_SECRET_MAX 48u
/* Records under one key, well below 2^24.5 (section 5.5); then the next key. */
#define TLS_RECORDS_A_KEY (1u << 23)
/* Records in a row that carry no data: key updates and empty ones cost the sender nothing. */
#define TLS_RECORDS_EMPTY_MAX 32u

enum tls_record_type { TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_DATA = 23 };

enum tls_opened {
    TLS_OPENED_DATA,    /* *out and *len: may be empty */
    TLS_OPENED_NOTHING, /* it was for this layer: a new key */
    TLS_OPENED_END,     /* close_notify */
    TLS_OPENED_MORE,    /* the record is not all here */
    TLS_OPENED_BROKEN,  /* the peer has failed, and said so */
    TLS_OPENED_WRONG    /* against the rules: *alert says how */
};

struct tls_direction {
    uint64_t seq;
    uint8_t secret[TLS_SECRET_MAX], key[32], iv[12];
};

#define TLS_SUITES 3

/* Of OpenSSL's providers: asked for once. */
struct tls_suites {
    EVP_CIPHER *ciphers[TLS_SUITES];
    EVP_MD *digests[TLS_SUITES];
};

struct tls_record {
    const EVP_CIPHER *cipher; /* of the suites */
    const EVP_MD *md;
    struct tls_direction read, write;
    uint8_t empty;    /* records in a row without data */
    uint8_t updating; /* bytes of a key update that have come: it may come in pieces */
    bool update_due;  /* the peer wants our next key */
};

/* False: OpenSSL lacks one of them. */
bool tls_suites_init(struct tls_suites *s);
void tls_suites_deinit(struct tls_suites *s); /* takes a zeroed one */

/* From both sides' traffic secrets; suite: as in the handshake, 0x1301 to 0x1303. The suites
 * outlive it. False: another suite, or no memory. */
bool tls_record_init(struct tls_record *r, const struct tls_suites *s, unsigned suite,
                     const uint8_t *read_secret, const uint8_t *write_secret, size_t secret_len);
void tls_record_deinit(struct tls_record *r); /* wipes the keys */

/* Opens the record at the front of `bytes`, in place. *used: its length. ctx: any, reused from call
 * to call. */
enum tls_opened tls_record_open(struct tls_record *r, EVP_CIPHER_CTX *ctx, uint8_t *bytes,
                                size_t len, size_t *used, uint8_t **out, size_t *out_len,
                                uint8_t *alert);
/* Seals one record of at most TLS_RECORD_PLAIN_MAX into `out`, which has room for it and
 * TLS_RECORD_HEADER + TLS_RECORD_EXTRA more, and for a key update before it when one is due
 * (TLS_RECORD_UPDATE_BYTES). The bytes written; 0: no memory. */
#define TLS_RECORD_UPDATE_BYTES (TLS_RECORD_HEADER + 5u + TLS_RECORD_EXTRA)
size_t tls_record_seal(struct tls_record *r, EVP_CIPHER_CTX *ctx, enum tls_record_type type,
                       const void *plain, size_t len, uint8_t *out);

#endif
