/* gate_json.c - JSON bodies to operations, records to JSON. Status codes and headers are in
 * gate_route.c and gate_reply.c. */
#include "role/gate/gate_json.h"

#include "base/base64.h"
#include "base/mem.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TTL_MAX_S 4294967 /* what fits milliseconds in 32 bits */

/* -- in -- */

bool gate_json_bounded(const char *body, size_t len)
{
    size_t depth = 0, commas = 0;
    bool string = false;
    for (size_t i = 0; i < len; i++) {
        char c = body[i];
        if (string) {
            i += c == '\\';
            string = c != '"';
        } else if (c == '"') {
            string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        } else if (c == ',') {
            commas++;
        }
        if (depth > GATE_JSON_DEPTH_MAX || commas > GATE_JSON_COMMAS_MAX)
            return false;
    }
    return true;
}

static int read_ttl(struct gate_change *c, const json_t *ttl, const char **why)
{
    double s = json_number_value(ttl);
    if (!json_is_number(ttl) || !(s >= 0.001) || s > TTL_MAX_S) {
        *why = "ttl is a number of seconds from 0.001 to 4294967";
        return STEAD_E_INVAL;
    }
    c->ttl_ms = (uint32_t)(s * 1000.0 + 0.5);
    return STEAD_OK;
}

static int read_value(struct gate_change *c, json_t *value, struct field_op *op, const char **why)
{
    if (json_is_string(value)) {
        op->value = (const uint8_t *)json_string_value(value);
        op->value_len = json_string_length(value);
        return STEAD_OK;
    }
    const json_t *binary = json_object_get(value, "base64");
    uint8_t *to = c->decoded + c->decoded_len;
    size_t len = 0;
    if (!json_is_string(binary) || json_object_size(value) != 1 ||
        !base64_decode(json_string_value(binary), json_string_length(binary), to, &len)) {
        *why = "a value is a string, or {\"base64\": \"...\"} with padding";
        return STEAD_E_INVAL;
    }
    op->value = to;
    op->value_len = len;
    c->decoded_len += len;
    return STEAD_OK;
}

static int next_op(struct gate_change *c, enum field_op_type type, const char *name, size_t len,
                   struct field_op **op, const char **why)
{
    if (len > FIELD_NAME_MAX) {
        *why = "the name of a field has at most 250 bytes";
        return STEAD_E_TOO_LARGE;
    }
    *op = &c->ops[c->count++];
    (*op)->type = type;
    (*op)->name = (const uint8_t *)name;
    (*op)->name_len = len;
    return STEAD_OK;
}

static int read_set(struct gate_change *c, json_t *fields, const char **why)
{
    const char *name;
    size_t len;
    json_t *value;
    json_object_keylen_foreach(fields, name, len, value)
    {
        struct field_op *op;
        int err = next_op(c, FIELD_SET, name, len, &op, why);
        if (!err)
            err = read_value(c, value, op, why);
        if (err)
            return err;
    }
    return STEAD_OK;
}

static int read_add(struct gate_change *c, json_t *fields, const char **why)
{
    const char *name;
    size_t len;
    json_t *value;
    json_object_keylen_foreach(fields, name, len, value)
    {
        struct field_op *op;
        int err = next_op(c, FIELD_ADD, name, len, &op, why);
        if (err)
            return err;
        if (!json_is_integer(value)) {
            *why = "add takes integers of 64 bits";
            return STEAD_E_INVAL;
        }
        op->amount = json_integer_value(value);
        c->adds = true;
    }
    return STEAD_OK;
}

static int read_delete(struct gate_change *c, json_t *names, const char **why)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name)
    {
        struct field_op *op;
        if (!json_is_string(name)) {
            *why = "delete takes a list of names";
            return STEAD_E_INVAL;
        }
        int err =
            next_op(c, FIELD_DELETE, json_string_value(name), json_string_length(name), &op, why);
        if (err)
            return err;
    }
    return STEAD_OK;
}

/* One field in two lists would mean something that depends on their order. */
static int refuse_twice(const struct gate_change *c, json_t *set, json_t *add, const char **why)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct field_op *op = &c->ops[i];
        const char *name = (const char *)op->name;
        if ((op->type != FIELD_SET && json_object_getn(set, name, op->name_len)) ||
            (op->type == FIELD_DELETE && json_object_getn(add, name, op->name_len))) {
            *why = "a field stands in one of set, delete and add only";
            return STEAD_E_INVAL;
        }
    }
    return STEAD_OK;
}

