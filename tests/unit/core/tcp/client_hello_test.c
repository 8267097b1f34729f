/* client_hello_test.c - names of hellos, whole, cut into records and into reads, and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/tcp/client_hello.h"

#include <string.h>

struct hello {
    uint8_t bytes[4096];
    size_t len;
};

static void put(struct hello *h, const void *bytes, size_t len)
{
    memcpy(h->bytes + h->len, bytes, len);
    h->len += len;
}

static void put_u16(struct hello *h, size_t v)
{
    put(h, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

/* The extensions of a hello: an odd one first, then the name. */
static void put_extensions(struct hello *h, const char *name, unsigned names)
{
    size_t n = strlen(name);
    put_u16(h, 6 + names * (9 + n));
    put_u16(h, 43);
    put_u16(h, 2);
    put_u16(h, 0x0304);
    for (unsigned i = 0; i < names; i++) {
        put_u16(h, 0);
        put_u16(h, n + 5);
        put_u16(h, n + 3);
        put(h, "", 1);
        put_u16(h, n);
        put(h, name, n);
    }
}

static void make_message(struct hello *h, const char *name, unsigned names)
{
    static const uint8_t zeros[64] = {0};
    h->len = 0;
    put(h, (uint8_t[]){1, 0, 0, 0, 3, 3}, 6);
    put(h, zeros, 32);
    put(h, (uint8_t[]){4, 1, 2, 3, 4}, 5);
    put(h, (uint8_t[]){0, 2, 0x13, 1, 1, 0}, 6);
    put_extensions(h, name, names);
    h->bytes[2] = (uint8_t)((h->len - 4) >> 8);
    h->bytes[3] = (uint8_t)(h->len - 4);
}

/* Into records of at most `cut` bytes. */
static void frame(const struct hello *message, size_t cut, struct hello *out)
{
    out->len = 0;
    for (size_t at = 0; at < message->len;) {
        size_t n = message->len - at < cut ? message->len - at : cut;
        put(out, (uint8_t[]){22, 3, 1}, 3);
        put_u16(out, n);
        put(out, message->bytes + at, n);
        at += n;
    }
}

static void test_name_whole_and_in_pieces(void **state)
{
    static const size_t cuts[] = {16384, 100, 7, 1};
    struct hello m, h;
    char name[CLIENT_HELLO_NAME_MAX + 1];
    (void)state;
    make_message(&m, "S2.Db.test", 1);
    for (size_t i = 0; i < 4; i++) {
        frame(&m, cuts[i], &h);
        put(&h, "\x16\x03\x01", 3); /* what follows does not matter */
        assert_int_equal(client_hello_name(h.bytes, h.len, name), CLIENT_HELLO_NAMED);
        assert_string_equal(name, "s2.db.test");
        for (size_t part = 0; part < h.len - 3; part++) {
            assert_int_equal(client_hello_name(h.bytes, part, name), CLIENT_HELLO_MORE);
            assert_string_equal(name, "");
        }
    }
}

static void test_nameless(void **state)
{
    struct hello m, h;
    char name[CLIENT_HELLO_NAME_MAX + 1];
    (void)state;
    make_message(&m, "", 0);
    frame(&m, 16384, &h);
    assert_int_equal(client_hello_name(h.bytes, h.len, name), CLIENT_HELLO_NAMELESS);
    m.len -= 8; /* no extensions at all, as in SSL 3 */
    m.bytes[3] = (uint8_t)(m.len - 4);
    frame(&m, 16384, &h);
    assert_int_equal(client_hello_name(h.bytes, h.len, name), CLIENT_HELLO_NAMELESS);
}

static void test_what_is_no_hello(void **state)
{
    struct hello m, h;
    char name[CLIENT_HELLO_NAME_MAX + 1], text[300];
    (void)state;
    assert_int_equal(client_hello_name("GET / HTTP/1.1\r\n", 16, name), CLIENT_HELLO_NONE);
    assert_int_equal(client_hello_name("\x16GET", 4, name), CLIENT_HELLO_NONE);
    assert_int_equal(client_hello_name("\x16\x03\x01\0\0", 5, name), CLIENT_HELLO_NONE);
    make_message(&m, "a.test", 2);
    frame(&m, 16384, &h);
    assert_int_equal(client_hello_name(h.bytes, h.len, name), CLIENT_HELLO_NONE);
    make_message(&m, "a b", 1);
    frame(&m, 16384, &h);
    assert_int_equal(client_hello_name(h.bytes, h.len, name), CLIENT_HELLO_NONE);
    memset(text, 'a', sizeof(text));
    text[256] = '\0';
    make_message(&m, text, 1);
    frame(&m, 16384, &h);
    assert_int_equal(client_hello_name(h.bytes, h.len, name), CLIENT_HELLO_NONE);
    text[255] = '\0';
    make_message(&m, text, 1);
    frame(&m, 16384, &h);
    assert_int_equal(client_hello_name(h.bytes, h.len, name), CLIENT_HELLO_NAMED);
    assert_int_equal(strlen(name), 255);
}

/* Each length of the message, one more and one less than it is. */
static void test_lengths_must_fit(void **state)
{
    struct hello m, h;
    char name[CLIENT_HELLO_NAME_MAX + 1];
    (void)state;
    /* message, extensions, name extension, list, name */
    static const size_t lengths[] = {3, 50, 60, 62, 65};
    for (size_t i = 0; i < 5; i++)
        for (int by = -1; by <= 1; by += 2) {
            make_message(&m, "s2.db.test", 1);
            m.bytes[lengths[i]] = (uint8_t)(m.bytes[lengths[i]] + by);
            frame(&m, 16384, &h);
            enum client_hello e = client_hello_name(h.bytes, h.len, name);
            assert_true(e == CLIENT_HELLO_NONE || (lengths[i] == 3 && e == CLIENT_HELLO_MORE));
        }
}

static void test_endless_hello(void **state)
{
    static uint8_t bytes[CLIENT_HELLO_MAX + 1];
    char name[CLIENT_HELLO_NAME_MAX + 1];
    (void)state;
    memcpy(bytes, "\x16\x03\x01\x40\x00\x01\x00\x40\x00\x03\x03", 11);
    assert_int_equal(client_hello_name(bytes, 100, name), CLIENT_HELLO_NONE); /* no cipher suites */
    bytes[11 + 32 + 1] = 0x30;
    bytes[11 + 32 + 3 + 0x3000] = 1; /* one compression method */
    bytes[11 + 32 + 3 + 0x3000 + 2] = 0x0f;
    assert_int_equal(client_hello_name(bytes, 9000, name), CLIENT_HELLO_MORE);
    assert_true(client_hello_name(bytes, sizeof(bytes), name) == CLIENT_HELLO_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_whole_and_in_pieces),
        cmocka_unit_test(test_nameless),
        cmocka_unit_test(test_what_is_no_hello),
        cmocka_unit_test(test_lengths_must_fit),
        cmocka_unit_test(test_endless_hello),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
