/* The engine against servers that a test has say what it likes: redirects, refusals, ends in
 * mid-answer, primaries that come back as others. */
#include "fake_redis.h"

#include "base/mem.h"
#include "stead/error.h"
#include "store/engine_redis_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#define ONCE(verb_, reply_) ((struct fake_rule){.verb = (verb_), .times = 1, .reply = (reply_)})
#define SLOT_7 "7020" /* of name_of(7) under this prefix */

struct rig {
    struct fake one, two;
    struct engine_redis_stats stats;
    struct engine *e;
};

static void name_of(uint32_t n, uint8_t name[ENGINE_NAME_BYTES])
{
    memset(name, 0, ENGINE_NAME_BYTES);
    for (int i = 0; i < 4; i++)
        name[i] = (uint8_t)(n >> (24 - 8 * i));
}

static int open_as(struct rig *r, const char *user, const char *password, struct engine **e)
{
    char addresses[80];
    snprintf(addresses, sizeof(addresses), "%s, %s", r->one.address, r->two.address);
    struct engine_redis_config c = {.addresses = addresses,
                                    .prefix = "0123abcd",
                                    .user = user,
                                    .password = password,
                                    .stats = &r->stats};
    *e = NULL;
    return engine_redis_open(&c, e);
}

static int set_up(void **state)
{
    static struct rig rig;
    memset(&rig.stats, 0, sizeof(rig.stats));
    rig.e = NULL;
    *state = &rig;
    return fake_start(&rig.one) && fake_start(&rig.two) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    engine_close(r->e);
    r->e = NULL;
    fake_stop(&r->one);
    fake_stop(&r->two);
    return 0;
}

/* Both in a cluster; all slots are the first one's. */
static void as_cluster(struct rig *r, const char *id)
{
    unsigned port = (unsigned)atoi(strchr(r->one.address, ':') + 1);
    fake_info(&r->one, "one", "master", true, 0);
    fake_info(&r->two, "two", "master", true, 0);
    for (int i = 0; i < 2; i++)
        snprintf(i ? r->two.map : r->one.map, sizeof(r->one.map),
                 "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$3\r\n%s\r\n", port,
                 id);
}

static void opened(struct rig *r)
{
    assert_int_equal(open_as(r, NULL, NULL, &r->e), STEAD_OK);
    r->one.order_count = 0;
}

static int put_one(struct rig *r, uint32_t n, const char *text, uint64_t life_ms)
{
    struct engine_put p = {
        .bytes = (const uint8_t *)text, .len = text ? strlen(text) : 0, .life_ms = life_ms};
    name_of(n, p.name);
    return r->e->calls->put(r->e, &p, 1);
}

struct got {
    size_t count, stop_at, len;
    bool sorted;
    uint8_t bytes[64], last[ENGINE_NAME_BYTES];
};

static bool take(void *context, const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes,
                 size_t len)
{
    struct got *g = context;
    g->sorted = (g->count == 0 || g->sorted) &&
                (g->count == 0 || memcmp(g->last, name, sizeof(g->last)) < 0);
    memcpy(g->last, name, ENGINE_NAME_BYTES);
    g->len = len;
    memcpy(g->bytes, bytes, len < sizeof(g->bytes) ? len : sizeof(g->bytes));
    return ++g->count != g->stop_at;
}

static int get_one(struct rig *r, uint32_t n, struct got *g)
{
    uint8_t name[ENGINE_NAME_BYTES];
    name_of(n, name);
    *g = (struct got){0};
    return r->e->calls->get(r->e, name, take, g);
}

static void holds(struct rig *r, uint32_t n, const char *text)
{
    struct got g;
    assert_int_equal(get_one(r, n, &g), STEAD_OK);
    assert_int_equal(g.len, strlen(text));
    assert_memory_equal(g.bytes, text, g.len);
}

