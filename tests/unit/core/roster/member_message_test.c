/* member_message_test.c - the bytes of membership's messages: round trips, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/roster/member_message.h"
#include "core/roster/swim.h"

static const struct heartbeat beat = {.stamp = 900, .echo = 800, .counted = 2, .revision = 5};

static size_t put_beat(const struct heartbeat *h, uint8_t *bytes, size_t max)
{
    struct wire_writer w;
    wire_writer_init(&w, bytes, max);
    member_message_put_heartbeat(h, &w);
    assert_true(wire_put_ok(&w));
    return wire_written(&w);
}

static void test_heartbeat(void **state)
{
    (void)state;
    uint8_t bytes[HEARTBEAT_BYTES + 1];
    struct member_message m;
    size_t len = put_beat(&beat, bytes, sizeof bytes);
    assert_int_equal(len, HEARTBEAT_BYTES);
    assert_true(member_message_decode(bytes, len, &m));
    assert_int_equal(m.type, MESSAGE_HEARTBEAT);
    assert_int_equal(m.heartbeat.stamp, 900);
    assert_int_equal(m.heartbeat.echo, 800);
    assert_int_equal(m.heartbeat.counted, 2);
    assert_int_equal(m.heartbeat.revision, 5);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(member_message_decode(bytes, cut, &m));
    bytes[len] = 0;
    assert_false(member_message_decode(bytes, len + 1, &m));
    struct heartbeat h = beat;
    h.stamp = 0;
    assert_false(member_message_decode(bytes, put_beat(&h, bytes, sizeof bytes), &m));
    h = beat;
    h.revision = 0;
    assert_false(member_message_decode(bytes, put_beat(&h, bytes, sizeof bytes), &m));
}

static void test_leaving_and_strange_types(void **state)
{
    (void)state;
    uint8_t bytes[2] = {MESSAGE_LEAVING, 0};
    struct member_message m;
    assert_true(member_message_decode(bytes, 1, &m));
    assert_int_equal(m.type, MESSAGE_LEAVING);
    assert_false(member_message_decode(bytes, 2, &m));
    assert_false(member_message_decode(bytes, 0, &m));
    for (unsigned type = 0; type < 256; type++) {
        bytes[0] = (uint8_t)type;
        if (type != MESSAGE_LEAVING)
            assert_false(member_message_decode(bytes, 1, &m));
    }
    assert_true(MESSAGE_LEAVING < SWIM_TYPE_FIRST && MESSAGE_HEARTBEAT < SWIM_TYPE_FIRST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_leaving_and_strange_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
