/* A repository: what goes into its file comes back at the next start, sealed, and only if it is
 * what was put there, by this farm, not too long ago. */
#include "store/repository_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "stead/error.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FAR_NS (3600 * NS_PER_S)

struct rig {
    char folder[64], path[96];
    struct kinds kinds;
    struct store *store;
    struct repository *r;
    uint8_t fill; /* of the keys */
    uint64_t age_max_ms, bytes_max;
    struct box_ring ring;
};

static void open_store(struct rig *rig)
{
    struct store_config sc = {.shards = 2, .mailboxes = 1};
    session_config_default(&sc.session);
    sc.session.kinds = &rig->kinds;
    sc.session.memory_bytes = 64u << 20;
    sc.session.repository = true;
    rig->store = store_new(&sc, NS_PER_S);
    assert_non_null(rig->store);
    struct repository_config rc = {.store = rig->store,
                                   .path = rig->path,
                                   .bytes_max = rig->bytes_max,
                                   .age_max_ms = rig->age_max_ms};
    uint8_t key[TOKEN_KEY_BYTES];
    memset(key, rig->fill, sizeof(key));
    memset(rc.keys.names, rig->fill, sizeof(rc.keys.names));
    box_ring_set(&rig->ring, (const uint8_t(*)[TOKEN_KEY_BYTES]) & key, 1);
    rc.keys.values = &rig->ring;
    rig->r = repository_new(&rc);
    assert_non_null(rig->r);
    repository_load(rig->r);
}

static void view(struct rig *rig)
{
    struct session_view v = {
        .self_inc = 9, .self_node = 9, .self_state = PEER_UP, .self_holds = true};
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
    rig = (struct rig){.folder = "/tmp/stead-repository-XXXXXX",
                       .fill = 5,
                       .age_max_ms = 3600000,
                       .bytes_max = 64u << 20};
    kinds_default(&rig.kinds);
    for (size_t i = 0; i < rig.kinds.count; i++)
        rig.kinds.kind[i].when_alone = ALONE_ACCEPT;
    if (!mkdtemp(rig.folder))
        return -1;
    snprintf(rig.path, sizeof(rig.path), "%s/records", rig.folder);
    open_store(&rig);
    view(&rig);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    char command[128];
    close_store(rig);
    snprintf(command, sizeof(command), "rm -rf %s", rig->folder);
    return system(command); // NOLINT
}

static struct key key_of(struct rig *rig, const char *name)
{
    struct key k;
    assert_true(key_set(&k, (uint8_t)kinds_find(&rig->kinds, "purchase"), name, strlen(name)));
    return k;
}

static int put(struct rig *rig, enum session_op_type type, const char *name, const char *value)
{
    struct key k = key_of(rig, name);
    struct field_op set = {
        .type = FIELD_SET, .value = (const uint8_t *)value, .value_len = strlen(value)};
    struct session_op op = {
        .type = type, .key = &k, .ops = &set, .op_count = 1, .deadline_ns = FAR_NS};
    struct session_result *result;
    if (type == SESSION_END)
        op.op_count = 0;
    if (store_submit(rig->store, 0, &op, 2 * NS_PER_S, &result) != STEAD_OK)
        return STEAD_PENDING;
    int status = result->status;
    session_result_free(result);
    return status;
}

struct look {
    char value[64];
    uint32_t left_ms;
};

static void take(void *context, const struct record *r, uint32_t left_ms)
{
    struct look *l = context;
    const struct field *f = record_get(r, "", 0);
    l->left_ms = left_ms;
    if (f)
        memcpy(l->value, field_value(f), f->value_len);
}

/* What is in the shards by now, shelved or not. */
static int look(struct rig *rig, const char *name, struct look *l)
{
    struct key k = key_of(rig, name);
    *l = (struct look){0};
    return store_fetch(rig->store, &k, take, l);
}

static struct repository_stats stats_of(struct rig *rig)
{
    struct repository_stats st;
    repository_stats(rig->r, &st);
    return st;
}

