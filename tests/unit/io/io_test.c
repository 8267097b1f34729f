/* io_test.c - memory that is kept out of core dumps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/io.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Are the pages of that address left out? As the kernel tells ("dd" among its flags). */
static bool undumped(const void *at)
{
    char line[512];
    bool here = false, found = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = (uintptr_t)at >= from && (uintptr_t)at < to;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, " dd") != NULL;
    }
    fclose(f);
    return found;
}

static void whole_pages_are_left_out_of_dumps(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    (void)state;
    char *at = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    assert_false(undumped(at + page));
    io_undumped(at + 2 * page - 1, 2); /* over the edge of one */
    assert_false(undumped(at));
    assert_true(undumped(at + page));
    assert_true(undumped(at + 2 * page));
    assert_false(undumped(at + 3 * page));
    munmap(at, 4 * page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_pages_are_left_out_of_dumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