struct member {
    const char *key;
    unsigned forms; /* of enum gate_form */
    bool list;
    json_t *value;
};

static int take_members(json_t *root, enum gate_form form, struct member *members, size_t count,
                        const char **why)
{
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        struct member *m = NULL;
        for (size_t i = 0; i < count && !m; i++)
            if (strcmp(members[i].key, key) == 0 && members[i].forms & 1u << form)
                m = &members[i];
        if (!m) {
            *why = form == GATE_FORM_CREATE   ? "the members are ttl and fields"
                   : form == GATE_FORM_CHANGE ? "the members are ttl, set, delete and add"
                                              : "the only member is ttl";
            return STEAD_E_INVAL;
        }
        bool is_ttl = m == members;
        if (!is_ttl && !(m->list ? json_is_array(value) : json_is_object(value))) {
            *why = "fields, set and add are objects, delete is a list";
            return STEAD_E_INVAL;
        }
        m->value = value;
    }
    return STEAD_OK;
}

enum { TTL, FIELDS, SET, DELETE, ADD, MEMBERS };

static int read_members(struct gate_change *c, enum gate_form form, size_t body_len,
                        const char **why)
{
    const unsigned create = 1u << GATE_FORM_CREATE, change = 1u << GATE_FORM_CHANGE;
    struct member m[MEMBERS] = {
        [TTL] = {"ttl", create | change | 1u << GATE_FORM_LIFE, false, NULL},
        [FIELDS] = {"fields", create, false, NULL},
        [SET] = {"set", change, false, NULL},
        [DELETE] = {"delete", change, true, NULL},
        [ADD] = {"add", change, false, NULL},
    };
    int err = take_members(c->root, form, m, MEMBERS, why);
    if (err)
        return err;
    json_t *set = form == GATE_FORM_CREATE ? m[FIELDS].value : m[SET].value;
    size_t count =
        json_object_size(set) + json_object_size(m[ADD].value) + json_array_size(m[DELETE].value);
    c->ops = mem_alloc(count * sizeof *c->ops);
    c->decoded = mem_alloc(body_len);
    if (!c->ops || !c->decoded) {
        *why = "out of memory";
        return STEAD_E_NOMEM;
    }
    err = m[TTL].value ? read_ttl(c, m[TTL].value, why) : STEAD_OK;
    if (!err && set)
        err = read_set(c, set, why);
    if (!err && m[DELETE].value)
        err = read_delete(c, m[DELETE].value, why);
    if (!err && m[ADD].value)
        err = read_add(c, m[ADD].value, why);
    return err ? err : refuse_twice(c, set, m[ADD].value, why);
}

int gate_change_parse(struct gate_change *out, enum gate_form form, const char *body, size_t len,
                      const char **why)
{
    *out = (struct gate_change){0};
    if (len == 0)
        return STEAD_OK;
    if (!gate_json_bounded(body, len)) {
        *why = "the body has too many elements, or they are nested too deep";
        return STEAD_E_TOO_LARGE;
    }
    json_error_t error;
    out->root = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    int err = STEAD_E_PARSE;
    *why = "the body is not one JSON object in UTF-8 without duplicate members";
    if (json_is_object(out->root))
        err = read_members(out, form, len, why);
    if (err)
        gate_change_deinit(out);
    return err;
}

void gate_change_deinit(struct gate_change *c)
{
    json_decref(c->root);
    mem_free(c->ops);
    mem_free_wiped(c->decoded, c->decoded_len);
    *c = (struct gate_change){0};
}

/* -- out -- */

static json_t *base64_json(const uint8_t *bytes, size_t len)
{
    char *text = mem_alloc(base64_size(len));
    if (!text)
        return NULL;
    base64_encode(bytes, len, text);
    json_t *j = json_stringn(text, base64_size(len));
    mem_free_wiped(text, base64_size(len));
    return j;
}

static json_t *bytes_json(const uint8_t *value, size_t len)
{
    /* NULL when it is no UTF-8. */
    json_t *text = json_stringn((const char *)value, len);
    return text ? text : json_pack("{s:o}", "base64", base64_json(value, len));
}

