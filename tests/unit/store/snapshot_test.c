/* snapshot_test.c - a store's records into a file and out of it: whole or refused, and nothing that
 * is there is overruled. */
#include "store/snapshot.h"

#include "base/clock.h"
#include "base/mem.h"
#include "stead/error.h"
#include "store/snapshot_file.h"
#include "store/store_kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FAR_NS (3600 * NS_PER_S)
#define MANY 300

struct rig {
    char folder[64], path[96], part[112];
    struct kinds kinds;
    struct repository_keys keys;
    struct store *store;
    struct snapshot *s;
};

static void open_store(struct rig *rig)
{
    struct store_config sc = {.shards = 2, .mailboxes = 1};
    struct session_view v = {
        .self_inc = 9, .self_node = 9, .self_state = PEER_UP, .self_holds = true};
    session_config_default(&sc.session);
    sc.session.kinds = &rig->kinds;
    sc.session.memory_bytes = 64u << 20;
    rig->store = store_new(&sc, NS_PER_S);
    assert_non_null(rig->store);
    store_set_view(rig->store, &v, NS_PER_S);
    rig->s = snapshot_new(rig->store, &rig->keys);
    assert_non_null(rig->s);
}

static void close_store(struct rig *rig)
{
    snapshot_free(rig->s);
    store_free(rig->store);
}

static struct box_ring ring;

static void ring_of(struct box_ring *r, uint8_t fill)
{
    uint8_t key[TOKEN_KEY_BYTES];
    memset(key, fill, sizeof key);
    box_ring_set(r, (const uint8_t(*)[TOKEN_KEY_BYTES]) & key, 1);
}

static int set_up(void **state)
{
    static struct rig rig;
    rig = (struct rig){.folder = "/tmp/stead-snapshot-XXXXXX"};
    memset(rig.keys.names, 5, sizeof(rig.keys.names));
    ring_of(&ring, 5);
    rig.keys.values = &ring;
    kinds_default(&rig.kinds);
    for (size_t i = 0; i < rig.kinds.count; i++)
        rig.kinds.kind[i].when_alone = ALONE_ACCEPT;
    if (!mkdtemp(rig.folder))
        return -1;
    snprintf(rig.path, sizeof(rig.path), "%s/file", rig.folder);
    snprintf(rig.part, sizeof(rig.part), "%s.part", rig.path);
    open_store(&rig);
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

static int submit(struct rig *rig, struct session_op *op, char *value)
{
    struct session_result *result;
    op->deadline_ns = FAR_NS;
    for (unsigned i = 0; i < 20; i++)
        (void)store_tick(rig->store, (2 + i) * NS_PER_S);
    if (store_submit(rig->store, 0, op, 30 * NS_PER_S, &result) != STEAD_OK)
        return STEAD_PENDING;
    int status = result->status;
    const struct field *f = value && result->record ? record_get(result->record, "", 0) : NULL;
    if (f) {
        memcpy(value, field_value(f), f->value_len);
        value[f->value_len] = '\0';
    }
    session_result_free(result);
    return status;
}

static int put(struct rig *rig, enum session_op_type type, const char *name, const char *value)
{
    struct key k = key_of(rig, name);
    struct field_op set = {
        .type = FIELD_SET, .value = (const uint8_t *)value, .value_len = strlen(value)};
    struct session_op op = {
        .type = type, .key = &k, .ops = &set, .op_count = type == SESSION_END ? 0 : 1};
    return submit(rig, &op, NULL);
}

static int get(struct rig *rig, const char *name, char value[64])
{
    struct key k = key_of(rig, name);
    struct session_op op = {.type = SESSION_READ, .key = &k};
    return submit(rig, &op, value);
}

static struct snapshot_state wait_done(struct rig *rig)
{
    struct snapshot_state st;
    do {
        usleep(1000);
        snapshot_state(rig->s, &st);
    } while (st.running);
    return st;
}

static struct snapshot_state run(struct rig *rig, bool load)
{
    assert_int_equal(snapshot_begin(rig->s, load, rig->path), STEAD_OK);
    return wait_done(rig);
}

static void empty(struct rig *rig)
{
    close_store(rig);
    open_store(rig);
}

static void test_comes_back(void **state)
{
    struct rig *rig = *state;
    char name[32], value[64];
    struct stat file;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "cart %u", i);
        assert_int_equal(put(rig, SESSION_CREATE, name, name), STEAD_OK);
    }
    struct snapshot_state st = run(rig, false);
    assert_int_equal(st.error, STEAD_OK);
    assert_int_equal(st.records, MANY);
    assert_int_equal(st.saved, 1);
    assert_int_equal(stat(rig->path, &file), 0);
    assert_int_equal(file.st_size, (off_t)st.bytes);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_not_equal(access(rig->part, F_OK), 0);
    empty(rig);
    st = run(rig, true);
    assert_int_equal(st.error, STEAD_OK);
    assert_int_equal(st.records, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "cart %u", i);
        assert_int_equal(get(rig, name, value), STEAD_OK);
        assert_string_equal(value, name);
    }
}

static void test_nothing_new_is_overruled(void **state)
{
    struct rig *rig = *state;
    char value[64];
    assert_int_equal(put(rig, SESSION_CREATE, "changed", "old"), STEAD_OK);
    assert_int_equal(put(rig, SESSION_CREATE, "ended", "old"), STEAD_OK);
    assert_int_equal(run(rig, false).records, 2);
    assert_int_equal(put(rig, SESSION_CHANGE, "changed", "new"), STEAD_OK);
    assert_int_equal(put(rig, SESSION_END, "ended", ""), STEAD_OK);
    struct snapshot_state st = run(rig, true);
    assert_int_equal(st.error, STEAD_OK);
    assert_int_equal(st.records, 0);
    assert_int_equal(st.skipped, 2);
    assert_int_equal(get(rig, "changed", value), STEAD_OK);
    assert_string_equal(value, "new");
    assert_int_not_equal(get(rig, "ended", value), STEAD_OK);
}

