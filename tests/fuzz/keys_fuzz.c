/* keys_fuzz.c - any bytes as the message by which nodes tell each other of keys, and as a key file:
 * what is taken is whole, says the same when it is written again, and can be merged. */
#include "core/mesh/keys.h"
#include "fuzz_check.h"
#include "stead/error.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sane(const struct keys *k)
{
    size_t accepted = 0;
    CHECK(k->count >= 1 && k->count <= KEYS_MAX);
    for (size_t i = 0; i < k->count; i++)
        accepted += k->list[i].state == KEY_ACCEPTED;
    CHECK(accepted <= KEYS_ACCEPTED_MAX && keys_active(k)->mark == k->active);
}

static void message(const uint8_t *data, size_t size)
{
    static const uint8_t secret[KEY_SECRET_BYTES] = {1};
    struct keys_said said;
    struct keys k;
    if (!keys_decode(data, size, &said))
        return;
    keys_init(&k, secret);
    keys_merge(&k, &said);
    sane(&k);
    CHECK(!keys_merge(&k, &said));
    (void)keys_news_for(&k, &said);
}

static void file(const char *data, size_t size)
{
    char text[KEYS_TEXT_MAX], again[KEYS_TEXT_MAX];
    struct keys k, back;
    if (keys_read(&k, data, size) != STEAD_OK)
        return;
    sane(&k);
    size_t len = keys_write(&k, text);
    CHECK(len < KEYS_TEXT_MAX && keys_read(&back, text, len) == STEAD_OK);
    CHECK(keys_write(&back, again) == len && memcmp(text, again, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    message(data, size);
    file((const char *)data, size);
    return 0;
}
