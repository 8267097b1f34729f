/* gate_tls_test.c - /v1/tls: keys of tickets, and values that open in their own place only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/mem.h"
#include "core/ticket/ticket.h"
#include "gate_bench.h"

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER_ID "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define AT "/v1/tls/shop/" ID
#define SECRET "{\"value\": \"c2VjcmV0LXNlY3JldA==\", \"ttl\": 60}" /* secret-secret */

static long long number(json_t *j, const char *name)
{
    return json_integer_value(json_object_get(j, name));
}

static void keys_are_of_their_set_and_of_the_time(void **state)
{
    struct bench b;
    char first[8192];
    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(ask(&b, "GET", "/v1/tls/shop/keys", "", ""), 200);
    assert_has("Cache-Control: no-store");
    strcpy(first, strstr(answer, "\r\n\r\n"));
    json_t *root = json_loads(first, 0, NULL), *keys = json_object_get(root, "keys");
    assert_int_equal(json_array_size(keys), TICKET_KEYS);
    for (size_t i = 0; i < TICKET_KEYS; i++) {
        json_t *k = json_array_get(keys, i), *older = json_array_get(keys, i + 1);
        assert_int_equal(json_string_length(json_object_get(k, "name")), 24);
        assert_int_equal(json_string_length(json_object_get(k, "cipher")), 44);
        assert_int_equal(json_string_length(json_object_get(k, "mac")), 44);
        assert_int_equal(number(k, "seals_until") - number(k, "seals_from"), TICKET_PERIOD_S);
        assert_int_equal(number(k, "opens_until") - number(k, "seals_until"), TICKET_LIFE_S);
        if (older)
            assert_int_equal(number(older, "seals_until"), number(k, "seals_from"));
    }
    long long now = time(NULL);
    json_t *present = json_array_get(keys, 1);
    assert_true(number(present, "seals_from") <= now && now <= number(present, "seals_until"));
    const char *name = json_string_value(json_object_get(present, "name"));
    assert_int_equal(ask(&b, "GET", "/v1/tls/bank/keys", "", ""), 200);
    assert_null(strstr(answer, name));
    assert_int_equal(ask(&b, "GET", "/v1/tls/shop/keys", "", ""), 200);
    assert_has(name);
    assert_int_equal(ask(&b, "POST", "/v1/tls/shop/keys", "", ""), 405);
    assert_int_equal(ask(&b, "GET", "/v1/tls/a:b/keys", "", ""), 400);
    json_decref(root);
    close_bench(&b);
}

/* While the farm's key is changed both open, and the first seals. */
static void keys_of_each_of_the_farms_keys(void **state)
{
    static const uint8_t two[2][TOKEN_KEY_BYTES] = {{9, 9}, {5, 4, 3}};
    struct bench b;
    char name[64];
    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(ask(&b, "GET", "/v1/tls/shop/keys", "", ""), 200);
    snprintf(name, sizeof name, "%s", member("name"));
    box_ring_set(&private_keys, two, 2);
    assert_int_equal(ask(&b, "GET", "/v1/tls/shop/keys", "", ""), 200);
    assert_string_not_equal(member("name"), name);
    assert_has(name);
    json_t *root = json_loads(strstr(answer, "\r\n\r\n"), 0, NULL);
    json_t *keys = json_object_get(root, "keys");
    assert_int_equal(json_array_size(keys), 2 * TICKET_KEYS);
    json_t *older = json_array_get(keys, TICKET_KEYS);
    assert_string_equal(json_string_value(json_object_get(older, "name")), name);
    json_decref(root);
    close_bench(&b);
}

