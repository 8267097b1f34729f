/* users_test.c - agents that are asked, agents that talk nonsense, and the kernel's count, over
 * loopback. */
#include "role/director/users.h"

#include "base/clock.h"
#include "base/mem.h"
#include "io/io.h"
#include "io/listen.h"
#include "store/store_own.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 8000

/* -- the bench -- */

struct rig {
    uv_loop_t loop;
    struct store *store;
    struct users *users;
    struct users_counters counters;
    int listener, conn;
    struct addr at;
    const char *says; /* of the agent; NULL: it says nothing and keeps the connection */
    bool closes;
    char heard[64];
    unsigned closed, parts;
};

static uint64_t now_ms(void)
{
    return io_now_ns() / NS_PER_MS;
}

/* The agent: one connection at a time. */
static void serve(struct rig *r)
{
    int fd = r->listener >= 0 ? accept4(r->listener, NULL, NULL, SOCK_NONBLOCK) : -1;
    if (fd < 0)
        return;
    if (r->conn >= 0)
        close(r->conn);
    r->conn = fd;
    if (r->says && *r->says)
        assert_true(send(fd, r->says, strlen(r->says), MSG_NOSIGNAL) > 0);
    usleep(1000);
    ssize_t n = recv(fd, r->heard, sizeof(r->heard) - 1, 0);
    if (n > 0)
        r->heard[n] = '\0';
    if (r->closes) {
        close(fd);
        r->conn = -1;
    }
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

static int listen_at(struct addr *at)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    int fd;
    assert_true(addr_parse("127.0.0.1:0", 0, at));
    assert_int_equal(listen_tcp(at, false, &fd), STEAD_OK);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&ss, at));
    return fd;
}

static int set_up(void **state)
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
    rig.listener = listen_at(&rig.at);
    rig.conn = -1;
    rig.closes = true;
    *state = &rig;
    return 0;
}

static void on_closed(void *context)
{
    struct rig *r = context;
    r->closed++;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    if (r->users)
        users_close(r->users, on_closed, r);
    SPIN_UNTIL(r, r->closed == r->parts);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    store_free(r->store);
    if (r->listener >= 0)
        close(r->listener);
    if (r->conn >= 0)
        close(r->conn);
    return 0;
}

static void own(struct rig *r, enum users_from from)
{
    struct tally_config t = {.from = from, .weight = 100, .max_age_ns = 60 * NS_PER_S};
    store_own_open(r->store, 0, "shop", &t);
}

static void open_users(struct rig *r, struct users_source source)
{
    source.service = "shop";
    source.kernel_interval_ms = 20;
    source.agent_interval_ms = 30;
    source.agent_timeout_ms = 300;
    struct users_config c = {.loop = &r->loop,
                             .store = r->store,
                             .sources = &source,
                             .count = 1,
                             .counters = &r->counters};
    assert_int_equal(users_open(&c, &r->users), STEAD_OK);
    r->parts++;
}

static struct tally_state now(struct rig *r)
{
    struct tally_state s;
    store_own_state(r->store, 0, io_now_ns(), &s);
    return s;
}

/* -- agents -- */

static void an_agent_is_asked(void **state)
{
    struct rig *r = *state;
    own(r, USERS_AGENT);
    r->says = "up 50% users:7 huh\n";
    open_users(r, (struct users_source){.agent = r->at, .agent_send = "shop\n"});
    SPIN_UNTIL(r, now(r).users == 7);
    assert_int_equal(now(r).weight, 50);
    assert_string_equal(r->heard, "shop\n");
    assert_true(r->counters.agent_unknown_words > 0);
    r->says = "maint\r\n";
    SPIN_UNTIL(r, now(r).maint);
    assert_int_equal(now(r).users, 7);
    assert_false(store_healthy(r->store, 0));
    r->says = "ready\n";
    SPIN_UNTIL(r, !now(r).maint);
}

static void nonsense_changes_nothing(void **state)
{
    static char longest[AGENT_LINE_MAX + 100];
    struct rig *r = *state;
    struct {
        const char *says;
        bool closes;
        enum agent_ask_end end;
    } cases[] = {{"\x16\x03\x01", true, AGENT_ASK_MALFORMED},
                 {"down", true, AGENT_ASK_MALFORMED}, /* no end of the line */
                 {longest, false, AGENT_ASK_MALFORMED},
                 {"\n", true, AGENT_ASK_MALFORMED},
                 {"", true, AGENT_ASK_UNREACHABLE},
                 {"dow", false, AGENT_ASK_TIMEOUT},
                 {NULL, false, AGENT_ASK_TIMEOUT}};
    memset(longest, 'd', sizeof(longest) - 1);
    own(r, USERS_AGENT);
    r->says = "up 50% users:7\n";
    open_users(r, (struct users_source){.agent = r->at, .agent_send = ""});
    SPIN_UNTIL(r, now(r).users == 7);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t before = r->counters.agent_ends[cases[i].end];
        r->says = cases[i].says;
        r->closes = cases[i].closes;
        SPIN_UNTIL(r, r->counters.agent_ends[cases[i].end] > before + 1);
        struct tally_state s = now(r);
        assert_true(s.users == 7 && s.weight == 50 && !s.down);
    }
    close(r->listener);
    r->listener = -1;
    uint64_t before = r->counters.agent_ends[AGENT_ASK_UNREACHABLE];
    SPIN_UNTIL(r, r->counters.agent_ends[AGENT_ASK_UNREACHABLE] > before + 1);
    assert_int_equal(now(r).users, 7);
}

static void it_closes_while_it_asks(void **state)
{
    struct rig *r = *state;
    own(r, USERS_AGENT);
    r->closes = false;
    open_users(r, (struct users_source){
                      .agent = r->at, .agent_send = "", .kernel = true, .port = {.port = 1}});
    SPIN_UNTIL(r, r->conn >= 0);
}

static void no_memory_is_no_end(void **state)
{
    struct rig *r = *state;
    struct users_config c = {.loop = &r->loop, .store = r->store};
    mem_fail_after(1);
    assert_int_equal(users_open(&c, &r->users), STEAD_E_NOMEM);
    own(r, USERS_AGENT);
    r->says = "users:3\n";
    open_users(r, (struct users_source){.agent = r->at, .agent_send = ""});
    mem_fail_after(1); /* the first question */
    SPIN_UNTIL(r, now(r).users == 3);
}

/* -- the kernel -- */

static void the_kernel_counts(void **state)
{
    struct rig *r = *state;
    int clients[5][2];
    struct sockaddr_storage ss;
    socklen_t len = io_sockaddr(&r->at, &ss);
    int listener = r->listener;
    own(r, USERS_KERNEL);
    r->listener = -1; /* nobody serves */
    for (int i = 0; i < 5; i++) {
        clients[i][0] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(clients[i][0], (struct sockaddr *)&ss, len), 0);
        clients[i][1] = -1;
        while (clients[i][1] < 0)
            clients[i][1] = accept(listener, NULL, NULL);
    }
    open_users(r, (struct users_source){.kernel = true, .port = r->at, .agent_send = ""});
    SPIN_UNTIL(r, r->counters.kernel_counts > 0);
    if (r->counters.kernel_failed == 0) {
        SPIN_UNTIL(r, now(r).users == 5);
        assert_false(now(r).stale);
    }
    for (int i = 0; i < 5; i++) {
        close(clients[i][0]);
        close(clients[i][1]);
    }
    if (r->counters.kernel_failed == 0)
        SPIN_UNTIL(r, now(r).users == 0);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_agent_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_closes_while_it_asks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_is_no_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_kernel_counts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
