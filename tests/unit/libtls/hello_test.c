/* hello_test.c - which session a client hello asks for, and what an answer of the node says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "libtls/attached.h"

#include <string.h>

static const uint8_t versions[] = {4, 3, 4, 3, 3}, old_versions[] = {2, 3, 3};
static uint8_t old_id[SESSION_ID_BYTES], psk[100];

static bool ask(bool tls13, size_t versions_len, size_t psk_len, size_t old_len, uint8_t *id,
                bool *once)
{
    return hello_parts(tls13, versions, versions_len, psk, psk_len, old_id, old_len, id, once);
}

static void an_id_is_found(void **state)
{
    uint8_t id[SESSION_ID_BYTES];
    bool once;
    (void)state;
    memset(old_id, 1, sizeof old_id);
    memset(psk, 2, sizeof psk);
    memcpy(psk, (const uint8_t[]){0, 38, 0, 32}, 4);
    assert_true(ask(true, sizeof versions, sizeof psk, 32, id, &once));
    assert_true(once && id[0] == 2);
    assert_true(ask(true, sizeof versions, 36, 32, id, &once));
    assert_false(ask(true, sizeof versions, 35, 32, id, &once));
    assert_false(ask(true, sizeof versions, 0, 32, id, &once));
    psk[3] = 33; /* an identity of another length: no id of ours */
    assert_false(ask(true, sizeof versions, sizeof psk, 32, id, &once));
    psk[3] = 32;
    psk[1] = 33; /* longer than its list */
    assert_false(ask(true, sizeof versions, sizeof psk, 32, id, &once));
    psk[1] = 38;
    /* A server that does not speak TLS 1.3, or a client. */
    assert_true(ask(false, sizeof versions, sizeof psk, 32, id, &once));
    assert_true(!once && id[0] == 1);
    assert_true(ask(true, 0, sizeof psk, 32, id, &once));
    assert_true(!once && id[0] == 1);
    assert_true(ask(true, 2, sizeof psk, 32, id, &once)); /* cut off */
    assert_false(once);
    assert_true(hello_parts(true, old_versions, sizeof old_versions, psk, sizeof psk, old_id, 32,
                            id, &once));
    assert_false(once);
    assert_false(ask(true, 0, 0, 31, id, &once));
    assert_false(ask(true, 0, 0, 0, id, &once));
}

static uint8_t *value(const char *text, size_t *len, bool *local)
{
    return kept_value(text, strlen(text), len, local);
}

static void a_value_is_read(void **state)
{
    static const char *const wrong[] = {
        "", "{", "[]", "{}", "{\"value\":1}", "{\"value\":\"?\"}", "{\"value\":\"QUI\"}"};
    uint8_t *v;
    size_t len;
    bool local;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_null(value(wrong[i], &len, &local));
    v = value("{\"value\":\"QUI=\",\"origin\":\"local\"}", &len, &local);
    assert_string_equal((char *)v, "AB");
    assert_true(len == 2 && local);
    mem_free(v);
    v = value("{\"value\":\"\",\"origin\":\"peer\"}", &len, &local);
    assert_true(v && len == 0 && !local);
    mem_free(v);
    char *body = kept_body((const uint8_t *)"AB", 2, 7200);
    assert_string_equal(body, "{\"value\":\"QUI=\",\"ttl\":7200}");
    kept_body_free(body);
    static uint8_t large[SESSION_BYTES_MAX + 1];
    assert_null(kept_body(large, sizeof large, 1));
    body = kept_body(large, sizeof large - 1, 4000000000u);
    v = value(body, &len, &local);
    assert_int_equal(len, SESSION_BYTES_MAX);
    mem_free(v);
    kept_body_free(body);
}

static void a_path_is_of_use_context_and_id(void **state)
{
    struct attached a = {.set = "shop", .context = "ab", .context_len = 2}, b = a;
    char one[PATH_MAX_BYTES], other[PATH_MAX_BYTES];
    (void)state;
    assert_true(kept_path(&a, "session", old_id, 32, "/take", one));
    assert_int_equal(strlen(one), strlen("/v1/tls/shop/") + 64 + strlen("/take"));
    assert_true(kept_path(&a, "session", old_id, 32, "/take", other));
    assert_string_equal(one, other);
    assert_true(kept_path(&a, "login", old_id, 32, "/take", other));
    assert_string_not_equal(one, other);
    b.context[1] = 'c';
    assert_true(kept_path(&b, "session", old_id, 32, "/take", other));
    assert_string_not_equal(one, other);
    b = a;
    b.context_len = 1;
    assert_true(kept_path(&b, "session", old_id, 32, "/take", other));
    assert_string_not_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_found),
        cmocka_unit_test(a_value_is_read),
        cmocka_unit_test(a_path_is_of_use_context_and_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