static json_t *private_json(const struct record *r, const struct private_rules *p,
                            const struct field *f)
{
    uint8_t *clear = mem_alloc((size_t)f->value_len + 1);
    int64_t len = clear ? private_open(p, &r->key, f, clear) : -1;
    json_t *j = !clear ? NULL : len < 0 ? json_null() : bytes_json(clear, (size_t)len);
    if (clear)
        OPENSSL_cleanse(clear, f->value_len);
    mem_free(clear);
    return j;
}

static json_t *value_json(const struct record *r, const struct private_rules *p,
                          const struct field *f)
{
    if (private_is(p, r->key.kind, field_name(f), f->name_len))
        return private_json(r, p, f);
    return bytes_json(field_value(f), f->value_len);
}

static int put_field(const struct record *r, const struct private_rules *p, const struct field *f,
                     json_t *fields, json_t *binary)
{
    const char *name = (const char *)field_name(f);
    json_t *as_text = json_stringn(name, f->name_len);
    bool text = as_text && !memchr(name, 0, f->name_len);
    json_decref(as_text);
    if (text)
        return json_object_setn_new(fields, name, f->name_len, value_json(r, p, f));
    char encoded[(FIELD_NAME_MAX + 2) / 3 * 4];
    base64_encode(field_name(f), f->name_len, encoded);
    return json_object_setn_new(binary, encoded, base64_size(f->name_len), value_json(r, p, f));
}

void gate_version_text(const struct record *r, char out[GATE_VERSION_MAX])
{
    snprintf(out, GATE_VERSION_MAX, "%" PRIu64 ".%" PRIu64, r->stamp.term, r->stamp.version);
}

static bool parse_u64(const char **at, const char *end, uint64_t *out)
{
    const char *start = *at;
    uint64_t n = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        unsigned d = (unsigned)(**at - '0');
        if (n > (UINT64_MAX - d) / 10)
            return false;
        n = n * 10 + d;
    }
    *out = n;
    return *at > start;
}

bool gate_version_parse(const char *text, size_t len, uint64_t *term, uint64_t *version)
{
    const char *at = text, *end = text + len;
    return parse_u64(&at, end, term) && at < end && *at++ == '.' && parse_u64(&at, end, version) &&
           at == end;
}

/* Whole seconds, rounded up: what has just been made has its ttl, and what lives never has 0. */
static json_t *seconds_json(uint32_t ms)
{
    return ms ? json_integer((json_int_t)ms / 1000 + (ms % 1000 > 0)) : json_null();
}

static json_t *record_tree(const struct record *r, const struct private_rules *p, uint32_t left_ms,
                           const char *kind, unsigned copies)
{
    char version[GATE_VERSION_MAX];
    gate_version_text(r, version);
    json_t *fields = json_object(), *binary = json_object();
    int failed = !fields || !binary;
    for (uint32_t i = 0; i < r->field_count && !failed; i++)
        if (!r->fields[i]->removed)
            failed = put_field(r, p, r->fields[i], fields, binary);
    json_t *j = failed ? NULL : json_object();
    if (j) {
        failed |=
            json_object_set_new(j, "id", json_stringn((const char *)r->key.bytes, r->key.len));
        failed |= json_object_set_new(j, "kind", json_string(kind));
        failed |= json_object_set_new(j, "version", json_string(version));
        failed |= json_object_set_new(j, "expires_in", seconds_json(left_ms));
        failed |= json_object_set(j, "fields", fields);
        if (json_object_size(binary))
            failed |= json_object_set(j, "binary_fields", binary);
        if (copies)
            failed |= json_object_set_new(j, "copies", json_integer((json_int_t)copies));
    }
    json_decref(fields);
    json_decref(binary);
    if (failed) {
        json_decref(j);
        return NULL;
    }
    return j;
}

char *gate_record_json(const struct record *r, const struct private_rules *p, uint32_t left_ms,
                       const char *kind, unsigned copies)
{
    json_t *j = record_tree(r, p, left_ms, kind, copies);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    size_t len = text ? strlen(text) : 0;
    char *line = text ? malloc(len + 2) : NULL;
    if (line) {
        memcpy(line, text, len);
        memcpy(line + len, "\n", 2);
    }
    gate_text_free(text);
    return line;
}

void gate_text_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
