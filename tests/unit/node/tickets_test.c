/* tickets_test.c - what is written for other programs, and when they are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/io.h"
#include "node/tickets.h"
#include "stead/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 10000 /* ms; nothing takes so long but when it fails */

static char folder[] = "/tmp/stead-tickets-XXXXXX";
static const uint8_t secret[TICKET_SECRET_BYTES] = {7, 7, 7};
static const struct tickets_secrets secrets = {1, {{7, 7, 7}}};
static const char *const suffixes[] = {"", ".next", ".1", ".2", ".3"};

static struct tickets_section section(enum ticket_format format, const char *reload)
{
    struct tickets_section s = {.name = "web", .format = format};
    snprintf(s.file, sizeof s.file, "%s/key", folder);
    snprintf(s.reload, sizeof s.reload, "%s", reload);
    return s;
}

static const char *beside(const char *suffix, char out[128])
{
    snprintf(out, 128, "%s/key%s", folder, suffix);
    return out;
}

static void remove_all(void)
{
    char path[128];
    for (size_t i = 0; i < 5; i++)
        unlink(beside(suffixes[i], path));
    unlink(beside(".due", path));
}

typedef bool seen(const struct tickets_view *v);

static bool is_in_use(const struct tickets_view *v)
{
    return v->written && !v->due;
}

static bool is_due(const struct tickets_view *v)
{
    return v->written && v->due && *v->why;
}

static bool is_not_written(const struct tickets_view *v)
{
    return !v->written && *v->why;
}

/* Runs it until it is seen so. */
static struct tickets_view runs(const struct tickets_section *s, struct tickets_counters *c,
                                seen *wanted)
{
    struct tickets_view v[TICKETS_SECTIONS_MAX];
    struct tickets *t;
    memset(c, 0, sizeof *c);
    assert_int_equal(tickets_start(s, 1, &secrets, c, &t), STEAD_OK);
    assert_int_equal(tickets_look(t, v), 1);
    for (int i = 0; i < PATIENCE && !wanted(v); i++) {
        usleep(1000);
        tickets_look(t, v);
    }
    tickets_stop(t);
    assert_true(wanted(v));
    return v[0];
}

static struct stat stat_of(const char *suffix)
{
    char path[128];
    struct stat st;
    assert_int_equal(stat(beside(suffix, path), &st), 0);
    return st;
}

static void test_files_are_written_once(void **state)
{
    (void)state;
    char path[128], *bytes;
    size_t len;
    ino_t before[5];
    uint8_t own[TICKET_SECRET_BYTES];
    struct ticket_ring r;
    struct ticket_files wanted;
    struct tickets_counters c;
    struct tickets_section s = section(TICKET_NGINX, "");
    do {
        assert_true(ticket_file_secret(secret, TICKET_NGINX, "web", own));
        ticket_ring_init(&r, own, 0);
        assert_true(ticket_ring_turn(&r, (uint64_t)time(NULL)));
        remove_all();
        struct tickets_view v = runs(&s, &c, is_in_use);
        assert_string_equal(v.name, "web");
        assert_string_not_equal(v.keys[0], v.keys[1]);
        assert_int_equal(strlen(v.keys[TICKET_KEYS - 1]), 8);
    } while ((uint64_t)time(NULL) / TICKET_PERIOD_S + TICKET_PAST != r.period);
    ticket_files_make(&r, TICKET_NGINX, &wanted);
    for (size_t i = 0; i < wanted.count; i++) {
        assert_int_equal(io_read_file(beside(wanted.file[i].suffix, path), 200, &bytes, &len), 0);
        assert_int_equal(len, wanted.file[i].len);
        assert_memory_equal(bytes, wanted.file[i].bytes, len);
        mem_free(bytes);
        assert_int_equal(stat_of(wanted.file[i].suffix).st_mode & 0777, 0600);
        before[i] = stat_of(suffixes[i]).st_ino;
    }
    runs(&s, &c, is_in_use);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(stat_of(suffixes[i]).st_ino, before[i]);
    assert_int_equal(c.written, 1);
    assert_int_equal(c.failed, 0);
    assert_int_not_equal(access(beside(".due", path), F_OK), 0);
}

static void test_the_program_is_told_when_they_change(void **state)
{
    (void)state;
    char path[128];
    struct tickets_counters c;
    struct tickets_section s = section(TICKET_NGINX, "/bin/true");
    remove_all();
    runs(&s, &c, is_in_use);
    assert_int_equal(c.taken_up, 1);
    runs(&s, &c, is_in_use);
    assert_int_equal(c.taken_up, 0);
    assert_int_equal(truncate(beside(".2", path), 40), 0);
    runs(&s, &c, is_in_use);
    assert_int_equal(c.taken_up, 1);
    assert_int_equal(stat_of(".2").st_size, 80);
}

static void test_who_could_not_be_told_is_told_after_a_restart(void **state)
{
    (void)state;
    char path[128];
    struct tickets_counters c;
    struct tickets_section s = section(TICKET_APACHE, "/bin/false");
    remove_all();
    struct tickets_view v = runs(&s, &c, is_due);
    assert_non_null(strstr(v.why, "/bin/false: ended with status 1"));
    assert_int_equal(c.failed, 1);
    assert_int_equal(access(beside(".due", path), F_OK), 0);
    snprintf(s.reload, sizeof s.reload, "/bin/true");
    runs(&s, &c, is_in_use);
    assert_int_equal(c.taken_up, 1);
    assert_int_not_equal(access(beside(".due", path), F_OK), 0);
}

