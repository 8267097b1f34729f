/* listen_test.c - an address in use is told, stale sockets are replaced, modes are as asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/io.h"
#include "io/listen.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct addr bound_address(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct addr a = {0};
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, &a));
    return a;
}

static void temp_dir(char out[64])
{
    snprintf(out, 64, "/tmp/stead-io-XXXXXX");
    assert_non_null(mkdtemp(out));
}

static void tcp_address_in_use_is_told(void **state)
{
    (void)state;
    struct addr any;
    int shared, plain;
    assert_true(addr_parse("127.0.0.1:0", 0, &any));
    assert_int_equal(listen_tcp(&any, true, &shared), STEAD_OK);
    struct addr a = bound_address(shared);
    assert_int_equal(listen_probe_tcp(&a), STEAD_E_IN_USE);
    assert_int_equal(listen_tcp(&a, false, &plain), STEAD_E_IN_USE);
    assert_int_equal(listen_tcp(&a, true, &plain), STEAD_OK); /* a worker's share */
    close(plain);
    close(shared);
    assert_int_equal(listen_probe_tcp(&a), STEAD_OK);
}

static void udp_address_in_use_is_told(void **state)
{
    (void)state;
    struct addr any;
    int fd;
    assert_true(addr_parse("127.0.0.1:0", 0, &any));
    assert_int_equal(listen_udp(&any, true, &fd), STEAD_OK);
    struct addr a = bound_address(fd);
    assert_int_equal(listen_probe_udp(&a), STEAD_E_IN_USE);
    close(fd);
    assert_int_equal(listen_probe_udp(&a), STEAD_OK);
}

static void unix_stale_file_is_replaced_and_a_live_one_is_not(void **state)
{
    (void)state;
    char dir[64], path[128];
    int first, second;
    struct stat st;
    temp_dir(dir);
    snprintf(path, sizeof path, "%s/s", dir);
    assert_int_equal(listen_unix(path, 0660, &first), STEAD_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(listen_unix(path, 0660, &second), STEAD_E_IN_USE);
    close(first);
    assert_int_equal(listen_unix(path, 0600, &second), STEAD_OK);
    close(second);
    unlink(path);
    /* A file that is no socket is somebody's: never removed. */
    assert_int_equal(io_write_file(path, "x", 1, 0600), STEAD_OK);
    assert_int_equal(listen_unix(path, 0660, &second), STEAD_E_EXISTS);
    assert_int_equal(stat(path, &st), 0);
    unlink(path);
    rmdir(dir);
    char longer[200];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(listen_unix(longer, 0660, &second), STEAD_E_TOO_LARGE);
}

static void files_are_written_whole_and_read_within_a_limit(void **state)
{
    (void)state;
    char dir[64], path[128], *text;
    size_t len;
    temp_dir(dir);
    snprintf(path, sizeof path, "%s/a/b", dir);
    assert_int_equal(io_make_dirs(path), STEAD_OK);
    assert_int_equal(io_make_dirs(path), STEAD_OK);
    snprintf(path, sizeof path, "%s/a/b/f", dir);
    char big[10000];
    memset(big, 'x', sizeof big);
    assert_int_equal(io_write_file(path, "old", 3, 0600), STEAD_OK);
    assert_int_equal(io_write_file(path, big, sizeof big, 0640), STEAD_OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(io_read_file(path, sizeof big, &text, &len), STEAD_OK);
    assert_int_equal(len, sizeof big);
    assert_memory_equal(text, big, len);
    assert_int_equal(text[len], 0);
    free(text);
    assert_int_equal(io_read_file(path, sizeof big - 1, &text, &len), STEAD_E_TOO_LARGE);
    assert_int_equal(io_make_dirs(path), STEAD_E_EXISTS);
    int lock, other;
    assert_int_equal(io_lock_file(path, &lock), STEAD_OK);
    assert_int_equal(io_lock_file(path, &other), STEAD_E_IN_USE);
    close(lock);
    unlink(path);
    assert_int_equal(io_read_file(path, 10, &text, &len), STEAD_E_NOT_FOUND);
    snprintf(path, sizeof path, "rm -r %s", dir);
    assert_int_equal(system(path), 0);
}

static void addresses_survive_the_way_through_the_system(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:80", "[::1]:65535"};
    for (size_t i = 0; i < 2; i++) {
        struct addr a, b;
        struct sockaddr_storage sa;
        assert_true(addr_parse(texts[i], 0, &a));
        assert_true(io_sockaddr(&a, &sa) > 0);
        assert_true(io_from_sockaddr((struct sockaddr *)&sa, &b));
        assert_true(addr_equal(&a, &b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_address_in_use_is_told),
        cmocka_unit_test(udp_address_in_use_is_told),
        cmocka_unit_test(unix_stale_file_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(files_are_written_whole_and_read_within_a_limit),
        cmocka_unit_test(addresses_survive_the_way_through_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
