/* sessiond_door_test.c - what stunnel says and hears, with a store that answers at once and with
 * one that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/sessiond/sessiond.h"
#include "gate_store.h"
#include "role/gate/sessiond_door.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE 10000 /* ms; nothing takes so long but when it fails */

struct bench {
    struct store store;
    struct sessiond_door *door;
    struct sessiond_counters counters;
    int client;
};

static void prepare(struct bench *b)
{
    memset(b, 0, sizeof *b);
    kinds_default(&b->store.kinds);
    list_init(&b->store.waiting);
}

static void open_door(struct bench *b)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    struct timeval patience = {PATIENCE / 1000, 0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    b->client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(b->client, (struct sockaddr *)&at, len), 0);
    setsockopt(b->client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sessiond_door_config c = {
        .fd = fd, .store = &b->store, .mailbox = 3, .kind = 0, .counters = &b->counters};
    assert_int_equal(sessiond_door_open(&c, &b->door), STEAD_OK);
}

static void close_bench(struct bench *b)
{
    sessiond_door_close(b->door);
    close(b->client);
    struct list *link;
    while ((link = list_pop(&b->store.waiting)) != NULL)
        session_result_free(list_entry(link, struct session_result, link));
    while (b->store.count > 0)
        record_free(b->store.records[--b->store.count]);
}

static void say(struct bench *b, uint8_t verb, uint8_t id, size_t value_len)
{
    uint8_t d[SESSIOND_DATAGRAM_MAX + 64] = {1, verb, verb == 0 ? 1 : 0, verb == 0 ? 0x2c : 0, id};
    memset(d + SESSIOND_HEAD_BYTES, id, value_len);
    size_t len = SESSIOND_HEAD_BYTES + value_len;
    assert_int_equal(send(b->client, d, len, 0), (ssize_t)len);
}

/* The answer to a GET of that id. value_len 0: there is none. */
static void hear(struct bench *b, uint8_t id, size_t value_len)
{
    uint8_t d[SESSIOND_DATAGRAM_MAX + 1];
    ssize_t n = recv(b->client, d, sizeof d, 0);
    assert_int_equal(n, SESSIOND_HEAD_BYTES + value_len);
    assert_int_equal(d[0], 1);
    assert_int_equal(d[1], value_len > 0 ? 0x81 : 0x80);
    assert_int_equal(d[4], id);
    for (size_t i = 0; i < value_len; i++)
        assert_int_equal(d[SESSIOND_HEAD_BYTES + i], id);
}

static void ask(struct bench *b, uint8_t id, size_t value_len)
{
    say(b, SESSIOND_GET, id, 0);
    hear(b, id, value_len);
}

static void reaches(atomic_uint_fast64_t *counter, uint64_t wanted)
{
    for (int i = 0; i < PATIENCE && atomic_load(counter) < wanted; i++)
        usleep(1000);
    assert_int_equal(atomic_load(counter), wanted);
}

static void a_life(bool delay)
{
    struct bench b;
    prepare(&b);
    b.store.delay = delay;
    open_door(&b);
    ask(&b, 1, 0);
    say(&b, SESSIOND_NEW, 1, 160);
    say(&b, SESSIOND_NEW, 2, SESSIOND_VALUE_MAX);
    ask(&b, 1, 160);
    ask(&b, 2, SESSIOND_VALUE_MAX);
    say(&b, SESSIOND_REMOVE, 1, 0);
    ask(&b, 1, 0);
    ask(&b, 2, SESSIOND_VALUE_MAX);
    say(&b, SESSIOND_REMOVE, 3, 0);
    ask(&b, 3, 0);
    assert_int_equal(b.counters.hits, 3);
    assert_int_equal(b.counters.elsewhere, delay ? 3 : 0);
    assert_int_equal(b.counters.misses, 3);
    assert_int_equal(b.counters.stores, 2);
    assert_int_equal(b.counters.removals, 2);
    assert_int_equal(b.counters.failed + b.counters.malformed, 0);
    sessiond_door_close(b.door);
    b.door = NULL;
    assert_int_equal(b.store.records[1]->ttl_ms, 300000);
    close_bench(&b);
}

static void test_a_session_lives_and_ends(void **state)
{
    (void)state;
    a_life(false);
}

static void test_and_where_others_are_asked(void **state)
{
    (void)state;
    a_life(true);
}

static void test_what_is_no_request_gets_no_answer(void **state)
{
    (void)state;
    struct bench b;
    prepare(&b);
    open_door(&b);
    say(&b, 3, 1, 0);
    say(&b, SESSIOND_NEW, 1, SESSIOND_VALUE_MAX + 1);
    say(&b, SESSIOND_NEW, 1, SESSIOND_VALUE_MAX + 28);
    say(&b, SESSIOND_GET, 1, 7);
    assert_int_equal(send(b.client, "", 0, 0), 0);
    ask(&b, 1, 0);
    assert_int_equal(b.counters.malformed, 5);
    assert_int_equal(b.counters.requests, 6);
    assert_int_equal(b.counters.stores, 0);
    close_bench(&b);
}

static void test_what_fails_is_counted(void **state)
{
    (void)state;
    struct bench b;
    prepare(&b);
    b.store.spoil[SESSION_CREATE] = STEAD_E_FULL;
    b.store.spoil[SESSION_READ] = STEAD_E_BUSY;
    b.store.spoil[SESSION_END] = STEAD_E_UNREACHABLE;
    open_door(&b);
    say(&b, SESSIOND_NEW, 1, 10);
    say(&b, SESSIOND_REMOVE, 1, 0);
    ask(&b, 1, 0);
    assert_int_equal(b.counters.failed, 2);
    assert_int_equal(b.counters.misses, 1);
    close_bench(&b);
}