static void write_file(struct rig *rig, const uint8_t *bytes, size_t len)
{
    FILE *f = fopen(rig->path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

static void expect_refused(struct rig *rig, const char *why)
{
    char value[64];
    struct snapshot_state st = run(rig, true);
    assert_int_not_equal(st.error, STEAD_OK);
    assert_non_null(strstr(st.why, why));
    assert_int_equal(st.records, 0);
    assert_int_equal(get(rig, "one", value), STEAD_E_ABSENT);
}

/* Nothing is taken from it, and it is said what is wrong. */
static void test_what_is_wrong_is_refused(void **state)
{
    struct rig *rig = *state;
    uint8_t bytes[4096];
    assert_int_equal(put(rig, SESSION_CREATE, "one", "a secret"), STEAD_OK);
    assert_int_equal(put(rig, SESSION_CREATE, "two", "a secret"), STEAD_OK);
    assert_int_equal(run(rig, false).records, 2);
    FILE *f = fopen(rig->path, "rb");
    size_t len = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    assert_true(len > 100 && len < sizeof(bytes));
    assert_null(memmem(bytes, len, "secret", 6));
    empty(rig);
    for (size_t cut = 0; cut < len; cut += 7) {
        write_file(rig, bytes, cut);
        expect_refused(rig, cut < 12 ? "no snapshot" : "damaged");
    }
    for (size_t i = 12; i < len; i += 5) {
        bytes[i] ^= 4;
        write_file(rig, bytes, len);
        expect_refused(rig, "damaged");
        bytes[i] ^= 4;
    }
    bytes[11]++;
    write_file(rig, bytes, len);
    expect_refused(rig, "another version");
    bytes[11]--;
    bytes[len] = 0; /* and something behind its end */
    write_file(rig, bytes, len + 1);
    expect_refused(rig, "damaged");
    write_file(rig, bytes, len);
    ring_of(&ring, 6);
    empty(rig);
    expect_refused(rig, "another farm's key");
    ring_of(&ring, 5);
    empty(rig);
    assert_int_equal(run(rig, true).records, 2);
}

static void test_paths(void **state)
{
    struct rig *rig = *state;
    static const uint8_t other[] = "a file of somebody";
    assert_int_equal(snapshot_begin(rig->s, false, "file"), STEAD_E_INVAL);
    assert_int_equal(snapshot_begin(rig->s, false, "/tmp/"), STEAD_E_INVAL);
    write_file(rig, other, sizeof(other));
    struct snapshot_state st = run(rig, false);
    assert_int_equal(st.error, STEAD_E_EXISTS);
    assert_non_null(strstr(st.why, "no snapshot"));
    unlink(rig->path);
    assert_int_equal(run(rig, true).error, STEAD_E_NOT_FOUND);
    assert_int_equal(run(rig, false).error, STEAD_OK);
    assert_int_equal(run(rig, false).error, STEAD_OK); /* in its own place */
    assert_int_equal(mkdir(rig->part, 0700), 0);
    st = run(rig, false);
    assert_int_not_equal(st.error, STEAD_OK);
    assert_int_equal(st.failed, 3);
    assert_int_equal(rmdir(rig->part), 0);
}

/* A file that is not whole never has the name. */
static void test_what_is_not_finished_goes(void **state)
{
    struct rig *rig = *state;
    struct snapshot_file f;
    assert_int_equal(snapshot_create(&f, rig->path, &rig->keys, 1), STEAD_OK);
    assert_int_equal(access(rig->part, F_OK), 0);
    assert_int_not_equal(access(rig->path, F_OK), 0);
    snapshot_close(&f);
    assert_int_not_equal(access(rig->part, F_OK), 0);
    assert_int_not_equal(access(rig->path, F_OK), 0);
}

static void test_a_full_disk(void **state)
{
    struct rig *rig = *state;
    struct snapshot_file f;
    assert_int_equal(snapshot_create(&f, rig->path, &rig->keys, 1), STEAD_OK);
    fclose(f.file);
    f.file = fopen("/dev/full", "wb");
    assert_non_null(f.file);
    assert_int_equal(snapshot_finish(&f, &rig->keys), STEAD_E_FULL);
    assert_string_equal(f.why, "the disk is full");
    snapshot_close(&f);
    assert_int_not_equal(access(rig->path, F_OK), 0);
    assert_int_not_equal(access(rig->part, F_OK), 0);
}

static void test_without_memory(void **state)
{
    struct rig *rig = *state;
    struct snapshot_file f;
    uint64_t time_ms;
    assert_int_equal(run(rig, false).error, STEAD_OK);
    for (unsigned n = 1; n <= 3; n++) {
        mem_fail_after(n);
        assert_int_equal(snapshot_create(&f, rig->path, &rig->keys, 1), STEAD_E_NOMEM);
        mem_fail_after(0);
        snapshot_close(&f);
    }
    for (unsigned n = 1; n <= 3; n++) {
        mem_fail_after(n);
        assert_int_equal(snapshot_open(&f, rig->path, &rig->keys, &time_ms), STEAD_E_NOMEM);
        mem_fail_after(0);
        snapshot_close(&f);
    }
    assert_int_equal(run(rig, true).error, STEAD_OK); /* it is as it was */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_new_is_overruled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_finished_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