static void test_put_get_delete(void **state)
{
    struct rig *r = *state;
    struct got g;
    opened(r);
    assert_int_equal(get_one(r, 7, &g), STEAD_E_ABSENT);
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    assert_int_equal(r->one.with_life, 0);
    assert_int_equal(put_one(r, 8, "eight", 60000), STEAD_OK);
    assert_int_equal(r->one.with_life, 1);
    holds(r, 7, "seven");
    holds(r, 8, "eight");
    assert_int_equal(put_one(r, 7, NULL, 0), STEAD_OK);
    assert_int_equal(put_one(r, 9, NULL, 0), STEAD_OK); /* was never there */
    assert_int_equal(get_one(r, 7, &g), STEAD_E_ABSENT);
    assert_int_equal(r->one.waits, 0); /* there is no replica */
    assert_int_equal(r->two.accepted, 0);
}

/* Each name under the farm's prefix; strange ones are not the engine's. */
static void test_walk_in_order(void **state)
{
    struct rig *r = *state;
    struct got g = {.stop_at = 30};
    struct resp_command foreign = {.argc = 3, .argv = {{"SET", 3}, {"other", 5}, {"x", 1}}};
    struct resp_out o;
    char bytes[64];
    opened(r);
    for (uint32_t n = 0; n < 100; n++)
        assert_int_equal(put_one(r, n * 7919 % 100, "x", 0), STEAD_OK);
    resp_out_init(&o, bytes, sizeof(bytes), false);
    pthread_mutex_lock(&r->one.lock);
    fake_set(&r->one, &foreign, &o);
    foreign.argv[1] = (struct slice){"stead:0123abcd:short", 20};
    fake_set(&r->one, &foreign, &o);
    foreign.argv[1] =
        (struct slice){"stead:0123abcd:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA!", 58};
    fake_set(&r->one, &foreign, &o);
    pthread_mutex_unlock(&r->one.lock);
    assert_int_equal(r->e->calls->walk(r->e, NULL, take, &g), STEAD_OK);
    assert_int_equal(g.count, 30);
    assert_true(g.sorted);
    uint8_t after[ENGINE_NAME_BYTES];
    memcpy(after, g.last, sizeof(after));
    assert_int_equal(put_one(r, 29, NULL, 0), STEAD_OK); /* the one it stands at goes */
    assert_int_equal(put_one(r, 31, NULL, 0), STEAD_OK); /* and one behind it */
    g = (struct got){0};
    assert_int_equal(r->e->calls->walk(r->e, after, take, &g), STEAD_OK);
    assert_int_equal(g.count, 69);
    assert_true(g.sorted);
    g = (struct got){0};
    assert_int_equal(r->e->calls->walk(r->e, NULL, take, &g), STEAD_OK);
    assert_int_equal(g.count, 98);
}

/* More names than are held at a time, some told twice: pass after pass, in order, each once. */
static void test_walk_in_windows(void **state)
{
    struct rig *r = *state;
    opened(r);
    for (uint32_t n = 0; n < 100; n++)
        assert_int_equal(put_one(r, n * 7919 % 100, "x", 0), STEAD_OK);
    for (size_t max = 1; max < 120; max += max < 8 ? 1 : 13) {
        struct got g = {0};
        ((struct redis *)(void *)r->e)->window.max = max;
        assert_int_equal(r->e->calls->walk(r->e, NULL, take, &g), STEAD_OK);
        assert_int_equal(g.count, 100);
        assert_true(g.sorted);
    }
}

/* As a sweep does: some at a time, each from where the last one ended. */
static void test_walk_by_and_by(void **state)
{
    struct rig *r = *state;
    uint8_t after[ENGINE_NAME_BYTES];
    size_t seen = 0;
    opened(r);
    for (uint32_t n = 0; n < 100; n++)
        assert_int_equal(put_one(r, n, "x", 0), STEAD_OK);
    ((struct redis *)(void *)r->e)->window.max = 30;
    for (bool more = true; more;) {
        struct got g = {.stop_at = 7};
        assert_int_equal(r->e->calls->walk(r->e, seen ? after : NULL, take, &g), STEAD_OK);
        assert_true(g.count == 0 || g.sorted);
        assert_true(g.count == 0 || seen == 0 || memcmp(after, g.last, sizeof(after)) < 0);
        memcpy(after, g.last, sizeof(after));
        seen += g.count;
        more = g.count == 7;
    }
    assert_int_equal(seen, 100);
}

