/* Slots, redirects, and the map of a cluster as its nodes tell it. */
#include "store/engine_redis_map.h"

#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint16_t slot(const char *name)
{
    return redis_slot(name, strlen(name));
}

/* As CLUSTER KEYSLOT of Redis 7.0 says them. */
static void test_slots(void **state)
{
    (void)state;
    assert_int_equal(slot("123456789"), 12739);
    assert_int_equal(slot("foo"), 12182);
    assert_int_equal(slot(""), 0);
    assert_int_equal(slot("{user1000}.following"), slot("user1000"));
    assert_int_equal(slot("foo{}{bar}"), 8363);
    assert_int_equal(slot("foo{{bar}}zap"), slot("{bar"));
    assert_int_equal(slot("foo{bar}{zap}"), slot("bar"));
    assert_int_equal(slot("foo{bar"), 15278);
}

static enum redis_redirect redirect(const char *text, uint16_t *n, struct redis_place *p)
{
    return redis_redirect_parse(text, strlen(text), n, p);
}

static void test_redirects(void **state)
{
    uint16_t n = 0;
    struct redis_place p;
    (void)state;
    assert_int_equal(redirect("MOVED 3999 127.0.0.1:6381", &n, &p), REDIS_MOVED);
    assert_int_equal(n, 3999);
    assert_string_equal(p.host, "127.0.0.1");
    assert_int_equal(p.port, 6381);
    assert_int_equal(redirect("ASK 16383 redis-2.example:7", &n, &p), REDIS_ASK);
    assert_int_equal(n, 16383);
    assert_string_equal(p.host, "redis-2.example");
    assert_int_equal(redirect("MOVED 1 :6381", &n, &p), REDIS_MOVED); /* the one asked */
    assert_string_equal(p.host, "");
    assert_int_equal(redirect("MOVED 1 2001:db8::7:6381", &n, &p), REDIS_MOVED);
    assert_string_equal(p.host, "2001:db8::7");
    assert_int_equal(redirect("MOVED 1 [::1]:6381", &n, &p), REDIS_MOVED);
    assert_string_equal(p.host, "::1");
}

static void test_redirects_that_are_none(void **state)
{
    static const char *const bad[] = {"",
                                      "MOVED",
                                      "MOVED ",
                                      "MOVED 1",
                                      "MOVED 1 ",
                                      "MOVED 1 host",
                                      "MOVED 1 host:",
                                      "MOVED 1 host:0",
                                      "MOVED 1 host:65536",
                                      "MOVED 1 host:99999999",
                                      "MOVED 16384 host:1",
                                      "MOVED -1 host:1",
                                      "MOVED  1 host:1",
                                      "MOVED 1 ho st:1",
                                      "MOVED 1 ho/st:1",
                                      "ASKED 1 host:1",
                                      "ERR MOVED 1 host:1"};
    char text[400] = "MOVED 1 ";
    uint16_t n;
    struct redis_place p;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(redirect(bad[i], &n, &p), REDIS_STAYS);
    memset(text + 8, 'a', REDIS_HOST_MAX);
    strcpy(text + 8 + REDIS_HOST_MAX, ":1");
    assert_int_equal(redirect(text, &n, &p), REDIS_STAYS);
    memmove(text + 8, text + 9, strlen(text + 8));
    assert_int_equal(redirect(text, &n, &p), REDIS_MOVED);
}

static struct redis_map map;
static bool tls;

static int parse(const char *text)
{
    static const struct redis_place asked = {"10.0.0.9", 7000};
    struct redis_answers *answers = redis_answers_new();
    struct redis_answer *a;
    assert_non_null(answers);
    assert_int_equal(redis_answers_feed(answers, text, strlen(text)), STEAD_OK);
    assert_int_equal(redis_answers_next(answers, &a), STEAD_OK);
    int err = redis_map_parse(a, &asked, tls, &map);
    redis_answer_free(a);
    redis_answers_free(answers);
    return err;
}

#define NODE(host, port, id) "*3\r\n" host ":" port "\r\n" id
#define ID(c) "$3\r\nid" c "\r\n"

static void test_slots_answer(void **state)
{
    (void)state;
    assert_int_equal(
        parse("*3\r\n"
              "*4\r\n:0\r\n:5460\r\n" NODE("$8\r\n10.0.0.1\r\n", "7001", ID("a"))
                  NODE("$8\r\n10.0.0.4\r\n", "7004", ID("d")) "*3\r\n:5461\r\n:10922\r\n" NODE(
                      "$-1\r\n", "7002", ID("b")) "*3\r\n:10923\r\n:16383\r\n"
                                                  "*4\r\n$4\r\nr3.x\r\n:7003\r\n" ID("c") "*0\r\n"),
        STEAD_OK);
    assert_int_equal(map.count, 3);
    assert_true(redis_map_whole(&map));
    assert_int_equal(map.owner[0], 1);
    assert_int_equal(map.owner[5460], 1);
    assert_int_equal(map.owner[5461], 2);
    assert_int_equal(map.owner[16383], 3);
    assert_int_equal(map.primaries[0].replicas, 1);
    assert_int_equal(map.primaries[1].replicas, 0);
    assert_string_equal(map.primaries[0].id, "ida");
    assert_string_equal(map.primaries[1].place.host, "10.0.0.9"); /* who was asked */
    assert_string_equal(map.primaries[2].place.host, "r3.x");
}

