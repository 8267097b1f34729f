/* token_test.c - a token comes back as it was made, and nothing else opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/token/token.h"

#include <string.h>

static const uint8_t key[TOKEN_KEY_BYTES] = {1, 2, 3}, other_key[TOKEN_KEY_BYTES] = {1, 2, 4};
static const uint8_t salt[TOKEN_SALT_BYTES] = {9, 8, 7};
static const struct token_scope scope = {key, "handoff", "s2"};

static void test_every_length_comes_back(void **state)
{
    (void)state;
    uint8_t content[TOKEN_CONTENT_MAX], back[TOKEN_CONTENT_MAX];
    char text[TOKEN_TEXT_MAX];
    size_t len;
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)(i * 37);
    for (size_t n = 0; n <= sizeof content; n += n < 70 ? 1 : 53) {
        size_t text_len = token_seal(&scope, salt, content, n, text);
        assert_int_equal(text_len, strlen(text));
        assert_true(token_open(&scope, text, text_len, back, &len));
        assert_int_equal(len, n);
        assert_memory_equal(back, content, n);
        assert_false(token_verify(&scope, text, text_len, back, &len));
        text_len = token_sign(&scope, content, n, text);
        assert_int_equal(
            strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            text_len);
        assert_true(token_verify(&scope, text, text_len, back, &len));
        assert_int_equal(len, n);
        assert_memory_equal(back, content, n);
        assert_false(token_open(&scope, text, text_len, back, &len));
    }
    assert_int_equal(token_seal(&scope, salt, content, sizeof content + 1, text), 0);
    assert_int_equal(token_sign(&scope, content, sizeof content + 1, text), 0);
}

static void test_another_scope_opens_nothing(void **state)
{
    (void)state;
    const struct token_scope others[] = {{other_key, "handoff", "s2"},
                                         {key, "visit", "s2"},
                                         {key, "handoff", "s3"},
                                         {key, "handoffs2", ""},
                                         {key, "handoff", ""}};
    char sealed[TOKEN_TEXT_MAX], signed_text[TOKEN_TEXT_MAX];
    uint8_t back[TOKEN_CONTENT_MAX];
    size_t len, sealed_len = token_seal(&scope, salt, "cart", 4, sealed),
                signed_len = token_sign(&scope, "cart", 4, signed_text);
    assert_null(strstr(sealed, "Y2FydA")); /* "cart" is not to be read in it */
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(token_open(&others[i], sealed, sealed_len, back, &len));
        assert_false(token_verify(&others[i], signed_text, signed_len, back, &len));
    }
}

/* Every character, in every place, and every cut. */
static void test_no_other_text_opens(void **state)
{
    (void)state;
    static const char some[] = "AQgw_-=+/. \x80";
    char text[TOKEN_TEXT_MAX], bad[TOKEN_TEXT_MAX];
    uint8_t back[TOKEN_CONTENT_MAX];
    size_t len;
    for (int sealed = 0; sealed < 2; sealed++) {
        size_t n = sealed ? token_seal(&scope, salt, "s2 5000", 7, text)
                          : token_sign(&scope, "s2 5000", 7, text);
        bool (*reads)(const struct token_scope *, const char *, size_t, uint8_t *, size_t *) =
            sealed ? token_open : token_verify;
        for (size_t i = 0; i < n; i++) {
            assert_false(reads(&scope, text, i, back, &len));
            for (size_t k = 0; k < sizeof some - 1; k++) {
                memcpy(bad, text, n + 1);
                bad[i] = some[k];
                if (bad[i] != text[i])
                    assert_false(reads(&scope, bad, n, back, &len));
            }
        }
        memset(bad, 'A', sizeof bad);
        assert_false(reads(&scope, bad, sizeof bad, back, &len));
    }
}

static void test_a_long_scope_is_refused(void **state)
{
    (void)state;
    char long_name[2 * TOKEN_BOUND_MAX], text[TOKEN_TEXT_MAX];
    uint8_t content[TOKEN_CONTENT_MAX] = {0};
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    struct token_scope s = {key, "visit", long_name};
    assert_int_equal(token_sign(&s, content, sizeof content, text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_length_comes_back),
        cmocka_unit_test(test_another_scope_opens_nothing),
        cmocka_unit_test(test_no_other_text_opens),
        cmocka_unit_test(test_a_long_scope_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