static void test_many_in_a_batch(void **state)
{
    struct rig *r = *state;
    static struct engine_put puts[700];
    struct engine_stats st;
    opened(r);
    for (uint32_t n = 0; n < 700; n++) {
        puts[n] = (struct engine_put){.bytes = (const uint8_t *)"value", .len = 5};
        name_of(n, puts[n].name);
    }
    assert_int_equal(r->e->calls->put(r->e, puts, 700), STEAD_OK);
    assert_int_equal(r->one.sets, 700);
    assert_int_equal(r->e->calls->stats(r->e, &st), STEAD_OK);
    assert_int_equal(st.records, 701); /* and the lock */
    holds(r, 699, "value");
}

/* What stands last in a batch says that the rest is there. */
static void test_the_last_comes_last(void **state)
{
    struct rig *r = *state;
    struct engine_put puts[3] = {{.bytes = (const uint8_t *)"a", .len = 1},
                                 {.bytes = (const uint8_t *)"b", .len = 1},
                                 {.bytes = (const uint8_t *)"c", .len = 1}};
    struct got g;
    for (uint32_t n = 0; n < 3; n++)
        name_of(n, puts[n].name);
    opened(r);
    fake_rule(&r->one, ONCE("SET", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"));
    assert_int_equal(r->e->calls->put(r->e, puts, 3), STEAD_E_FULL);
    assert_int_equal(get_one(r, 0, &g), STEAD_E_ABSENT);
    assert_int_equal(get_one(r, 2, &g), STEAD_E_ABSENT);
    assert_int_equal(r->e->calls->put(r->e, puts, 3), STEAD_OK);
    holds(r, 2, "c");
}

static void test_moved(void **state)
{
    struct rig *r = *state;
    char moved[64];
    struct got g;
    as_cluster(r, "idx");
    opened(r);
    snprintf(moved, sizeof(moved), "-MOVED " SLOT_7 " %s\r\n", r->two.address);
    fake_rule(&r->one, ONCE("SET", moved));
    /* The map says the same as before: the redirect held for this once. */
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    assert_int_equal(r->two.sets, 1);
    assert_int_equal(r->one.sets, 0);
    assert_int_equal(r->stats.redirects, 1);
    assert_int_equal(r->stats.maps, 2); /* read once more */
    assert_int_equal(get_one(r, 7, &g), STEAD_E_ABSENT);
}

static void test_ask(void **state)
{
    struct rig *r = *state;
    char ask[64];
    as_cluster(r, "idx");
    opened(r);
    snprintf(ask, sizeof(ask), "-ASK " SLOT_7 " %s\r\n", r->two.address);
    fake_rule(&r->one, ONCE("SET", ask));
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    assert_int_equal(r->two.sets, 1);
    assert_int_equal(r->two.asking, 1);
    assert_int_equal(r->stats.maps, 1); /* one name has moved, the slot has not */
    assert_int_equal(put_one(r, 7, "again", 0), STEAD_OK);
    assert_int_equal(r->one.sets, 1);
}

/* Whoever was configured is gone for good: the others of the cluster are known. */
static void test_learned_servers_are_asked(void **state)
{
    struct rig *r = *state;
    const char *address = r->one.address;
    struct engine_redis_config c = {.addresses = address, .prefix = "a", .stats = &r->stats};
    unsigned port = (unsigned)atoi(strchr(r->two.address, ':') + 1);
    as_cluster(r, "idx");
    snprintf(r->one.map, sizeof(r->one.map),
             "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$3\r\nidy\r\n", port);
    strcpy(r->two.map, r->one.map);
    assert_int_equal(engine_redis_open(&c, &r->e), STEAD_OK);
    engine_close(r->e);
    r->e = NULL;
    c.addresses = "127.0.0.1:1";
    assert_int_equal(engine_redis_open(&c, &r->e), STEAD_OK);
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    assert_int_equal(r->two.sets, 1);
}

static void test_redirected_for_ever(void **state)
{
    struct rig *r = *state;
    char there[64], back[64];
    as_cluster(r, "idx");
    opened(r);
    snprintf(there, sizeof(there), "-MOVED " SLOT_7 " %s\r\n", r->two.address);
    snprintf(back, sizeof(back), "-MOVED " SLOT_7 " %s\r\n", r->one.address);
    fake_rule(&r->one, (struct fake_rule){.verb = "SET", .times = 1000, .reply = there});
    fake_rule(&r->two, (struct fake_rule){.verb = "SET", .times = 1000, .reply = back});
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_E_IO);
    assert_non_null(strstr(r->stats.why, "again and again"));
}

/* A server that is no cluster has no business to send one elsewhere; nor for another slot. */
static void test_redirects_that_are_not_followed(void **state)
{
    struct rig *r = *state;
    char moved[64];
    opened(r);
    snprintf(moved, sizeof(moved), "-MOVED " SLOT_7 " %s\r\n", r->two.address);
    fake_rule(&r->one, ONCE("SET", moved));
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_E_IO);
    assert_int_equal(r->two.accepted, 0);
}

