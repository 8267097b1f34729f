/* health_test.c - the state by results, and checks of a real server on loopback. */
#include "role/director/health.h"

#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 4000

/* -- the state -- */

static void test_state_starts_unhealthy_and_needs_one_good_check(void **state)
{
    struct health_state s;
    struct health_check c = {.type = CHECK_HTTP, .rise = 3, .fall = 2};
    (void)state;
    health_state_init(&s, &c);
    assert_false(s.healthy);
    assert_false(health_state_result(&s, false));
    assert_false(health_state_result(&s, true));
    assert_false(health_state_result(&s, true));
    assert_true(health_state_result(&s, true));
    assert_true(s.healthy);
    health_state_init(&s, &c);
    assert_true(health_state_result(&s, true));
    c.type = CHECK_NONE;
    health_state_init(&s, &c);
    assert_true(s.healthy);
}

static void test_state_falls_after_failures_in_a_row(void **state)
{
    struct health_state s;
    struct health_check c = {.type = CHECK_TCP, .rise = 2, .fall = 3};
    (void)state;
    health_state_init(&s, &c);
    assert_true(health_state_result(&s, true));
    for (int i = 0; i < 10; i++) { /* two failures, then a good one: stays */
        assert_false(health_state_result(&s, i % 3 == 2));
        assert_true(s.healthy);
    }
    assert_false(health_state_result(&s, false));
    assert_true(health_state_result(&s, false));
    assert_false(s.healthy);
    assert_false(health_state_result(&s, true));
    assert_false(health_state_result(&s, false));
    assert_false(health_state_result(&s, true));
    assert_true(health_state_result(&s, true));
}

static void test_state_doubted_needs_one_good_check(void **state)
{
    struct health_state s;
    struct health_check c = {.type = CHECK_TCP, .rise = 5};
    (void)state;
    health_state_init(&s, &c);
    assert_true(health_state_result(&s, true));
    health_state_doubt(&s);
    assert_false(s.healthy);
    assert_true(health_state_result(&s, true));
    assert_true(s.healthy);
    assert_false(health_state_result(&s, false));
    assert_true(health_state_result(&s, false)); /* two is the default */
}

/* -- real checks -- */

struct rig {
    uv_loop_t loop;
    struct store *store;
    struct health *health;
    int listener, conn;
    struct addr to;
    const char *answer; /* NULL: none is given */
    char seen[512];
    unsigned requests;
    bool closed;
};

static uint64_t now_ms(void)
{
    return io_now_ns() / 1000000;
}

static int listen_at(uint16_t port, struct addr *at)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    socklen_t len = sizeof(sa);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, at));
    return fd;
}

static void serve(struct rig *r)
{
    int fd = r->listener >= 0 ? accept4(r->listener, NULL, NULL, SOCK_NONBLOCK) : -1;
    if (fd >= 0) {
        if (r->conn >= 0)
            close(r->conn);
        r->conn = fd;
    }
    ssize_t n = r->conn >= 0 ? recv(r->conn, r->seen, sizeof(r->seen) - 1, 0) : -1;
    if (n <= 0)
        return;
    r->seen[n] = '\0';
    r->requests++;
    if (r->answer)
        assert_true(send(r->conn, r->answer, strlen(r->answer), MSG_NOSIGNAL) > 0);
}

static void spin(struct rig *r)
{
    uv_run(&r->loop, UV_RUN_NOWAIT);
    serve(r);
    usleep(100);
}

#define SPIN_UNTIL(r, condition)                                                                   \
    do {                                                                                           \
        uint64_t give_up_ = now_ms() + PATIENCE_MS;                                                \
        while (!(condition)) {                                                                     \
            assert_true(now_ms() < give_up_);                                                      \
            spin(r);                                                                               \
        }                                                                                          \
    } while (0)

static void spin_for(struct rig *r, uint64_t ms)
{
    for (uint64_t end = now_ms() + ms; now_ms() < end;)
        spin(r);
}

