/* ticket_file.c - a ring's keys as nginx, HAProxy and Apache read them. */
#include "core/ticket/ticket_file.h"

#include "core/ticket/ticket_set.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define PRESENT 1 /* its place in the ring; the next one's is before it */
#define SHORT_KEY_BYTES 16

_Static_assert(TICKET_NAME_BYTES + 2 * TICKET_KEY_BYTES == TICKET_FILE_KEY_BYTES, "all of it");
_Static_assert(TICKET_NAME_BYTES + 2 * SHORT_KEY_BYTES == TICKET_FILE_SHORT_BYTES, "all of it");
_Static_assert((TICKET_FILE_KEY_BYTES + 2) / 3 * 4 == TICKET_FILE_LINE_BYTES, "base64");
_Static_assert(TICKET_KEYS >= 3 && TICKET_KEYS < 10, "HAProxy wants three; a suffix is one digit");

bool ticket_file_secret(const uint8_t farm[TICKET_SECRET_BYTES], enum ticket_format format,
                        const char *set, uint8_t out[TICKET_SECRET_BYTES])
{
    static const char *const labels[] = {[TICKET_NGINX] = "stead ticket file 1 nginx",
                                         [TICKET_HAPROXY] = "stead ticket file 1 haproxy",
                                         [TICKET_APACHE] = "stead ticket file 1 apache"};
    return ticket_set_secret(farm, labels[format], set, out);
}

static void put_key(const struct ticket_ring *r, size_t index, uint8_t out[TICKET_FILE_KEY_BYTES])
{
    const struct ticket_key *k = &r->keys[index];
    ticket_ring_name(r, index, out);
    memcpy(out + TICKET_NAME_BYTES, k->mac, TICKET_KEY_BYTES);
    memcpy(out + TICKET_NAME_BYTES + TICKET_KEY_BYTES, k->cipher, TICKET_KEY_BYTES);
}

void ticket_file_line(const struct ticket_ring *r, size_t index,
                      char out[TICKET_FILE_LINE_BYTES + 1])
{
    uint8_t raw[TICKET_FILE_KEY_BYTES];
    put_key(r, TICKET_KEYS - 1 - index, raw);
    EVP_EncodeBlock((unsigned char *)out, raw, TICKET_FILE_KEY_BYTES);
    OPENSSL_cleanse(raw, sizeof raw);
}

static void make_nginx(const struct ticket_ring *r, struct ticket_files *out)
{
    for (size_t i = TICKET_KEYS; i-- > 0;) {
        if (i == PRESENT)
            continue;
        struct ticket_file *f = &out->file[out->count++];
        if (i == 0)
            memcpy(f->suffix, ".next", sizeof ".next");
        else
            memcpy(f->suffix, (char[]){'.', (char)('0' + (i - PRESENT)), '\0'}, 3);
        f->len = TICKET_FILE_KEY_BYTES;
        put_key(r, i, f->bytes);
    }
    struct ticket_file *seals = &out->file[out->count++];
    seals->len = TICKET_FILE_KEY_BYTES;
    put_key(r, PRESENT, seals->bytes);
}

static void make_haproxy(const struct ticket_ring *r, struct ticket_files *out)
{
    struct ticket_file *f = &out->file[out->count++];
    char line[TICKET_FILE_LINE_BYTES + 1];
    for (size_t i = 0; i < TICKET_KEYS; i++) {
        ticket_file_line(r, i, line);
        line[TICKET_FILE_LINE_BYTES] = '\n';
        memcpy(f->bytes + f->len, line, sizeof line);
        f->len += sizeof line;
    }
    OPENSSL_cleanse(line, sizeof line);
}

static void make_apache(const struct ticket_ring *r, struct ticket_files *out)
{
    struct ticket_file *f = &out->file[out->count++];
    const struct ticket_key *k = &r->keys[PRESENT];
    f->len = TICKET_FILE_SHORT_BYTES;
    ticket_ring_name(r, PRESENT, f->bytes);
    memcpy(f->bytes + TICKET_NAME_BYTES, k->mac, SHORT_KEY_BYTES);
    memcpy(f->bytes + TICKET_NAME_BYTES + SHORT_KEY_BYTES, k->cipher, SHORT_KEY_BYTES);
}

void ticket_files_make(const struct ticket_ring *r, enum ticket_format format,
                       struct ticket_files *out)
{
    memset(out, 0, sizeof *out);
    switch (format) {
    case TICKET_NGINX:
        make_nginx(r, out);
        break;
    case TICKET_HAPROXY:
        make_haproxy(r, out);
        break;
    case TICKET_APACHE:
        make_apache(r, out);
        break;
    }
}

void ticket_files_wipe(struct ticket_files *f)
{
    OPENSSL_cleanse(f, sizeof *f);
}
