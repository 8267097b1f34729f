/* order_test.c - orders over the wire, who waits for an answer, and the last server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/roster/order.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

static size_t encoded(const struct order *o, const struct ordered *a, uint8_t *out)
{
    struct wire_writer w;
    wire_writer_init(&w, out, ORDER_BYTES_MAX);
    if (o)
        order_encode(o, &w);
    else
        ordered_encode(a, &w);
    assert_true(wire_put_ok(&w));
    return wire_written(&w);
}

static void what_is_said_is_heard(void **state)
{
    uint8_t bytes[ORDER_BYTES_MAX];
    struct order o = {.token = 7, .verb = ORDER_MAINT, .force = true}, o2;
    struct ordered a = {.token = UINT64_MAX,
                        .error = STEAD_E_NO_SERVER,
                        .status = STATUS_DRAINING,
                        .draining = true,
                        .maint = true,
                        .drained = true,
                        .users = UINT32_MAX,
                        .records = UINT64_MAX},
                   a2;
    (void)state;
    size_t len = encoded(&o, NULL, bytes);
    assert_int_equal(order_decode(bytes, len, &o2, &a2), ORDER_ASKED);
    assert_true(o2.token == 7 && o2.verb == ORDER_MAINT && o2.force);
    len = encoded(NULL, &a, bytes);
    assert_int_equal(order_decode(bytes, len, &o2, &a2), ORDER_ANSWERED);
    assert_true(a2.token == a.token && a2.error == a.error && a2.status == a.status);
    assert_true(a2.draining && a2.maint && a2.drained);
    assert_true(a2.users == a.users && a2.records == a.records);
    assert_false(ordered_safe(&a2));
    a2.users = 0;
    assert_true(ordered_safe(&a2));
}

static void texts_go_both_ways(void **state)
{
    uint8_t bytes[ORDER_BYTES_MAX];
    struct order o = {.token = 7, .verb = ORDER_CHANGE}, o2;
    struct ordered a = {.token = 7, .error = STEAD_E_INVAL, .status = STATUS_UP}, a2;
    (void)state;
    memset(o.text, 'x', ORDER_TEXT_MAX);
    memset(a.text, 'y', ORDER_TEXT_MAX);
    size_t len = encoded(&o, NULL, bytes);
    assert_int_equal(order_decode(bytes, len, &o2, &a2), ORDER_ASKED);
    assert_string_equal(o2.text, o.text);
    bytes[len - 1] = '\n'; /* it may be logged as it is */
    assert_int_equal(order_decode(bytes, len, &o2, &a2), ORDER_MALFORMED);
    assert_int_equal(order_decode(bytes, len - 1, &o2, &a2), ORDER_MALFORMED);
    len = encoded(NULL, &a, bytes);
    assert_int_equal(order_decode(bytes, len, &o2, &a2), ORDER_ANSWERED);
    assert_string_equal(a2.text, a.text);
    *o.text = '\0'; /* a change of nothing */
    len = encoded(&o, NULL, bytes);
    assert_int_equal(order_decode(bytes, len, &o2, &a2), ORDER_MALFORMED);
    o = (struct order){.token = 7, .verb = ORDER_DRAIN, .text = "more"};
    len = encoded(&o, NULL, bytes);
    assert_int_equal(order_decode(bytes, len, &o2, &a2), ORDER_MALFORMED);
    o = (struct order){.token = 7, .verb = ORDER_RELOAD};
    len = encoded(&o, NULL, bytes);
    assert_int_equal(order_decode(bytes, len, &o2, &a2), ORDER_ASKED);
}

