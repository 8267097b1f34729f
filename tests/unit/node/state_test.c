/* The folder on disk: one process at a time, a lasting id, a growing boot number; and the key file.
 */
#include "node/keyring.h"
#include "node/state.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/stead-state-XXXXXX";

static void in_folder(char *out, const char *name)
{
    snprintf(out, 128, "%s/%s", folder, name);
}

static void write_text(const char *name, const char *text, mode_t mode)
{
    char path[128];
    in_folder(path, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static void identity_lasts_and_boots_grow(void **unused)
{
    (void)unused;
    char path[128];
    struct state a, b;
    in_folder(path, "one");
    assert_int_equal(state_open(path, &a), STEAD_OK);
    assert_int_equal(state_open(path, &b), STEAD_E_IN_USE);
    state_close(&a);
    assert_int_equal(state_open(path, &b), STEAD_OK);
    assert_true(b.node == a.node && b.node != 0);
    assert_int_equal(b.boot, a.boot + 1);
    assert_true(b.inc != a.inc);
    state_close(&b);
}

static void damaged_identity_is_refused(void **unused)
{
    (void)unused;
    char path[128];
    struct state s;
    in_folder(path, "two");
    assert_int_equal(state_open(path, &s), STEAD_OK);
    state_close(&s);
    write_text("two/node", "id=zz\n", 0600);
    assert_int_equal(state_open(path, &s), STEAD_E_PARSE);
}

static void addresses_come_back(void **unused)
{
    (void)unused;
    char path[128];
    struct state s;
    struct addr in[2], out[4];
    in_folder(path, "three");
    assert_true(addr_parse("127.0.0.12:7300", 0, &in[0]) && addr_parse("[::1]:7301", 0, &in[1]));
    assert_int_equal(state_open(path, &s), STEAD_OK);
    assert_int_equal(state_load_addresses(&s, out, 4), 0);
    assert_int_equal(state_save_addresses(&s, in, 2), STEAD_OK);
    assert_int_equal(state_load_addresses(&s, out, 4), 2);
    assert_true(addr_equal(&in[0], &out[0]) && addr_equal(&in[1], &out[1]));
    state_close(&s);
}

static void keys_are_made_once_and_kept_private(void **unused)
{
    (void)unused;
    char path[128];
    struct keys one, two;
    struct stat st;
    in_folder(path, "farm.key");
    assert_int_equal(key_make(path), STEAD_OK);
    assert_int_equal(key_make(path), STEAD_E_EXISTS);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(keyring_load(path, &one), STEAD_OK);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(keyring_load(path, &two), STEAD_E_DENIED);
    write_text("short.key", "abcd\n", 0600);
    in_folder(path, "short.key");
    assert_int_equal(keyring_load(path, &two), STEAD_E_PARSE);
    in_folder(path, "none.key");
    assert_int_equal(keyring_load(path, &two), STEAD_E_NOT_FOUND);
}

static int make_folder(void **unused)
{
    (void)unused;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **unused)
{
    (void)unused;
    char command[128];
    for (const char *const *f =
             (const char *const[]){"one/lock", "one/node", "one", "two/lock", "two/node", "two",
                                   "three/lock", "three/node", "three/peers", "three", "farm.key",
                                   "short.key", NULL};
         *f; f++) {
        in_folder(command, *f);
        remove(command);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_lasts_and_boots_grow),
        cmocka_unit_test(damaged_identity_is_refused),
        cmocka_unit_test(addresses_come_back),
        cmocka_unit_test(keys_are_made_once_and_kept_private),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