static void test_nobody_told_in_time(void **state)
{
    (void)state;
    struct bench b;
    prepare(&b);
    b.store.delay = true;
    b.store.spoil[SESSION_READ] = STEAD_E_DEADLINE;
    open_door(&b);
    ask(&b, 1, 0);
    assert_int_equal(b.counters.late, 1);
    assert_int_equal(b.store.last_deadline_ns, 3000000);
    close_bench(&b);
}

/* On the door's thread: the answer comes when nobody wants it any more. */
static void dawdle(struct store *s, const struct session_op *op)
{
    (void)s;
    if (op->type == SESSION_READ)
        usleep(2 * SESSIOND_GET_MS * 1000);
}

static void test_absent_in_the_end(void **state)
{
    (void)state;
    struct bench b;
    prepare(&b);
    b.store.delay = true;
    b.store.before = dawdle;
    open_door(&b);
    ask(&b, 1, 0);
    assert_int_equal(b.counters.late, 1);
    assert_int_equal(b.counters.misses, 1);
    close_bench(&b);
}

/* Made by the session API, it may have any size. */
static void test_a_value_that_is_too_long_is_none(void **state)
{
    (void)state;
    static const uint8_t long_value[SESSIOND_VALUE_MAX + 1];
    char text[SESSIOND_KEY_BYTES];
    uint8_t id[SESSIOND_ID_BYTES] = {5};
    struct key key;
    struct stamp stamp = {1, 1, 1};
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = long_value,
                           .value_len = sizeof long_value};
    struct bench b;
    prepare(&b);
    sessiond_key(id, text);
    assert_true(key_set(&key, 0, text, sizeof text));
    struct record *r = b.store.records[b.store.count++] = record_new(&key);
    r->ttl_ms = 60000;
    assert_int_equal(record_apply(r, &set, 1, &stamp, 0), STEAD_OK);
    open_door(&b);
    ask(&b, 5, 0);
    close_bench(&b);
}

static void never(void *context)
{
    (void)context;
}

/* On the door's thread. */
static void mute(struct store *s, const struct session_op *op)
{
    (void)op;
    s->wake = (struct store_wake){never, NULL};
}

static void test_so_many_wait_at_once(void **state)
{
    (void)state;
    struct bench b;
    prepare(&b);
    b.store.delay = true;
    b.store.before = mute;
    open_door(&b);
    for (unsigned i = 0; i < SESSIOND_WAITING_MAX; i++) {
        say(&b, SESSIOND_GET, 1, 0);
        reaches(&b.counters.requests, i + 1);
    }
    ask(&b, 2, 0);
    assert_int_equal(b.counters.full, 1);
    assert_int_equal(b.counters.misses, 1);
    sessiond_door_retire(b.door, true); /* which wakes it */
    reaches(&b.counters.misses, SESSIOND_WAITING_MAX + 1);
    hear(&b, 1, 0);
    close_bench(&b);
}

static void test_a_retired_door_leaves_datagrams_to_another(void **state)
{
    (void)state;
    struct bench b;
    prepare(&b);
    open_door(&b);
    ask(&b, 1, 0);
    sessiond_door_retire(b.door, true);
    usleep(50000); /* by now it does not look */
    say(&b, SESSIOND_GET, 1, 0);
    usleep(50000);
    assert_int_equal(b.counters.requests, 1);
    sessiond_door_retire(b.door, false);
    hear(&b, 1, 0);
    close_bench(&b);
}

/* More than the largest queue holds. */
static void test_datagrams_that_find_no_room(void **state)
{
    (void)state;
    struct bench b;
    prepare(&b);
    open_door(&b);
    ask(&b, 1, 0);
    sessiond_door_retire(b.door, true);
    usleep(50000); /* by now it does not look */
    for (int i = 0; i < 30000; i++)
        say(&b, SESSIOND_REMOVE, 1, 0);
    sessiond_door_retire(b.door, false);
    uint64_t before;
    do {
        before = b.counters.requests;
        usleep(100000);
    } while (b.counters.requests != before || before == 1);
    ask(&b, 1, 0); /* it tells of those before */
    uint64_t dropped = b.counters.dropped;
    assert_true(dropped > 0);
    assert_int_equal(b.counters.removals + dropped, 30000);
    close_bench(&b);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct bench b;
    prepare(&b);
    struct sessiond_door_config c = {
        .fd = -1, .store = &b.store, .mailbox = 3, .counters = &b.counters};
    mem_fail_after(1);
    assert_int_equal(sessiond_door_open(&c, &b.door), STEAD_E_NOMEM);
    assert_null(b.door);
    sessiond_door_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session_lives_and_ends),
        cmocka_unit_test(test_and_where_others_are_asked),
        cmocka_unit_test(test_what_is_no_request_gets_no_answer),
        cmocka_unit_test(test_what_fails_is_counted),
        cmocka_unit_test(test_nobody_told_in_time),
        cmocka_unit_test(test_absent_in_the_end),
        cmocka_unit_test(test_a_value_that_is_too_long_is_none),
        cmocka_unit_test(test_so_many_wait_at_once),
        cmocka_unit_test(test_a_retired_door_leaves_datagrams_to_another),
        cmocka_unit_test(test_datagrams_that_find_no_room),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
