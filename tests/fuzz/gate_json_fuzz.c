/* gate_json_fuzz.c - any body of the session API: it is refused, or its operations are within the
 * limits, can be applied to a record, and that record can be shown and read again. */
#include "fuzz_check.h"
#include "role/gate/gate_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct private_rules open_rules;

static void show(const struct gate_change *c)
{
    struct key key;
    struct stamp stamp = {1, 1, 1};
    CHECK(key_set(&key, 0, "id", 2));
    struct record *r = record_new(&key);
    CHECK(r != NULL);
    if (record_apply(r, c->ops, c->count, &stamp, 0) == STEAD_OK) {
        r->ttl_ms = c->ttl_ms;
        char *text = gate_record_json(r, &open_rules, r->ttl_ms, "auth", 1);
        CHECK(text != NULL);
        json_t *j = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        CHECK(json_is_object(j));
        json_decref(j);
        free(text);
    }
    record_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_change c;
    const char *why = NULL;
    uint64_t term, version;
    if (size == 0)
        return 0;
    enum gate_form form = (enum gate_form)(data[0] % 3);
    gate_version_parse((const char *)data, size, &term, &version);
    if (gate_change_parse(&c, form, (const char *)data + 1, size - 1, &why)) {
        CHECK(why != NULL && !c.ops && !c.root);
        return 0;
    }
    CHECK(c.count <= GATE_JSON_COMMAS_MAX + 4);
    for (size_t i = 0; i < c.count; i++) {
        CHECK(c.ops[i].name_len <= FIELD_NAME_MAX);
        CHECK(c.ops[i].value_len <= size);
    }
    show(&c);
    gate_change_deinit(&c);
    return 0;
}