#define SHARD_NODE(role, port)                                                                     \
    "*8\r\n$2\r\nid\r\n$3\r\nid1\r\n$4\r\nport\r\n:" port                                          \
    "\r\n$8\r\nendpoint\r\n$8\r\n10.0.0.1\r\n$4\r\nrole\r\n" role

static void test_shards_answer(void **state)
{
    (void)state;
    assert_int_equal(
        parse("*2\r\n*4\r\n$5\r\nslots\r\n*4\r\n:0\r\n:9\r\n:20\r\n:16383\r\n"
              "$5\r\nnodes\r\n*2\r\n" SHARD_NODE("$7\r\nreplica\r\n", "7004") SHARD_NODE(
                  "$6\r\nmaster\r\n", "7001") "*4\r\n$5\r\nslots\r\n*0\r\n$5\r\nnodes\r\n*0\r\n"),
        STEAD_OK);
    assert_int_equal(map.count, 1);
    assert_int_equal(map.primaries[0].place.port, 7001);
    assert_int_equal(map.primaries[0].replicas, 1);
    assert_int_equal(map.owner[9], 1);
    assert_int_equal(map.owner[10], 0);
    assert_false(redis_map_whole(&map));
}

static void test_shards_of_two_ports(void **state)
{
    static const char text[] = "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:9\r\n$5\r\nnodes\r\n*1\r\n"
                               "*8\r\n$4\r\nport\r\n:1\r\n$8\r\ntls-port\r\n:2\r\n"
                               "$2\r\nip\r\n$1\r\na\r\n$4\r\nrole\r\n$6\r\nmaster\r\n";
    (void)state;
    assert_int_equal(parse(text), STEAD_OK);
    assert_int_equal(map.primaries[0].place.port, 1);
    tls = true;
    assert_int_equal(parse(text), STEAD_OK);
    assert_int_equal(map.primaries[0].place.port, 2);
    tls = false;
}

static void test_maps_that_are_none(void **state)
{
    static const char *const bad[] = {
        "+OK\r\n",
        ":1\r\n",
        "*1\r\n+OK\r\n",
        "*1\r\n*0\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n:2\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:-1\r\n:3\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:3\r\n*2\r\n$1\r\na\r\n:0\r\n",
        "*1\r\n*3\r\n:0\r\n:3\r\n*2\r\n$1\r\n?\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:3\r\n*1\r\n$1\r\na\r\n",
        "*1\r\n*3\r\n:0\r\n:3\r\n*2\r\n:1\r\n:1\r\n",
        "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:9\r\n$5\r\nnodes\r\n*0\r\n",
        "*1\r\n*4\r\n$5\r\nslots\r\n:1\r\n$5\r\nnodes\r\n*0\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(parse(bad[i]), STEAD_E_PARSE);
}

static void test_too_many_primaries(void **state)
{
    struct redis_place p = {"10.0.0.1", 1};
    (void)state;
    redis_map_single(&map, &p, 0);
    assert_true(redis_map_whole(&map));
    for (uint16_t i = 1; i < REDIS_PRIMARIES_MAX; i++) {
        p.port = (uint16_t)(i + 1);
        assert_int_equal(redis_map_move(&map, i, &p), STEAD_OK);
        assert_int_equal(map.owner[i], i + 1);
    }
    p.port++;
    assert_int_equal(redis_map_move(&map, 3, &p), STEAD_E_FULL);
    assert_int_equal(map.owner[3], 4);
}

static void test_a_primary_that_is_lost(void **state)
{
    static struct redis_map before, now;
    struct redis_place p = {"10.0.0.1", 1}, other = {"10.0.0.2", 1};
    (void)state;
    redis_map_single(&before, &p, 0);
    strcpy(before.primaries[0].id, "a");
    now = before;
    assert_int_equal(redis_map_move(&now, 7, &other), STEAD_OK); /* slots go, it stays */
    assert_false(redis_map_lost(&before, &now));
    assert_false(redis_map_lost(&now, &before)); /* of a redirect: it has no name */
    strcpy(now.primaries[0].id, "b");
    assert_true(redis_map_lost(&before, &now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_redirects_that_are_none),
        cmocka_unit_test(test_slots_answer),
        cmocka_unit_test(test_shards_answer),
        cmocka_unit_test(test_shards_of_two_ports),
        cmocka_unit_test(test_maps_that_are_none),
        cmocka_unit_test(test_too_many_primaries),
        cmocka_unit_test(test_a_primary_that_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
