/* http_scan_test.c - the character classes, against the grammar written out once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/http/http_scan.h"

#include <string.h>

static bool one_of(int c, const char *text)
{
    return c != 0 && strchr(text, c) != NULL;
}

static void every_character_has_its_classes(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool digit = one_of(c, "0123456789");
        bool letter = one_of(c, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        bool visible = c > 0x20 && c < 0x7f, query = visible && !one_of(c, "#\"<>");
        assert_int_equal(http_is_digit((char)c), digit);
        assert_int_equal(http_is_alnum((char)c), digit || letter);
        /* RFC 9110, section 5.6.2 */
        assert_int_equal(http_is_token((char)c), digit || letter || one_of(c, "!#$%&'*+-.^_`|~"));
        assert_int_equal(http_is_value((char)c), visible || c > 0x7f || one_of(c, " \t"));
        assert_int_equal(http_is_query((char)c), query);
        assert_int_equal(http_is_path((char)c), query && !one_of(c, "\\?"));
    }
}

static void decimals_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {
        {"0", true, 0},
        {"000000000000000000000000000001", true, 1},
        {"999999999999999999", true, 999999999999999999},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"18446744073709551617", false, 0},
        {"99999999999999999999999999", false, 0},
        {"1x", false, 0},
        {"", false, 0},
        {"-1", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t v = 0;
        assert_int_equal(http_decimal((struct slice){cases[i].text, strlen(cases[i].text)}, &v),
                         cases[i].good);
        if (cases[i].good)
            assert_true(v == cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_has_its_classes),
        cmocka_unit_test(decimals_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