static void a_value_is_sealed_and_comes_back(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    for (int delay = 0; delay <= 1; delay++) {
        const char *at = delay ? "/v1/tls/shop/" OTHER_ID : AT;
        b.store.delay = delay;
        assert_int_equal(ask(&b, "GET", at, "", ""), 404);
        assert_int_equal(ask(&b, "PUT", at, "If-Match: *\r\n", SECRET), 404);
        assert_int_equal(ask(&b, "PUT", at, "", SECRET), 204);
        assert_int_equal(b.store.last_ttl_ms, 60000);
        assert_int_equal(ask(&b, "GET", at, "", ""), 200);
        assert_string_equal(member("value"), "c2VjcmV0LXNlY3JldA==");
        assert_string_equal(member("origin"), "local");
        assert_int_equal(ask(&b, "PUT", at, "If-Match: *\r\n", "{\"value\": \"\", \"ttl\": 9.5}"),
                         204);
        assert_int_equal(b.store.last_ttl_ms, 9500);
        assert_int_equal(ask(&b, "GET", at, "", ""), 200);
        assert_string_equal(member("value"), "");
        assert_int_equal(ask(&b, "PUT", at, "If-Match: *\r\n", SECRET), 204);
    }
    const struct field *f = record_get(b.store.records[0], "", 0);
    assert_null(memmem(field_value(f), f->value_len, "secret", 6));
    assert_int_equal(ask(&b, "GET", "/v1/tls/bank/" ID, "", ""), 404);
    assert_int_equal(ask(&b, "GET", "/v1/sessions/tls/shop:" ID, "", ""), 400);
    assert_int_equal(ask(&b, "DELETE", AT, "", ""), 204);
    assert_int_equal(ask(&b, "GET", AT, "", ""), 404);
    close_bench(&b);
}

static void a_value_opens_in_its_own_place_only(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(ask(&b, "PUT", AT, "", SECRET), 204);
    assert_int_equal(ask(&b, "PUT", "/v1/tls/shop/" OTHER_ID, "", SECRET), 204);
    const struct field *f = record_get(b.store.records[0], "", 0);
    struct field_op op = {.type = FIELD_SET,
                          .name = (const uint8_t *)"",
                          .value = field_value(f),
                          .value_len = f->value_len};
    struct record *r = b.store.records[1];
    struct stamp next = {r->stamp.term, r->stamp.version + 1, 1};
    assert_int_equal(record_apply(r, &op, 1, &next, 0), STEAD_OK);
    assert_int_equal(ask(&b, "GET", "/v1/tls/shop/" OTHER_ID, "", ""), 404);
    op.value = (const uint8_t *)"short";
    op.value_len = 5;
    next.version++;
    assert_int_equal(record_apply(r, &op, 1, &next, 0), STEAD_OK);
    assert_int_equal(ask(&b, "GET", "/v1/tls/shop/" OTHER_ID, "", ""), 404);
    assert_int_equal(ask(&b, "POST", "/v1/tls/shop/" OTHER_ID "/take", "", ""), 404);
    close_bench(&b);
}

static void what_is_taken_is_taken_once(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(ask(&b, "POST", AT "/take", "", ""), 404);
    assert_int_equal(ask(&b, "PUT", AT, "", SECRET), 204);
    assert_int_equal(ask(&b, "POST", AT "/take", "", ""), 200);
    assert_string_equal(member("value"), "c2VjcmV0LXNlY3JldA==");
    assert_int_equal(ask(&b, "POST", AT "/take", "", ""), 404);
    assert_int_equal(ask(&b, "GET", AT, "", ""), 404);
    close_bench(&b);
}

/* Another taker is quicker, between this one's two steps. */
static void be_quicker(struct store *s, const struct session_op *op)
{
    struct stamp next = {1, 9, 1};
    if (op->type == SESSION_END)
        record_apply(s->records[0], NULL, 0, &next, 0);
}

