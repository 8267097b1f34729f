/* A repository in Redis: what it had comes back; what is too old, or of another key, is copied to a
 * file before it goes; servers that are away are waited for, and tried again. */
#include "fake_redis.h"

#include "base/clock.h"
#include "base/mem.h"
#include "stead/error.h"
#include "store/repository_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#define FAR_NS (3600 * NS_PER_S)

struct rig {
    char folder[64], path[96];
    struct fake server;
    struct kinds kinds;
    struct store *store;
    struct repository *r;
    uint8_t fill; /* of the key of values */
    struct box_ring ring;
    uint64_t age_max_ms, start_wait_ms;
};

static void ring_of(struct box_ring *r, uint8_t fill)
{
    uint8_t key[TOKEN_KEY_BYTES];
    memset(key, fill, sizeof key);
    box_ring_set(r, (const uint8_t(*)[TOKEN_KEY_BYTES]) & key, 1);
}

static void open_store(struct rig *rig)
{
    struct store_config sc = {.shards = 2, .mailboxes = 1};
    struct session_view v = {
        .self_inc = 9, .self_node = 9, .self_state = PEER_UP, .self_holds = true};
    session_config_default(&sc.session);
    sc.session.kinds = &rig->kinds;
    sc.session.memory_bytes = 64u << 20;
    sc.session.repository = true;
    rig->store = store_new(&sc, NS_PER_S);
    assert_non_null(rig->store);
    struct repository_config rc = {.store = rig->store,
                                   .path = rig->path,
                                   .age_max_ms = rig->age_max_ms,
                                   .start_wait_ms = rig->start_wait_ms,
                                   .addresses = rig->server.address};
    ring_of(&rig->ring, rig->fill);
    rc.keys.values = &rig->ring;
    assert_true(repository_prefix(&rc.keys, "s1", rc.prefix));
    rig->r = repository_new(&rc);
    assert_non_null(rig->r);
    repository_load(rig->r);
    store_set_view(rig->store, &v, NS_PER_S);
}

static void close_store(struct rig *rig)
{
    repository_free(rig->r);
    store_free(rig->store);
    rig->r = NULL;
    rig->store = NULL;
}

static int set_up(void **state)
{
    static struct rig rig;
    memset(&rig, 0, sizeof(rig));
    strcpy(rig.folder, "/tmp/stead-repository-XXXXXX");
    rig.age_max_ms = 3600000;
    kinds_default(&rig.kinds);
    for (size_t i = 0; i < rig.kinds.count; i++)
        rig.kinds.kind[i].when_alone = ALONE_ACCEPT;
    if (!mkdtemp(rig.folder) || !fake_start(&rig.server))
        return -1;
    snprintf(rig.path, sizeof(rig.path), "%s/records", rig.folder);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    char command[128];
    close_store(rig);
    fake_stop(&rig->server);
    snprintf(command, sizeof(command), "rm -rf %s", rig->folder);
    return system(command); // NOLINT
}

static struct key key_of(struct rig *rig, const char *name)
{
    struct key k;
    assert_true(key_set(&k, (uint8_t)kinds_find(&rig->kinds, "purchase"), name, strlen(name)));
    return k;
}

static void keep(struct rig *rig, const char *name)
{
    struct key k = key_of(rig, name);
    struct field_op set = {.type = FIELD_SET, .value = (const uint8_t *)"v", .value_len = 1};
    struct session_op op = {
        .type = SESSION_CREATE, .key = &k, .ops = &set, .op_count = 1, .deadline_ns = FAR_NS};
    struct session_result *result;
    assert_int_equal(store_submit(rig->store, 0, &op, 2 * NS_PER_S, &result), STEAD_OK);
    assert_int_equal(result->status, STEAD_OK);
    session_result_free(result);
}

static void nothing(void *context, const struct record *r, uint32_t left_ms)
{
    (void)context;
    (void)r;
    (void)left_ms;
}

static int look(struct rig *rig, const char *name)
{
    struct key k = key_of(rig, name);
    return store_fetch(rig->store, &k, nothing, NULL);
}

static struct repository_stats stats_of(struct rig *rig)
{
    struct repository_stats st;
    repository_stats(rig->r, &st);
    return st;
}

static bool is_file(const struct rig *rig, const char *suffix)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof(path), "%s%s", rig->path, suffix);
    return stat(path, &st) == 0;
}

static void test_comes_back(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    keep(rig, "one");
    keep(rig, "two");
    assert_int_equal(repository_drain(rig->r), STEAD_OK);
    assert_int_equal(rig->server.with_life, 2); /* not the time */
    close_store(rig);
    open_store(rig);
    assert_int_equal(stats_of(rig).loaded, 2);
    assert_int_equal(look(rig, "one"), STEAD_OK);
    assert_int_equal(look(rig, "two"), STEAD_OK);
    assert_false(is_file(rig, ""));
}

