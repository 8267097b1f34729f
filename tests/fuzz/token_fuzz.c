/* token_fuzz.c - texts that come back from clients. One that is taken is the one that was given. */
#include "core/token/token.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[TOKEN_KEY_BYTES] = {1};
    const struct token_scope scope = {key, "visit", "shop"};
    uint8_t content[TOKEN_CONTENT_MAX];
    char again[TOKEN_TEXT_MAX];
    size_t len;
    (void)token_open(&scope, (const char *)data, size, content, &len);
    if (token_verify(&scope, (const char *)data, size, content, &len))
        CHECK(token_sign(&scope, content, len, again) == size && memcmp(again, data, size) == 0);
    return 0;
}
