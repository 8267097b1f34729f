/* gate_report_test.c - reports over the session API's socket, into a real store. */
#include "role/gate/gate.h"

#include "base/clock.h"
#include "io/io.h"
#include "io/listen.h"
#include "store/store_own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 5000

struct bench {
    uv_loop_t loop;
    struct store *store;
    struct gate *gate;
    struct gate_counters counters;
    struct http_counters http;
    struct sockaddr_un at;
    bool closed;
    char reply[8192];
};

static int set_up(void **state)
{
    static struct bench b;
    struct kinds kinds;
    struct store_config c = {.shards = 1, .mailboxes = 1};
    struct tally_config t = {.from = USERS_REPORT, .weight = 100, .max_age_ns = 60 * NS_PER_S};
    int fd;
    memset(&b, 0, sizeof b);
    kinds_default(&kinds);
    session_config_default(&c.session);
    c.session.kinds = &kinds;
    c.session.memory_bytes = 1 << 20;
    b.store = store_new(&c, io_now_ns());
    store_own_open(b.store, 0, "shop", &t);
    struct roster *roster = roster_blank(1, 1);
    snprintf(roster->nodes[0].entry->name, NAME_MAX_BYTES, "s1");
    roster->nodes[0].entry->group_count = 1;
    snprintf(roster->nodes[0].entry->groups[0], NAME_MAX_BYTES, "blue");
    store_set_roster(b.store, roster);
    b.at.sun_family = AF_UNIX;
    snprintf(b.at.sun_path, sizeof b.at.sun_path, "/tmp/stead-report-%d.sock", getpid());
    assert_int_equal(listen_unix(b.at.sun_path, 0600, &fd), STEAD_OK);
    assert_int_equal(uv_loop_init(&b.loop), 0);
    struct gate_config g = {.loop = &b.loop,
                            .fd = fd,
                            .store = b.store,
                            .node = "s1",
                            .farm = "shop",
                            .http_counters = &b.http,
                            .counters = &b.counters};
    http_limits_default(&g.http);
    assert_int_equal(gate_open(&g, &b.gate), STEAD_OK);
    *state = &b;
    return 0;
}

static void on_closed(void *context)
{
    ((struct bench *)context)->closed = true;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    gate_close(b->gate, on_closed, b);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    store_free(b->store);
    unlink(b->at.sun_path);
    return 0;
}

/* The status of the answer; all of it is in b->reply. */
static int ask(struct bench *b, const char *method, const char *path, const char *body)
{
    char request[8192];
    size_t len = 0;
    int status = 0, fd = socket(AF_UNIX, SOCK_STREAM, 0);
    uint64_t give_up = io_now_ns() + PATIENCE_MS * NS_PER_MS;
    assert_int_equal(connect(fd, (struct sockaddr *)&b->at, sizeof b->at), 0);
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     method, path, strlen(body), body);
    assert_int_equal(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
    for (ssize_t got = -1; got != 0;) {
        assert_true(io_now_ns() < give_up);
        uv_run(&b->loop, UV_RUN_NOWAIT);
        got = recv(fd, b->reply + len, sizeof b->reply - 1 - len, MSG_DONTWAIT);
        len += got > 0 ? (size_t)got : 0;
    }
    b->reply[len] = '\0';
    close(fd);
    assert_int_equal(sscanf(b->reply, "HTTP/1.1 %d", &status), 1);
    return status;
}

#define PATH "/v1/server/shop/report"

static struct tally_state now(struct bench *b)
{
    struct tally_state s;
    store_own_state(b->store, 0, io_now_ns(), &s);
    return s;
}

static void a_report_is_taken_shown_and_ended(void **state)
{
    struct bench *b = *state;
    assert_int_equal(ask(b, "GET", PATH, ""), 404);
    assert_int_equal(
        ask(b, "PUT", PATH, "{\"users\": 5, \"groups\": {\"blue\": 2}, \"load\": 0.5}"), 200);
    assert_non_null(strstr(b->reply, "\"users\":5"));
    assert_true(now(b).users == 5 && now(b).group_users[0] == 2 && now(b).load == 500);
    assert_int_equal(ask(b, "PUT", PATH, "{\"users\": 6, \"status\": \"maint\"}"), 200);
    assert_true(now(b).maint && now(b).load == LOAD_UNKNOWN);
    assert_int_equal(ask(b, "GET", PATH, ""), 200);
    assert_non_null(strstr(b->reply, "\"status\":\"maint\""));
    assert_non_null(strstr(b->reply, "no-store"));
    assert_int_equal(ask(b, "HEAD", PATH, ""), 200);
    assert_int_equal(ask(b, "DELETE", PATH, ""), 204);
    assert_false(now(b).maint);
    assert_int_equal(ask(b, "GET", PATH, ""), 404);
    assert_int_equal(b->counters.reports, 2);
}

static void what_is_wrong_changes_nothing(void **state)
{
    static char large[5000];
    struct bench *b = *state;
    static const char *const wrong[] = {"", "[]", "{\"users\": -1}", "{\"status\": \"up\"}",
                                        "{\"users\": 1, \"groups\": {\"red\": 1}}"};
    assert_int_equal(ask(b, "PUT", PATH, "{\"users\": 5}"), 200);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(ask(b, "PUT", PATH, wrong[i]), 400);
    memset(large, ' ', sizeof large - 1);
    assert_int_equal(ask(b, "PUT", PATH, large), 413);
    assert_int_equal(ask(b, "POST", PATH, "{\"users\": 9}"), 405);
    assert_non_null(strstr(b->reply, "Allow: GET, HEAD, PUT, DELETE"));
    assert_int_equal(ask(b, "PUT", "/v1/server/mail/report", "{\"users\": 9}"), 404);
    assert_int_equal(ask(b, "PUT", "/v1/server//report", "{\"users\": 9}"), 404);
    assert_int_equal(ask(b, "PUT", "/v1/server/shop/reports", "{\"users\": 9}"), 404);
    assert_int_equal(now(b).users, 5);
    assert_int_equal(b->counters.reports, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_report_is_taken_shown_and_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_changes_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
