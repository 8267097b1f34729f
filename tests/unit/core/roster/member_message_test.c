/* member_message_test.c - the bytes of roster messages: round trips, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/roster/member_message.h"

#include <string.h>

static const struct entry someone = {
    .node = 7,
    .inc = 8,
    .boot = 1,
    .revision = 5,
    .status = STATUS_UP,
    .name = "alpha",
    .address = {.family = 4, .port = 7946, .ip = {10, 0, 0, 1}},
};

static const struct heartbeat beat = {
    .stamp = 900, .echo = 800, .counted = 2, .revision = 5, .confirmed = 3};

static size_t put_beat(const struct heartbeat *h, bool with_entry, uint8_t *bytes, size_t max)
{
    uint8_t entry[ENTRY_BYTES_MAX];
    struct wire_writer w, e;
    wire_writer_init(&e, entry, sizeof entry);
    entry_encode(&someone, &e);
    wire_writer_init(&w, bytes, max);
    member_message_put_heartbeat(h, with_entry ? entry : NULL, wire_written(&e), &w);
    assert_true(wire_put_ok(&w));
    return wire_written(&w);
}

static void test_heartbeat(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct member_message m;
    for (int with = 0; with < 2; with++) {
        size_t len = put_beat(&beat, with, bytes, sizeof bytes);
        assert_true(member_message_decode(bytes, len, &m));
        assert_int_equal(m.type, MESSAGE_HEARTBEAT);
        assert_int_equal(m.heartbeat.stamp, 900);
        assert_int_equal(m.heartbeat.echo, 800);
        assert_int_equal(m.heartbeat.counted, 2);
        assert_int_equal(m.heartbeat.confirmed, 3);
        assert_int_equal(m.heartbeat.has_entry, with);
        assert_true(!with || strcmp(m.heartbeat.entry.name, "alpha") == 0);
        for (size_t cut = 0; cut < len; cut++)
            assert_false(member_message_decode(bytes, cut, &m));
        bytes[len] = 0;
        assert_false(member_message_decode(bytes, len + 1, &m));
    }
    struct heartbeat h = beat;
    h.stamp = 0;
    assert_false(member_message_decode(bytes, put_beat(&h, false, bytes, sizeof bytes), &m));
    h = beat;
    h.revision = 6; /* and an entry of revision 5 */
    assert_false(member_message_decode(bytes, put_beat(&h, true, bytes, sizeof bytes), &m));
}

static size_t put_list(enum status status, uint16_t count, uint16_t said, uint8_t *bytes,
                       size_t max)
{
    struct list_record r = {
        .status = status, .age_ms = 70, .addr = someone.address, .entry = someone};
    struct wire_writer w;
    wire_writer_init(&w, bytes, max);
    member_message_list_start(&w);
    for (uint16_t i = 0; i < count; i++)
        assert_true(member_message_put_record(&r, &w));
    member_message_list_finish(&w, said, true);
    return wire_written(&w);
}

static void test_list(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct member_message m;
    struct list_record r;
    size_t len = put_list(STATUS_DOWN, 2, 2, bytes, sizeof bytes);
    assert_true(member_message_decode(bytes, len, &m));
    assert_int_equal(m.count, 2);
    assert_true(m.last);
    for (int i = 0; i < 2; i++) {
        assert_true(member_message_get_record(&m.records, &r));
        assert_int_equal(r.status, STATUS_DOWN);
        assert_int_equal(r.age_ms, 70);
        assert_true(addr_equal(&r.addr, &someone.address));
        assert_memory_equal(&r.entry, &someone, sizeof someone);
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_false(member_message_decode(bytes, cut, &m));
    len = put_list(STATUS_UP, 2, 3, bytes, sizeof bytes);
    assert_false(member_message_decode(bytes, len, &m));
    len = put_list(STATUS_UP, 2, 1, bytes, sizeof bytes);
    assert_false(member_message_decode(bytes, len, &m));
    len = put_list(STATUS_SUSPECT, 1, 1, bytes, sizeof bytes); /* an opinion, not passed on */
    assert_false(member_message_decode(bytes, len, &m));
}

static void test_full_page_leaves_the_writer_as_it_was(void **state)
{
    (void)state;
    uint8_t bytes[100];
    struct list_record r = {.status = STATUS_UP, .addr = someone.address, .entry = someone};
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    member_message_list_start(&w);
    assert_true(member_message_put_record(&r, &w));
    size_t before = wire_written(&w);
    assert_false(member_message_put_record(&r, &w));
    assert_int_equal(wire_written(&w), before);
    assert_true(wire_put_ok(&w));
}

static void test_other_types(void **state)
{
    (void)state;
    static const uint8_t leaving[] = {MESSAGE_LEAVING, 0}, unknown[] = {5}, zero[] = {0};
    struct member_message m;
    assert_true(member_message_decode(leaving, 1, &m));
    assert_int_equal(m.type, MESSAGE_LEAVING);
    assert_false(member_message_decode(leaving, 2, &m));
    assert_false(member_message_decode(unknown, 1, &m));
    assert_false(member_message_decode(zero, 1, &m));
    assert_false(member_message_decode(zero, 0, &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_full_page_leaves_the_writer_as_it_was),
        cmocka_unit_test(test_other_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
