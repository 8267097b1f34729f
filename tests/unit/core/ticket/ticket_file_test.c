/* ticket_file_test.c - the bytes that nginx, HAProxy and Apache read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/ticket/ticket_file.h"

#include <openssl/evp.h>
#include <string.h>

#define NOW_S 1800000000u

static const uint8_t farm[TICKET_SECRET_BYTES] = {1, 2, 3};

static void begin(struct ticket_ring *r, enum ticket_format format, const char *set, uint64_t now_s)
{
    uint8_t secret[TICKET_SECRET_BYTES];
    assert_true(ticket_file_secret(farm, format, set, secret));
    ticket_ring_init(r, secret, 0);
    assert_true(ticket_ring_turn(r, now_s));
}

static const struct ticket_file *named(const struct ticket_files *f, const char *suffix)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->file[i].suffix, suffix) == 0)
            return &f->file[i];
    fail_msg("there is no file %s", suffix);
    return NULL;
}

static void same(const struct ticket_file *a, const struct ticket_file *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->bytes, b->bytes, a->len);
}

/* What is next becomes what seals, and then opens, until it is gone. */
static void test_nginx(void **state)
{
    (void)state;
    struct ticket_ring r;
    struct ticket_files now, then;
    uint8_t name[TICKET_NAME_BYTES], seals[TICKET_NAME_BYTES];
    begin(&r, TICKET_NGINX, "web", NOW_S);
    ticket_files_make(&r, TICKET_NGINX, &now);
    assert_int_equal(now.count, TICKET_KEYS);
    assert_string_equal(now.file[now.count - 1].suffix, "");
    for (size_t i = 0; i < now.count; i++) {
        assert_int_equal(now.file[i].len, 80);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(now.file[i].bytes, now.file[k].bytes, 16);
    }
    assert_non_null(ticket_ring_seal(&r, seals));
    ticket_ring_name(&r, 1, name);
    assert_memory_equal(name, seals, sizeof name);
    assert_memory_equal(named(&now, "")->bytes, seals, sizeof seals);
    assert_true(ticket_ring_turn(&r, NOW_S + TICKET_PERIOD_S));
    ticket_files_make(&r, TICKET_NGINX, &then);
    same(named(&then, ""), named(&now, ".next"));
    same(named(&then, ".1"), named(&now, ""));
    same(named(&then, ".2"), named(&now, ".1"));
    same(named(&then, ".3"), named(&now, ".2"));
    ticket_files_wipe(&now);
    assert_int_equal(now.count, 0);
    assert_int_equal(now.file[0].bytes[0] | now.file[0].bytes[79], 0);
}

static void test_haproxy(void **state)
{
    (void)state;
    struct ticket_ring r;
    struct ticket_files now, then;
    uint8_t raw[TICKET_FILE_LINE_BYTES], seals[TICKET_NAME_BYTES];
    char line[TICKET_FILE_LINE_BYTES + 1];
    size_t step = TICKET_FILE_LINE_BYTES + 1;
    begin(&r, TICKET_HAPROXY, "web", NOW_S);
    ticket_files_make(&r, TICKET_HAPROXY, &now);
    assert_int_equal(now.count, 1);
    assert_string_equal(now.file[0].suffix, "");
    assert_int_equal(now.file[0].len, TICKET_KEYS * step);
    for (size_t i = 0; i < TICKET_KEYS; i++) {
        ticket_file_line(&r, i, line);
        assert_int_equal(strlen(line), 108);
        assert_memory_equal(now.file[0].bytes + i * step, line, 108);
        assert_int_equal(now.file[0].bytes[i * step + 108], '\n');
        assert_int_equal(EVP_DecodeBlock(raw, (const unsigned char *)line, 108),
                         81); /* 80, and = */
    }
    assert_non_null(ticket_ring_seal(&r, seals));
    ticket_file_line(&r, TICKET_KEYS - 2, line);
    EVP_DecodeBlock(raw, (const unsigned char *)line, 108);
    assert_memory_equal(raw, seals, sizeof seals);
    assert_true(ticket_ring_turn(&r, NOW_S + TICKET_PERIOD_S));
    ticket_files_make(&r, TICKET_HAPROXY, &then);
    assert_memory_equal(then.file[0].bytes, now.file[0].bytes + step, (TICKET_KEYS - 1) * step);
}

static void test_apache(void **state)
{
    (void)state;
    struct ticket_ring r;
    struct ticket_files now, then;
    uint8_t seals[TICKET_NAME_BYTES];
    begin(&r, TICKET_APACHE, "web", NOW_S);
    ticket_files_make(&r, TICKET_APACHE, &now);
    assert_int_equal(now.count, 1);
    assert_int_equal(now.file[0].len, 48);
    assert_non_null(ticket_ring_seal(&r, seals));
    assert_memory_equal(now.file[0].bytes, seals, sizeof seals);
    assert_memory_not_equal(now.file[0].bytes + 16, now.file[0].bytes + 32, 16);
    assert_true(ticket_ring_turn(&r, NOW_S + TICKET_PERIOD_S));
    ticket_files_make(&r, TICKET_APACHE, &then);
    assert_memory_not_equal(then.file[0].bytes, now.file[0].bytes, 16);
}

/* All nodes have the same bytes; other programs and other sets have others. */
static void test_whose_keys_they_are(void **state)
{
    (void)state;
    struct ticket_ring a, b;
    struct ticket_files one, other;
    begin(&a, TICKET_NGINX, "web", NOW_S);
    ticket_files_make(&a, TICKET_NGINX, &one);
    begin(&b, TICKET_NGINX, "web", NOW_S);
    ticket_files_make(&b, TICKET_NGINX, &other);
    same(named(&one, ""), named(&other, ""));
    begin(&b, TICKET_NGINX, "mail", NOW_S);
    ticket_files_make(&b, TICKET_NGINX, &other);
    for (size_t at = 0; at < 80; at += 16)
        assert_memory_not_equal(named(&one, "")->bytes + at, named(&other, "")->bytes + at, 12);
    begin(&b, TICKET_HAPROXY, "web", NOW_S);
    ticket_files_make(&b, TICKET_NGINX, &other);
    assert_memory_not_equal(named(&one, "")->bytes, named(&other, "")->bytes, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nginx),
        cmocka_unit_test(test_haproxy),
        cmocka_unit_test(test_apache),
        cmocka_unit_test(test_whose_keys_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
