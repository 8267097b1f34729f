/* passage_test.c - a tunnel as a message, and what waits in it as a file. */
#include "role/director/passage.h"

#include "base/mem.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct passage some(void)
{
    struct passage p = {.service = "shop",
                        .led = "",
                        .key = UINT64_MAX,
                        .peer = {.family = 6, .port = 443, .ip = {0xfd, 1, [15] = 9}}};
    p.tunnel.idle_ms = 1;
    p.tunnel.up.bytes = UINT64_MAX - 1;
    p.tunnel.down.eof = true;
    return p;
}

static size_t encode(const struct passage *p, uint8_t *bytes)
{
    struct wire_writer w;
    wire_writer_init(&w, bytes, PASSAGE_BYTES_MAX);
    passage_encode(p, &w);
    assert_true(wire_put_ok(&w));
    return wire_written(&w);
}

static bool decode(const uint8_t *bytes, size_t len, struct passage *out)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    return passage_decode(&r, out);
}

static void test_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[PASSAGE_BYTES_MAX];
    struct passage was = some(), is;
    size_t len = encode(&was, bytes);
    assert_true(decode(bytes, len, &is));
    assert_string_equal(is.service, "shop");
    assert_string_equal(is.led, "");
    assert_true(addr_equal(&is.peer, &was.peer));
    assert_int_equal(is.key, UINT64_MAX);
    assert_int_equal(is.tunnel.up.bytes, UINT64_MAX - 1);
    assert_true(is.tunnel.down.eof && !is.tunnel.down.shut && !is.counted);
    assert_int_equal(is.tunnel.client, -1);
    assert_false(passage_waits(&is));
    for (size_t cut = 0; cut < len; cut++)
        assert_false(decode(bytes, cut, &is));
    memset(was.service, 's', NAME_MAX_BYTES); /* the longest of all fits */
    memset(was.led, 'l', NAME_MAX_BYTES);
    len = encode(&was, bytes);
    assert_true(decode(bytes, len, &is));
    assert_false(decode(bytes, len + 1, &is));
}

/* What no tunnel can be like is no tunnel. */
static void test_nonsense(void **state)
{
    (void)state;
    uint8_t bytes[PASSAGE_BYTES_MAX];
    struct passage p = some(), is;
    p.tunnel.up.len = PASSAGE_PENDING_MAX;
    assert_true(decode(bytes, encode(&p, bytes), &is));
    assert_true(passage_waits(&is));
    p.tunnel.up.len++;
    assert_false(decode(bytes, encode(&p, bytes), &is));
    p = some();
    p.tunnel.down.shut = p.tunnel.up.shut = p.tunnel.up.eof = true; /* over */
    assert_false(decode(bytes, encode(&p, bytes), &is));
    p = some();
    p.tunnel.up.shut = true; /* the receiver was told of an end that did not come */
    assert_false(decode(bytes, encode(&p, bytes), &is));
    p = some();
    p.tunnel.down.shut = true;
    p.tunnel.down.len = 1; /* or before the last bytes */
    assert_false(decode(bytes, encode(&p, bytes), &is));
    p = some();
    size_t len = encode(&p, bytes);
    bytes[0] |= 64; /* no such flag */
    assert_false(decode(bytes, len, &is));
    len = encode(&p, bytes);
    for (size_t i = 0; i + 4 <= len; i++)
        if (memcmp(bytes + i, "shop", 4) == 0)
            bytes[i + 1] = '\0';
    assert_false(decode(bytes, len, &is));
}

/* The rest of an answer. */
static void test_bounded(void **state)
{
    (void)state;
    uint8_t bytes[PASSAGE_BYTES_MAX];
    struct passage p = some(), is, wrong;
    p.tunnel.up.eof = p.tunnel.up.shut = true;
    p.tunnel.down = (struct forward_half){.shut = true, .bounded = true, .left = 1ull << 40};
    assert_true(decode(bytes, encode(&p, bytes), &is));
    assert_true(is.tunnel.down.bounded);
    assert_int_equal(is.tunnel.down.left, 1ull << 40);
    wrong = p;
    wrong.tunnel.down.left = 0; /* it is over */
    assert_false(decode(bytes, encode(&wrong, bytes), &is));
    wrong.tunnel.down.len = 1; /* but for what waits */
    assert_true(decode(bytes, encode(&wrong, bytes), &is));
    wrong = p;
    wrong.tunnel.up.eof = false;
    assert_false(decode(bytes, encode(&wrong, bytes), &is));
    wrong = p;
    wrong.tunnel.down.eof = true;
    assert_false(decode(bytes, encode(&wrong, bytes), &is));
}

static void test_what_waits(void **state)
{
    (void)state;
    struct passage p = some();
    char up[] = "from the client", down[] = "from the server";
    int fd = 0;
    assert_int_equal(passage_save(&p, &fd), STEAD_OK);
    assert_int_equal(fd, -1);
    p.tunnel.up.pending = up;
    p.tunnel.up.len = sizeof up;
    p.tunnel.down.pending = down;
    p.tunnel.down.len = sizeof down;
    assert_int_equal(passage_save(&p, &fd), STEAD_OK);
    assert_true(fd >= 0);
    p.tunnel.up.pending = p.tunnel.down.pending = NULL;
    assert_int_equal(passage_load(&p, fd), STEAD_OK);
    assert_string_equal(p.tunnel.up.pending, up);
    assert_string_equal(p.tunnel.down.pending, down);
    passage_drop(&p);
    for (unsigned n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_int_equal(passage_load(&p, fd), STEAD_E_NOMEM);
        mem_fail_after(0);
        assert_null(p.tunnel.up.pending);
    }
    p.tunnel.down.len++; /* less is there than was said */
    assert_int_equal(passage_load(&p, fd), STEAD_E_PARSE);
    assert_null(p.tunnel.up.pending);
    assert_null(p.tunnel.down.pending);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
