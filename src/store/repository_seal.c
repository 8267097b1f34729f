/* Names and boxes for engines (repository_seal.h). */
#include "store/repository_seal.h"

#include "base/mem.h"
#include "core/token/box.h"
#include "stead/error.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define FORMAT 1
#define HEAD_MAX (1 + 8 + 1 + KIND_NAME_MAX)

static const uint8_t time_name[ENGINE_NAME_BYTES];

bool repository_is_time(const uint8_t name[ENGINE_NAME_BYTES])
{
    return memcmp(name, time_name, ENGINE_NAME_BYTES) == 0;
}

bool repository_name(const struct repository_keys *k, const struct kinds *kinds,
                     const struct key *key, uint8_t name[ENGINE_NAME_BYTES])
{
    uint8_t text[KIND_NAME_MAX + 1 + KEY_BYTES_MAX];
    unsigned out_len = ENGINE_NAME_BYTES;
    size_t len = strlen(kinds->kind[key->kind].name);
    memcpy(text, kinds->kind[key->kind].name, len);
    text[len++] = 0;
    memcpy(text + len, key->bytes, key->len);
    return HMAC(EVP_sha256(), k->names, sizeof(k->names), text, len + key->len, name, &out_len);
}

/* No kind's name is empty, so no record's name begins like this. */
bool repository_prefix(const struct repository_keys *k, const char *name, char *out)
{
    uint8_t text[1 + KEY_BYTES_MAX] = {0}, sum[32];
    unsigned sum_len = sizeof(sum);
    size_t len = strnlen(name, KEY_BYTES_MAX);
    memcpy(text + 1, name, len);
    if (!HMAC(EVP_sha256(), k->names, sizeof(k->names), text, len + 1, sum, &sum_len))
        return false;
    for (size_t i = 0; i < REPOSITORY_PREFIX_TEXT / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    return true;
}

static bool random_salt(uint8_t salt[TOKEN_SALT_BYTES])
{
    return getrandom(salt, TOKEN_SALT_BYTES, 0) == TOKEN_SALT_BYTES;
}

/* Seals what the writer has. */
static int seal(const struct repository_keys *k, const struct wire_writer *w, struct sealed *out)
{
    uint8_t salt[TOKEN_SALT_BYTES];
    size_t len = wire_written(w);
    out->len = len + BOX_OVERHEAD;
    out->bytes = wire_put_ok(w) ? mem_alloc(out->len) : NULL;
    if (out->bytes && random_salt(salt) &&
        box_ring_seal(k->values, out->name, ENGINE_NAME_BYTES, salt, w->start, len, out->bytes))
        return STEAD_OK;
    mem_free(out->bytes);
    out->bytes = NULL;
    return STEAD_E_NOMEM;
}

int repository_seal(const struct repository_keys *k, const struct kinds *kinds,
                    const struct record *r, uint64_t end_ms, struct sealed *out)
{
    struct wire_writer w;
    const char *kind = kinds->kind[r->key.kind].name;
    size_t room = HEAD_MAX + record_encoded_size(r, 0);
    uint8_t *plain = mem_alloc(room);
    *out = (struct sealed){0};
    if (!plain || !repository_name(k, kinds, &r->key, out->name)) {
        mem_free(plain);
        return STEAD_E_NOMEM;
    }
    wire_writer_init(&w, plain, room);
    wire_put_u8(&w, FORMAT);
    wire_put_u64(&w, end_ms);
    wire_put_str8(&w, kind, strlen(kind));
    record_encode(r, 0, &w);
    int err = seal(k, &w, out);
    explicit_bzero(plain, room);
    mem_free(plain);
    return err;
}

int repository_seal_time(const struct repository_keys *k, uint64_t time_ms, struct sealed *out)
{
    uint8_t plain[9];
    struct wire_writer w;
    *out = (struct sealed){0};
    wire_writer_init(&w, plain, sizeof(plain));
    wire_put_u8(&w, FORMAT);
    wire_put_u64(&w, time_ms);
    return seal(k, &w, out);
}

/* The opened bytes, allocated; NULL: it does not open, or no memory (*err says which). */
static uint8_t *open_box(const struct repository_keys *k, const uint8_t *name, const uint8_t *bytes,
                         size_t len, int *err)
{
    *err = STEAD_E_PARSE;
    if (len < BOX_OVERHEAD + 1 || len > ENGINE_VALUE_MAX)
        return NULL;
    uint8_t *plain = mem_alloc(len - BOX_OVERHEAD);
    if (!plain) {
        *err = STEAD_E_NOMEM;
        return NULL;
    }
    if (box_ring_open(k->values, name, ENGINE_NAME_BYTES, bytes, len, plain)) {
        *err = STEAD_OK;
        return plain;
    }
    mem_free(plain);
    return NULL;
}

static int parse(const struct repository_keys *k, const struct kinds *kinds, const uint8_t *name,
                 struct wire_reader *in, struct record **r, uint64_t *end_ms)
{
    uint8_t own[ENGINE_NAME_BYTES];
    char kind[KIND_NAME_MAX];
    size_t len;
    uint8_t format = wire_u8(in);
    *end_ms = wire_u64(in);
    const uint8_t *text = wire_str8(in, &len);
    if (!wire_ok(in) || format != FORMAT || len >= sizeof(kind))
        return STEAD_E_PARSE;
    memcpy(kind, text, len);
    kind[len] = '\0';
    int index = kinds_find(kinds, kind);
    if (index < 0)
        return STEAD_E_UNSUPPORTED;
    *r = record_decode(in, 1);
    if (!*r)
        return wire_ok(in) ? STEAD_E_NOMEM : STEAD_E_PARSE;
    (*r)->key.kind = (uint8_t)index;
    if (wire_done(in) && repository_name(k, kinds, &(*r)->key, own) &&
        memcmp(own, name, sizeof(own)) == 0)
        return STEAD_OK;
    record_free(*r);
    *r = NULL;
    return STEAD_E_PARSE;
}

int repository_open(const struct repository_keys *k, const struct kinds *kinds,
                    const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes, size_t len,
                    struct record **r, uint64_t *end_ms)
{
    int err;
    struct wire_reader in;
    uint8_t *plain = open_box(k, name, bytes, len, &err);
    *r = NULL;
    if (!plain)
        return err;
    wire_reader_init(&in, plain, len - BOX_OVERHEAD);
    err = parse(k, kinds, name, &in, r, end_ms);
    explicit_bzero(plain, len - BOX_OVERHEAD);
    mem_free(plain);
    return err;
}

int repository_open_time(const struct repository_keys *k, const uint8_t *bytes, size_t len,
                         uint64_t *time_ms)
{
    int err;
    struct wire_reader in;
    uint8_t *plain = open_box(k, time_name, bytes, len, &err);
    if (!plain)
        return err;
    wire_reader_init(&in, plain, len - BOX_OVERHEAD);
    bool known = wire_u8(&in) == FORMAT;
    *time_ms = wire_u64(&in);
    err = known && wire_done(&in) ? STEAD_OK : STEAD_E_PARSE;
    mem_free(plain);
    return err;
}

/* -- the end of a file -- */

static void end_name(uint8_t name[ENGINE_NAME_BYTES])
{
    memset(name, 0xff, ENGINE_NAME_BYTES);
}

bool repository_is_end(const uint8_t name[ENGINE_NAME_BYTES])
{
    uint8_t end[ENGINE_NAME_BYTES];
    end_name(end);
    return memcmp(name, end, ENGINE_NAME_BYTES) == 0;
}

int repository_seal_end(const struct repository_keys *k, uint64_t count,
                        const uint8_t sum[REPOSITORY_SUM_BYTES], struct sealed *out)
{
    uint8_t plain[1 + 8 + REPOSITORY_SUM_BYTES];
    struct wire_writer w;
    *out = (struct sealed){0};
    end_name(out->name);
    wire_writer_init(&w, plain, sizeof(plain));
    wire_put_u8(&w, FORMAT);
    wire_put_u64(&w, count);
    wire_put_bytes(&w, sum, REPOSITORY_SUM_BYTES);
    return seal(k, &w, out);
}

int repository_open_end(const struct repository_keys *k, const uint8_t *bytes, size_t len,
                        uint64_t *count, uint8_t sum[REPOSITORY_SUM_BYTES])
{
    int err;
    uint8_t name[ENGINE_NAME_BYTES];
    struct wire_reader in;
    end_name(name);
    uint8_t *plain = open_box(k, name, bytes, len, &err);
    if (!plain)
        return err;
    wire_reader_init(&in, plain, len - BOX_OVERHEAD);
    bool known = wire_u8(&in) == FORMAT;
    *count = wire_u64(&in);
    const uint8_t *got = wire_bytes(&in, REPOSITORY_SUM_BYTES);
    err = known && wire_done(&in) ? STEAD_OK : STEAD_E_PARSE;
    if (!err)
        memcpy(sum, got, REPOSITORY_SUM_BYTES);
    mem_free(plain);
    return err;
}
