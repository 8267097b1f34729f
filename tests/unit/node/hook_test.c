/* hook_test.c - commands, signals and sockets of other programs, and how they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/hook.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/stead-hook-XXXXXX";
static atomic_bool goes_on, stops = true;

static const char *in_folder(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", folder, name);
    return out;
}

static struct hook hook(uint32_t deadline_ms)
{
    return (struct hook){.deadline_ms = deadline_ms, .stop = &goes_on};
}

static void fails(bool done, const struct hook *h, const char *why)
{
    assert_false(done);
    if (!strstr(h->why, why))
        fail_msg("wanted \"%s\" in \"%s\"", why, h->why);
}

static void test_lines(void **state)
{
    (void)state;
    char line[2 * HOOK_LINE_MAX] = "/a";
    assert_true(hook_line_valid("/usr/sbin/nginx -s reload"));
    assert_true(hook_line_valid("  /bin/true\t"));
    assert_false(hook_line_valid(""));
    assert_false(hook_line_valid("  "));
    assert_false(hook_line_valid("nginx -s reload"));
    assert_false(hook_line_valid("/bin/a\n/bin/b"));
    for (int i = 1; i < HOOK_WORDS_MAX; i++)
        strncat(line, " b", 3);
    assert_true(hook_line_valid(line));
    strncat(line, " b", 3);
    assert_false(hook_line_valid(line));
    memset(line, 'a', HOOK_LINE_MAX);
    line[0] = '/';
    line[HOOK_LINE_MAX] = '\0';
    assert_false(hook_line_valid(line));
}

static void test_a_command_ends_well_or_not(void **state)
{
    (void)state;
    struct hook h = hook(10000);
    assert_true(hook_run(&h, "/bin/true and its words"));
    assert_string_equal(h.why, "");
    fails(hook_run(&h, "/bin/false"), &h, "/bin/false: ended with status 1");
    fails(hook_run(&h, "/nowhere/at/all"), &h, "No such file");
    assert_true(hook_run(&h, "/bin/true"));
    assert_string_equal(h.why, "");
}

static void test_no_shell_looks(void **state)
{
    (void)state;
    char line[300], path[128];
    struct hook h = hook(10000);
    snprintf(line, sizeof line, "/usr/bin/touch %s/a;touch$(id)`id`|b>c", folder);
    assert_true(hook_run(&h, line));
    assert_int_equal(access(in_folder("a;touch$(id)`id`|b>c", path), F_OK), 0);
    assert_int_not_equal(access(in_folder("c", path), F_OK), 0);
    unlink(in_folder("a;touch$(id)`id`|b>c", path));
}

static void test_a_command_that_does_not_end(void **state)
{
    (void)state;
    struct hook h = hook(50);
    fails(hook_run(&h, "/bin/sleep 1000"), &h, "not done within 50 ms");
    h.stop = &stops;
    h.deadline_ms = 10000;
    fails(hook_run(&h, "/bin/sleep 1"), &h, "this node stops");
}

static volatile sig_atomic_t told;

static void hear(int number)
{
    told = number;
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_signals(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",   "\n", "nginx\n", "0\n",           "1\n",
        "-5", "7x", "12 13\n", "99999999999\n", "999999999999999999999\n"};
    char path[128], pid[32];
    struct hook h = hook(1000);
    in_folder("pid", path);
    fails(hook_signal(&h, path, SIGUSR2), &h, "No such file");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        put(path, none[i]);
        fails(hook_signal(&h, path, SIGUSR2), &h, "no process number");
    }
    signal(SIGUSR2, hear);
    snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    put(path, pid);
    assert_true(hook_signal(&h, path, SIGUSR2));
    assert_int_equal(told, SIGUSR2);
    put(path, "2147483647\n");
    fails(hook_signal(&h, path, SIGUSR2), &h, "No such process");
    unlink(path);
}

/* Answers `answer`, or nothing at all when it is NULL, until the other side is gone. */
struct listener {
    int fd;
    const char *answer;
    char heard[256];
    pthread_t thread;
};

static void *listens(void *context)
{
    struct listener *l = context;
    int fd = accept(l->fd, NULL, NULL);
    ssize_t n = recv(fd, l->heard, sizeof l->heard - 1, 0);
    assert_true(n >= 0);
    if (l->answer)
        assert_true(send(fd, l->answer, strlen(l->answer), MSG_NOSIGNAL) >= 0);
    else
        while (recv(fd, l->heard, sizeof l->heard - 1, 0) > 0)
            ;
    close(fd);
    return NULL;
}

static void say(const char *answer, struct listener *l)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", folder);
    unlink(at.sun_path);
    *l = (struct listener){.fd = socket(AF_UNIX, SOCK_STREAM, 0), .answer = answer};
    assert_int_equal(bind(l->fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(l->fd, 1), 0);
    assert_int_equal(pthread_create(&l->thread, NULL, listens, l), 0);
}

static void end(struct listener *l)
{
    pthread_join(l->thread, NULL);
    close(l->fd);
}

static void test_sockets(void **state)
{
    (void)state;
    char path[128], reply[8];
    struct listener l;
    struct hook h = hook(10000);
    in_folder("socket", path);
    fails(hook_say(&h, path, "ask\n", 4, reply, sizeof reply), &h, "No such file");
    say("well\n", &l);
    assert_true(hook_say(&h, path, "ask\n", 4, reply, sizeof reply));
    end(&l);
    assert_string_equal(l.heard, "ask\n");
    assert_string_equal(reply, "well\n");
    say("more than there is room for\n", &l);
    assert_true(hook_say(&h, path, "ask\n", 4, reply, sizeof reply));
    end(&l);
    assert_string_equal(reply, "more th");
    h.deadline_ms = 50;
    say(NULL, &l);
    fails(hook_say(&h, path, "ask\n", 4, reply, sizeof reply), &h, "no answer within 50 ms");
    end(&l);
    fails(hook_say(&h, path, "ask\n", 4, reply, sizeof reply), &h, "refused");
    unlink(path);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),          cmocka_unit_test(test_a_command_ends_well_or_not),
        cmocka_unit_test(test_no_shell_looks), cmocka_unit_test(test_a_command_that_does_not_end),
        cmocka_unit_test(test_signals),        cmocka_unit_test(test_sockets),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