static void restart(struct rig *rig)
{
    close_store(rig);
    open_store(rig);
}

static void test_comes_back(void **state)
{
    struct rig *rig = *state;
    struct look l;
    assert_int_equal(put(rig, SESSION_CREATE, "one", "first"), STEAD_OK);
    assert_int_equal(put(rig, SESSION_CREATE, "two", "second"), STEAD_OK);
    assert_int_equal(put(rig, SESSION_CHANGE, "two", "changed"), STEAD_OK);
    assert_int_equal(repository_drain(rig->r), STEAD_OK);
    assert_int_equal(stats_of(rig).records, 2);
    restart(rig);
    assert_int_equal(stats_of(rig).loaded, 2);
    assert_int_equal(look(rig, "two", &l), STEAD_OK);
    assert_string_equal(l.value, "changed");
    assert_true(l.left_ms > 0);
    assert_int_equal(look(rig, "three", &l), STEAD_E_ABSENT);
}

/* The thread does by itself what the other tests do by hand. */
static void test_the_thread_keeps(void **state)
{
    struct rig *rig = *state;
    struct look l;
    assert_int_equal(repository_start(rig->r), STEAD_OK);
    assert_int_equal(put(rig, SESSION_CREATE, "one", "first"), STEAD_OK);
    restart(rig); /* with a last look at what has changed */
    assert_int_equal(stats_of(rig).loaded, 1);
    assert_int_equal(look(rig, "one", &l), STEAD_OK);
}

static bool find_text(void *context, const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes,
                      size_t len)
{
    unsigned *found = context;
    *found += memmem(bytes, len, "secret", 6) != NULL || memmem(bytes, len, "purchase", 8) != NULL;
    *found += memmem(name, ENGINE_NAME_BYTES, "known", 5) != NULL;
    return true;
}

static void test_the_engine_sees_no_secret(void **state)
{
    struct rig *rig = *state;
    unsigned found = 0;
    assert_int_equal(put(rig, SESSION_CREATE, "known", "a secret"), STEAD_OK);
    assert_int_equal(repository_drain(rig->r), STEAD_OK);
    assert_int_equal(rig->r->engine->calls->walk(rig->r->engine, NULL, find_text, &found),
                     STEAD_OK);
    assert_int_equal(found, 0);
}

static bool exists(const struct rig *rig, const char *suffix)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof(path), "%s.%s", rig->path, suffix);
    return stat(path, &st) == 0;
}

static void keep_one(struct rig *rig)
{
    assert_int_equal(put(rig, SESSION_CREATE, "one", "first"), STEAD_OK);
    assert_int_equal(repository_drain(rig->r), STEAD_OK);
}

static void test_another_key_opens_nothing(void **state)
{
    struct rig *rig = *state;
    struct look l;
    keep_one(rig);
    rig->fill = 6;
    restart(rig);
    assert_int_equal(stats_of(rig).loaded, 0);
    assert_int_equal(stats_of(rig).up, 1);
    assert_true(exists(rig, "damaged"));
    assert_int_equal(look(rig, "one", &l), STEAD_E_ABSENT);
}

static void test_too_old(void **state)
{
    struct rig *rig = *state;
    keep_one(rig);
    rig->age_max_ms = 1;
    usleep(20000);
    restart(rig);
    assert_int_equal(stats_of(rig).loaded, 0);
    assert_true(exists(rig, "old"));
    assert_int_equal(stats_of(rig).up, 1);
}

static void test_a_damaged_file(void **state)
{
    struct rig *rig = *state;
    keep_one(rig);
    close_store(rig);
    assert_int_equal(truncate(rig->path, 9000), 0);
    open_store(rig);
    view(rig);
    assert_int_equal(stats_of(rig).loaded, 0);
    assert_true(exists(rig, "damaged"));
    keep_one(rig); /* it goes on in a new one */
    restart(rig);
    assert_int_equal(stats_of(rig).loaded, 1);
}

