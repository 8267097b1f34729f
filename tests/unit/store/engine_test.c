/* The embedded engine: all or nothing, whenever its writer dies; files that are none. */
#include "store/engine.h"

#include "stead/error.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MAP_BYTES (64u << 20)
#define BATCH 40
#define VALUE 700 /* more than one to a page, and pages that split */
#define KILLS 25

struct rig {
    char folder[64], path[96];
    struct engine *e;
};

static int set_up(void **state)
{
    static struct rig rig;
    rig = (struct rig){.folder = "/tmp/stead-engine-XXXXXX"};
    if (!mkdtemp(rig.folder))
        return -1;
    snprintf(rig.path, sizeof(rig.path), "%s/records", rig.folder);
    *state = &rig;
    return engine_lmdb_open(rig.path, MAP_BYTES, &rig.e);
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    char command[128];
    engine_close(r->e);
    snprintf(command, sizeof(command), "rm -rf %s", r->folder);
    return system(command); // NOLINT
}

static void reopen(struct rig *r)
{
    engine_close(r->e);
    r->e = NULL;
    assert_int_equal(engine_lmdb_open(r->path, MAP_BYTES, &r->e), STEAD_OK);
}

static void name_of(uint32_t n, uint8_t name[ENGINE_NAME_BYTES])
{
    memset(name, 0, ENGINE_NAME_BYTES);
    for (int i = 0; i < 4; i++)
        name[i] = (uint8_t)(n >> (24 - 8 * i));
}

static int put_one(struct engine *e, uint32_t n, const void *bytes, size_t len)
{
    struct engine_put p = {.bytes = bytes, .len = len};
    name_of(n, p.name);
    return e->calls->put(e, &p, 1);
}

struct got {
    size_t count, stop_at, len;
    uint8_t bytes[64], last[ENGINE_NAME_BYTES];
};

static bool take(void *context, const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes,
                 size_t len)
{
    struct got *g = context;
    memcpy(g->last, name, ENGINE_NAME_BYTES);
    g->len = len;
    memcpy(g->bytes, bytes, len < sizeof(g->bytes) ? len : sizeof(g->bytes));
    return ++g->count != g->stop_at;
}

