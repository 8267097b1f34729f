/* kind_test.c - the default kinds: what may be lost, and what must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/record/record.h"
#include "core/session/kind.h"

#include <string.h>

static const struct kind *named(const struct kinds *k, const char *name)
{
    int i = kinds_find(k, name);
    assert_true(i >= 0);
    assert_string_equal(k->kind[i].name, name);
    return &k->kind[i];
}

static void the_order_is_part_of_the_protocol(void **state)
{
    (void)state;
    static const char *const names[] = {"tls", "auth", "purchase", "tcp", "stream", "app"};
    struct kinds k;
    kinds_default(&k);
    assert_int_equal(k.count, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(kinds_find(&k, names[i]), i);
    assert_int_equal(kinds_find(&k, "cart"), -1);
    assert_int_equal(kinds_find(&k, ""), -1);
    assert_int_equal(kinds_find(&k, "tl"), -1);
}

static void only_tls_may_be_lost(void **state)
{
    (void)state;
    struct kinds k;
    kinds_default(&k);
    for (size_t i = 0; i < k.count; i++) {
        bool tls = strcmp(k.kind[i].name, "tls") == 0;
        assert_int_equal(k.kind[i].copies, tls ? COPIES_ALL : 2);
        assert_int_equal(k.kind[i].ack, tls ? 0 : ACK_ALL);
        assert_int_equal(k.kind[i].losable, tls);
        assert_int_equal(k.kind[i].sliding, !tls);
        assert_int_equal(k.kind[i].when_alone, tls ? ALONE_ACCEPT : ALONE_REFUSE);
        assert_int_equal(k.kind[i].when_full, tls ? FULL_EVICT : FULL_REFUSE);
        assert_int_equal(k.kind[i].memory_bytes, 0);
    }
}

static void lives_and_deletions(void **state)
{
    (void)state;
    struct kinds k;
    kinds_default(&k);
    assert_int_equal(named(&k, "tls")->ttl_ms, 7200000);
    assert_int_equal(named(&k, "auth")->ttl_ms, 43200000);
    assert_int_equal(named(&k, "purchase")->ttl_ms, 86400000);
    assert_int_equal(named(&k, "tcp")->ttl_ms, 3600000);
    assert_int_equal(named(&k, "stream")->ttl_ms, 3600000);
    assert_int_equal(named(&k, "app")->ttl_ms, 86400000);
    assert_int_equal(named(&k, "auth")->deletion, DELETE_FINAL);
    assert_int_equal(named(&k, "app")->deletion, DELETE_VERSIONED);
}

static void sizes_have_a_limit_each(void **state)
{
    (void)state;
    struct kinds k;
    kinds_default(&k);
    assert_int_equal(kind_size_max(named(&k, "tls")), 65536);
    assert_int_equal(kind_size_max(named(&k, "auth")), 65536);
    assert_int_equal(kind_size_max(named(&k, "purchase")), 262144);
    assert_int_equal(kind_size_max(named(&k, "tcp")), 1048576);
    assert_int_equal(kind_size_max(named(&k, "stream")), 1048576);
    assert_int_equal(kind_size_max(named(&k, "app")), 1048576);
    assert_int_equal(kind_size_max(&(struct kind){.copies = 2}), RECORD_BYTES_MAX);
}

/* Copies, for one, are what other nodes count on. */
static void what_changes_while_it_runs(void **state)
{
    (void)state;
    struct kinds k, from;
    kinds_default(&k);
    kinds_default(&from);
    assert_false(kinds_renew(&k, &from));
    from.kind[1].size_bytes = 100;
    from.kind[2].ttl_ms = 5;
    from.kind[3].sliding = false;
    from.kind[3].copies = 5;
    memcpy(from.kind[5].name, "other", 6);
    from.kind[5].size_bytes = 7;
    assert_true(kinds_renew(&k, &from));
    assert_int_equal(k.kind[1].size_bytes, 100);
    assert_int_equal(k.kind[2].ttl_ms, 5);
    assert_false(k.kind[3].sliding);
    assert_int_equal(k.kind[3].copies, 2);
    assert_int_equal(k.kind[5].size_bytes, 1048576);
    from.count = 1;
    from.kind[0].size_bytes = 9;
    from.kind[1].size_bytes = 9;
    assert_true(kinds_renew(&k, &from));
    assert_int_equal(k.kind[0].size_bytes, 9);
    assert_int_equal(k.kind[1].size_bytes, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_part_of_the_protocol),
        cmocka_unit_test(only_tls_may_be_lost),
        cmocka_unit_test(lives_and_deletions),
        cmocka_unit_test(sizes_have_a_limit_each),
        cmocka_unit_test(what_changes_while_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
