/* inline_rules_test.c - the lines for servers of both families, and what running them says. */
#include "node/inline_rules.h"

#include "base/mem.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct config *make(const char *const *addresses, size_t count)
{
    struct config *c = mem_alloc(sizeof(*c));
    assert_non_null(c);
    c->server_count = count;
    for (size_t i = 0; i < count; i++)
        assert_true(addr_parse(addresses[i], 0, &c->servers[i].tcp.address));
    c->in_line = (struct inline_section){.present = true, .port = 7390, .mark = 5, .table = 6};
    return c;
}

static size_t lines_with(const struct inline_rules *r, const char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        n += strstr(r->line[i], text) != NULL;
    return n;
}

static void test_lines(void **state)
{
    static const char *const at[] = {"10.2.0.2:80", "10.2.0.3:443", "[fd00::2]:80"};
    struct config *c = make(at, 3);
    struct inline_rules r, undo;
    (void)state;
    inline_rules_make(c, &r);
    assert_int_equal(lines_with(&r, "TPROXY"), 3);
    assert_int_equal(lines_with(&r, "-d 10.2.0.3 --dport 443 -j TPROXY --on-port 7390"), 1);
    assert_int_equal(lines_with(&r, "ip6tables-legacy"), lines_with(&r, "iptables-legacy") - 1);
    assert_int_equal(lines_with(&r, "rule add fwmark 5 lookup 6"), 2);
    uint64_t mark = inline_rules_mark(c);
    inline_rules_undo(c, &undo);
    assert_int_equal(undo.count, 10);
    assert_true(mark != 0 && mark == inline_rules_mark(c));
    c->in_line.interfaces.count = 2;
    strcpy(c->in_line.interfaces.text[0], "eth1");
    strcpy(c->in_line.interfaces.text[1], "eth2");
    inline_rules_make(c, &r);
    assert_int_equal(lines_with(&r, "TPROXY"), 6);
    assert_int_equal(lines_with(&r, "-i eth2"), 3);
    assert_true(mark != inline_rules_mark(c));
    c->server_count = 1;
    inline_rules_make(c, &r);
    assert_int_equal(lines_with(&r, "ip6tables"), 0);
    mem_free(c);
}

static void test_running(void **state)
{
    struct inline_rules r = {.count = 3, .line = {"true and more words", "false", "true"}};
    const char *failed;
    (void)state;
    assert_int_equal(inline_rules_run(&r, false, &failed), STEAD_E_IO);
    assert_ptr_equal(failed, r.line[1]);
    assert_int_equal(inline_rules_run(&r, true, &failed), STEAD_OK);
    assert_null(failed);
    strcpy(r.line[1], "true");
    assert_int_equal(inline_rules_run(&r, false, &failed), STEAD_OK);
    strcpy(r.line[1], "no-such-command-anywhere");
    assert_int_equal(inline_rules_run(&r, false, &failed), STEAD_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines),
                                       cmocka_unit_test(test_running)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