static void what_is_malformed_is_nothing(void **state)
{
    uint8_t bytes[ORDER_BYTES_MAX + 1] = {0};
    struct order o = {.token = 7, .verb = ORDER_DRAIN};
    struct ordered a = {.token = 7, .status = STATUS_UP};
    (void)state;
    for (int answer = 0; answer < 2; answer++) {
        size_t len = encoded(answer ? NULL : &o, &a, bytes);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(order_decode(bytes, cut, &o, &a), ORDER_MALFORMED);
        assert_int_equal(order_decode(bytes, len + 1, &o, &a), ORDER_MALFORMED);
        for (size_t at = 9; at < 12 && at < len; at++) {
            uint8_t was = bytes[at];
            bytes[at] = 0xff;
            assert_int_equal(order_decode(bytes, len, &o, &a), ORDER_MALFORMED);
            bytes[at] = was;
        }
        memset(bytes + 1, 0, 8); /* token 0 is nobody's */
        assert_int_equal(order_decode(bytes, len, &o, &a), ORDER_MALFORMED);
    }
    bytes[0] = 3;
    assert_int_equal(order_decode(bytes, 11, &o, &a), ORDER_MALFORMED);
}

static void an_answer_is_taken_once_and_from_the_right_one(void **state)
{
    struct orders o = {0};
    (void)state;
    uint64_t token = orders_open(&o, 5, 1000), other = orders_open(&o, 6, 1000);
    assert_true(token != 0 && other != 0 && token != other);
    assert_false(orders_close(&o, 6, token));
    assert_false(orders_close(&o, 5, 0));
    assert_true(orders_close(&o, 5, token));
    assert_false(orders_close(&o, 5, token));
    assert_int_equal(orders_expire(&o, 1000 + ORDER_PATIENCE_MS - 1), 0);
    assert_int_equal(orders_expire(&o, 1000 + ORDER_PATIENCE_MS), other);
    assert_int_equal(orders_expire(&o, 1000 + ORDER_PATIENCE_MS), 0);
    assert_false(orders_close(&o, 6, other));
}

static void so_many_wait_and_no_more(void **state)
{
    struct orders o = {0};
    (void)state;
    for (unsigned i = 0; i < ORDERS_MAX; i++)
        assert_true(orders_open(&o, 1, 0) != 0);
    assert_int_equal(orders_open(&o, 1, 0), 0);
    assert_true(orders_close(&o, 1, 3));
    assert_true(orders_open(&o, 1, 0) != 0);
}

static struct roster *two(enum status other)
{
    struct roster *r = roster_blank(2, 1);
    for (size_t i = 0; i < 2; i++) {
        struct entry *e = r->nodes[i].entry;
        snprintf(e->name, sizeof e->name, "s%zu", i + 1);
        e->server_count = 1;
        e->servers[0] = (struct server){.weight = 100, .healthy = true};
        snprintf(e->servers[0].service, sizeof e->servers[0].service, "shop");
        r->nodes[i].status = i ? other : STATUS_UP;
        r->nodes[i].self = i == 0;
    }
    return r;
}

static void the_last_one_is_found(void **state)
{
    static const enum status gone[] = {STATUS_JOINING, STATUS_DRAINING, STATUS_MAINT,
                                       STATUS_SUSPECT, STATUS_DOWN,     STATUS_LEFT};
    (void)state;
    struct roster *r = two(STATUS_UP);
    assert_null(order_last(r));
    r->nodes[1].entry->servers[0].weight = 0;
    assert_string_equal(order_last(r), "shop");
    r->nodes[1].entry->servers[0].weight = 1;
    r->nodes[1].entry->servers[0].healthy = false;
    assert_string_equal(order_last(r), "shop");
    r->nodes[0].entry->servers[0].healthy = false; /* it serves nobody itself */
    assert_null(order_last(r));
    roster_unref(r);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        r = two(gone[i]);
        assert_string_equal(order_last(r), "shop");
        roster_unref(r);
    }
    r = two(STATUS_UP);
    snprintf(r->nodes[1].entry->servers[0].service, NAME_MAX_BYTES, "mail");
    assert_string_equal(order_last(r), "shop");
    r->nodes[0].entry->server_count = 0; /* a director */
    assert_null(order_last(r));
    roster_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_heard),
        cmocka_unit_test(texts_go_both_ways),
        cmocka_unit_test(what_is_malformed_is_nothing),
        cmocka_unit_test(an_answer_is_taken_once_and_from_the_right_one),
        cmocka_unit_test(so_many_wait_and_no_more),
        cmocka_unit_test(the_last_one_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
