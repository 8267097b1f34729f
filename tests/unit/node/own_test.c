/* own_test.c - from sections server and agent to sources and doors, opened and closed on a loop. */
#include "node/own.h"

#include "base/mem.h"
#include "io/listen.h"
#include "node/config.h"
#include "store/store_own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    struct config config;
    struct store *store;
    struct own own;
    struct live *live;
    uv_loop_t loop;
    bool closed;
};

static int set_up(void **state)
{
    static struct bench b;
    struct kinds kinds;
    struct store_config c = {.shards = 1, .mailboxes = 1};
    memset(&b, 0, sizeof b);
    kinds_default(&kinds);
    session_config_default(&c.session);
    c.session.kinds = &kinds;
    c.session.memory_bytes = 1 << 20;
    b.store = store_new(&c, 1);
    assert_non_null(b.store);
    assert_int_equal(uv_loop_init(&b.loop), 0);
    b.config.server_count = 2;
    for (size_t i = 0; i < 2; i++) {
        struct server_section *s = &b.config.servers[i];
        snprintf(s->service, sizeof s->service, i ? "mail" : "shop");
        s->weight = 100;
        s->users_interval_ms = s->agent_check.interval_ms = s->agent_check.timeout_ms = 1000;
        s->users_max_age_ms = 15000;
    }
    *state = &b;
    return 0;
}

/* What is configured by then. */
static struct live *live_of(struct bench *b)
{
    static const struct shared_keys keys;
    b->live = live_new(&b->config, &b->config, 1, &keys, 1);
    assert_non_null(b->live);
    return b->live;
}

static void on_closed(void *context)
{
    ((struct bench *)context)->closed = true;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    own_close(&b->own, on_closed, b);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    store_free(b->store);
    live_unref(b->live);
    return 0;
}

static int listener(void)
{
    struct addr at;
    int fd;
    assert_true(addr_parse("127.0.0.1:0", 0, &at));
    assert_int_equal(listen_tcp(&at, false, &fd), STEAD_OK);
    return fd;
}

static void sources_are_as_configured(void **state)
{
    struct bench *b = *state;
    struct server_section *mail = &b->config.servers[1];
    mail->users_from = USERS_KERNEL;
    mail->users_port = 5222;
    assert_true(addr_parse("10.0.0.1:1", 0, &mail->users_address));
    assert_true(addr_parse("127.0.0.1:9", 0, &b->config.servers[0].agent_check.address));
    snprintf(b->config.servers[0].agent_check.send, CONFIG_TEXT_MAX, "state");
    own_tell_store(&b->config, b->store);
    own_init(&b->own, b->store);
    assert_int_equal(store_own_find(b->store, (struct slice){"mail", 4}), 1);
    int none[ENTRY_SERVERS_MAX];
    assert_int_equal(own_open(&b->own, &b->loop, live_of(b), NULL, none), STEAD_OK);
    const struct users_source *sources = b->own.asking->sources;
    assert_string_equal(sources[0].agent_send, "state\n");
    assert_string_equal(sources[1].agent_send, "");
    assert_true(!sources[0].kernel && sources[1].kernel);
    assert_true(sources[1].port.port == 5222 && sources[1].port.family == 4);
    assert_int_equal(sources[1].agent.family, 0);
    uv_run(&b->loop, UV_RUN_NOWAIT);
}

static void doors_take_their_descriptors(void **state)
{
    struct bench *b = *state;
    int fds[ENTRY_SERVERS_MAX] = {listener(), listener(), -1, -1};
    b->config.agent_count = 2;
    snprintf(b->config.agents[0].service, sizeof b->config.agents[0].service, "mail");
    own_tell_store(&b->config, b->store);
    own_init(&b->own, b->store);
    assert_int_equal(own_open(&b->own, &b->loop, live_of(b), NULL, fds), STEAD_OK);
    assert_true(fds[0] == -1 && fds[1] == -1 && b->own.doors[1] && !b->own.doors[2]);
}

static void a_door_that_fails_leaves_nothing_open(void **state)
{
    struct bench *b = *state;
    int file[2];
    assert_int_equal(pipe(file), 0);
    close(file[0]);
    close(file[1]); /* no descriptor any more */
    int fds[ENTRY_SERVERS_MAX] = {listener(), file[0], -1, -1};
    if (fds[0] == file[0]) /* given anew */
        fds[1] = 9999;
    b->config.agent_count = 2;
    own_init(&b->own, b->store);
    assert_int_equal(own_open(&b->own, &b->loop, live_of(b), NULL, fds), STEAD_E_IO);
    assert_int_equal(fds[0], -1);
    assert_null(b->own.asking);
    assert_null(b->own.doors[0]);
    uv_run(&b->loop, UV_RUN_DEFAULT);
}

static void a_change_is_asked_by_at_once(void **state)
{
    struct bench *b = *state;
    int none[ENTRY_SERVERS_MAX];
    static const struct shared_keys keys;
    own_tell_store(&b->config, b->store);
    own_init(&b->own, b->store);
    assert_int_equal(own_open(&b->own, &b->loop, live_of(b), NULL, none), STEAD_OK);
    b->config.servers[0].gone = true;
    assert_true(addr_parse("127.0.0.1:9", 0, &b->config.servers[1].agent_check.address));
    struct live *fresh = live_new(&b->config, &b->config, 2, &keys, 1);
    assert_non_null(fresh);
    own_tell_store(&fresh->config, b->store);
    own_set(&b->own, fresh);
    live_unref(fresh);
    assert_int_equal(store_own_find(b->store, (struct slice){"shop", 4}), -1);
    assert_int_equal(b->own.asking->sources[0].agent.family, 0);
    assert_int_equal(b->own.asking->sources[1].agent.family, 4);
    assert_string_not_equal(b->own.servers[0].service, "shop");
    uv_run(&b->loop, UV_RUN_NOWAIT);
    mem_fail_after(1); /* the old one is asked by */
    own_set(&b->own, b->live);
    mem_fail_after(0);
    assert_int_equal(b->own.asking->sources[1].agent.family, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sources_are_as_configured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(doors_take_their_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_is_asked_by_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_door_that_fails_leaves_nothing_open, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