static void test_put_get_delete(void **state)
{
    struct rig *r = *state;
    struct got g = {0};
    uint8_t name[ENGINE_NAME_BYTES];
    struct engine_stats st;
    struct stat file;
    name_of(7, name);
    assert_int_equal(r->e->calls->get(r->e, name, take, &g), STEAD_E_ABSENT);
    assert_int_equal(put_one(r->e, 7, "seven", 5), STEAD_OK);
    reopen(r);
    assert_int_equal(r->e->calls->get(r->e, name, take, &g), STEAD_OK);
    assert_int_equal(g.len, 5);
    assert_memory_equal(g.bytes, "seven", 5);
    assert_int_equal(r->e->calls->stats(r->e, &st), STEAD_OK);
    assert_int_equal(st.records, 1);
    assert_int_equal(stat(r->path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(put_one(r->e, 7, NULL, 0), STEAD_OK);
    assert_int_equal(put_one(r->e, 8, NULL, 0), STEAD_OK); /* was never there */
    assert_int_equal(r->e->calls->get(r->e, name, take, &g), STEAD_E_ABSENT);
}

static void test_walk_goes_on(void **state)
{
    struct rig *r = *state;
    struct got g = {.stop_at = 4};
    for (uint32_t n = 0; n < 10; n++)
        assert_int_equal(put_one(r->e, n, &n, sizeof(n)), STEAD_OK);
    assert_int_equal(r->e->calls->walk(r->e, NULL, take, &g), STEAD_OK);
    assert_int_equal(g.count, 4);
    uint8_t after[ENGINE_NAME_BYTES];
    memcpy(after, g.last, sizeof(after));
    assert_int_equal(put_one(r->e, 3, NULL, 0), STEAD_OK); /* the one it stands at goes */
    g = (struct got){0};
    assert_int_equal(r->e->calls->walk(r->e, after, take, &g), STEAD_OK);
    assert_int_equal(g.count, 6);
    memcpy(after, g.last, sizeof(after));
    g = (struct got){0};
    assert_int_equal(r->e->calls->walk(r->e, after, take, &g), STEAD_OK);
    assert_int_equal(g.count, 0);
}

static void test_snapshot_is_a_repository(void **state)
{
    struct rig *r = *state;
    char copy[128];
    struct engine *e;
    struct engine_stats st;
    snprintf(copy, sizeof(copy), "%s/copy", r->folder);
    for (uint32_t n = 0; n < 100; n++)
        assert_int_equal(put_one(r->e, n, &n, sizeof(n)), STEAD_OK);
    assert_int_equal(r->e->calls->snapshot(r->e, copy), STEAD_OK);
    assert_int_equal(r->e->calls->snapshot(r->e, copy), STEAD_E_EXISTS);
    assert_int_equal(engine_lmdb_open(copy, MAP_BYTES, &e), STEAD_OK);
    assert_int_equal(e->calls->stats(e, &st), STEAD_OK);
    assert_int_equal(st.records, 100);
    engine_close(e);
}

static void test_one_process_at_a_time(void **state)
{
    struct rig *r = *state;
    struct engine *e = NULL;
    assert_int_equal(engine_lmdb_open(r->path, MAP_BYTES, &e), STEAD_E_IN_USE);
    assert_null(e);
}

static void test_full_keeps_nothing_of_the_batch(void **state)
{
    struct rig *r = *state;
    static uint8_t large[100000];
    struct engine_put puts[20] = {0};
    struct engine_stats before, after;
    engine_close(r->e);
    r->e = NULL;
    assert_int_equal(engine_lmdb_open(r->path, 1u << 20, &r->e), STEAD_OK);
    assert_int_equal(put_one(r->e, 1000, "here", 4), STEAD_OK);
    assert_int_equal(r->e->calls->stats(r->e, &before), STEAD_OK);
    for (uint32_t i = 0; i < 20; i++) {
        name_of(i, puts[i].name);
        puts[i].bytes = large;
        puts[i].len = sizeof(large);
    }
    assert_int_equal(r->e->calls->put(r->e, puts, 20), STEAD_E_FULL);
    assert_int_equal(r->e->calls->stats(r->e, &after), STEAD_OK);
    assert_int_equal(after.records, before.records);
    assert_int_equal(put_one(r->e, 1001, "goes on", 7), STEAD_OK);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

/* Though what goes is written beside what was, too. */
static void test_full_can_be_emptied(void **state)
{
    struct rig *r = *state;
    static const size_t sizes[] = {30000, 3000, 300, 8};
    static uint8_t bytes[30000];
    struct engine_put put = {.bytes = bytes}, removes[64];
    unsigned n = 0;
    engine_close(r->e);
    r->e = NULL;
    assert_int_equal(engine_lmdb_open(r->path, 1u << 20, &r->e), STEAD_OK);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put.len = sizes[i];
        int err = STEAD_OK;
        for (; !err; n++) {
            memcpy(put.name, &n, sizeof(n));
            err = r->e->calls->put(r->e, &put, 1);
        }
        assert_int_equal(err, STEAD_E_FULL);
    }
    for (unsigned from = 0; from < n; from += 64) {
        memset(removes, 0, sizeof(removes));
        for (unsigned i = 0; i < 64; i++) {
            unsigned number = from + i;
            memcpy(removes[i].name, &number, sizeof(number));
        }
        assert_int_equal(r->e->calls->put(r->e, removes, 64), STEAD_OK);
    }
    put.len = sizes[3];
    assert_int_equal(r->e->calls->put(r->e, &put, 1), STEAD_OK);
    put.len = sizes[1];
    assert_int_equal(r->e->calls->put(r->e, &put, 1), STEAD_OK);
}

static void test_a_file_that_is_none(void **state)
{
    struct rig *r = *state;
    char other[128];
    struct engine *e = NULL;
    uint8_t junk[20000];
    for (size_t i = 0; i < sizeof(junk); i++)
        junk[i] = (uint8_t)(i * 131 + i / 7);
    snprintf(other, sizeof(other), "%s/junk", r->folder);
    write_file(other, junk, sizeof(junk));
    assert_int_equal(engine_lmdb_open(other, MAP_BYTES, &e), STEAD_E_PARSE);
    write_file(other, junk, 17);
    assert_int_equal(engine_lmdb_open(other, MAP_BYTES, &e), STEAD_E_PARSE);
    assert_int_equal(engine_lmdb_open("/nowhere/at/all", MAP_BYTES, &e), STEAD_E_IO);
    assert_null(e);
}

/* It is found out, and does not end this process. */
static void test_a_file_that_was_cut(void **state)
{
    struct rig *r = *state;
    uint8_t value[VALUE] = {1};
    struct stat file;
    for (uint32_t n = 0; n < 400; n++)
        assert_int_equal(put_one(r->e, n, value, sizeof(value)), STEAD_OK);
    engine_close(r->e);
    r->e = NULL;
    assert_int_equal(stat(r->path, &file), 0);
    for (off_t len = file.st_size / 2; len > 100; len /= 2) {
        assert_int_equal(truncate(r->path, len), 0);
        assert_int_equal(engine_lmdb_open(r->path, MAP_BYTES, &r->e), STEAD_E_PARSE);
        assert_null(r->e);
    }
}

/* Whatever stands in a page: this process is not ended by looking. */
static void test_pages_of_junk(void **state)
{
    struct rig *r = *state;
    uint8_t value[VALUE] = {1}, junk[4096];
    struct stat file;
    unsigned refused = 0;
    for (uint32_t n = 0; n < 200; n++)
        assert_int_equal(put_one(r->e, n, value, sizeof(value)), STEAD_OK);
    engine_close(r->e);
    r->e = NULL;
    memset(junk, 0xa5, sizeof(junk));
    assert_int_equal(stat(r->path, &file), 0);
    int fd = open(r->path, O_WRONLY);
    assert_true(fd >= 0);
    for (off_t at = 2 * 4096; at < file.st_size; at += 4096) {
        assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
        int err = engine_lmdb_open(r->path, MAP_BYTES, &r->e);
        refused += err == STEAD_E_PARSE;
        engine_close(r->e);
        r->e = NULL;
    }
    close(fd);
    assert_true(refused > 0);
}

/* Each batch gives all names the number of the batch, then says that it is kept. */
static void write_until_killed(const char *path, uint32_t first, int told)
{
    struct engine *e;
    if (engine_lmdb_open(path, MAP_BYTES, &e))
        _exit(1);
    for (uint32_t batch = first;; batch++) {
        struct engine_put puts[BATCH] = {0};
        uint8_t value[VALUE];
        memset(value, (int)(batch & 0xff), sizeof(value));
        memcpy(value, &batch, sizeof(batch));
        for (uint32_t i = 0; i < BATCH; i++) {
            name_of(i * 7919, puts[i].name);
            puts[i].bytes = value;
            puts[i].len = VALUE - batch % 300;
        }
        /* One comes and goes by turns. */
        if (batch % 2)
            puts[BATCH - 1].bytes = NULL;
        if (e->calls->put(e, puts, BATCH) ||
            write(told, &batch, sizeof(batch)) != (ssize_t)sizeof(batch))
            _exit(1);
    }
}

struct seen {
    uint32_t batch;
    size_t count;
    bool mixed;
};

static bool see(void *context, const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes,
                size_t len)
{
    struct seen *s = context;
    uint32_t batch;
    (void)name;
    memcpy(&batch, bytes, sizeof(batch));
    s->mixed |= s->count > 0 && batch != s->batch;
    s->mixed |= len != VALUE - batch % 300 || bytes[len - 1] != (batch & 0xff);
    s->batch = batch;
    s->count++;
    return true;
}

static uint32_t last_told(int fd, uint32_t before)
{
    uint32_t batch;
    while (read(fd, &batch, sizeof(batch)) == (ssize_t)sizeof(batch))
        before = batch;
    return before;
}

static void test_killed_at_any_moment(void **state)
{
    struct rig *r = *state;
    uint32_t told = 0, moved = 0;
    unsigned seed = 4711;
    engine_close(r->e);
    r->e = NULL;
    for (unsigned kill_number = 0; kill_number < KILLS; kill_number++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t writer = fork();
        assert_true(writer >= 0);
        if (writer == 0)
            write_until_killed(r->path, told + 1, ends[1]);
        close(ends[1]);
        usleep((unsigned)rand_r(&seed) % 60000);
        assert_int_equal(kill(writer, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(writer, &status, 0), writer);
        assert_true(WIFSIGNALED(status));
        uint32_t last = last_told(ends[0], told);
        close(ends[0]);
        moved += last != told;
        reopen(r);
        struct seen s = {0};
        assert_int_equal(r->e->calls->walk(r->e, NULL, see, &s), STEAD_OK);
        assert_false(s.mixed);
        /* Nothing that was kept is missing; of what came after it, all of a batch or nothing. */
        assert_true(s.batch >= last);
        assert_true(s.batch <= last + 1);
        assert_int_equal(s.count, s.batch == 0 ? 0 : BATCH - s.batch % 2);
        told = s.batch;
        engine_close(r->e);
        r->e = NULL;
    }
    assert_true(moved > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_get_delete, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_snapshot_is_a_repository, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_process_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_keeps_nothing_of_the_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_can_be_emptied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_that_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_that_was_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pages_of_junk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_at_any_moment, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
