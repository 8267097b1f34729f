/* ticket_set.c - secrets of sets. */
#include "core/ticket/ticket_set.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static bool digest(const uint8_t key[TICKET_SECRET_BYTES], const char *text,
                   uint8_t out[TICKET_SECRET_BYTES])
{
    unsigned len = TICKET_SECRET_BYTES;
    return HMAC(EVP_sha256(), key, TICKET_SECRET_BYTES, (const uint8_t *)text, strlen(text), out,
                &len) != NULL;
}

bool ticket_set_secret(const uint8_t farm[TICKET_SECRET_BYTES], const char *use, const char *set,
                       uint8_t out[TICKET_SECRET_BYTES])
{
    uint8_t of_use[TICKET_SECRET_BYTES];
    bool good = digest(farm, use, of_use) && digest(of_use, set, out);
    OPENSSL_cleanse(of_use, sizeof of_use);
    return good;
}