static void who_is_not_sure_takes_nothing(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(ask(&b, "PUT", AT, "", SECRET), 204);
    /* Its maker is gone, and another node has claimed it. */
    b.store.records[0]->stamp.term = 2;
    assert_int_equal(ask(&b, "POST", AT "/take", "", ""), 404);
    assert_int_equal(ask(&b, "GET", AT, "", ""), 200);
    b.store.records[0]->stamp.term = 1;
    b.store.before = be_quicker;
    assert_int_equal(ask(&b, "POST", AT "/take", "", ""), 404);
    b.store.before = NULL;
    b.store.spoil[SESSION_END] = STEAD_E_DEADLINE;
    b.store.done[SESSION_END] = true;
    assert_int_equal(ask(&b, "POST", AT "/take", "", ""), 503);
    assert_has("\"outcome\": \"unknown\"");
    assert_null(strstr(answer, "value"));
    b.store.spoil[SESSION_READ] = STEAD_E_UNREACHABLE;
    assert_int_equal(ask(&b, "GET", AT, "", ""), 503);
    assert_null(strstr(answer, "outcome"));
    close_bench(&b);
}

static void wrong_requests_never_reach_the_store(void **state)
{
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "{\"value\": \"AA==\"}",
                                         "{\"ttl\": 1}",
                                         "{\"value\": \"A\", \"ttl\": 1}",
                                         "{\"value\": 1, \"ttl\": 1}",
                                         "{\"value\": \"AA==\", \"ttl\": 0}",
                                         "{\"value\": \"AA==\", \"ttl\": -1}",
                                         "{\"value\": \"AA==\", \"ttl\": 86401}",
                                         "{\"value\": \"AA==\", \"ttl\": \"1\"}",
                                         "{\"value\": \"AA==\", \"ttl\": 1, \"more\": 1}"};
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(ask(&b, "PUT", AT, "", bodies[i]), 400);
    assert_int_equal(ask(&b, "PUT", AT, "If-Match: \"1.1\"\r\n", SECRET), 400);
    assert_int_equal(ask(&b, "GET", AT, "Stead-Deadline-Ms: soon\r\n", ""), 400);
    assert_int_equal(ask(&b, "GET", "/v1/tls/shop/" ID "0", "", ""), 400);
    assert_int_equal(ask(&b, "GET", "/v1/tls/shop/0011", "", ""), 400);
    assert_int_equal(ask(&b, "GET", "/v1/tls//" ID, "", ""), 400);
    assert_int_equal(ask(&b, "GET", "/v1/tls/shop", "", ""), 404);
    assert_int_equal(ask(&b, "GET", AT "/take", "", ""), 405);
    assert_int_equal(b.store.count, 0);
    assert_int_equal(atomic_load(&b.counters.calls), 0);
    close_bench(&b);
}

static void a_value_has_a_size(void **state)
{
    static char body[20100], text[20000];
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    static const size_t lens[] = {8192, 8193, 9300};
    for (size_t i = 0; i < 3; i++) {
        size_t len = lens[i], chars = base64_size(len);
        memset(text, 'A', chars);
        if (len % 3)
            memset(text + chars - (3 - len % 3), '=', 3 - len % 3);
        text[chars] = '\0';
        snprintf(body, sizeof body, "{\"value\": \"%s\", \"ttl\": 1}", text);
        size_t n = (size_t)snprintf(answer, sizeof answer,
                                    "PUT " AT " HTTP/1.1\r\nHost: localhost\r\n"
                                    "Content-Length: %zu\r\n\r\n%s",
                                    strlen(body), body);
        assert_int_equal(send(b.client, answer, n, MSG_NOSIGNAL), n);
        assert_int_equal(hear(&b), len == 8192 ? 204 : 413);
    }
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_of_their_set_and_of_the_time),
        cmocka_unit_test(keys_of_each_of_the_farms_keys),
        cmocka_unit_test(a_value_is_sealed_and_comes_back),
        cmocka_unit_test(a_value_opens_in_its_own_place_only),
        cmocka_unit_test(what_is_taken_is_taken_once),
        cmocka_unit_test(who_is_not_sure_takes_nothing),
        cmocka_unit_test(wrong_requests_never_reach_the_store),
        cmocka_unit_test(a_value_has_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