static int setup(void **state)
{
    static struct rig rig;
    struct kinds kinds;
    struct store_config c = {.shards = 1, .mailboxes = 1};
    memset(&rig, 0, sizeof(rig));
    kinds_default(&kinds);
    session_config_default(&c.session);
    c.session.kinds = &kinds;
    c.session.memory_bytes = 1 << 20;
    rig.store = store_new(&c, io_now_ns());
    assert_non_null(rig.store);
    assert_int_equal(uv_loop_init(&rig.loop), 0);
    rig.listener = listen_at(0, &rig.to);
    rig.conn = -1;
    *state = &rig;
    return 0;
}

static void on_closed(void *context)
{
    struct rig *r = context;
    r->closed = true;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    health_close(r->health, on_closed, r);
    SPIN_UNTIL(r, r->closed);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    store_free(r->store);
    if (r->listener >= 0)
        close(r->listener);
    if (r->conn >= 0)
        close(r->conn);
    return 0;
}

static void watch(struct rig *r, enum check_type type)
{
    struct health_check check = {.type = type,
                                 .to = r->to,
                                 .service = "shop",
                                 .path = "/health?deep",
                                 .host = "a.example",
                                 .interval_ms = 30,
                                 .timeout_ms = 200};
    struct health_config c = {&r->loop, r->store, &check, 1, false};
    assert_int_equal(health_open(&c, &r->health), STEAD_OK);
}

static void stop_server(struct rig *r)
{
    close(r->listener);
    r->listener = -1;
}

static void test_http_check(void **state)
{
    struct rig *r = *state;
    r->answer = "HTTP/1.1 204 x\r\n\r\n";
    store_set_healthy(r->store, 0, true);
    watch(r, CHECK_HTTP);
    assert_false(store_healthy(r->store, 0)); /* until it is known */
    SPIN_UNTIL(r, store_healthy(r->store, 0));
    assert_non_null(strstr(r->seen, "GET /health?deep HTTP/1.1\r\nHost: a.example\r\n"));
    r->answer = "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n";
    SPIN_UNTIL(r, !store_healthy(r->store, 0));
    r->answer = "HTTP/1.1 302 x\r\nLocation: /\r\n\r\n";
    SPIN_UNTIL(r, store_healthy(r->store, 0));
    r->answer = "SSH-2.0-x\r\n";
    SPIN_UNTIL(r, !store_healthy(r->store, 0));
    r->answer = "HTTP/1.1 200 OK\r\n\r\n";
    SPIN_UNTIL(r, store_healthy(r->store, 0));
    r->answer = NULL; /* it hangs */
    SPIN_UNTIL(r, !store_healthy(r->store, 0));
}

static void test_one_failure_is_not_enough(void **state)
{
    struct rig *r = *state;
    r->answer = "HTTP/1.1 200 OK\r\n\r\n";
    watch(r, CHECK_HTTP);
    SPIN_UNTIL(r, store_healthy(r->store, 0));
    unsigned before = r->requests;
    r->answer = "HTTP/1.1 503 x\r\n\r\n";
    SPIN_UNTIL(r, r->requests > before);
    r->answer = "HTTP/1.1 200 OK\r\n\r\n";
    for (unsigned seen = r->requests; r->requests < seen + 3;) {
        spin(r);
        assert_true(store_healthy(r->store, 0));
    }
}

static void test_an_endless_head_is_a_failure(void **state)
{
    struct rig *r = *state;
    static char big[20000];
    memset(big, 'x', sizeof(big) - 1);
    memcpy(big, "HTTP/1.1 200 OK\r\nA: ", 20);
    r->answer = big;
    watch(r, CHECK_HTTP);
    SPIN_UNTIL(r, r->requests >= 3);
    assert_false(store_healthy(r->store, 0));
}

static void test_tcp_check(void **state)
{
    struct rig *r = *state;
    watch(r, CHECK_TCP);
    SPIN_UNTIL(r, store_healthy(r->store, 0));
    stop_server(r);
    SPIN_UNTIL(r, !store_healthy(r->store, 0));
    r->listener = listen_at(r->to.port, &r->to);
    SPIN_UNTIL(r, store_healthy(r->store, 0));
}