static void test_try_again(void **state)
{
    struct rig *r = *state;
    as_cluster(r, "idx");
    opened(r);
    fake_rule(&r->one, (struct fake_rule){
                           .verb = "SET", .times = 2, .reply = "-TRYAGAIN Multiple keys\r\n"});
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    holds(r, 7, "seven");
}

static void test_refusals(void **state)
{
    static const struct {
        const char *reply;
        int err;
    } refusals[] = {{"-CLUSTERDOWN The cluster is down\r\n", STEAD_E_IO},
                    {"-LOADING Redis is loading the dataset in memory\r\n", STEAD_E_IO},
                    {"-READONLY You can't write against a read only replica.\r\n", STEAD_E_IO},
                    {"-MISCONF Redis is configured to save RDB snapshots\r\n", STEAD_E_IO},
                    {"-NOAUTH Authentication required.\r\n", STEAD_E_DENIED},
                    {"-NOPERM this user has no permissions\r\n", STEAD_E_DENIED},
                    {"-OOM command not allowed\r\n", STEAD_E_FULL},
                    {":1\r\n", STEAD_E_PARSE},
                    {"$-1\r\n", STEAD_E_PARSE},
                    {"what is this\r\n", STEAD_E_PARSE}};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        opened(r);
        fake_rule(&r->one, ONCE("SET", refusals[i].reply));
        assert_int_equal(put_one(r, 7, "seven", 0), refusals[i].err);
        assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
        engine_close(r->e);
        r->e = NULL;
        r->one.rule_count = 0;
    }
    assert_non_null(strstr(r->stats.why, "protocol"));
}

/* The same process answers again: nothing that it had taken is gone. */
static void test_closed_in_mid_answer(void **state)
{
    struct rig *r = *state;
    opened(r);
    fake_rule(&r->one,
              (struct fake_rule){.verb = "SET", .times = 1, .reply = "+O", .closes = true});
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    holds(r, 7, "seven");
    assert_int_equal(r->stats.connections, 2);
    assert_int_equal(r->stats.lost, 0);
    fake_rule(&r->one, (struct fake_rule){
                           .verb = "GET", .times = 1000, .reply = "$9\r\nhal", .closes = true});
    struct got g;
    assert_int_equal(get_one(r, 7, &g), STEAD_E_IO);
    assert_int_equal(g.count, 0);
    r->one.rule_count = 0;
    holds(r, 7, "seven");
}

