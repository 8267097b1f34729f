/* gate_watch_test.c - sessions that are watched: reads that wait, and streams of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gate_bench.h"

static const struct timespec a_moment = {.tv_nsec = 1000000};

/* A change by somebody else, as when another node made it. */
static void change(struct bench *b, const char *value)
{
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"v",
                           .name_len = 1,
                           .value = (const uint8_t *)value,
                           .value_len = strlen(value)};
    struct record *shown, *r = b->store.records[0];
    struct session_op op = {.type = SESSION_CHANGE, .key = &r->key, .ops = &set, .op_count = 1};
    assert_int_equal(carry_out(&b->store, &op, &shown), STEAD_OK);
}

static void end(struct bench *b)
{
    struct record *shown;
    struct session_op op = {.type = SESSION_END, .key = &b->store.records[0]->key};
    assert_int_equal(carry_out(&b->store, &op, &shown), STEAD_OK);
}

static void turn(struct bench *b, int times)
{
    for (int i = 0; i < times; i++) {
        uv_run(&b->loop, UV_RUN_NOWAIT);
        nanosleep(&a_moment, NULL);
    }
}

/* Reads on until that text has come; what came is in `answer`, and is forgotten before the next. */
static void await(struct bench *b, const char *text)
{
    size_t len = 0;
    memset(answer, 0, sizeof answer);
    for (int i = 0; i < 4000 && !strstr(answer, text); i++) {
        turn(b, 1);
        ssize_t n = recv(b->client, answer + len, sizeof answer - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    if (!strstr(answer, text))
        print_error("no \"%s\" in: %s\n", text, answer);
    assert_non_null(strstr(answer, text));
}

static void await_close(struct bench *b)
{
    char byte;
    ssize_t n = -1;
    for (int i = 0; i < 4000 && n < 0; i++) {
        turn(b, 1);
        n = recv(b->client, &byte, 1, 0);
    }
    assert_int_equal(n, 0);
}

static uint64_t watching(struct bench *b)
{
    return atomic_load(&b->counters.watching);
}

static void say_wait(struct bench *b, const char *path, const char *query, const char *version)
{
    char with[640], header[320];
    snprintf(with, sizeof with, "%s?%s", path, query);
    snprintf(header, sizeof header, "If-None-Match: \"%s\"\r\n", version);
    say(b, "GET", with, header, "");
}

static void a_read_waits_for_another_version(void **state)
{
    struct bench b;
    char path[300];
    (void)state;
    open_bench(&b, NULL);
    for (int delay = 0; delay <= 1; delay++) {
        b.store.delay = delay;
        if (!delay)
            created(&b, "{}", path);
        char known[32];
        snprintf(known, sizeof known, "1.%d", 1 + delay);
        say_wait(&b, path, "wait=60", known);
        turn(&b, 60);
        assert_int_equal(watching(&b), 1);
        change(&b, delay ? "tea" : "salt");
        assert_int_equal(hear(&b), 200);
        assert_has(delay ? "\"v\":\"tea\"" : "\"v\":\"salt\"");
        assert_has(delay ? "ETag: \"1.3\"" : "ETag: \"1.2\"");
        assert_int_equal(watching(&b), 0);
    }
    say_wait(&b, path, "at_least=1.1&wait=60", "1.3");
    turn(&b, 30);
    end(&b);
    assert_int_equal(hear(&b), 404);
    assert_has("\"ENDED\"");
    assert_int_equal(watching(&b), 0);
    close_bench(&b);
}

static void who_does_not_know_it_does_not_wait(void **state)
{
    struct bench b;
    char path[300], with[320];
    (void)state;
    open_bench(&b, NULL);
    created(&b, "{}", path);
    snprintf(with, sizeof with, "%s?wait=60", path);
    assert_int_equal(ask(&b, "GET", with, "", ""), 200);
    assert_int_equal(ask(&b, "GET", with, "If-None-Match: \"7.1\"\r\n", ""), 200);
    snprintf(with, sizeof with, "%s?wait=0", path);
    assert_int_equal(ask(&b, "GET", with, "If-None-Match: \"1.1\"\r\n", ""), 304);
    assert_int_equal(watching(&b), 0);
    static const char *const wrong[] = {
        "wait=", "wait=301", "wait=-1", "wait=1x", "wait=99999999999", "wait", "wait=1&x=1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(with, sizeof with, "%s?%s", path, wrong[i]);
        assert_int_equal(ask(&b, "GET", with, "", ""), 400);
    }
    close_bench(&b);
}

static void a_wait_ends(void **state)
{
    struct bench b;
    char path[300];
    (void)state;
    open_bench(&b, NULL);
    created(&b, "{}", path);
    say_wait(&b, path, "wait=1", "1.1");
    assert_int_equal(hear(&b), 304);
    assert_has("ETag: \"1.1\"");
    /* At its end nobody can be asked: that is no 304. */
    say_wait(&b, path, "wait=2", "1.1");
    turn(&b, 50);
    b.store.spoil[SESSION_READ] = STEAD_E_UNREACHABLE;
    for (int i = 0; i < 3000 && watching(&b) > 0; i++) {
        if (!b.store.spoil[SESSION_READ])
            b.store.spoil[SESSION_READ] = STEAD_E_UNREACHABLE;
        turn(&b, 1);
    }
    assert_int_equal(hear(&b), 503);
    assert_has("UNREACHABLE");
    close_bench(&b);
}

/* What other nodes keep is not counted here. */
static void what_is_elsewhere_is_asked_for_again(void **state)
{
    struct bench b;
    char path[300];
    (void)state;
    open_bench(&b, NULL);
    created(&b, "{}", path);
    say_wait(&b, path, "wait=60", "1.1");
    turn(&b, 30);
    change(&b, "x");
    b.store.changes--;
    assert_int_equal(hear(&b), 200);
    close_bench(&b);
}

static void who_goes_away_waits_no_more(void **state)
{
    struct bench b;
    char path[300];
    (void)state;
    open_bench(&b, NULL);
    created(&b, "{}", path);
    say_wait(&b, path, "wait=60", "1.1");
    turn(&b, 30);
    assert_int_equal(watching(&b), 1);
    shutdown(b.client, SHUT_RDWR);
    for (int i = 0; i < 4000 && watching(&b) > 0; i++)
        turn(&b, 1);
    assert_int_equal(watching(&b), 0);
    close_bench(&b);
}

static void a_stream_tells_every_version(void **state)
{
    struct bench b;
    char path[300];
    (void)state;
    open_bench(&b, NULL);
    created(&b, "{\"fields\": {\"v\": \"one\"}}", path);
    say(&b, "GET", path, "Accept: text/event-stream\r\n", "");
    await(&b, "\"v\":\"one\"");
    assert_has("HTTP/1.1 200 OK\r\n");
    assert_has("Content-Type: text/event-stream\r\n");
    assert_has("event: record\nid: 1.1\ndata: {\"id\":\"");
    assert_int_equal(watching(&b), 1);
    change(&b, "two");
    await(&b, "}\n\n");
    assert_has("event: record\nid: 1.2\n");
    assert_has("\"v\":\"two\"");
    b.store.delay = true;
    change(&b, "three");
    await(&b, "id: 1.3\n");
    end(&b);
    await(&b, "event: gone\n");
    assert_has("\"error\":\"ENDED\"");
    await_close(&b);
    assert_int_equal(watching(&b), 0);
    close_bench(&b);
}

static void a_stream_goes_on_where_it_broke(void **state)
{
    struct bench b;
    char path[300];
    (void)state;
    open_bench(&b, NULL);
    created(&b, "{\"fields\": {\"v\": \"one\"}}", path);
    say(&b, "GET", path, "Accept: text/event-stream\r\nLast-Event-ID: 1.1\r\n", "");
    await(&b, "retry: 1000\n\n");
    change(&b, "two");
    await(&b, "id: 1.2\n");
    assert_null(strstr(answer, "id: 1.1"));
    shutdown(b.client, SHUT_RDWR);
    for (int i = 0; i < 2000 && watching(&b) > 0; i++)
        turn(&b, 1);
    assert_int_equal(watching(&b), 0);
    close_bench(&b);
}

static void a_stream_of_nothing_is_an_answer(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(
        ask(&b, "GET", "/v1/sessions/auth/nobody", "Accept: text/event-stream\r\n", ""), 404);
    assert_has("ABSENT");
    assert_int_equal(watching(&b), 0);
    close_bench(&b);
}

/* A stream whose client takes nothing holds one event, however much changes. */
static void a_slow_client_holds_little(void **state)
{
    static char big[200000];
    struct bench b;
    char path[300];
    (void)state;
    open_bench(&b, NULL);
    b.store.kinds.kind[kinds_find(&b.store.kinds, "auth")].size_bytes = sizeof big;
    created(&b, "{}", path);
    say(&b, "GET", path, "Accept: text/event-stream\r\n", "");
    await(&b, "id: 1.1\n");
    memset(big, 'x', sizeof big - 1);
    for (int i = 0; i < 20; i++) {
        change(&b, big);
        turn(&b, 25);
    }
    change(&b, "last");
    assert_int_equal(watching(&b), 1);
    await(&b, "\"v\":\"last\"");
    size_t events = 0;
    for (const char *at = answer; (at = strstr(at, "event: record")); at++)
        events++;
    assert_true(events < 20);
    close_bench(&b);
}

static void who_watches_a_gate_that_retires_comes_again(void **state)
{
    struct bench b;
    char path[300];
    (void)state;
    for (int streams = 0; streams <= 1; streams++) {
        open_bench(&b, NULL);
        created(&b, "{}", path);
        if (streams)
            say(&b, "GET", path, "Accept: text/event-stream\r\n", "");
        else
            say_wait(&b, path, "wait=60", "1.1");
        if (streams)
            await(&b, "id: 1.1\n");
        turn(&b, 20);
        assert_int_equal(watching(&b), 1);
        gate_retire(b.gate, true);
        if (streams)
            await_close(&b);
        else
            assert_int_equal(hear(&b), 304);
        assert_int_equal(watching(&b), 0);
        close_bench(&b);
    }
}

static void a_gate_may_close_with_watches(void **state)
{
    struct bench b;
    char path[300];
    (void)state;
    for (int streams = 0; streams <= 1; streams++) {
        open_bench(&b, NULL);
        created(&b, "{}", path);
        if (streams)
            say(&b, "GET", path, "Accept: text/event-stream\r\n", "");
        else
            say_wait(&b, path, "wait=60", "1.1");
        turn(&b, 30);
        assert_int_equal(watching(&b), 1);
        b.store.delay = true; /* a result may be on its way */
        change(&b, "x");
        turn(&b, 12 * streams);
        close_bench(&b);
        assert_int_equal(watching(&b), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_waits_for_another_version),
        cmocka_unit_test(who_does_not_know_it_does_not_wait),
        cmocka_unit_test(a_wait_ends),
        cmocka_unit_test(what_is_elsewhere_is_asked_for_again),
        cmocka_unit_test(who_goes_away_waits_no_more),
        cmocka_unit_test(a_stream_tells_every_version),
        cmocka_unit_test(a_stream_goes_on_where_it_broke),
        cmocka_unit_test(a_stream_of_nothing_is_an_answer),
        cmocka_unit_test(a_slow_client_holds_little),
        cmocka_unit_test(who_watches_a_gate_that_retires_comes_again),
        cmocka_unit_test(a_gate_may_close_with_watches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
