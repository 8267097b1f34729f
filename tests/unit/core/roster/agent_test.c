/* agent_test.c - the agent check's line: words, their order, and what is no line. */
#include "core/roster/agent.h"

#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct agent_word word;

static int parse(const char *line)
{
    return agent_parse(line, strlen(line), &word);
}

static void words_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse("up ready 75% maxconn:100\n"), 25);
    assert_int_equal(word.told.what, TOLD_DOWN | TOLD_ADMIN | TOLD_PERCENT | TOLD_CAPACITY);
    assert_false(word.told.down || word.told.drain || word.told.maint);
    assert_int_equal(word.told.percent, 75);
    assert_int_equal(word.told.capacity, 100);
    assert_int_equal(word.unknown, 0);
    assert_true(parse("\tMAINT,,Down , 0%\r\nnext") == 18);
    assert_true(word.told.maint && word.told.down && !word.told.drain);
    assert_int_equal(word.told.percent, 0);
    assert_true(parse("drain\n") > 0 && word.told.drain && word.told.what == TOLD_ADMIN);
    assert_true(parse("users:12 load:42% group:blue=3 group:green=4\n") > 0);
    assert_int_equal(word.told.what, TOLD_USERS | TOLD_LOAD | TOLD_GROUPS);
    assert_int_equal(word.told.users, 12);
    assert_int_equal(word.told.load, 420);
    assert_int_equal(word.told.group_count, 2);
    assert_string_equal(word.told.groups[1], "green");
    assert_int_equal(word.told.group_users[1], 4);
}

static void down_has_three_words_and_a_reason(void **state)
{
    static const char *const lines[] = {"down\n", "stopped # on purpose\n", "fail#disk full\n"};
    static const char *const reasons[] = {"", "on purpose", "disk full"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(parse(lines[i]) > 0);
        assert_true(word.told.what == TOLD_DOWN && word.told.down);
        assert_string_equal(word.reason, reasons[i]);
        assert_int_equal(word.unknown, 0);
    }
    assert_true(parse("up # not down, not 5% of it\n") > 0);
    assert_true(word.told.what == TOLD_DOWN && !word.told.down);
    char line[300];
    memset(line, 'r', sizeof line);
    memcpy(line, "down #", 6);
    line[sizeof line - 1] = '\n';
    assert_int_equal(agent_parse(line, sizeof line, &word), sizeof line);
    assert_int_equal(strlen(word.reason), sizeof word.reason - 1);
}

static void the_last_of_a_sort_holds(void **state)
{
    (void)state;
    assert_true(parse("10% up drain down 30% ready up\n") > 0);
    assert_int_equal(word.told.percent, 30);
    assert_false(word.told.down || word.told.drain);
}

static void unknown_words_are_passed_over(void **state)
{
    static const char *const lines[] = {"upp\n",         "75\n",       "%\n",         "-5%\n",
                                        "7.5%\n",        "maxconn:\n", "maxconn:x\n", "users:-1\n",
                                        "load:\n",       "group:=1\n", "group:a\n",   "load:101\n",
                                        "group:a=b=1\n", "0x10%\n"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_true(parse(lines[i]) > 0);
        assert_int_equal(word.unknown, 1);
        assert_int_equal(word.told.what, 0);
    }
    assert_true(parse("HTTP/1.1 400 Bad Request\r\n") > 0);
    assert_int_equal(word.unknown, 4);
    assert_true(parse("group:a=1 group:b=1 group:c=1 group:d=1 group:e=1\n") > 0);
    assert_int_equal(word.unknown, 1);
    assert_int_equal(word.told.group_count, ENTRY_GROUPS_MAX);
}

static void numbers_are_bounded(void **state)
{
    (void)state;
    assert_true(parse("99999999999999999999999% users:99999999999999999999 load:700%\n") > 0);
    assert_int_equal(word.told.percent, PERCENT_MAX);
    assert_int_equal(word.told.users, USERS_MAX);
    assert_int_equal(word.told.load, 1000);
}

static void what_is_no_line_is_refused(void **state)
{
    char longest[AGENT_LINE_MAX + 1], many[2 * AGENT_WORDS_MAX + 4];
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse("up 50"), 0); /* more is to come */
    assert_int_equal(parse("\n"), STEAD_E_PARSE);
    assert_int_equal(parse(" ,\t\n"), STEAD_E_PARSE);
    assert_int_equal(parse("# only a reason\n"), STEAD_E_PARSE);
    assert_int_equal(parse("up\x01\n"), STEAD_E_PARSE);
    assert_int_equal(parse("\x80\xff"), STEAD_E_PARSE);
    assert_int_equal(agent_parse("up\0\n", 4, &word), STEAD_E_PARSE);
    assert_int_equal(word.told.what, 0);
    memset(longest, 'a', sizeof longest);
    assert_int_equal(agent_parse(longest, AGENT_LINE_MAX - 1, &word), 0);
    assert_int_equal(agent_parse(longest, AGENT_LINE_MAX, &word), STEAD_E_TOO_LARGE);
    longest[AGENT_LINE_MAX] = '\n';
    assert_int_equal(agent_parse(longest, sizeof longest, &word), STEAD_E_TOO_LARGE);
    for (size_t i = 0; i <= AGENT_WORDS_MAX; i++)
        memcpy(many + 2 * i, "a ", 2);
    many[2 * AGENT_WORDS_MAX + 2] = '\n';
    assert_int_equal(agent_parse(many, 2 * AGENT_WORDS_MAX + 3, &word), STEAD_E_PARSE);
    assert_int_equal(word.told.what, 0);
}

static void every_status_is_told_and_understood(void **state)
{
    char line[AGENT_ANSWER_MAX];
    (void)state;
    for (int s = STATUS_JOINING; s <= STATUS_LEFT; s++) {
        size_t len = agent_print((enum status)s, 60, line);
        assert_int_equal(len, strlen(line));
        assert_int_equal(agent_parse(line, len, &word), len);
        assert_int_equal(word.unknown, 0);
        assert_true(word.told.what & (TOLD_DOWN | TOLD_ADMIN));
        bool takes = word.told.what & TOLD_PERCENT && word.told.percent > 0;
        assert_int_equal(takes, s == STATUS_UP);
    }
    agent_print(STATUS_UP, 60, line);
    assert_string_equal(line, "up ready 60%\n");
    agent_print(STATUS_DRAINING, 60, line);
    assert_string_equal(line, "up drain\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_read),
        cmocka_unit_test(down_has_three_words_and_a_reason),
        cmocka_unit_test(the_last_of_a_sort_holds),
        cmocka_unit_test(unknown_words_are_passed_over),
        cmocka_unit_test(numbers_are_bounded),
        cmocka_unit_test(what_is_no_line_is_refused),
        cmocka_unit_test(every_status_is_told_and_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