static void test_too_old(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    keep(rig, "one");
    assert_int_equal(repository_drain(rig->r), STEAD_OK);
    close_store(rig);
    rig->age_max_ms = 1;
    usleep(20000);
    open_store(rig);
    assert_int_equal(stats_of(rig).loaded, 0);
    assert_int_equal(stats_of(rig).up, 1);
    assert_true(is_file(rig, ".old"));
    assert_int_equal(look(rig, "one"), STEAD_E_ABSENT);
    assert_int_equal(repository_sweep(rig->r), STEAD_OK);
    assert_int_equal(rig->server.pair_count, 2); /* the time, and the lock */
}

static void test_of_another_key(void **state)
{
    struct rig *rig = *state;
    open_store(rig);
    keep(rig, "one");
    assert_int_equal(repository_drain(rig->r), STEAD_OK);
    close_store(rig);
    rig->fill = 1;
    open_store(rig);
    assert_int_equal(stats_of(rig).loaded, 0);
    assert_true(is_file(rig, ".damaged"));
    keep(rig, "two");
    assert_int_equal(repository_sweep(rig->r), STEAD_OK);
    assert_int_equal(repository_drain(rig->r), STEAD_OK);
    close_store(rig);
    open_store(rig);
    assert_int_equal(stats_of(rig).loaded, 1);
    assert_int_equal(look(rig, "two"), STEAD_OK);
}

/* What a server answers amiss is no reason to set aside what it has. */
static void test_a_walk_that_fails(void **state)
{
    static const char *const replies[] = {"-NOPERM no SCAN for you\r\n", "+what\r\n"};
    struct rig *rig = *state;
    for (size_t i = 0; i < 2; i++) {
        fake_rule(&rig->server,
                  (struct fake_rule){.verb = "SCAN", .times = 1, .reply = replies[i]});
        open_store(rig);
        assert_int_equal(stats_of(rig).up, 0);
        assert_int_equal(stats_of(rig).failures, 1);
        assert_false(is_file(rig, ".old"));
        assert_false(is_file(rig, ".damaged"));
        close_store(rig);
    }
}

static void test_servers_that_come_later(void **state)
{
    struct rig *rig = *state;
    fake_rule(&rig->server,
              (struct fake_rule){.verb = "INFO", .times = 2, .reply = "$9\r\nloading:1\r\n"});
    rig->start_wait_ms = 60000;
    open_store(rig);
    assert_int_equal(stats_of(rig).up, 1);
    assert_int_equal(stats_of(rig).failures, 0);
    close_store(rig);
    rig->start_wait_ms = 0;
    fake_rule(&rig->server,
              (struct fake_rule){.verb = "INFO", .times = 1, .reply = "-LOADING\r\n"});
    open_store(rig);
    assert_int_equal(stats_of(rig).up, 0);
}

/* The thread opens it again, and all that is in memory is there. */
static void test_the_thread_brings_it_up_to_date(void **state)
{
    struct rig *rig = *state;
    fake_rule(&rig->server,
              (struct fake_rule){.verb = "INFO", .times = 2, .reply = "-LOADING\r\n"});
    open_store(rig);
    assert_int_equal(stats_of(rig).up, 0);
    keep(rig, "one");
    assert_int_equal(repository_start(rig->r), STEAD_OK);
    for (int i = 0; i < 1000 && stats_of(rig).up == 0; i++)
        usleep(10000);
    assert_int_equal(stats_of(rig).up, 1);
    close_store(rig);
    open_store(rig);
    assert_int_equal(stats_of(rig).loaded, 1);
    assert_int_equal(stats_of(rig).sweeps, 0);
}

static void test_prefixes(void **state)
{
    struct repository_keys k = {.names = {1}}, other = {.names = {2}};
    char a[REPOSITORY_PREFIX_TEXT + 1], b[REPOSITORY_PREFIX_TEXT + 1];
    (void)state;
    assert_true(repository_prefix(&k, "s1", a));
    assert_int_equal(strlen(a), REPOSITORY_PREFIX_TEXT);
    assert_true(repository_prefix(&k, "s1", b));
    assert_string_equal(a, b);
    assert_true(repository_prefix(&k, "s2", b));
    assert_string_not_equal(a, b);
    assert_true(repository_prefix(&other, "s1", b));
    assert_string_not_equal(a, b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_comes_back),
        TEST(test_too_old),
        TEST(test_of_another_key),
        TEST(test_a_walk_that_fails),
        TEST(test_servers_that_come_later),
        TEST(test_the_thread_brings_it_up_to_date),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