static void test_a_folder_that_is_not_there(void **state)
{
    (void)state;
    struct tickets_counters c;
    struct tickets_section s = section(TICKET_HAPROXY, "");
    snprintf(s.file, sizeof s.file, "%s/nowhere/key", folder);
    struct tickets_view v = runs(&s, &c, is_not_written);
    assert_non_null(strstr(v.why, "No such file"));
    assert_int_equal(c.written, 0);
}

static void test_mistakes(void **state)
{
    (void)state;
    const char *why;
    struct tickets_section s = section(TICKET_NGINX, "/bin/true");
    assert_false(tickets_mistake(&s, &why));
    s = section(TICKET_NGINX, "nginx -s reload");
    assert_true(tickets_mistake(&s, &why));
    s = section(TICKET_NGINX, "/bin/true");
    snprintf(s.pid_file, sizeof s.pid_file, "/run/nginx.pid");
    assert_true(tickets_mistake(&s, &why));
    s = section(TICKET_NGINX, "");
    snprintf(s.socket, sizeof s.socket, "/run/haproxy.sock");
    assert_true(tickets_mistake(&s, &why));
    s.format = TICKET_HAPROXY;
    assert_false(tickets_mistake(&s, &why));
    snprintf(s.pid_file, sizeof s.pid_file, "/run/haproxy.pid");
    assert_true(tickets_mistake(&s, &why));
    s = section(TICKET_HAPROXY, "");
    snprintf(s.file, sizeof s.file, "/etc/a b");
    assert_true(tickets_mistake(&s, &why));
    snprintf(s.file, sizeof s.file, "relative");
    assert_true(tickets_mistake(&s, &why));
}

static void await_secrets(struct tickets *t, const struct tickets_counters *c, unsigned written)
{
    struct tickets_view v[TICKETS_SECTIONS_MAX];
    for (int i = 0; i < PATIENCE && c->written < written; i++)
        usleep(1000);
    tickets_look(t, v);
    assert_int_equal(c->written, written);
}

static void read_key(const char *suffix, uint8_t out[80])
{
    char path[128], *bytes;
    size_t len;
    assert_int_equal(io_read_file(beside(suffix, path), 200, &bytes, &len), 0);
    assert_int_equal(len, 80);
    memcpy(out, bytes, 80);
    mem_free(bytes);
}

/* Two nodes, one a step ahead of the other: each opens what the other seals, and what was sealed
 * before. */
static void test_the_farms_key_is_changed(void **state)
{
    (void)state;
    static const struct tickets_secrets steps[] = {
        {1, {{7, 7, 7}}}, {2, {{7, 7, 7}, {8}}}, {2, {{8}, {7, 7, 7}}}, {1, {{8}}}};
    uint8_t keys[4][5][80];
    struct tickets_counters c;
    struct tickets *t;
    uint64_t period;
    do {
        struct tickets_section s = section(TICKET_NGINX, "");
        remove_all();
        memset(&c, 0, sizeof c);
        period = (uint64_t)time(NULL) / TICKET_PERIOD_S;
        assert_int_equal(tickets_start(&s, 1, &steps[0], &c, &t), STEAD_OK);
        for (unsigned i = 0; i < 4; i++) {
            tickets_renew(t, &steps[i]); /* the same ones first: nothing is written for that */
            await_secrets(t, &c, i + 1);
            for (size_t k = 0; k < 5; k++)
                read_key(suffixes[k], keys[i][k]);
        }
        tickets_stop(t);
    } while ((uint64_t)time(NULL) / TICKET_PERIOD_S != period);
    enum { SEALS, NEXT, JOINED, BEFORE, JOINED_BEFORE };
    assert_memory_equal(keys[1][SEALS], keys[0][SEALS], 80);
    assert_memory_equal(keys[1][BEFORE], keys[0][JOINED], 80); /* where none is joined */
    assert_memory_equal(keys[1][JOINED], keys[2][SEALS], 80);
    assert_memory_equal(keys[2][JOINED], keys[1][SEALS], 80);
    assert_memory_equal(keys[2][JOINED_BEFORE], keys[1][BEFORE], 80);
    assert_memory_equal(keys[3][SEALS], keys[2][SEALS], 80);
    for (size_t k = 0; k < 5; k++)
        assert_memory_not_equal(keys[3][k], keys[0][SEALS], 80);
}

static void test_without_sections_or_memory(void **state)
{
    (void)state;
    struct tickets_counters c;
    struct tickets_view v[TICKETS_SECTIONS_MAX];
    struct tickets_section s = section(TICKET_NGINX, "");
    struct tickets *t;
    assert_int_equal(tickets_start(NULL, 0, &secrets, &c, &t), STEAD_OK);
    assert_null(t);
    assert_int_equal(tickets_look(NULL, v), 0);
    tickets_stop(NULL);
    mem_fail_after(1);
    assert_int_equal(tickets_start(&s, 1, &secrets, &c, &t), STEAD_E_NOMEM);
    assert_null(t);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    remove_all();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_are_written_once),
        cmocka_unit_test(test_the_program_is_told_when_they_change),
        cmocka_unit_test(test_who_could_not_be_told_is_told_after_a_restart),
        cmocka_unit_test(test_a_folder_that_is_not_there),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_the_farms_key_is_changed),
        cmocka_unit_test(test_without_sections_or_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