/* A box in another's place, or with a byte turned, is no record. */
static void test_boxes_that_are_wrong(void **state)
{
    struct rig *rig = *state;
    struct key k = key_of(rig, "one");
    struct record *made = record_new(&k), *got;
    struct sealed box;
    uint64_t end_ms;
    struct repository_keys keys;
    memset(keys.names, 5, sizeof(keys.names));
    keys.values = &rig->ring;
    assert_int_equal(repository_seal(&keys, &rig->kinds, made, 77, &box), STEAD_OK);
    assert_int_equal(
        repository_open(&keys, &rig->kinds, box.name, box.bytes, box.len, &got, &end_ms), STEAD_OK);
    assert_int_equal(end_ms, 77);
    record_free(got);
    for (size_t i = 0; i < box.len; i += 3) {
        box.bytes[i] ^= 1;
        assert_int_equal(
            repository_open(&keys, &rig->kinds, box.name, box.bytes, box.len, &got, &end_ms),
            STEAD_E_PARSE);
        box.bytes[i] ^= 1;
        assert_int_equal(repository_open(&keys, &rig->kinds, box.name, box.bytes, i, &got, &end_ms),
                         STEAD_E_PARSE);
    }
    box.name[0] ^= 1;
    assert_int_equal(
        repository_open(&keys, &rig->kinds, box.name, box.bytes, box.len, &got, &end_ms),
        STEAD_E_PARSE);
    box.name[0] ^= 1;
    /* Of a kind that the farm has no more. */
    snprintf(rig->kinds.kind[made->key.kind].name, KIND_NAME_MAX, "other");
    assert_int_equal(
        repository_open(&keys, &rig->kinds, box.name, box.bytes, box.len, &got, &end_ms),
        STEAD_E_UNSUPPORTED);
    mem_free(box.bytes);
    record_free(made);
}

/* Changes were missed, and some are only in the file: all is brought up to date. */
static void test_a_sweep_mends(void **state)
{
    struct rig *rig = *state;
    struct look l;
    struct key keys[64];
    bool lost;
    keep_one(rig);
    assert_int_equal(put(rig, SESSION_CREATE, "two", "second"), STEAD_OK);
    assert_int_equal(put(rig, SESSION_CHANGE, "one", "changed"), STEAD_OK);
    for (unsigned i = 0; i < 2; i++)
        (void)store_noted(rig->store, i, keys, 64, &lost); /* and forgotten */
    struct key stray = key_of(rig, "stray");
    struct record *r = record_new(&stray);
    struct sealed box;
    assert_int_equal(repository_seal(&rig->r->config.keys, &rig->kinds, r, 0, &box), STEAD_OK);
    struct engine_put one = {.bytes = box.bytes, .len = box.len};
    memcpy(one.name, box.name, sizeof(one.name));
    assert_int_equal(rig->r->engine->calls->put(rig->r->engine, &one, 1), STEAD_OK);
    mem_free(box.bytes);
    record_free(r);
    assert_int_equal(repository_sweep(rig->r), STEAD_OK);
    restart(rig);
    assert_int_equal(stats_of(rig).loaded, 2);
    assert_int_equal(look(rig, "one", &l), STEAD_OK);
    assert_string_equal(l.value, "changed");
    assert_int_equal(look(rig, "stray", &l), STEAD_E_ABSENT);
}

/* The file may grow no larger: that is said, the farm serves on, and when there is room again all
 * is there. */