static void test_a_failed_forward_counts_at_once_and_is_taken_back(void **state)
{
    struct rig *r = *state;
    watch(r, CHECK_TCP);
    SPIN_UNTIL(r, store_healthy(r->store, 0));
    store_set_healthy(r->store, 0, false);
    SPIN_UNTIL(r, store_healthy(r->store, 0));
}

static void test_without_a_check(void **state)
{
    struct rig *r = *state;
    stop_server(r);
    watch(r, CHECK_NONE);
    assert_true(store_healthy(r->store, 0));
    spin_for(r, 50);
    assert_true(store_healthy(r->store, 0)); /* nobody tried */
    store_set_healthy(r->store, 0, false);
    spin_for(r, 1200);
    assert_false(store_healthy(r->store, 0));
    r->listener = listen_at(r->to.port, &r->to);
    SPIN_UNTIL(r, store_healthy(r->store, 0));
}

/* What the process before this one has found holds until a check says otherwise. */
static void test_a_successor_trusts_what_it_was_told(void **state)
{
    struct rig *r = *state;
    struct health_check check = {.type = CHECK_TCP, .to = r->to, .service = "shop"};
    struct health_config c = {&r->loop, r->store, &check, 1, true};
    store_set_healthy(r->store, 0, true);
    assert_int_equal(health_open(&c, &r->health), STEAD_OK);
    assert_true(store_healthy(r->store, 0));
}

static void test_closing_during_a_check_and_lack_of_memory(void **state)
{
    struct rig *r = *state;
    struct health_config none = {&r->loop, r->store, NULL, 0, false};
    mem_fail_after(1);
    assert_int_equal(health_open(&none, &r->health), STEAD_E_NOMEM);
    mem_fail_after(0);
    watch(r, CHECK_HTTP);
    SPIN_UNTIL(r, r->requests == 1); /* never answered; teardown closes */
    assert_false(store_healthy(r->store, 0));
}

static void test_a_range_of_statuses(void **state)
{
    int min, max;
    (void)state;
    assert_true(health_status_parse("200-399", &min, &max) && min == 200 && max == 399);
    assert_true(health_status_parse("204", &min, &max) && min == 204 && max == 204);
    static const char *const wrong[] = {"",    "20",       "2000",    "200-",     "200-39",
                                        "099", "600",      "399-200", "200-399x", "-200",
                                        "two", "200 -300", "2x0-300"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (health_status_parse(wrong[i], &min, &max))
            fail_msg("'%s' was taken", wrong[i]);
}

static void test_between_two_states(void **state)
{
    struct health_state s;
    struct health_check c = {.type = CHECK_TCP, .rise = 3, .fall = 2};
    (void)state;
    health_state_init(&s, &c);
    (void)health_state_result(&s, true); /* the first is enough */
    assert_true(s.healthy && !health_state_changing(&s));
    (void)health_state_result(&s, false);
    assert_true(s.healthy && health_state_changing(&s));
    (void)health_state_result(&s, false);
    assert_true(!s.healthy && !health_state_changing(&s));
    (void)health_state_result(&s, true);
    assert_true(!s.healthy && health_state_changing(&s));
    (void)health_state_result(&s, false);
    assert_false(health_state_changing(&s));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_range_of_statuses),
        cmocka_unit_test(test_between_two_states),
        cmocka_unit_test(test_state_starts_unhealthy_and_needs_one_good_check),
        cmocka_unit_test(test_state_falls_after_failures_in_a_row),
        cmocka_unit_test(test_state_doubted_needs_one_good_check),
        T(test_http_check),
        T(test_one_failure_is_not_enough),
        T(test_an_endless_head_is_a_failure),
        T(test_tcp_check),
        T(test_a_failed_forward_counts_at_once_and_is_taken_back),
        T(test_without_a_check),
        T(test_a_successor_trusts_what_it_was_told),
        T(test_closing_during_a_check_and_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
