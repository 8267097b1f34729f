/* keyset_test.c - keys of tickets: which one seals, which open, when they are asked for anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libtls/keyset.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define NAME(c) c c c c c c c c c c c c c c c c c c c c c "A=="
#define KEY(c) NAME_(c) NAME_(c) "A="
#define NAME_(c) c c c c c c c c c c c c c c c c c c c c c
#define ONE(c, from, until, opens)                                                                 \
    "{\"name\":\"" NAME(c) "\",\"cipher\":\"" KEY(c) "\",\"mac\":\"" KEY(                          \
        c) "\",\"seals_from\":" #from ",\"seals_until\":" #until ",\"opens_until\":" #opens "}"
#define ALL                                                                                        \
    "{\"set\":\"x\",\"keys\":[" ONE("C", 3000, 4000, 6000) "," ONE("B", 2000, 3000, 5000) "," ONE( \
        "A", 1000, 2000, 4000) "]}"

static char name_of(struct keyset *k, int64_t now_s)
{
    struct keyset_key key;
    return keyset_seal(k, now_s, &key) ? (char)('A' + (key.name[0] >> 2)) : '-';
}

static void keys_seal_and_open_in_their_time(void **state)
{
    struct keyset *k = keyset_new();
    struct keyset_key key, other;
    bool current;
    (void)state;
    assert_int_equal(name_of(k, 2500), '-');
    assert_int_equal(keyset_take(k, ALL, strlen(ALL), 2500), STEAD_OK);
    assert_int_equal(name_of(k, 999), '-');
    assert_int_equal(name_of(k, 1000), 'A');
    assert_int_equal(name_of(k, 2999), 'B');
    assert_int_equal(name_of(k, 3000), 'C');
    assert_int_equal(name_of(k, 4000), '-');
    assert_true(keyset_seal(k, 2500, &key));
    assert_true(keyset_open(k, key.name, 2500, &other, &current));
    assert_true(current);
    assert_memory_equal(key.cipher, other.cipher, sizeof key.cipher);
    assert_true(keyset_open(k, key.name, 1500, &other, &current)); /* a clock that is behind */
    assert_false(current);
    assert_true(keyset_open(k, key.name, 4999, &other, &current));
    assert_false(current);
    assert_false(keyset_open(k, key.name, 5000, &other, &current));
    key.name[15] ^= 1;
    assert_false(keyset_open(k, key.name, 2500, &other, &current));
    keyset_free(k);
    keyset_free(NULL);
}

static void they_are_asked_for_in_time(void **state)
{
    struct keyset *k = keyset_new();
    (void)state;
    assert_true(keyset_due(k, 2500));
    assert_false(keyset_due(k, 2500)); /* another thread does it */
    assert_true(keyset_due(k, 2500 + KEYSET_ASKING_S));
    assert_int_equal(keyset_take(k, ALL, strlen(ALL), 2500), STEAD_OK);
    assert_false(keyset_due(k, 2999));
    assert_true(keyset_due(k, 3000)); /* the newest begins to seal */
    keyset_failed(k, 3000);
    assert_false(keyset_due(k, 3000));
    assert_true(keyset_due(k, 3000 + KEYSET_RETRY_S));
    assert_int_equal(keyset_take(k, ALL, strlen(ALL), 3100), STEAD_OK);
    assert_false(keyset_due(k, 3100 + KEYSET_REFRESH_S - 1));
    assert_true(keyset_due(k, 3100 + KEYSET_REFRESH_S));
    assert_int_equal(keyset_take(k, ALL, strlen(ALL), 3100), STEAD_OK);
    keyset_hurry(k, 3200);
    assert_false(keyset_due(k, 3200));
    keyset_hurry(k, 3200 + KEYSET_RETRY_S);
    assert_true(keyset_due(k, 3200 + KEYSET_RETRY_S)); /* it is not put off */
    assert_int_equal(keyset_take(k, ALL, strlen(ALL), 3100), STEAD_OK);
    assert_true(keyset_due(k, 100)); /* the clock was set back */
    keyset_free(k);
}

static void what_cannot_be_read_changes_nothing(void **state)
{
    static const char *const wrong[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[1]}",
        "{\"keys\":[{}]}",
        "{\"keys\":[" ONE("A", 2000, 2000, 4000) "]}",
        "{\"keys\":[" ONE("A", 2000, 3000, 2900) "]}",
        "{\"keys\":[" ONE("A", 0, 3000, 3900) "]}",
        "{\"keys\":[" ONE("A", "1", 3000, 3900) "]}",
        "{\"keys\":[" ONE("?", 2000, 3000, 4000) "]}",
        "{\"keys\":[" ONE("A", 2000, 3000, 4000) ",{\"name\":\"QUE=\"}]}",
    };
    struct keyset *k = keyset_new();
    struct keyset_keys keys;
    static char large[KEYSET_TEXT_MAX + 2];
    (void)state;
    assert_int_equal(keyset_take(k, ALL, strlen(ALL), 2500), STEAD_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(keyset_parse(wrong[i], strlen(wrong[i]), &keys), STEAD_E_PARSE);
        assert_int_equal(keys.count, 0);
        assert_int_equal(keyset_take(k, wrong[i], strlen(wrong[i]), 2500), STEAD_E_PARSE);
        assert_int_equal(name_of(k, 2500), 'B');
        assert_true(keyset_due(k, 2500 + KEYSET_RETRY_S));
    }
    memset(large, ' ', sizeof large - 1);
    memcpy(large, ALL, strlen(ALL));
    assert_int_equal(keyset_parse(large, sizeof large - 1, &keys), STEAD_E_PARSE);
    assert_int_equal(keyset_parse(large, sizeof large - 2, &keys), STEAD_OK);
    assert_int_equal(keys.count, 3);
    keyset_free(k);
}

static void more_keys_than_fit_are_left_out(void **state)
{
    static char text[KEYSET_TEXT_MAX];
    struct keyset_keys keys;
    size_t len = (size_t)snprintf(text, sizeof text, "{\"keys\":[");
    (void)state;
    for (int i = 0; i < KEYSET_MAX + 3; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? "," : "",
                                ONE("A", 1000, 2000, 4000));
    len += (size_t)snprintf(text + len, sizeof text - len, "]}");
    assert_int_equal(keyset_parse(text, len, &keys), STEAD_OK);
    assert_int_equal(keys.count, KEYSET_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_seal_and_open_in_their_time),
        cmocka_unit_test(they_are_asked_for_in_time),
        cmocka_unit_test(what_cannot_be_read_changes_nothing),
        cmocka_unit_test(more_keys_than_fit_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
