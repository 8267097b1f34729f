/* session_request.c - a call as the bytes of an HTTP request. */
#include "client/session_internal.h"

#include "base/base64.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 2048

static bool is_plain(const char *text, size_t max, const char *more)
{
    size_t len = text ? strlen(text) : 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr(more, c)))
            return false;
    }
    return len > 0 && len <= max;
}

/* -- the body -- */

static json_t *value_json(const struct stead_field *f)
{
    json_t *text = json_stringn(f->value_len ? f->value : "", f->value_len);
    if (text)
        return text;
    size_t size = base64_size(f->value_len);
    char *encoded = mem_alloc(size);
    if (!encoded)
        return NULL;
    base64_encode(f->value, f->value_len, encoded);
    json_t *j = json_pack("{s:s%}", "base64", encoded, size);
    mem_free(encoded);
    return j;
}

static json_t *set_json(const struct stead_change *c)
{
    json_t *j = json_object();
    for (size_t i = 0; i < c->set_count; i++)
        if (json_object_set_new(j, c->set[i].name, value_json(&c->set[i])) != 0) {
            json_decref(j);
            return NULL;
        }
    return j;
}

static json_t *remove_json(const struct stead_change *c)
{
    json_t *j = json_array();
    for (size_t i = 0; i < c->remove_count; i++)
        if (json_array_append_new(j, json_string(c->remove[i])) != 0) {
            json_decref(j);
            return NULL;
        }
    return j;
}

static json_t *add_json(const struct stead_change *c)
{
    json_t *j = json_object();
    for (size_t i = 0; i < c->add_count; i++)
        if (json_object_set_new(j, c->add[i].name, json_integer(c->add[i].amount)) != 0) {
            json_decref(j);
            return NULL;
        }
    return j;
}

/* NULL: a name is no text, or there is no memory. */
static char *body_text(enum stead_session_verb verb, const struct stead_change *c)
{
    json_t *j = json_object();
    int failed = !j;
    if (c && c->ttl_ms && verb != STEAD_SESSION_RENEW)
        failed |= json_object_set_new(j, "ttl", json_real(c->ttl_ms / 1000.0));
    if (c && verb == STEAD_SESSION_CREATE)
        failed |= json_object_set_new(j, "fields", set_json(c));
    if (c && verb == STEAD_SESSION_CHANGE) {
        failed |= json_object_set_new(j, "set", set_json(c));
        failed |= json_object_set_new(j, "delete", remove_json(c));
        failed |= json_object_set_new(j, "add", add_json(c));
    }
    char *text = failed ? NULL : json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

/* -- the head -- */

static const struct {
    const char *method, *suffix;
    bool body;
} forms[] = {
    [STEAD_SESSION_CREATE] = {"POST", "", true},
    [STEAD_SESSION_READ] = {"GET", "", false},
    [STEAD_SESSION_CHANGE] = {"PATCH", "", true},
    [STEAD_SESSION_TOUCH] = {"POST", "/touch", true},
    [STEAD_SESSION_RENEW] = {"POST", "/renew", true},
    [STEAD_SESSION_END] = {"DELETE", "", false},
    [STEAD_SESSION_VERIFY] = {"GET", "", false},
};

static bool is_valid(enum stead_session_verb verb, const char *kind, const char *id,
                     const struct stead_change *c)
{
    if (verb < STEAD_SESSION_CREATE || verb > STEAD_SESSION_VERIFY)
        return false;
    if (verb != STEAD_SESSION_VERIFY && !is_plain(kind, SESSION_KIND_MAX, "-_."))
        return false;
    if ((verb == STEAD_SESSION_CREATE) != !id || (id && !is_plain(id, SESSION_ID_MAX, "-_.~")))
        return false;
    if (!c)
        return true;
    if (c->size != sizeof *c || (c->version && !is_plain(c->version, 48, ".")))
        return false;
    if (verb == STEAD_SESSION_CREATE && (c->remove_count || c->add_count || c->version))
        return false;
    for (size_t i = 0; i < c->set_count; i++)
        if (!c->set[i].name || (!c->set[i].value && c->set[i].value_len))
            return false;
    for (size_t i = 0; i < c->remove_count; i++)
        if (!c->remove[i])
            return false;
    for (size_t i = 0; i < c->add_count; i++)
        if (!c->add[i].name)
            return false;
    return true;
}

/* 0: it does not fit. */
static size_t put_head(const struct stead_sessions *node, enum stead_session_verb verb,
                       const char *kind, const char *id, const char *version, size_t body_len,
                       char out[HEAD_MAX])
{
    int n = snprintf(
        out, HEAD_MAX, "%s /v1/sessions/%s%s%s%s HTTP/1.1\r\nHost: localhost\r\n%s%s%s%s%s%s",
        forms[verb].method, verb == STEAD_SESSION_VERIFY ? "auth" : kind, id ? "/" : "",
        id ? id : "", forms[verb].suffix, node->token ? "Authorization: Bearer " : "",
        node->token ? node->token : "", node->token ? "\r\n" : "", version ? "If-Match: \"" : "",
        version ? version : "", version ? "\"\r\n" : "");
    if (n < 0 || n >= HEAD_MAX)
        return 0;
    size_t len = (size_t)n;
    n = snprintf(out + len, HEAD_MAX - len, "Stead-Deadline-Ms: %d\r\nContent-Length: %zu\r\n\r\n",
                 STEAD_SESSION_DEADLINE_MS, body_len);
    return n < 0 || (size_t)n >= HEAD_MAX - len ? 0 : len + (size_t)n;
}

int session_request(const struct stead_sessions *node, enum stead_session_verb verb,
                    const char *kind, const char *id, const struct stead_change *change, char **out,
                    size_t *len)
{
    char head[HEAD_MAX];
    if (!is_valid(verb, kind, id, change))
        return STEAD_E_INVAL;
    bool matches = change && (verb == STEAD_SESSION_CHANGE || verb == STEAD_SESSION_END);
    char *body = forms[verb].body ? body_text(verb, change) : NULL;
    if (forms[verb].body && !body)
        return STEAD_E_INVAL;
    size_t body_len = body ? strlen(body) : 0;
    size_t head_len =
        put_head(node, verb, kind, id, matches ? change->version : NULL, body_len, head);
    char *all = head_len ? mem_alloc(head_len + body_len + 1) : NULL;
    if (all) {
        memcpy(all, head, head_len);
        if (body_len)
            memcpy(all + head_len, body, body_len);
    }
    free(body);
    *out = all;
    *len = head_len + body_len;
    return all ? STEAD_OK : head_len ? STEAD_E_NOMEM : STEAD_E_INVAL;
}
