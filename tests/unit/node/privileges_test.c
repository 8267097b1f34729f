/* privileges_test.c - from root to a user who cannot go back. Each change is made in a child. */
#include "node/privileges.h"

#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER "nobody"

static char folder[] = "/tmp/stead-privileges-XXXXXX";
static struct config config;

static int set_up(void **state)
{
    (void)state;
    memset(&config, 0, sizeof(config));
    snprintf(config.top.state, sizeof(config.top.state), "%s", folder);
    snprintf(config.top.user, sizeof(config.top.user), USER);
    return 0;
}

/* What the child finds, as its exit status. */
static int in_child(int (*what)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(what());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static uint64_t permitted(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data))
        return UINT64_MAX;
    return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

enum { DROPPED = 40, NOT_DROPPED, STILL_ROOT, STILL_ABLE, COMES_BACK, NOT_GIVEN };

static int becomes_nobody(void)
{
    char file[64], link[64];
    const char *const files[] = {link};
    struct stat st;
    struct passwd *p = getpwnam(USER);
    snprintf(file, sizeof(file), "%s/node", folder);
    snprintf(link, sizeof(link), "%s/link", folder);
    if (privileges_drop(&config, files, 1) != STEAD_OK)
        return NOT_DROPPED;
    if (getuid() != p->pw_uid || geteuid() != p->pw_uid || getgid() != p->pw_gid)
        return STILL_ROOT;
    if (permitted() != privileges_needed(&config))
        return STILL_ABLE;
    if (setuid(0) == 0 || setgid(0) == 0)
        return COMES_BACK;
    if (stat(file, &st) || st.st_uid != p->pw_uid || stat(folder, &st) || st.st_uid != p->pw_uid)
        return NOT_GIVEN;
    /* A link's target stays root's. */
    return stat("/etc/hostname", &st) == 0 && st.st_uid == 0 ? DROPPED : NOT_GIVEN;
}

static void make_folder(void)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/node", folder);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    snprintf(path, sizeof(path), "%s/link", folder);
    unlink(path);
    assert_int_equal(symlink("/etc/hostname", path), 0);
}

static void root_becomes_the_user_for_good(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make_folder();
    assert_int_equal(in_child(becomes_nobody), DROPPED);
    config.in_line.present = true;
    assert_int_equal(privileges_needed(&config), 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_RAW);
    assert_int_equal(chown(folder, 0, 0), 0);
    make_folder();
    if (permitted() & 1ull << CAP_NET_ADMIN)
        assert_int_equal(in_child(becomes_nobody), DROPPED);
}

static void a_user_that_is_not_there_is_said(void **state)
{
    (void)state;
    snprintf(config.top.user, sizeof(config.top.user), "no-such-user-here");
    assert_int_equal(privileges_drop(&config, NULL, 0), STEAD_E_CONFIG);
}

static int drops_again(void)
{
    uint64_t before = permitted();
    *config.top.user = '\0';
    if (privileges_drop(&config, NULL, 0) != STEAD_OK)
        return NOT_DROPPED;
    return permitted() == (geteuid() == 0 ? before : 0) ? DROPPED : STILL_ABLE;
}

static int as_nobody_another_one(void)
{
    if (setuid(getpwnam(USER)->pw_uid))
        return NOT_DROPPED;
    snprintf(config.top.user, sizeof(config.top.user), "root");
    return privileges_drop(&config, NULL, 0) == STEAD_E_DENIED ? DROPPED : COMES_BACK;
}

static void without_a_user_identity_stays(void **state)
{
    (void)state;
    assert_int_equal(in_child(drops_again), DROPPED);
    if (geteuid() == 0)
        assert_int_equal(in_child(as_nobody_another_one), DROPPED);
}

static int make(void **state)
{
    (void)state;
    return mkdtemp(folder) && chmod(folder, 0755) == 0 ? 0 : -1;
}

static int clean(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof(path), "%s/node", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/link", folder);
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(root_becomes_the_user_for_good, set_up),
        cmocka_unit_test_setup(a_user_that_is_not_there_is_said, set_up),
        cmocka_unit_test_setup(without_a_user_identity_stays, set_up),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
