/* name_view_test.c - the book: when a new view is made, by whom, and what happens without memory or
 * with a file that is no good. The store is this file's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "name_fixture.h"
#include "store/store.h"

struct store {
    struct roster *roster;
};

struct roster *store_roster(struct store *s)
{
    return s->roster ? roster_ref(s->roster) : NULL;
}

struct shelf {
    struct fixture *f;
    struct store store;
    struct name_book *book;
    struct name_view *view;
};

static int setup(void **state)
{
    struct shelf *s = calloc(1, sizeof *s);
    assert_non_null(s);
    fixture_setup((void **)&s->f);
    s->book = name_book_new(&s->f->config, &s->store);
    assert_non_null(s->book);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct shelf *s = *state;
    name_view_unref(s->view);
    name_book_free(s->book);
    fixture_teardown((void **)&s->f);
    free(s);
    return 0;
}

static void look(struct shelf *s)
{
    s->view = name_book_look(s->book, s->view, &s->f->stats);
}

/* A view that took long to make is not made again at once: wait for it. */
static bool comes_to(struct shelf *s, uint64_t revision)
{
    for (int i = 0; i < 5000 && !(s->view && s->view->revision == revision); i++) {
        look(s);
        usleep(1000);
    }
    return s->view && s->view->revision == revision;
}

static void test_one_view_for_all(void **state)
{
    struct shelf *s = *state;
    look(s);
    assert_null(s->view); /* there is no roster yet */
    s->store.roster = s->f->roster;
    look(s);
    assert_non_null(s->view);
    assert_int_equal(s->view->revision, 42);
    struct name_view *second = name_book_look(s->book, NULL, &s->f->stats);
    assert_ptr_equal(second, s->view);
    name_view_unref(second);
    struct name_view *before = s->view;
    for (int i = 0; i < 10; i++)
        look(s);
    assert_ptr_equal(s->view, before);
    assert_int_equal(s->f->stats.views, 1);
    s->f->roster->revision = 43;
    assert_true(comes_to(s, 43));
    assert_int_equal(s->f->stats.views, 2);
}

static void test_no_memory(void **state)
{
    struct shelf *s = *state;
    s->store.roster = s->f->roster;
    mem_fail_after(1);
    look(s);
    mem_fail_after(0);
    assert_null(s->view);
    assert_int_equal(s->f->stats.views_failed, 1);
    assert_true(comes_to(s, 42));
    s->f->roster->revision = 43;
    for (int i = 0; i < 5000 && s->f->stats.views_failed == 1; i++) {
        mem_fail_after(1);
        look(s);
        mem_fail_after(0);
        usleep(1000);
    }
    assert_int_equal(s->view->revision, 42); /* the old one is answered from */
    assert_true(comes_to(s, 43));
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_records_are_read_again(void **state)
{
    struct shelf *s = *state;
    char path[] = "/tmp/stead-records-XXXXXX", error[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    s->store.roster = s->f->roster;
    write_file(path, "a TXT one\n");
    assert_true(name_book_load(s->book, path, error, sizeof error));
    look(s);
    assert_non_null(s->view->file);
    const struct name_records *first = s->view->records;
    write_file(path, "a TXT two\na CNAME b\n");
    assert_false(name_book_load(s->book, path, error, sizeof error));
    assert_non_null(strstr(error, "an alias (CNAME) has further records"));
    look(s);
    assert_ptr_equal(s->view->records, first);
    write_file(path, "a TXT two\n");
    assert_true(name_book_load(s->book, path, error, sizeof error));
    for (int i = 0; i < 5000 && s->view->records == first; i++) {
        look(s);
        usleep(1000);
    }
    assert_ptr_not_equal(s->view->records, first);
    unlink(path);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_one_view_for_all),
        test(test_no_memory),
        test(test_records_are_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