/* Another process answers: it may have less than what the first one had taken. */
static void test_a_server_that_began_anew(void **state)
{
    struct rig *r = *state;
    opened(r);
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    fake_info(&r->one, "another", "master", false, 0);
    fake_hang_up(&r->one);
    assert_int_equal(put_one(r, 8, "eight", 0), STEAD_E_IO);
    assert_int_equal(r->stats.lost, 1);
    engine_close(r->e);
    opened(r); /* at once: the lock is still this process's */
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
}

static void test_a_primary_that_was_replaced(void **state)
{
    struct rig *r = *state;
    char moved[64];
    as_cluster(r, "idx");
    opened(r);
    as_cluster(r, "idy");
    snprintf(moved, sizeof(moved), "-MOVED " SLOT_7 " %s\r\n", r->two.address);
    fake_rule(&r->one, ONCE("SET", moved));
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_E_IO);
    assert_int_equal(r->stats.lost, 1);
}

static void test_a_server_that_says_nothing(void **state)
{
    struct rig *r = *state;
    opened(r);
    fake_rule(&r->one, ONCE("SET", ""));
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK); /* asked again on another connection */
    assert_int_equal(r->stats.connections, 2);
}

static void test_nobody_is_there(void **state)
{
    struct rig *r = *state;
    struct engine_redis_config c = {.addresses = "127.0.0.1:1", .prefix = "a", .stats = &r->stats};
    assert_int_equal(engine_redis_open(&c, &r->e), STEAD_E_IO);
    assert_non_null(strstr(r->stats.why, "refused"));
    assert_null(r->e);
}

static void test_the_second_address(void **state)
{
    struct rig *r = *state;
    fake_info(&r->one, "one", "slave", false, 0);
    opened(r);
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    assert_int_equal(r->two.sets, 1);
}

static void test_it_is_loading(void **state)
{
    struct rig *r = *state;
    fake_rule(&r->one,
              (struct fake_rule){.verb = "INFO", .times = 9, .reply = "$9\r\nloading:1\r\n"});
    fake_rule(&r->two, (struct fake_rule){.verb = "INFO", .times = 9, .reply = "-LOADING\r\n"});
    assert_int_equal(open_as(r, NULL, NULL, &r->e), STEAD_E_IO);
    assert_null(r->e);
}

static void test_passwords(void **state)
{
    struct rig *r = *state;
    fake_rule(&r->one, (struct fake_rule){.verb = "AUTH", .times = 9, .reply = "+OK\r\n"});
    assert_int_equal(open_as(r, "stead", "secret", &r->e), STEAD_OK);
    assert_string_equal(r->one.order[0], "AUTH");
    engine_close(r->e);
    r->e = NULL;
    r->one.rule_count = 0;
    for (int i = 0; i < 2; i++)
        fake_rule(i ? &r->one : &r->two,
                  (struct fake_rule){
                      .verb = "AUTH", .times = 9, .reply = "-WRONGPASS invalid username\r\n"});
    assert_int_equal(open_as(r, "stead", "wrong", &r->e), STEAD_E_DENIED);
    for (int i = 0; i < 2; i++)
        fake_rule(i ? &r->one : &r->two,
                  (struct fake_rule){
                      .verb = "INFO", .times = 9, .reply = "-NOAUTH Authentication required.\r\n"});
    assert_int_equal(open_as(r, NULL, NULL, &r->e), STEAD_E_DENIED);
    assert_null(r->e);
}

static void test_a_replica_is_waited_for(void **state)
{
    struct rig *r = *state;
    fake_info(&r->one, "one", "master", false, 1);
    opened(r);
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    assert_int_equal(r->one.waits, 1);
    assert_int_equal(r->stats.unsure, 0);
    fake_rule(&r->one, ONCE("WAIT", ":0\r\n"));
    assert_int_equal(put_one(r, 7, "eight", 0), STEAD_OK);
    assert_int_equal(r->stats.unsure, 1);
    holds(r, 7, "eight");
}

