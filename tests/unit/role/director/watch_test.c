/* watch_test.c - watchers at the other ends of socket pairs, and snapshots in the test's hands. */
#include "role/director/watch_internal.h"

#include "base/mem.h"
#include "stead/error.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 8000
#define TEXT_BYTES (4u << 20)

struct rig {
    uv_loop_t loop;
    struct watch *watch;
    struct watch_counters counters;
    struct roster *roster;
    bool closed;
    char *text; /* what the last reader got */
    size_t len;
};

/* servers named n0000 ...; this node is n0000. */
static struct roster *make_roster(uint64_t revision, size_t count)
{
    struct roster *r = roster_blank(count, 1);
    assert_non_null(r);
    strcpy(r->farm, "f");
    r->revision = revision;
    for (size_t i = 0; i < count; i++) {
        struct entry *e = r->nodes[i].entry;
        r->nodes[i].status = STATUS_UP;
        snprintf(e->name, sizeof e->name, "n%04zu", i);
        e->inc = 0xabc;
        e->server_count = 1;
        strcpy(e->servers[0].service, "shop");
        e->servers[0].weight = 1;
        e->servers[0].healthy = true;
    }
    return r;
}

static struct roster *newest(void *context)
{
    struct rig *r = context;
    return r->roster != NULL ? roster_ref(r->roster) : NULL;
}

/* The next snapshot; server `changed` has these many users. */
static void next_roster(struct rig *r, size_t changed, uint32_t users)
{
    struct roster *was = r->roster, *now = roster_new(was->count);
    assert_non_null(now);
    strcpy(now->farm, was->farm);
    now->revision = was->revision + 1;
    for (size_t i = 0; i < was->count; i++) {
        now->nodes[i] = was->nodes[i];
        if (i != changed) {
            entry_ref(now->nodes[i].entry);
            continue;
        }
        now->nodes[i].entry = entry_new(was->nodes[i].entry);
        assert_non_null(now->nodes[i].entry);
        now->nodes[i].entry->servers[0].users = users;
    }
    r->roster = now;
    roster_unref(was);
}

static void next_status(struct rig *r, size_t changed, enum status s)
{
    next_roster(r, changed, 0);
    r->roster->nodes[changed].status = s;
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->text = malloc(TEXT_BYTES);
    assert_non_null(r->text);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->roster = make_roster(7, 3);
    struct watch_config c = {.loop = &r->loop,
                             .roster = newest,
                             .context = r,
                             .self_name = "n0000",
                             .retry = {200, 30000, 500},
                             .watchers_max = 10000,
                             .here_max = 10000,
                             .counters = &r->counters,
                             .seed = 1};
    assert_int_equal(watch_open(&c, &r->watch), STEAD_OK);
    *state = r;
    return 0;
}

static void on_closed(void *context)
{
    struct rig *r = context;
    r->closed = true;
}

static void close_watch(struct rig *r)
{
    if (r->watch == NULL)
        return;
    r->closed = false;
    watch_close(r->watch, on_closed, r);
    r->watch = NULL;
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_true(r->closed);
    assert_int_equal(r->counters.open, 0);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    close_watch(r);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    roster_unref(r->roster);
    free(r->text);
    free(r);
    return 0;
}

/* -- clients -- */

static int join_as(struct rig *r, const char *on, const char *last_id)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct watch_ask a = {.service = "shop", .on = on, .last_id = last_id, .headers = "X-Y: z\r\n"};
    watch_add(r->watch, (struct stream){.fd = pair[0]}, &a);
    return pair[1];
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* True at the stream's end. */
static bool take(struct rig *r, int fd)
{
    ssize_t n;
    while ((n = recv(fd, r->text + r->len, TEXT_BYTES - 1 - r->len, 0)) > 0)
        r->len += (size_t)n;
    r->text[r->len] = '\0';
    return n == 0;
}

