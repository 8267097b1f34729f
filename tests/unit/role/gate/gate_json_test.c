/* gate_json_test.c - bodies to operations and records to JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/base64.h"
#include "role/gate/gate_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct private_rules open_rules; /* nothing is private */

static int parse(struct gate_change *c, enum gate_form form, const char *body)
{
    const char *why = NULL;
    int err = gate_change_parse(c, form, body, strlen(body), &why);
    if (err) {
        assert_non_null(why);
        assert_null(c->root);
        assert_null(c->ops);
    }
    return err;
}

static const struct field_op *find(const struct gate_change *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->ops[i].name_len == strlen(name) && memcmp(c->ops[i].name, name, strlen(name)) == 0)
            return &c->ops[i];
    return NULL;
}

static void assert_value(const struct field_op *op, const void *bytes, size_t len)
{
    assert_non_null(op);
    assert_int_equal(op->type, FIELD_SET);
    assert_int_equal(op->value_len, len);
    assert_memory_equal(op->value, bytes, len);
}

static void a_create_body_becomes_sets(void **state)
{
    struct gate_change c;
    (void)state;
    assert_int_equal(parse(&c, GATE_FORM_CREATE,
                           "{\"ttl\": 1.5, \"fields\": {\"user\": \"J\\u00fcrgen\", \"\": \"blob\","
                           " \"nul\": \"a\\u0000b\", \"raw\": {\"base64\": \"/wD+\"},"
                           " \"raw2\": {\"base64\": \"QQ==\"}}}"),
                     STEAD_OK);
    assert_int_equal(c.count, 5);
    assert_int_equal(c.ttl_ms, 1500);
    assert_false(c.adds);
    assert_value(find(&c, "user"), "J\xc3\xbcrgen", 7);
    assert_value(find(&c, ""), "blob", 4);
    assert_value(find(&c, "nul"), "a\0b", 3);
    assert_value(find(&c, "raw"), "\xff\x00\xfe", 3);
    assert_value(find(&c, "raw2"), "A", 1);
    gate_change_deinit(&c);
    assert_int_equal(parse(&c, GATE_FORM_CREATE, ""), STEAD_OK);
    assert_int_equal(c.count, 0);
    assert_int_equal(parse(&c, GATE_FORM_CREATE, "{}"), STEAD_OK);
    assert_int_equal(c.ttl_ms, 0);
    gate_change_deinit(&c);
}

static void a_change_body_becomes_all_three_operations(void **state)
{
    struct gate_change c;
    (void)state;
    assert_int_equal(parse(&c, GATE_FORM_CHANGE,
                           "{\"set\": {\"a\": \"1\"}, \"delete\": [\"b\", \"c\"],"
                           " \"add\": {\"n\": -9223372036854775808}, \"ttl\": 60}"),
                     STEAD_OK);
    assert_int_equal(c.count, 4);
    assert_value(find(&c, "a"), "1", 1);
    assert_int_equal(find(&c, "b")->type, FIELD_DELETE);
    assert_int_equal(find(&c, "c")->type, FIELD_DELETE);
    assert_int_equal(find(&c, "n")->type, FIELD_ADD);
    assert_true(find(&c, "n")->amount == INT64_MIN);
    assert_true(c.adds);
    gate_change_deinit(&c);
}

