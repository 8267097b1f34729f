/* entry_test.c - what a node may say of itself, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/roster/entry_share.h"

#include <stdio.h>
#include <string.h>

static struct entry sample(void)
{
    struct entry e = {
        .node = 7,
        .inc = 8,
        .boot = 3,
        .revision = 5,
        .status = STATUS_UP,
        .name = "alpha",
        .zone = "north",
        .version = "0.1.0",
        .address = {.family = 4, .port = 7946, .ip = {10, 0, 0, 1}},
        .public = {.family = 6, .port = 443, .ip = {0xfe, 0x80, [15] = 1}},
        .holds = true,
        .repository = true,
        .of_count = 2,
        .of = {"beta", "eu"},
        .group_count = 2,
        .groups = {"blue", "eu"},
        .server_count = 1,
        .servers = {{.service = "shop.example",
                     .url_count = 2,
                     .urls = {"https://alpha.example/", "http://alpha.example:8080/x?y=1"},
                     .backup = "primary",
                     .weight = 10,
                     .capacity = 100,
                     .users = 42,
                     .healthy = true}},
    };
    return e;
}

static size_t encode(const struct entry *e, uint8_t *bytes, size_t max)
{
    struct wire_writer w;
    wire_writer_init(&w, bytes, max);
    entry_encode(e, &w);
    assert_true(wire_put_ok(&w));
    return wire_written(&w);
}

static bool decode(const uint8_t *bytes, size_t len, struct entry *out)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    return entry_decode(&r, out) && wire_done(&r);
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[ENTRY_BYTES_MAX];
    struct entry e = sample(), back;
    size_t len = encode(&e, bytes, sizeof bytes);
    assert_true(decode(bytes, len, &back));
    assert_memory_equal(&e, &back, sizeof e);
    assert_true(entry_valid(&e));
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[ENTRY_BYTES_MAX];
    struct entry e = sample(), back;
    size_t len = encode(&e, bytes, sizeof bytes);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(decode(bytes, cut, &back));
}

static void test_largest_fits(void **state)
{
    (void)state;
    uint8_t bytes[ENTRY_BYTES_MAX];
    struct entry e = sample(), back;
    memset(e.name, 'n', NAME_MAX_BYTES);
    memset(e.zone, 'z', NAME_MAX_BYTES);
    memset(e.version, 'v', sizeof e.version - 1);
    e.address = e.public;
    e.of_count = ENTRY_OF_MAX;
    for (size_t i = 0; i < ENTRY_OF_MAX; i++)
        memset(e.of[i], 'o', NAME_MAX_BYTES);
    e.group_count = ENTRY_GROUPS_MAX;
    e.server_count = ENTRY_SERVERS_MAX;
    for (size_t i = 0; i < ENTRY_GROUPS_MAX; i++)
        memset(e.groups[i], 'g', NAME_MAX_BYTES);
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        struct server *s = &e.servers[i];
        memset(s->service, 's', NAME_MAX_BYTES);
        memset(s->backup, 'b', NAME_MAX_BYTES);
        s->url_count = SERVER_URLS_MAX;
        for (size_t j = 0; j < SERVER_URLS_MAX; j++) {
            memset(s->urls[j], 'u', URL_MAX_BYTES);
            memcpy(s->urls[j], "http://", 7);
        }
    }
    assert_true(entry_valid(&e));
    assert_true(decode(bytes, encode(&e, bytes, sizeof bytes), &back));
    assert_memory_equal(&e, &back, sizeof e);
}

static void test_bad_values(void **state)
{
    (void)state;
    struct entry e = sample();
    strcpy(e.name, "two words");
    assert_false(entry_valid(&e));
    e = sample();
    strcpy(e.name, "");
    assert_false(entry_valid(&e));
    e = sample();
    strcpy(e.groups[1], "a/b");
    assert_false(entry_valid(&e));
    e = sample();
    strcpy(e.of[1], "a/b");
    assert_false(entry_valid(&e));
    e = sample();
    e.of_count = ENTRY_OF_MAX + 1;
    assert_false(entry_valid(&e));
    e = sample();
    e.repository = false; /* and yet it says whose */
    assert_false(entry_valid(&e));
    e = sample();
    strcpy(e.servers[0].urls[0], "ftp://alpha/");
    assert_false(entry_valid(&e));
    e = sample();
    e.status = STATUS_DOWN; /* for others to say */
    assert_false(entry_valid(&e));
    e = sample();
    e.node = 0;
    assert_false(entry_valid(&e));
    e = sample();
    e.address.family = 5;
    assert_false(entry_valid(&e));
    e = sample();
    e.server_count = ENTRY_SERVERS_MAX + 1;
    assert_false(entry_valid(&e));
}

