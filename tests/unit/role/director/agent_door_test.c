/* agent_door_test.c - agent checks as HAProxy makes them, and askers that do not know how. */
#include "role/director/agent_door.h"

#include "base/clock.h"
#include "core/roster/agent.h"
#include "io/io.h"
#include "io/listen.h"

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
#define CLIENTS_MAX 64

struct rig {
    uv_loop_t loop;
    struct store *store;
    struct agent_door *door;
    struct agent_door_counters door_counters;
    struct addr door_at;
    bool closed;
};

static uint64_t now_ms(void)
{
    return io_now_ns() / NS_PER_MS;
}

static void spin(struct rig *r)
{
    uv_run(&r->loop, UV_RUN_NOWAIT);
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
    *state = &rig;
    return 0;
}

static void on_closed(void *context)
{
    struct rig *r = context;
    r->closed = true;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    agent_door_close(r->door, on_closed, r);
    SPIN_UNTIL(r, r->closed);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    store_free(r->store);
    return 0;
}

static const struct agent_door_server door_servers[] = {{"shop", 200}, {"mail", 100}};

static void open_door(struct rig *r, size_t servers, uint32_t server)
{
    struct agent_door_config c = {.loop = &r->loop,
                                  .fd = listen_at(&r->door_at),
                                  .store = r->store,
                                  .self_name = "s1",
                                  .servers = door_servers,
                                  .server_count = servers,
                                  .server = server,
                                  .counters = &r->door_counters};
    assert_int_equal(agent_door_open(&c, &r->door), STEAD_OK);
}

/* Two servers of s1: shop has 75 % of its weight, mail drains. */
static void set_roster(struct rig *r)
{
    struct roster *roster = roster_blank(1, 2);
    assert_non_null(roster);
    struct entry *e = roster->nodes[0].entry;
    roster->nodes[0].status = STATUS_UP;
    snprintf(e->name, sizeof(e->name), "s1");
    e->server_count = 2;
    snprintf(e->servers[0].service, sizeof(e->servers[0].service), "shop");
    snprintf(e->servers[1].service, sizeof(e->servers[1].service), "mail");
    e->servers[0].weight = 150;
    e->servers[0].healthy = e->servers[1].healthy = e->servers[1].drain = true;
    store_set_roster(r->store, roster);
}

static int come(struct rig *r, const char *line)
{
    struct sockaddr_storage ss;
    socklen_t len = io_sockaddr(&r->door_at, &ss);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
    if (*line)
        assert_true(send(fd, line, strlen(line), MSG_NOSIGNAL) > 0);
    return fd;
}

/* What is answered until the door closes; "" = closed without a word. */
static const char *answer(struct rig *r, const char *line)
{
    static char text[AGENT_ANSWER_MAX];
    uint64_t give_up = now_ms() + PATIENCE_MS;
    size_t len = 0;
    int fd = come(r, line);
    for (;;) {
        ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && len > 0 && text[len - 1] == '\n'))
            break;
        len += n > 0 ? (size_t)n : 0;
        assert_true(now_ms() < give_up);
        spin(r);
    }
    text[len] = '\0';
    close(fd);
    return text;
}

static void a_door_speaks_for_one_server(void **state)
{
    struct rig *r = *state;
    open_door(r, 2, 1);
    assert_string_equal(answer(r, ""), "stopped # the node is joining\n");
    set_roster(r);
    assert_string_equal(answer(r, ""), "up drain\n");
    assert_string_equal(answer(r, "shop\n"), "up drain\n");
    assert_int_equal(r->door_counters.answered, 3);
}

static void a_door_speaks_for_who_is_named(void **state)
{
    struct rig *r = *state;
    set_roster(r);
    open_door(r, 2, AGENT_DOOR_BY_LINE);
    assert_string_equal(answer(r, "shop\n"), "up ready 75%\n");
    assert_string_equal(answer(r, "mail\r\n"), "up drain\n");
    assert_string_equal(answer(r, "shop"), "up ready 75%\n"); /* after a while */
    assert_int_equal(r->door_counters.unknown, 0);
    assert_string_equal(answer(r, "shopp\n"), "");
    assert_string_equal(answer(r, ""), "");
    assert_int_equal(r->door_counters.unknown, 2);
    int fd = come(r, "");
    for (int i = 0; i < 200; i++)
        (void)!send(fd, "a line that does not end", 24, MSG_NOSIGNAL | MSG_DONTWAIT);
    SPIN_UNTIL(r, r->door_counters.unknown == 3);
    close(fd);
}

static void a_door_has_so_many_askers(void **state)
{
    struct rig *r = *state;
    int fds[CLIENTS_MAX];
    set_roster(r);
    open_door(r, 2, AGENT_DOOR_BY_LINE);
    for (int i = 0; i < CLIENTS_MAX; i++)
        fds[i] = come(r, "");
    SPIN_UNTIL(r, r->door_counters.refused == CLIENTS_MAX - AGENT_DOOR_CONNECTIONS_MAX);
    for (int i = 0; i < CLIENTS_MAX; i++)
        close(fds[i]);
    SPIN_UNTIL(r, r->door_counters.unknown == AGENT_DOOR_CONNECTIONS_MAX);
    assert_string_equal(answer(r, "shop\n"), "up ready 75%\n");
    fds[0] = come(r, "shop\n"); /* open when the door is closed */
    spin(r);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_door_speaks_for_one_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_door_speaks_for_who_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_door_has_so_many_askers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