static void wrong_bodies_are_told_apart(void **state)
{
    static const struct {
        enum gate_form form;
        const char *body;
        int err;
    } cases[] = {
        {GATE_FORM_CREATE, "x", STEAD_E_PARSE},
        {GATE_FORM_CREATE, "{", STEAD_E_PARSE},
        {GATE_FORM_CREATE, "[]", STEAD_E_PARSE},
        {GATE_FORM_CREATE, "{} {}", STEAD_E_PARSE},
        {GATE_FORM_CREATE, "{\"fields\": {\"a\": \"\xff\"}}", STEAD_E_PARSE},
        {GATE_FORM_CREATE, "{\"fields\": {\"a\": \"1\", \"a\": \"2\"}}", STEAD_E_PARSE},
        {GATE_FORM_CREATE, "{\"ttl\": 1, \"ttl\": 2}", STEAD_E_PARSE},
        {GATE_FORM_CREATE, "{\"fields\": []}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"fields\": {\"a\": 1}}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"fields\": {\"a\": null}}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"fields\": {\"a\": {\"base64\": \"QQ\"}}}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"fields\": {\"a\": {\"base64\": \"QR==\"}}}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"fields\": {\"a\": {\"base64\": \"Q\\u0000==\"}}}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"fields\": {\"a\": {\"base64\": \"QQ==QQ==\"}}}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"fields\": {\"a\": {\"base64\": \"\", \"x\": 1}}}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"ttl\": 0}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"ttl\": -1}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"ttl\": 4294968}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"ttl\": \"1\"}", STEAD_E_INVAL},
        {GATE_FORM_CREATE, "{\"set\": {}}", STEAD_E_INVAL},
        {GATE_FORM_CHANGE, "{\"fields\": {}}", STEAD_E_INVAL},
        {GATE_FORM_CHANGE, "{\"add\": {\"n\": 1.5}}", STEAD_E_INVAL},
        {GATE_FORM_CHANGE, "{\"add\": {\"n\": 9223372036854775808}}", STEAD_E_PARSE},
        {GATE_FORM_CHANGE, "{\"delete\": [1]}", STEAD_E_INVAL},
        {GATE_FORM_CHANGE, "{\"delete\": {\"a\": \"b\"}}", STEAD_E_INVAL},
        {GATE_FORM_CHANGE, "{\"set\": {\"a\": \"\"}, \"delete\": [\"a\"]}", STEAD_E_INVAL},
        {GATE_FORM_CHANGE, "{\"set\": {\"a\": \"\"}, \"add\": {\"a\": 1}}", STEAD_E_INVAL},
        {GATE_FORM_CHANGE, "{\"delete\": [\"a\"], \"add\": {\"a\": 1}}", STEAD_E_INVAL},
        {GATE_FORM_CHANGE, "{\"delete\": [[[[[\"a\"]]]]]}", STEAD_E_TOO_LARGE},
        {GATE_FORM_LIFE, "{\"set\": {}}", STEAD_E_INVAL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gate_change c;
        int err = parse(&c, cases[i].form, cases[i].body);
        if (err != cases[i].err)
            print_error("%s: %s\n", cases[i].body, stead_error_name(err));
        assert_int_equal(err, cases[i].err);
    }
}

static void sizes_are_bounded(void **state)
{
    char name[400];
    struct gate_change c;
    (void)state;
    snprintf(name, sizeof name, "{\"fields\": {\"%0250d\": \"\"}}", 1);
    assert_int_equal(parse(&c, GATE_FORM_CREATE, name), STEAD_OK);
    gate_change_deinit(&c);
    snprintf(name, sizeof name, "{\"fields\": {\"%0251d\": \"\"}}", 1);
    assert_int_equal(parse(&c, GATE_FORM_CREATE, name), STEAD_E_TOO_LARGE);
    size_t count = GATE_JSON_COMMAS_MAX + 2;
    char *list = mem_alloc(count * 4 + 32), *at = list;
    at += sprintf(at, "{\"delete\": [");
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s\"\"", i ? "," : "");
    sprintf(at, "]}");
    assert_int_equal(parse(&c, GATE_FORM_CHANGE, list), STEAD_E_TOO_LARGE);
    /* Brackets and commas inside a string are text. */
    memset(list, '[', 5000);
    memcpy(list, "{\"fields\": {\"a\": \"\\\"", 20);
    memcpy(list + 5000, "\"}}", 4);
    assert_int_equal(parse(&c, GATE_FORM_CREATE, list), STEAD_OK);
    gate_change_deinit(&c);
    mem_free(list);
}

static void no_memory_leaves_nothing_behind(void **state)
{
    struct gate_change c;
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_int_equal(parse(&c, GATE_FORM_CREATE, "{\"fields\": {\"a\": \"1\"}}"),
                         STEAD_E_NOMEM);
        mem_fail_after(0);
    }
}

