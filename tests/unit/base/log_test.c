/* log_test.c - lines that nobody can forge or flood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int pipe_ends[2];

static int begin(void **state)
{
    (void)state;
    if (pipe(pipe_ends) != 0 || fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK) != 0)
        return -1;
    log_set_fd(pipe_ends[1]);
    log_set_level(LOG_INFO);
    log_set_node(NULL);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    log_set_fd(STDERR_FILENO);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return 0;
}

/* What was written since the last call. */
static const char *written(void)
{
    static char text[65536];
    ssize_t n = read(pipe_ends[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void a_line_has_level_event_and_values(void **state)
{
    (void)state;
    log_warn("peer.down", "peer=%d", 7);
    assert_string_equal(written(), "warn peer.down peer=7\n");
    log_set_node("n 1");
    log_info("start", "%s", "");
    assert_string_equal(written(), "info start node=\"n 1\"\n");
    log_debug("hidden", "x=%d", 1);
    assert_string_equal(written(), "");
    log_set_level(LOG_DEBUG);
    log_debug("shown", "x=%d", 1);
    assert_string_equal(written(), "debug shown node=\"n 1\" x=1\n");
}

/* "2026-11-21T11:34:07.123Z info start": the form, whatever the clock says. */
static void a_line_may_begin_with_its_time(void **state)
{
    (void)state;
    log_set_stamps(true);
    log_info("start", "x=%d", 1);
    log_set_stamps(false);
    const char *line = written(), *form = "dddd-dd-ddTdd:dd:dd.dddZ info start x=1\n";
    assert_int_equal(strlen(line), strlen(form));
    for (size_t i = 0; form[i]; i++)
        if (i < 24 && form[i] == 'd')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], form[i]);
}

static void no_value_can_start_a_line(void **state)
{
    (void)state;
    log_info("event", "v=%s", "a\nerror forged\x1b[2J\x7f");
    assert_string_equal(written(), "info event v=a?error forged?[2J?\n");
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    char value[3000];
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = 0;
    log_info("event", "v=%s", value);
    const char *line = written();
    size_t len = strlen(line);
    assert_true(len > LOG_LINE_MAX - 8 && len <= LOG_LINE_MAX + 1);
    assert_string_equal(line + len - 5, "x...\n");
}

static unsigned count_lines(const char *text)
{
    unsigned lines = 0;
    for (; (text = strchr(text, '\n')); text++)
        lines++;
    return lines;
}

static void sleep_to_next_second(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    struct timespec rest = {.tv_nsec = 1000000000 - now.tv_nsec};
    nanosleep(&rest, NULL);
}

static void speak(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        log_info("flood", "i=%u", i);
}

static void a_flood_is_silenced_and_counted(void **state)
{
    (void)state;
    sleep_to_next_second(); /* so that all falls into one second */
    speak(LOG_BURST + 30);
    log_info("other", "site=%d", 1); /* its own limit */
    const char *text = written();
    assert_int_equal(count_lines(text), LOG_BURST + 1);
    assert_null(strstr(text, "hushed"));
    sleep_to_next_second();
    speak(2);
    assert_string_equal(written(), "info flood i=0 hushed=30\ninfo flood i=1\n");
}

static void a_reader_that_stands_still_holds_up_nobody(void **state)
{
    static struct log_site sites[10];
    char filler[900];
    unsigned long before = log_lost();
    (void)state;
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = 0;
    alarm(10); /* for a log that waits */
    for (size_t i = 0; i < sizeof sites / sizeof *sites; i++) {
        sites[i] = (struct log_site){.event = "much", .level = LOG_INFO};
        for (int n = 0; n < LOG_BURST; n++)
            log_write(&sites[i], "%s", filler);
    }
    alarm(0);
    unsigned long lost = log_lost() - before;
    assert_true(lost > 0 && lost < 10 * LOG_BURST);
    while (*written())
        ;
    char expected[96];
    snprintf(expected, sizeof expected, "warn log-lost lines=%lu\ninfo again x=1\n", lost);
    log_info("again", "x=%d", 1);
    assert_string_equal(written(), expected);
    log_info("more", "x=%d", 2);
    assert_string_equal(written(), "info more x=2\n");
}

static void levels_have_names(void **state)
{
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse("Debug", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_DEBUG);
}

static void assert_quoted(const char *text, unsigned long len, unsigned long cap,
                          const char *expected)
{
    char buffer[64];
    memset(buffer, '#', sizeof buffer);
    assert_string_equal(log_quote(text, len, buffer, cap), expected);
    for (unsigned long i = cap; i < sizeof buffer; i++)
        assert_int_equal(buffer[i], '#');
}

static void values_are_quoted_when_they_must(void **state)
{
    (void)state;
    assert_quoted("plain", 5, 64, "plain");
    assert_quoted("", 0, 64, "\"\"");
    assert_quoted("a b", 3, 64, "\"a b\"");
    assert_quoted("a=b", 3, 64, "\"a=b\"");
    assert_quoted("say \"x\"\\", 8, 64, "\"say \\\"x\\\"\\\\\"");
    assert_quoted("a\nb\r\t\0\x1f\xff", 8, 64, "\"a\\nb\\r\\t\\x00\\x1f\\xff\"");
    assert_quoted("abcdefghij", 10, 11, "abcdefghij");
    assert_quoted("abcdefghij", 10, 10, "abcdef...");
    assert_quoted("ab defghij", 10, 12, "\"ab def...\"");
    assert_quoted("abcde\x01ghij", 10, 14, "\"abcde...\""); /* no half of an escape */
    assert_quoted("abcdefghij", 10, 3, "");
    for (unsigned long cap = 6; cap < 64; cap++) {
        char buffer[64];
        log_quote("\x01\x02\x03\x04 some longer text of bytes \x05 and more", 42, buffer, cap);
        assert_true(strlen(buffer) < cap && strlen(buffer) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_level_event_and_values, begin, finish),
        cmocka_unit_test_setup_teardown(a_line_may_begin_with_its_time, begin, finish),
        cmocka_unit_test_setup_teardown(no_value_can_start_a_line, begin, finish),
        cmocka_unit_test_setup_teardown(a_long_line_is_cut, begin, finish),
        cmocka_unit_test_setup_teardown(a_flood_is_silenced_and_counted, begin, finish),
        cmocka_unit_test_setup_teardown(a_reader_that_stands_still_holds_up_nobody, begin, finish),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(values_are_quoted_when_they_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