static void wait_for(struct rig *r, int fd, const char *text)
{
    uint64_t end = now_ms() + PATIENCE_MS;
    for (;;) {
        take(r, fd);
        if (strstr(r->text, text))
            return;
        if (now_ms() > end)
            fail_msg("no \"%s\" in:\n%.4000s", text, r->text);
        uv_run(&r->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static void forget(struct rig *r)
{
    r->len = 0;
    r->text[0] = '\0';
}

static void turn_for(struct rig *r, uint64_t ms)
{
    for (uint64_t end = now_ms() + ms; now_ms() < end;) {
        uv_run(&r->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

/* -- tests -- */

static void test_whole_then_changes(void **state)
{
    struct rig *r = *state;
    int fd = join_as(r, "", "");
    wait_for(r, fd, "event: roster\nid: abc-7\ndata: {\"farm\":\"f\",\"revision\":7,");
    assert_ptr_equal(strstr(r->text, "HTTP/1.1 200 OK\r\n"), r->text);
    assert_non_null(strstr(r->text, "\r\nX-Y: z\r\n\r\nretry: "));
    assert_non_null(strstr(r->text, "Content-Type: text/event-stream\r\n"));
    forget(r);
    next_status(r, 1, STATUS_DOWN);
    wait_for(r, fd,
             "event: change\nid: abc-8\ndata: {\"revision\":8,\"servers\":[{\"name\":\"n0001\"");
    wait_for(r, fd, "\"gone\":[]}\n\n");
    assert_null(strstr(r->text, "n0002"));
    forget(r);
    next_roster(r, 2, 5); /* only a count: later, but told */
    wait_for(r, fd, "\"users\":5");
    close(fd);
    turn_for(r, 20);
    assert_int_equal(r->counters.open, 0);
    assert_int_equal(r->counters.opened, 1);
}

static void test_frames_are_shared(void **state)
{
    struct rig *r = *state;
    int fds[20];
    for (int i = 0; i < 20; i++)
        fds[i] = join_as(r, "", "");
    next_status(r, 1, STATUS_DOWN);
    for (int i = 0; i < 20; i++) {
        forget(r);
        wait_for(r, fds[i], "event: roster\n");
        wait_for(r, fds[i], "event: change\n");
        close(fds[i]);
    }
    assert_int_equal(r->counters.events, 2);
}

static void test_resumes_where_it_stopped(void **state)
{
    struct rig *r = *state;
    int stays = join_as(r, "", "");
    for (int i = 0; i < 5; i++) {
        char id[32];
        next_status(r, i % 2 ? 2 : 1, i < 2 || i == 4 ? STATUS_DOWN : STATUS_UP);
        snprintf(id, sizeof id, "id: abc-%d\n", 8 + i);
        wait_for(r, stays, id);
    }
    forget(r);
    int fd = join_as(r, "", "abc-10");
    wait_for(r, fd, "event: change\nid: abc-12\n");
    wait_for(r, fd, "\n\n");
    assert_non_null(strstr(r->text, "n0001"));
    assert_non_null(strstr(r->text, "n0002"));
    assert_null(strstr(r->text, "n0000"));
    assert_null(strstr(r->text, "event: roster"));
    assert_int_equal(r->counters.resumed, 1);
    close(fd);
    forget(r);
    fd = join_as(r, "", "abc-12"); /* nothing missed: only what comes */
    turn_for(r, 150);
    take(r, fd);
    assert_null(strstr(r->text, "event:"));
    close(fd);
    static const char *const unknown[] = {"abc-6", "abc-13",  "abd-10", "abc",
                                          "-10",   "abc-10x", "abc-",   "\"abc-10\""};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        forget(r);
        fd = join_as(r, "", unknown[i]);
        wait_for(r, fd, "event: roster\nid: abc-12\n");
        close(fd);
    }
    assert_int_equal(r->counters.resumed, 2);
    close(stays);
}

/* One that does not read gets a whole roster when it reads again, and holds up nobody. */
/* What one worker told, another knows: they share the feed. */
static void test_resumes_at_another_worker(void **state)
{
    struct rig *r = *state;
    struct watch_feed *feed = watch_feed_new();
    struct watch_config c = {.loop = &r->loop,
                             .roster = newest,
                             .context = r,
                             .feed = feed,
                             .self_name = "n0000",
                             .watchers_max = 100,
                             .here_max = 100,
                             .counters = &r->counters};
    assert_non_null(feed);
    close_watch(r);
    struct watch *other;
    assert_int_equal(watch_open(&c, &r->watch), STEAD_OK);
    int fd = join_as(r, "", "");
    wait_for(r, fd, "id: abc-7\n");
    next_status(r, 2, STATUS_DOWN);
    wait_for(r, fd, "id: abc-8\n");
    close(fd);
    next_status(r, 1, STATUS_DOWN);
    close_watch(r);
    assert_int_equal(watch_open(&c, &other), STEAD_OK);
    r->watch = other;
    forget(r);
    fd = join_as(r, "", "abc-8");
    wait_for(r, fd, "event: change\nid: abc-9\n");
    wait_for(r, fd, "\"n0001\"");
    assert_null(strstr(r->text, "n0002"));
    close(fd);
    close_watch(r);
    watch_feed_free(feed);
}

static void test_slow_one_is_skipped_ahead(void **state)
{
    struct rig *r = *state;
    roster_unref(r->roster);
    r->roster = make_roster(7, 2000); /* a frame of 600 KB: more than the socket takes */
    int slow = join_as(r, "", ""), quick = join_as(r, "", "");
    char id[32];
    wait_for(r, quick, "id: abc-7\n");
    for (unsigned i = 0; i < WATCH_TOPIC_FRAMES_MAX + 2; i++) {
        forget(r);
        next_status(r, 1, i % 2 ? STATUS_UP : STATUS_DOWN);
        snprintf(id, sizeof id, "id: abc-%u\n", 8 + i);
        wait_for(r, quick, id);
    }
    assert_int_equal(r->counters.skipped, 0);
    forget(r);
    snprintf(id, sizeof id, "event: roster\nid: abc-%u\n", 7 + WATCH_TOPIC_FRAMES_MAX + 2);
    wait_for(r, slow, id);
    assert_null(strstr(r->text, "event: change"));
    assert_int_equal(r->counters.skipped, 1);
    forget(r);
    next_status(r, 1, STATUS_LEFT);
    wait_for(r, slow, "event: change\n");
    close(slow);
    close(quick);
}

static size_t crowd_size(void)
{
    struct rlimit files;
    const char *text = getenv("STEAD_WATCHERS");
    size_t count = text != NULL ? strtoul(text, NULL, 10) : 300;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    return count;
}

/* Many that never read, in a large farm that changes all the time: what they hold is bounded and
 * shared, one that reads hears everything, and those that stall go. STEAD_WATCHERS: how many. */
static void test_crowd_that_does_not_read(void **state)
{
    struct rig *r = *state;
    size_t count = crowd_size(), batch = count / 10;
    int *fds = calloc(count, sizeof *fds);
    char id[32];
    assert_non_null(fds);
    roster_unref(r->roster);
    r->roster = make_roster(7, 1000);
    int quick = join_as(r, "", "");
    for (size_t i = 0, revision = 7; i < count; i++) {
        fds[i] = join_as(r, "", "");
        if (i % batch != batch - 1)
            continue;
        forget(r);
        next_status(r, revision, STATUS_DOWN);
        snprintf(id, sizeof id, "id: abc-%zu\n", ++revision);
        wait_for(r, quick, id);
        assert_true(r->watch->held_bytes < 16 * (1u << 20));
    }
    assert_int_equal(r->counters.open, count + 1);
    assert_int_equal(r->counters.dropped, 0);
    /* The oldest of them are given up when too much is held. */
    uint64_t held = r->watch->held_bytes;
    r->watch->held_bytes += WATCH_HELD_BYTES_MAX;
    for (uint64_t end = now_ms() + PATIENCE_MS; r->counters.open > 1 && now_ms() < end;)
        turn_for(r, 5);
    assert_int_equal(r->counters.dropped, count);
    assert_true(r->watch->held_bytes - WATCH_HELD_BYTES_MAX <= held);
    r->watch->held_bytes -= WATCH_HELD_BYTES_MAX;
    forget(r);
    next_roster(r, 3, 8);
    wait_for(r, quick, "\"users\":8");
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    free(fds);
    close(quick);
}

static void test_bound_of_watchers(void **state)
{
    struct rig *r = *state;
    int fds[100];
    r->watch->config.here_max = 100;
    for (int i = 0; i < 100; i++) {
        assert_true(watch_admits(r->watch));
        fds[i] = join_as(r, "", "");
    }
    assert_false(watch_admits(r->watch));
    assert_int_equal(r->counters.refused, 1);
    close(fds[0]);
    turn_for(r, 20);
    assert_true(watch_admits(r->watch));
    r->watch->config.watchers_max = 99; /* of all workers */
    assert_false(watch_admits(r->watch));
    for (int i = 1; i < 100; i++)
        close(fds[i]);
}

static void test_bound_of_topics(void **state)
{
    struct rig *r = *state;
    char service[16], byte;
    int fds[WATCH_TOPICS_MAX + 1];
    for (int i = 0; i <= WATCH_TOPICS_MAX; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        snprintf(service, sizeof service, "s%d", i);
        struct watch_ask a = {.service = service, .on = "", .last_id = "", .headers = ""};
        watch_add(r->watch, (struct stream){.fd = pair[0]}, &a);
        fds[i] = pair[1];
    }
    assert_int_equal(recv(fds[WATCH_TOPICS_MAX], &byte, 1, 0), 0);
    assert_int_equal(r->counters.open, WATCH_TOPICS_MAX);
    assert_int_equal(r->counters.refused, 1);
    close(fds[5]); /* what nobody watches any more makes room */
    for (uint64_t end = now_ms() + PATIENCE_MS;
         r->counters.open == WATCH_TOPICS_MAX && now_ms() < end;)
        turn_for(r, 5);
    fds[5] = join_as(r, "", "");
    wait_for(r, fds[5], "event: roster\n");
    assert_int_equal(r->watch->topic_count, WATCH_TOPICS_MAX);
    for (int i = 0; i <= WATCH_TOPICS_MAX; i++)
        close(fds[i]);
}

static void test_move(void **state)
{
    struct rig *r = *state;
    static const char *const targets[] = {"n0001", "n0002"};
    const struct watch_wish wish = {"shop", "n0000", 3, targets, 2, 4000};
    int fds[6];
    for (int i = 0; i < 5; i++)
        fds[i] = join_as(r, "n0000", "");
    fds[5] = join_as(r, "n0002", "");
    assert_int_equal(watch_clients(r->watch, "shop", "n0000"), 5);
    assert_int_equal(watch_clients(r->watch, "shop", "n0002"), 1);
    assert_int_equal(watch_clients(r->watch, "chat", "n0000"), 0);
    assert_int_equal(watch_move(r->watch, &wish), 3);
    assert_int_equal(watch_move(r->watch, &wish), 2); /* nobody twice */
    assert_int_equal(watch_move(r->watch, &wish), 0);
    for (int i = 0; i < 5; i++) {
        forget(r);
        wait_for(r, fds[i],
                 "\n\nevent: move\ndata: {\"service\":\"shop\",\"to\":[\"n0001\",\"n0002\"],"
                 "\"within_ms\":4000}\n\n");
    }
    forget(r);
    take(r, fds[5]);
    assert_null(strstr(r->text, "event: move"));
    assert_int_equal(r->counters.moves, 5);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
}

static void test_move_says_nothing_odd(void **state)
{
    struct rig *r = *state;
    static const char *const odd[] = {"a\"b", "", "x y"};
    struct watch_wish wish = {"shop", "n0000", 3, odd, 3, 1};
    int fd = join_as(r, "n0000", "");
    assert_int_equal(watch_move(r->watch, &wish), 0);
    static const char *long_names[WATCH_TARGETS_MAX + 5];
    static char name[NAME_MAX_BYTES + 1];
    memset(name, 'x', NAME_MAX_BYTES);
    for (size_t i = 0; i < WATCH_TARGETS_MAX + 5; i++)
        long_names[i] = name;
    wish = (struct watch_wish){name, name, 1, long_names, WATCH_TARGETS_MAX + 5, UINT32_MAX};
    assert_int_equal(watch_move(r->watch, &wish), 0); /* nobody is there, but it was made */
    close(fd);
}

static void test_end_tells_the_last_change(void **state)
{
    struct rig *r = *state;
    int fd = join_as(r, "", "");
    wait_for(r, fd, "event: roster\n");
    next_roster(r, 0, 9); /* would have waited for a second */
    close_watch(r);
    assert_true(take(r, fd));
    assert_non_null(strstr(r->text, "\"users\":9"));
    assert_ptr_equal(strstr(r->text, "\"gone\":[]}\n\n"),
                     r->text + r->len - strlen("\"gone\":[]}\n\n"));
    close(fd);
}

static void test_no_roster_yet(void **state)
{
    struct rig *r = *state;
    roster_unref(r->roster);
    r->roster = NULL;
    int fd = join_as(r, "", "");
    assert_true(take(r, fd));
    assert_int_equal(r->len, 0);
    assert_int_equal(r->counters.refused, 1);
    close(fd);
}

/* Whatever allocation fails, the connection ends or goes on whole, and nothing leaks. */
static void test_no_memory(void **state)
{
    struct rig *r = *state;
    unsigned refused = 0;
    for (unsigned n = 1; n < 12; n++) {
        forget(r);
        mem_fail_after(n);
        int fd = join_as(r, "", "");
        mem_fail_after(0);
        uint64_t before = r->counters.refused + r->counters.dropped;
        refused = (unsigned)before;
        if (!take(r, fd)) {
            next_status(r, 1, n % 2 ? STATUS_DOWN : STATUS_UP);
            mem_fail_after(n);
            turn_for(r, 250);
            mem_fail_after(0);
            take(r, fd);
            assert_non_null(strstr(r->text, "event: "));
        }
        close(fd);
        turn_for(r, 20);
    }
    assert_true(refused >= 2);
    int fd = join_as(r, "", "");
    wait_for(r, fd, "event: roster\n");
    close(fd);
}

/* What a watcher says is passed over; it ends with its connection. */
static void test_talking_watcher(void **state)
{
    struct rig *r = *state;
    static char noise[100000];
    int fd = join_as(r, "", "");
    wait_for(r, fd, "event: roster\n");
    for (int i = 0; i < 20; i++) {
        ssize_t n = send(fd, noise, sizeof noise, MSG_NOSIGNAL);
        assert_true(n > 0 || errno == EAGAIN);
        turn_for(r, 2);
    }
    assert_int_equal(r->counters.open, 1);
    shutdown(fd, SHUT_WR);
    for (uint64_t end = now_ms() + PATIENCE_MS; r->counters.open > 0 && now_ms() < end;)
        turn_for(r, 5);
    assert_int_equal(r->counters.open, 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_then_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames_are_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resumes_where_it_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resumes_at_another_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_one_is_skipped_ahead, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crowd_that_does_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound_of_watchers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound_of_topics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_move_says_nothing_odd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_tells_the_last_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_roster_yet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_talking_watcher, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
