/* gate_report_json_test.c - reports: every member, its range, and what is refused. */
#include "role/gate/gate_report_json.h"

#include "base/clock.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct told told;
static const char *why;

static int parse(const char *text)
{
    why = NULL;
    return gate_report_parse(&told, text, strlen(text), &why);
}

static void members_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"users\":12,\"groups\":{\"blue\":3,\"red\":4},\"load\":0.4204,"
                           "\"weight_percent\":75,\"status\":\"drain\"}"),
                     STEAD_OK);
    assert_int_equal(told.what, TOLD_USERS | TOLD_GROUPS | TOLD_LOAD | TOLD_PERCENT | TOLD_ADMIN);
    assert_true(told.users == 12 && told.load == 420 && told.percent == 75 && told.drain);
    assert_true(!told.maint && told.group_count == 2);
    assert_string_equal(told.groups[1], "red");
    assert_int_equal(told.group_users[1], 4);
    assert_int_equal(parse("{}"), STEAD_OK);
    assert_int_equal(told.what, 0);
    assert_int_equal(parse("{\"status\":\"maint\",\"load\":1}"), STEAD_OK);
    assert_true(told.maint && !told.drain && told.load == 1000);
    assert_int_equal(parse("{\"status\":\"up\",\"load\":0}"), STEAD_OK);
    assert_true(!told.maint && !told.drain && told.load == 0);
}

static void others_are_refused(void **state)
{
    static const char *const bad[] = {
        "{\"users\":-1}",
        "{\"users\":1.5}",
        "{\"users\":\"1\"}",
        "{\"users\":1000000001}",
        "{\"load\":1.001}",
        "{\"load\":-0.1}",
        "{\"load\":null}",
        "{\"weight_percent\":25601}",
        "{\"status\":\"down\"}",
        "{\"status\":1}",
        "{\"groups\":[]}",
        "{\"groups\":{\"a b\":1}}",
        "{\"groups\":{\"\":1}}",
        "{\"groups\":{\"a\":-1}}",
        "{\"groups\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}}",
        "{\"users\":1,\"more\":1}",
        "{\"groups\":{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}}",
        "[]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i]), STEAD_E_INVAL);
        assert_non_null(why);
        assert_int_equal(told.what, 0);
    }
    assert_int_equal(parse(""), STEAD_E_PARSE);
    assert_int_equal(parse("{"), STEAD_E_PARSE);
    assert_int_equal(parse("{\"users\":1,\"users\":2}"), STEAD_E_PARSE);
    assert_int_equal(parse("{} {}"), STEAD_E_PARSE);
    char large[GATE_REPORT_BYTES_MAX + 1];
    memset(large, ' ', sizeof large);
    memcpy(large, "{}", 2);
    assert_int_equal(gate_report_parse(&told, large, sizeof large - 1, &why), STEAD_OK);
    assert_int_equal(gate_report_parse(&told, large, sizeof large, &why), STEAD_E_TOO_LARGE);
}

static void what_is_shown_can_be_said_again(void **state)
{
    struct tally_state now = {.from = USERS_REPORT, .users = 5, .weight = 50};
    (void)state;
    assert_int_equal(parse("{\"users\":5,\"load\":0.25,\"groups\":{\"blue\":2},\"status\":\"up\"}"),
                     STEAD_OK);
    char *text = gate_report_json("shop", &told, 1500 * NS_PER_MS, NS_PER_S, &now);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"service\":\"shop\""));
    assert_non_null(strstr(text, "\"report\":{\"users\":5,\"groups\":{\"blue\":2},\"load\":0.25,"
                                 "\"status\":\"up\"}"));
    assert_non_null(strstr(text, "\"stale\":true"));
    assert_non_null(strstr(text, "\"users_from\":\"report\""));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(what_is_shown_can_be_said_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
