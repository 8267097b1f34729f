/* wire_test.c - cursors never leave their bytes, and an error stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/wire.h"

#include <string.h>

static void numbers_are_big_endian(void **state)
{
    (void)state;
    uint8_t buffer[15];
    static const uint8_t expected[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct wire_writer w;
    wire_writer_init(&w, buffer, sizeof buffer);
    wire_put_u8(&w, 0x01);
    wire_put_u16(&w, 0x0203);
    wire_put_u32(&w, 0x04050607);
    wire_put_u64(&w, 0x08090a0b0c0d0e0full);
    assert_true(wire_put_ok(&w));
    assert_int_equal(wire_written(&w), 15);
    assert_memory_equal(buffer, expected, 15);

    struct wire_reader r;
    wire_reader_init(&r, buffer, sizeof buffer);
    assert_int_equal(wire_u8(&r), 0x01);
    assert_int_equal(wire_u16(&r), 0x0203);
    assert_int_equal(wire_u32(&r), 0x04050607);
    assert_false(wire_done(&r));
    assert_int_equal(wire_left(&r), 8);
    assert_true(wire_u64(&r) == 0x08090a0b0c0d0e0full);
    assert_true(wire_done(&r));
}

static void a_reader_stays_failed(void **state)
{
    (void)state;
    uint8_t *bytes = mem_alloc(3); /* its own block, so that an overread is seen */
    bytes[2] = 9;
    struct wire_reader r;
    wire_reader_init(&r, bytes, 3);
    assert_int_equal(wire_u32(&r), 0);
    assert_false(wire_ok(&r));
    assert_int_equal(wire_u8(&r), 0);
    assert_null(wire_bytes(&r, 0));
    assert_int_equal(wire_left(&r), 0);
    assert_false(wire_done(&r));
    wire_reader_init(&r, bytes, 3);
    assert_null(wire_bytes(&r, SIZE_MAX));
    assert_false(wire_ok(&r));
    wire_reader_init(&r, bytes, 3);
    wire_fail(&r);
    assert_int_equal(wire_u8(&r), 0);
    assert_false(wire_ok(&r));
    mem_free(bytes);
}

static void an_empty_input_is_done(void **state)
{
    (void)state;
    struct wire_reader r;
    wire_reader_init(&r, NULL, 0);
    assert_true(wire_done(&r));
    assert_non_null(wire_bytes(&r, 0));
    assert_int_equal(wire_u8(&r), 0);
    assert_false(wire_ok(&r));
}

static void strings_carry_their_length(void **state)
{
    (void)state;
    uint8_t buffer[64];
    size_t len;
    struct wire_writer w;
    wire_writer_init(&w, buffer, sizeof buffer);
    wire_put_str8(&w, "one", 3);
    wire_put_str16(&w, "", 0);
    wire_put_str32(&w, "three", 5);
    assert_int_equal(wire_written(&w), 1 + 3 + 2 + 4 + 5);

    struct wire_reader r;
    wire_reader_init(&r, buffer, wire_written(&w));
    assert_memory_equal(wire_str8(&r, &len), "one", 3);
    assert_int_equal(len, 3);
    assert_non_null(wire_str16(&r, &len));
    assert_int_equal(len, 0);
    assert_memory_equal(wire_str32(&r, &len), "three", 5);
    assert_true(wire_done(&r));

    wire_reader_init(&r, buffer, 3);
    len = 77;
    assert_null(wire_str8(&r, &len));
    assert_int_equal(len, 0);
    static const uint8_t lie[] = {0xff, 0xff, 0xff, 0xff, 'x'};
    wire_reader_init(&r, lie, sizeof lie);
    assert_null(wire_str32(&r, &len));
    assert_int_equal(len, 0);
}

static void a_writer_stays_failed(void **state)
{
    (void)state;
    uint8_t buffer[8] = {0};
    struct wire_writer w;
    wire_writer_init(&w, buffer, 4);
    wire_put_u16(&w, 0xffff);
    wire_put_u32(&w, 0xffffffff);
    assert_false(wire_put_ok(&w));
    wire_put_u8(&w, 0xff);
    assert_int_equal(wire_written(&w), 2);
    assert_int_equal(buffer[2], 0);
    assert_int_equal(buffer[4], 0);

    uint8_t big[1024], text[300] = {0};
    wire_writer_init(&w, big, sizeof big);
    wire_put_str8(&w, text, 255);
    assert_true(wire_put_ok(&w));
    wire_put_str8(&w, text, 256);
    assert_false(wire_put_ok(&w));
    assert_int_equal(wire_written(&w), 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian), cmocka_unit_test(a_reader_stays_failed),
        cmocka_unit_test(an_empty_input_is_done), cmocka_unit_test(strings_carry_their_length),
        cmocka_unit_test(a_writer_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