static void test_urls(void **state)
{
    (void)state;
    static const char *const good[] = {"http://a", "https://a.example:444/", "HTTP://[::1]:80/x",
                                       "http://a?b", "https://a.example/b/c#d"};
    static const char *const bad[] = {"",
                                      "http://",
                                      "http:///x",
                                      "//a",
                                      "javascript:x",
                                      "http://a b/",
                                      "http://a\r\nX: y/",
                                      "http://user@a/",
                                      "http://a:0/",
                                      "http://a:65536/",
                                      "http://a:/",
                                      "http://a:8x/",
                                      "http://[::1/",
                                      "http://a/\"",
                                      "http://[::1]x/"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(entry_url_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(entry_url_valid(bad[i], strlen(bad[i])));
    const char *host;
    size_t len;
    uint16_t port;
    assert_true(entry_url_host("https://shop.example/x", &host, &len, &port));
    assert_int_equal(len, strlen("shop.example"));
    assert_memory_equal(host, "shop.example", len);
    assert_int_equal(port, 443);
    assert_true(entry_url_host("http://[::1]:8080/", &host, &len, &port));
    assert_int_equal(len, 3);
    assert_int_equal(port, 8080);
}

static void test_compare(void **state)
{
    (void)state;
    struct entry a = sample(), b = sample();
    assert_int_equal(entry_compare(&a, &b), 0);
    b.revision++;
    assert_true(entry_compare(&a, &b) < 0);
    a.inc = 9;
    assert_true(entry_compare(&a, &b) > 0);
    b.boot++;
    assert_true(entry_compare(&a, &b) < 0);
}

static void test_counts_alone(void **state)
{
    (void)state;
    struct entry old = sample(), now = sample();
    uint8_t bytes[ENTRY_COUNTS_BYTES_MAX];
    struct wire_writer w;
    struct wire_reader r;
    struct entry_counts counts;
    now.revision = 9;
    now.life = 2;
    now.status = STATUS_MAINT;
    now.group_users[1] = 7;
    now.servers[0].users = 77;
    now.servers[0].load = 500;
    now.servers[0].maint = now.servers[0].drain = true;
    assert_true(entry_same_shape(&old, &now));
    wire_writer_init(&w, bytes, sizeof bytes);
    entry_encode_counts(&now, &w);
    assert_true(wire_put_ok(&w));
    for (size_t len = 0; len < wire_written(&w); len++) {
        wire_reader_init(&r, bytes, len);
        assert_false(entry_decode_counts(&r, &counts));
    }
    wire_reader_init(&r, bytes, wire_written(&w));
    assert_true(entry_decode_counts(&r, &counts) && wire_done(&r));
    assert_true(entry_apply_counts(&old, &counts));
    assert_memory_equal(&old, &now, sizeof old);
    assert_false(entry_apply_counts(&old, &counts)); /* no older than what is there */

    struct entry other = sample();
    other.shape = other.revision = 4;
    assert_false(entry_apply_counts(&other, &counts));
    other = sample();
    other.server_count = 0;
    assert_false(entry_apply_counts(&other, &counts));
    strcpy(now.servers[0].backup, "beta");
    assert_false(entry_same_shape(&old, &now));
}

static void test_shared(void **state)
{
    (void)state;
    struct entry e = sample(), back;
    struct entry *shared = entry_new(&e);
    assert_non_null(shared);
    assert_ptr_equal(entry_ref(shared), shared);
    entry_unref(shared);
    entry_copy(shared, &back);
    assert_memory_equal(&back, &e, sizeof e);
    entry_unref(shared);
    entry_unref(NULL);
    mem_fail_after(1); /* the next one */
    assert_null(entry_new(&e));
}

static void test_addresses_by_network(void **state)
{
    (void)state;
    struct entry e = sample();
    const struct addr *a[1 + ENTRY_ADDRESSES_MAX];
    e.public.family = 4;
    assert_int_equal(entry_public(&e, NETWORK_OUTSIDE, 0, a), 1); /* there is no other */
    assert_int_equal(entry_public(&e, NETWORK_INSIDE, 6, a), 0);
    e.address_count = 2;
    e.addresses[0] = (struct entry_address){.addr = {.family = 4}, .network = NETWORK_OUTSIDE};
    e.addresses[1] = (struct entry_address){.addr = {.family = 6}, .network = NETWORK_OUTSIDE};
    assert_int_equal(entry_public(&e, NETWORK_OUTSIDE, 4, a), 1);
    assert_ptr_equal(a[0], &e.addresses[0].addr);
    assert_int_equal(entry_public(&e, NETWORK_OUTSIDE, 0, a), 2);
    assert_int_equal(entry_public(&e, NETWORK_INSIDE, 0, a), 1);
    assert_ptr_equal(a[0], &e.public);
}

static void test_status_names(void **state)
{
    (void)state;
    enum status s;
    for (int i = STATUS_JOINING; i <= STATUS_LEFT; i++) {
        assert_true(status_parse(status_name((enum status)i), &s));
        assert_int_equal(s, i);
    }
    assert_false(status_parse("Up", &s));
    assert_false(status_parse("", &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_largest_fits), cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_urls),         cmocka_unit_test(test_compare),
        cmocka_unit_test(test_status_names), cmocka_unit_test(test_counts_alone),
        cmocka_unit_test(test_shared),       cmocka_unit_test(test_addresses_by_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
