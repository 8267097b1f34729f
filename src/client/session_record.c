/* session_record.c - answers of the session API: records, and errors. */
#include "client/session_internal.h"

#include "base/base64.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* -- errors -- */

static int code_of(const char *name)
{
#define X(word, code, text)                                                                        \
    if (strcmp(name, #word) == 0)                                                                  \
        return code;
    STEAD_ERRORS(X)
#undef X
    return STEAD_E_PARSE;
}

int session_error(enum stead_session_verb verb, int status, const char *body, size_t len)
{
    json_t *root = json_loadb(body, len, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "error"));
    const char *outcome = json_string_value(json_object_get(root, "outcome"));
    int code = name ? code_of(name) : STEAD_E_PARSE;
    if (outcome && strcmp(outcome, "unknown") == 0)
        code = STEAD_E_UNKNOWN;
    json_decref(root);
    if (verb == STEAD_SESSION_VERIFY && status == 401)
        return STEAD_E_DENIED;
    return code;
}

/* -- records -- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct stead_field *)a)->name, ((const struct stead_field *)b)->name);
}

/* A value in base64, to *at in the session's own bytes. */
static bool decode(const json_t *value, char **at, struct stead_field *f)
{
    const json_t *text = json_object_get(value, "base64");
    size_t len;
    if (!json_is_string(text) ||
        !base64_decode(json_string_value(text), json_string_length(text), (uint8_t *)*at, &len))
        return false;
    f->value = *at;
    f->value_len = len;
    (*at)[len] = '\0';
    *at += len + 1;
    return true;
}

static bool read_field(const char *name, const json_t *value, char **at, struct stead_field *f)
{
    *f = (struct stead_field){.name = name};
    if (json_is_string(value)) {
        f->value = json_string_value(value);
        f->value_len = json_string_length(value);
        return true;
    }
    return json_is_null(value) || decode(value, at, f);
}

/* Room for all values in base64, with a NUL behind each. */
static size_t decoded_bytes(json_t *fields)
{
    size_t bytes = 1;
    const char *name;
    json_t *value;
    json_object_foreach(fields, name, value) bytes +=
        json_string_length(json_object_get(value, "base64")) / 4 * 3 + 1;
    return bytes;
}

static int read_fields(struct stead_session *s)
{
    json_t *fields = json_object_get(s->root, "fields"), *value;
    const char *name;
    if (!json_is_object(fields))
        return STEAD_E_PARSE;
    s->fields = mem_alloc((json_object_size(fields) + 1) * sizeof *s->fields);
    s->decoded = mem_alloc(decoded_bytes(fields));
    if (!s->fields || !s->decoded)
        return STEAD_E_NOMEM;
    char *at = s->decoded;
    json_object_foreach(fields, name, value)
    {
        if (!read_field(name, value, &at, &s->fields[s->count]))
            return STEAD_E_PARSE;
        s->count++;
    }
    qsort(s->fields, s->count, sizeof *s->fields, by_name);
    return STEAD_OK;
}

int session_record_parse(const char *body, size_t len, struct stead_session **out)
{
    struct stead_session *s = mem_alloc(sizeof *s);
    if (!s)
        return STEAD_E_NOMEM;
    s->root = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    s->id = json_string_value(json_object_get(s->root, "id"));
    s->kind = json_string_value(json_object_get(s->root, "kind"));
    s->version = json_string_value(json_object_get(s->root, "version"));
    const json_t *left = json_object_get(s->root, "expires_in");
    s->expires_in = json_is_integer(left) ? json_integer_value(left) : -1;
    int err = s->id && s->kind && s->version ? read_fields(s) : STEAD_E_PARSE;
    if (err) {
        stead_session_free(s);
        return err;
    }
    *out = s;
    return STEAD_OK;
}

int session_login_check(const struct stead_session *s, int64_t now_s)
{
    size_t len;
    const char *user = stead_session_get(s, "user", &len);
    const char *expires = stead_session_get(s, "expires", NULL);
    char *end;
    if (!user || len == 0)
        return STEAD_E_DENIED;
    if (!expires)
        return STEAD_OK;
    long long at = strtoll(expires, &end, 10);
    return *end == '\0' && end > expires && at > now_s ? STEAD_OK : STEAD_E_DENIED;
}

/* -- what a caller may ask -- */

void stead_session_free(struct stead_session *s)
{
    if (!s)
        return;
    json_decref(s->root);
    mem_free(s->fields);
    mem_free(s->decoded);
    mem_free(s);
}

const char *stead_session_id(const struct stead_session *s)
{
    return s->id;
}

const char *stead_session_kind(const struct stead_session *s)
{
    return s->kind;
}

const char *stead_session_version(const struct stead_session *s)
{
    return s->version;
}

int64_t stead_session_expires_in(const struct stead_session *s)
{
    return s->expires_in;
}

const char *stead_session_get(const struct stead_session *s, const char *name, size_t *value_len)
{
    struct stead_field wanted = {.name = name};
    const struct stead_field *f =
        s->count ? bsearch(&wanted, s->fields, s->count, sizeof *s->fields, by_name) : NULL;
    if (value_len)
        *value_len = f ? f->value_len : 0;
    return f ? f->value : NULL;
}

size_t stead_session_count(const struct stead_session *s)
{
    return s->count;
}

int stead_session_field(const struct stead_session *s, size_t index, struct stead_field *field)
{
    if (index >= s->count)
        return 0;
    *field = s->fields[index];
    return 1;
}