static struct record *sample(void)
{
    struct key key;
    struct stamp stamp = {3, 7, 99};
    static const struct field_op ops[] = {
        {.type = FIELD_SET,
         .name = (const uint8_t *)"user",
         .name_len = 4,
         .value = (const uint8_t *)"J\xc3\xbcrgen",
         .value_len = 7},
        {.type = FIELD_SET,
         .name = (const uint8_t *)"raw",
         .name_len = 3,
         .value = (const uint8_t *)"\xff\x00",
         .value_len = 2},
        {.type = FIELD_SET,
         .name = (const uint8_t *)"\xfe",
         .name_len = 1,
         .value = (const uint8_t *)"v",
         .value_len = 1},
    };
    assert_true(key_set(&key, 0, "the-id", 6));
    struct record *r = record_new(&key);
    assert_non_null(r);
    assert_int_equal(record_apply(r, ops, 3, &stamp, 0), STEAD_OK);
    return r;
}

static void a_record_shows_text_as_text_and_bytes_as_base64(void **state)
{
    struct record *r = sample();
    (void)state;
    char *text = gate_record_json(r, &open_rules, 90500, "auth", 2);
    assert_non_null(text);
    assert_int_equal(text[strlen(text) - 1], '\n');
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "id")), "the-id");
    assert_string_equal(json_string_value(json_object_get(j, "kind")), "auth");
    assert_string_equal(json_string_value(json_object_get(j, "version")), "3.7");
    assert_int_equal(json_integer_value(json_object_get(j, "expires_in")), 91);
    assert_int_equal(json_integer_value(json_object_get(j, "copies")), 2);
    json_t *fields = json_object_get(j, "fields");
    assert_int_equal(json_object_size(fields), 2);
    assert_string_equal(json_string_value(json_object_get(fields, "user")), "J\xc3\xbcrgen");
    json_t *raw = json_object_get(fields, "raw");
    assert_string_equal(json_string_value(json_object_get(raw, "base64")), "/wA=");
    json_t *binary = json_object_get(j, "binary_fields");
    assert_string_equal(json_string_value(json_object_get(binary, "/g==")), "v");
    json_decref(j);
    free(text);
    text = gate_record_json(r, &open_rules, 0, "auth", 0);
    assert_non_null(strstr(text, "\"expires_in\":null"));
    assert_null(strstr(text, "copies"));
    free(text);
    record_free(r);
}

static void what_was_read_can_be_written_back(void **state)
{
    uint8_t bytes[64];
    char text[100];
    (void)state;
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint8_t back[100];
        size_t back_len;
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(i * 37 + len);
        base64_encode(bytes, len, text);
        assert_true(base64_decode(text, base64_size(len), back, &back_len));
        assert_int_equal(back_len, len);
        assert_memory_equal(back, bytes, len);
    }
    static const uint8_t ones[24] = {[0 ... 23] = 0xff};
    char id[32];
    assert_int_equal(base64_encode_url(ones, 24, id), 32);
    assert_memory_equal(id, "________________________________", 32);
}

static void versions_are_parsed_strictly(void **state)
{
    static const char *const wrong[] = {
        "", ".", "1", "1.", ".1", "1.2.3", "a.1", "1. 2", "-1.2", "1.2 ", "18446744073709551616.1"};
    uint64_t term, version;
    (void)state;
    assert_true(gate_version_parse("18446744073709551615.0", 22, &term, &version));
    assert_true(term == UINT64_MAX && version == 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(gate_version_parse(wrong[i], strlen(wrong[i]), &term, &version));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_create_body_becomes_sets),
        cmocka_unit_test(a_change_body_becomes_all_three_operations),
        cmocka_unit_test(wrong_bodies_are_told_apart),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(no_memory_leaves_nothing_behind),
        cmocka_unit_test(a_record_shows_text_as_text_and_bytes_as_base64),
        cmocka_unit_test(what_was_read_can_be_written_back),
        cmocka_unit_test(versions_are_parsed_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