static void set_lock(struct rig *r, const char *value)
{
    struct resp_command c = {.argc = 3, .argv = {{"SET", 3}, {"stead:0123abcd:lock", 19}}};
    struct resp_out o;
    char bytes[64];
    c.argv[2] = (struct slice){value, strlen(value)};
    resp_out_init(&o, bytes, sizeof(bytes), false);
    pthread_mutex_lock(&r->one.lock);
    fake_set(&r->one, &c, &o);
    pthread_mutex_unlock(&r->one.lock);
}

/* Its holder lives: what is left of the lock's life grows. */
static void test_one_process_at_a_time(void **state)
{
    struct rig *r = *state;
    set_lock(r, "of another");
    fake_rule(&r->one, ONCE("PTTL", ":3000\r\n"));
    fake_rule(&r->one, ONCE("PTTL", ":4900\r\n"));
    assert_int_equal(open_as(r, NULL, NULL, &r->e), STEAD_E_IN_USE);
    assert_null(r->e);
    assert_int_equal(r->one.deletes, 0); /* the lock stays its holder's */
}

/* And is gone while one waits. */
static void test_the_lock_of_a_dead_one(void **state)
{
    struct rig *r = *state;
    set_lock(r, "of another");
    fake_rule(&r->one,
              (struct fake_rule){.verb = "SET", .skip = 1, .times = 1, .reply = "+OK\r\n"});
    opened(r);
}

static void test_the_lock_goes_at_the_end(void **state)
{
    struct rig *r = *state;
    opened(r);
    assert_int_equal(r->one.pair_count, 1);
    engine_close(r->e);
    r->e = NULL;
    assert_int_equal(r->one.pair_count, 0);
}

static void test_another_has_taken_the_lock(void **state)
{
    struct rig *r = *state;
    opened(r);
    set_lock(r, "of another");
    usleep(1100000); /* it is asked after once a second */
    assert_int_equal(r->e->calls->tick(r->e), STEAD_E_IN_USE);
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_E_IN_USE);
    assert_int_equal(r->one.sets, 1); /* this test's */
}

/* FLUSHALL: the lock is gone long before its time. */
static void test_a_server_that_was_emptied(void **state)
{
    struct rig *r = *state;
    opened(r);
    assert_int_equal(put_one(r, 7, "seven", 0), STEAD_OK);
    pthread_mutex_lock(&r->one.lock);
    while (r->one.pair_count > 0)
        fake_forget(&r->one, &r->one.pairs[0]);
    pthread_mutex_unlock(&r->one.lock);
    usleep(1100000);
    assert_int_equal(r->e->calls->tick(r->e), STEAD_E_IO);
    assert_int_equal(r->stats.lost, 1);
    engine_close(r->e);
    opened(r);
    assert_int_equal(r->e->calls->tick(r->e), STEAD_OK);
}

static void test_hostile_scans(void **state)
{
    static const char *const replies[] = {"+OK\r\n",
                                          "*2\r\n$1\r\n0\r\n:1\r\n",
                                          "*1\r\n$1\r\n0\r\n",
                                          "*2\r\n$3\r\n1;2\r\n*0\r\n",
                                          "*2\r\n$0\r\n\r\n*0\r\n",
                                          "*2\r\n$21\r\n111111111111111111111\r\n*0\r\n",
                                          "*2\r\n:0\r\n*0\r\n"};
    struct rig *r = *state;
    struct got g = {0};
    for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
        opened(r);
        fake_rule(&r->one, ONCE("SCAN", replies[i]));
        assert_int_equal(r->e->calls->walk(r->e, NULL, take, &g), STEAD_E_PARSE);
        engine_close(r->e);
        r->e = NULL;
        r->one.rule_count = 0;
    }
    assert_int_equal(g.count, 0);
}

