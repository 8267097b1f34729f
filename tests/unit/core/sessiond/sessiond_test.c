#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/sessiond/sessiond.h"
#include "stead/error.h"

#include <stdbool.h>
#include <string.h>

/* A datagram of that head, with an id of 1, 2, ... and `value_len` bytes of value. */
static size_t datagram(uint8_t version, uint8_t verb, uint16_t life_s, size_t value_len,
                       uint8_t out[SESSIOND_DATAGRAM_MAX + 1])
{
    memset(out, 0x30, SESSIOND_DATAGRAM_MAX + 1);
    out[0] = version;
    out[1] = verb;
    out[2] = (uint8_t)(life_s >> 8);
    out[3] = (uint8_t)life_s;
    for (uint8_t i = 0; i < SESSIOND_ID_BYTES; i++)
        out[4 + i] = (uint8_t)(i + 1);
    return SESSIOND_HEAD_BYTES + value_len;
}

static void test_new_as_stunnel_sends_it(void **state)
{
    (void)state;
    uint8_t d[SESSIOND_DATAGRAM_MAX + 1];
    struct sessiond_request r;
    size_t len = datagram(1, 0, 300, 144, d);
    assert_int_equal(d[2], 0x01);
    assert_int_equal(d[3], 0x2c);
    assert_int_equal(sessiond_parse(d, len, &r), STEAD_OK);
    assert_int_equal(r.verb, SESSIOND_NEW);
    assert_int_equal(r.life_s, 300);
    assert_memory_equal(r.id, d + 4, SESSIOND_ID_BYTES);
    assert_ptr_equal(r.value, d + 36);
    assert_int_equal(r.value_len, 144);
}

static void test_get_and_remove_are_a_head(void **state)
{
    (void)state;
    uint8_t d[SESSIOND_DATAGRAM_MAX + 1];
    struct sessiond_request r;
    for (uint8_t verb = 1; verb <= 2; verb++) {
        size_t len = datagram(1, verb, 0, 0, d);
        assert_int_equal(len, 36);
        assert_int_equal(sessiond_parse(d, len, &r), STEAD_OK);
        assert_int_equal(r.verb, verb);
        assert_null(r.value);
        assert_int_equal(sessiond_parse(d, len + 1, &r), STEAD_E_PARSE);
    }
}

static void test_what_is_no_request(void **state)
{
    (void)state;
    uint8_t d[SESSIOND_DATAGRAM_MAX + 1];
    struct sessiond_request r;
    size_t len = datagram(1, 1, 0, 0, d);
    for (size_t n = 0; n < len; n++)
        assert_int_equal(sessiond_parse(d, n, &r), STEAD_E_PARSE);
    assert_int_equal(sessiond_parse(d, datagram(0, 1, 0, 0, d), &r), STEAD_E_PARSE);
    assert_int_equal(sessiond_parse(d, datagram(2, 1, 0, 0, d), &r), STEAD_E_PARSE);
    assert_int_equal(sessiond_parse(d, datagram(1, 3, 0, 0, d), &r), STEAD_E_PARSE);
    assert_int_equal(sessiond_parse(d, datagram(1, 0x81, 0, 0, d), &r), STEAD_E_PARSE);
    assert_int_equal(sessiond_parse(d, datagram(1, 0, 300, 0, d), &r), STEAD_E_PARSE);
    assert_int_equal(sessiond_parse(d, datagram(1, 0, 300, 512, d), &r), STEAD_OK);
    assert_int_equal(sessiond_parse(d, datagram(1, 0, 300, 513, d), &r), STEAD_E_PARSE);
}

static void test_answers(void **state)
{
    (void)state;
    static const uint8_t head_found[] = {1, 0x81, 0, 0}, head_not[] = {1, 0x80, 0, 0};
    uint8_t id[SESSIOND_ID_BYTES], value[SESSIOND_VALUE_MAX + 1], out[SESSIOND_DATAGRAM_MAX];
    memset(id, 7, sizeof id);
    memset(value, 9, sizeof value);
    assert_int_equal(sessiond_answer(id, NULL, 0, out), 36);
    assert_memory_equal(out, head_not, 4);
    assert_memory_equal(out + 4, id, sizeof id);
    assert_int_equal(sessiond_answer(id, value, 160, out), 196);
    assert_memory_equal(out, head_found, 4);
    assert_memory_equal(out + 4, id, sizeof id);
    assert_memory_equal(out + 36, value, 160);
    assert_int_equal(sessiond_answer(id, value, SESSIOND_VALUE_MAX, out), SESSIOND_DATAGRAM_MAX);
    assert_int_equal(sessiond_answer(id, value, SESSIOND_VALUE_MAX + 1, out), 0);
}

static void test_the_key_can_be_typed(void **state)
{
    (void)state;
    uint8_t id[SESSIOND_ID_BYTES] = {0x00, 0x9a, 0xff};
    char key[SESSIOND_KEY_BYTES];
    sessiond_key(id, key);
    assert_memory_equal(key, "stunnel-sess:009aff00", 21);
    for (size_t i = 21; i < sizeof key; i++)
        assert_int_equal(key[i], '0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_as_stunnel_sends_it),
        cmocka_unit_test(test_get_and_remove_are_a_head),
        cmocka_unit_test(test_what_is_no_request),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_the_key_can_be_typed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
