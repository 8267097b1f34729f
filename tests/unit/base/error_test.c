/* error_test.c - every code has a name and a text of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stead/error.h"

#include <string.h>

static void every_code_has_name_and_text(void **state)
{
    (void)state;
    for (int code = -1; strcmp(stead_error_name(code), "UNKNOWN_CODE") != 0; code--) {
        assert_true(strlen(stead_error_text(code)) > 3);
        assert_null(strchr(stead_error_text(code), '.'));
        for (int other = code + 1; other <= 0; other++)
            assert_string_not_equal(stead_error_name(code), stead_error_name(other));
    }
    assert_string_equal(stead_error_name(STEAD_OK), "OK");
    assert_string_equal(stead_error_name(STEAD_PENDING), "PENDING");
    assert_string_equal(stead_error_name(STEAD_E_ABSENT), "ABSENT");
    assert_string_equal(stead_error_name(STEAD_E_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(stead_error_text(STEAD_E_ABSENT), "there is no such record");
    assert_string_equal(stead_error_text(STEAD_OK), "success");
    assert_string_equal(stead_error_name(-9999), "UNKNOWN_CODE");
    assert_string_equal(stead_error_text(42), "UNKNOWN_CODE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_name_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