static void test_a_full_file(void **state)
{
    struct rig *rig = *state;
    static char large[8000];
    char name[16];
    struct look l;
    int err = STEAD_OK;
    memset(large, 'x', sizeof(large) - 1);
    rig->bytes_max = 1u << 20;
    restart(rig);
    view(rig);
    for (unsigned i = 0; i < 300 && !err; i++) {
        snprintf(name, sizeof(name), "cart %u", i);
        assert_int_equal(put(rig, SESSION_CREATE, name, large), STEAD_OK);
        err = repository_drain(rig->r);
    }
    assert_int_equal(err, STEAD_E_FULL);
    assert_int_equal(put(rig, SESSION_CREATE, "one", "served on"), STEAD_OK);
    assert_int_equal(repository_sweep(rig->r), STEAD_E_FULL);
    for (unsigned i = 0; i < 100; i++) /* their lives end, and what goes makes room */
        (void)store_tick(rig->store, (uint64_t)(i + 1) * 86400 * NS_PER_S);
    assert_int_equal(look(rig, "cart 1", &l), STEAD_E_ABSENT);
    assert_int_equal(repository_sweep(rig->r), STEAD_OK);
    assert_int_equal(put(rig, SESSION_CREATE, "two", "kept again"), STEAD_OK);
    assert_int_equal(repository_drain(rig->r), STEAD_OK);
    restart(rig);
    assert_int_equal(stats_of(rig).loaded, 1);
    assert_int_equal(look(rig, "two", &l), STEAD_OK);
    assert_string_equal(l.value, "kept again");
}

static void is_ended(void *context, const struct record *r, uint32_t left_ms)
{
    (void)left_ms;
    *(bool *)context = record_is_tombstone(r);
}

/* What has ended makes room, too, though the shards remember it: while there is something new that
 * would come first and has none. */
static void test_a_full_file_of_what_has_ended(void **state)
{
    struct rig *rig = *state;
    static char large[8000];
    char name[16];
    static const size_t sizes[] = {7000, 1000, 300, 8};
    unsigned there = 0;
    memset(large, 'x', sizeof(large) - 1);
    rig->bytes_max = 1u << 20;
    restart(rig);
    view(rig);
    for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        int err = STEAD_OK;
        for (; there < 2000 && !err; there++) {
            snprintf(name, sizeof(name), "cart %u", there);
            assert_int_equal(put(rig, SESSION_CREATE, name, large + sizeof(large) - 1 - sizes[s]),
                             STEAD_OK);
            err = repository_drain(rig->r);
        }
        assert_int_equal(err, STEAD_E_FULL); /* not a page is left in the end */
    }
    for (unsigned i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "later %u", i);
        assert_int_equal(put(rig, SESSION_CREATE, name, large), STEAD_OK);
    }
    assert_int_equal(repository_sweep(rig->r), STEAD_E_FULL);
    for (unsigned i = 0; i < there; i++) {
        snprintf(name, sizeof(name), "cart %u", i);
        assert_int_equal(put(rig, SESSION_END, name, ""), STEAD_OK);
    }
    assert_int_equal(repository_sweep(rig->r), STEAD_OK);
    assert_int_equal(stats_of(rig).records, there + 30); /* tombstones, too */
    restart(rig);
    for (unsigned i = 0; i < 30; i++) {
        struct key k;
        bool ended = true;
        snprintf(name, sizeof(name), "later %u", i);
        k = key_of(rig, name);
        assert_int_equal(store_fetch(rig->store, &k, is_ended, &ended), STEAD_OK);
        assert_false(ended);
    }
}

/* The engine is gone for a while: it is said, and all is there when it is back. */
static void test_an_engine_that_is_gone(void **state)
{
    struct rig *rig = *state;
    struct look l;
    struct engine *other = NULL;
    close_store(rig);
    assert_int_equal(engine_lmdb_open(rig->path, 64u << 20, &other), STEAD_OK);
    open_store(rig); /* another process has the file */
    view(rig);
    assert_int_equal(stats_of(rig).up, 0);
    assert_true(stats_of(rig).failures > 0);
    assert_int_equal(put(rig, SESSION_CREATE, "one", "first"), STEAD_OK);
    engine_close(other);
    assert_int_equal(repository_start(rig->r), STEAD_OK);
    restart(rig);
    assert_int_equal(stats_of(rig).loaded, 1);
    assert_int_equal(look(rig, "one", &l), STEAD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_thread_keeps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_engine_sees_no_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_key_opens_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_old, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_damaged_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_boxes_that_are_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_sweep_mends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_file_of_what_has_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_engine_that_is_gone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