static void test_snapshot_is_a_repository(void **state)
{
    struct rig *r = *state;
    char folder[] = "/tmp/stead-engine-XXXXXX", path[64], command[80];
    struct engine *copy;
    struct engine_stats st;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/copy", folder);
    opened(r);
    for (uint32_t n = 0; n < 100; n++)
        assert_int_equal(put_one(r, n, "x", 0), STEAD_OK);
    assert_int_equal(r->e->calls->snapshot(r->e, path), STEAD_OK);
    assert_int_equal(r->e->calls->snapshot(r->e, path), STEAD_E_EXISTS);
    assert_int_equal(engine_lmdb_open(path, 64u << 20, &copy), STEAD_OK);
    assert_int_equal(copy->calls->stats(copy, &st), STEAD_OK);
    assert_int_equal(st.records, 100);
    engine_close(copy);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    assert_int_equal(system(command), 0); // NOLINT
}

static void test_configurations(void **state)
{
    static const char *const bad[] = {
        "",        "127.0.0.1",
        ":6379",   "127.0.0.1:0",
        "a b:1",   "a:65536",
        "a:1,",    ",a:1",
        "a:1 b",   "a:1,,b:2",
        "a:1;b:2", "a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1"};
    static const char *const prefixes[] = {"",     "a*",  "a b",
                                           "a{b}", "a:b", "123456789012345678901234567890123"};
    struct rig *r = *state;
    struct engine_redis_config c = {.addresses = r->one.address, .stats = &r->stats, .prefix = "a"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        c.prefix = prefixes[i];
        assert_int_equal(engine_redis_open(&c, &r->e), STEAD_E_INVAL);
    }
    c.prefix = "a";
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        c.addresses = bad[i];
        assert_false(engine_redis_addresses(bad[i]));
        assert_int_equal(engine_redis_open(&c, &r->e), STEAD_E_INVAL);
    }
    assert_true(engine_redis_addresses("[::1]:6379 , r2.example:7,r3:8"));
    assert_int_equal(r->one.accepted, 0);
}

static void test_without_memory(void **state)
{
    struct rig *r = *state;
    unsigned failed = 0;
    int err = STEAD_E_NOMEM;
    fake_rule(&r->one, (struct fake_rule){.verb = "AUTH", .times = 1000, .reply = "+OK\r\n"});
    fake_rule(&r->two, (struct fake_rule){.verb = "AUTH", .times = 1000, .reply = "-ERR\r\n"});
    for (unsigned n = 1; err != STEAD_OK; n++) {
        mem_fail_after(n);
        err = open_as(r, NULL, "p", &r->e);
        if (!err)
            err = put_one(r, 7, "seven", 0);
        mem_fail_after(0);
        engine_close(r->e);
        r->e = NULL;
        failed += err != STEAD_OK;
        assert_true(n < 200);
    }
    assert_true(failed > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_put_get_delete),
        TEST(test_walk_in_order),
        TEST(test_walk_in_windows),
        TEST(test_walk_by_and_by),
        TEST(test_many_in_a_batch),
        TEST(test_the_last_comes_last),
        TEST(test_moved),
        TEST(test_ask),
        TEST(test_learned_servers_are_asked),
        TEST(test_redirected_for_ever),
        TEST(test_redirects_that_are_not_followed),
        TEST(test_try_again),
        TEST(test_refusals),
        TEST(test_closed_in_mid_answer),
        TEST(test_a_server_that_began_anew),
        TEST(test_a_primary_that_was_replaced),
        TEST(test_a_server_that_says_nothing),
        TEST(test_nobody_is_there),
        TEST(test_the_second_address),
        TEST(test_it_is_loading),
        TEST(test_passwords),
        TEST(test_a_replica_is_waited_for),
        TEST(test_one_process_at_a_time),
        TEST(test_the_lock_of_a_dead_one),
        TEST(test_the_lock_goes_at_the_end),
        TEST(test_another_has_taken_the_lock),
        TEST(test_a_server_that_was_emptied),
        TEST(test_hostile_scans),
        TEST(test_snapshot_is_a_repository),
        TEST(test_configurations),
        TEST(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
