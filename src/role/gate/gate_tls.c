/* gate_tls.c - /v1/tls: what a server beside the node that ends TLS itself needs of the farm (see
 * stead/tls.h): the keys of its tickets, and a place for sessions.
 *
 * What is under one set's name is nobody else's: its keys come of that name, its values are sealed
 * for name and id. A value is a record of kind tls; taken, it is its taker's alone, by the rule of
 * role/director/session_keep.h. */
#include "role/gate/gate_internal.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/ticket/ticket_set.h"
#include "core/token/box.h"
#include "io/io.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SET_MAX 63
#define ID_CHARS 64
#define VALUE_MAX 8192
#define BODY_MAX 12288
#define TTL_MAX_S 86400.0
#define PLACE_MAX (SET_MAX + 1 + ID_CHARS)
#define FIRST_TERM 1 /* of the node that made the record */

#define USE_TICKETS "stead tls set 1 tickets"
#define USE_VALUES "stead tls set 1 values"

_Static_assert(TICKET_SECRET_BYTES == TOKEN_KEY_BYTES, "a set's secret seals its values");
_Static_assert(PLACE_MAX <= KEY_BYTES_MAX && PLACE_MAX <= BOX_PLACE_MAX, "a place is a key");

bool gate_is_tls(enum gate_verb verb)
{
    return verb >= GATE_TLS_KEYS && verb <= GATE_TLS_END;
}

/* -- keys of tickets -- */

static json_t *base64_json(const uint8_t *bytes, size_t len)
{
    char text[128];
    base64_encode(bytes, len, text);
    json_t *j = json_stringn(text, base64_size(len));
    OPENSSL_cleanse(text, sizeof text);
    return j;
}

/* Key `index` of the ring: 0 the next one, 1 the present one, then those before. */
static json_t *key_json(const struct ticket_ring *r, size_t index)
{
    const struct ticket_key *k = &r->keys[index];
    uint8_t name[TICKET_NAME_BYTES] = {0};
    uint64_t from_s = (r->period - TICKET_PAST + 1 - index) * TICKET_PERIOD_S;
    memcpy(name, k->name, sizeof k->name);
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I}", "name", base64_json(name, sizeof name),
                     "cipher", base64_json(k->cipher, sizeof k->cipher), "mac",
                     base64_json(k->mac, sizeof k->mac), "seals_from", (json_int_t)from_s,
                     "seals_until", (json_int_t)(from_s + TICKET_PERIOD_S), "opens_until",
                     (json_int_t)(from_s + TICKET_PERIOD_S + TICKET_LIFE_S));
}

/* False: there are not so many keys, or no memory. */
static bool set_secret(const struct gate *g, size_t i, const char *use, const char *set,
                       uint8_t out[TICKET_SECRET_BYTES])
{
    uint8_t keys[BOX_RING_MAX][TOKEN_KEY_BYTES];
    bool good =
        i < box_ring_get(g->config.tls_keys, keys) && ticket_set_secret(keys[i], use, set, out);
    OPENSSL_cleanse(keys, sizeof keys);
    return good;
}

/* Those of one of the farm's keys. */
static bool add_keys(const uint8_t secret[TICKET_SECRET_BYTES], json_t *keys)
{
    struct ticket_ring ring = {0};
    ticket_ring_init(&ring, secret, 0);
    bool good = ticket_ring_turn(&ring, (uint64_t)time(NULL));
    for (size_t k = 0; good && k < TICKET_KEYS; k++)
        good = json_array_append_new(keys, key_json(&ring, k)) == 0;
    ticket_ring_deinit(&ring);
    return good;
}

/* The farm's key that seals is the first, and who seals takes the first that may. */
static void reply_keys(struct gate *g, struct http_request *r, const char *set)
{
    uint8_t secret[TICKET_SECRET_BYTES];
    json_t *keys = json_array(), *all = NULL;
    bool good = keys != NULL;
    for (size_t i = 0; good && set_secret(g, i, USE_TICKETS, set, secret); i++)
        good = add_keys(secret, keys);
    if (good && json_array_size(keys))
        all = json_pack("{s:s, s:O}", "set", set, "keys", keys);
    json_decref(keys);
    gate_reply_json(r, all);
    OPENSSL_cleanse(secret, sizeof secret);
}

/* -- values -- */

/* i: of the farm's keys; the first one seals. */
static bool value_key(const struct gate_call *call, size_t i, uint8_t out[TOKEN_KEY_BYTES])
{
    char set[SET_MAX + 1] = "";
    size_t len = call->key.len - 1 - ID_CHARS;
    memcpy(set, call->key.bytes, len);
    return set_secret(call->gate, i, USE_VALUES, set, out);
}

/* The record's value; NULL: it is none of this place. Freed by free_value(). */
static uint8_t *open_value(const struct gate_call *call, const struct record *r, size_t *len)
{
    const struct field *f = r ? record_get(r, "", 0) : NULL;
    uint8_t key[TOKEN_KEY_BYTES], *value = NULL;
    if (!f || f->value_len < BOX_OVERHEAD || f->value_len > VALUE_MAX + BOX_OVERHEAD)
        return NULL;
    *len = f->value_len - BOX_OVERHEAD;
    bool good = false;
    value = mem_alloc(*len + 1);
    for (size_t i = 0; value && !good && value_key(call, i, key); i++) {
        good = box_open(key, call->key.bytes, call->key.len, field_value(f), f->value_len, value);
        if (good)
            box_ring_note(call->gate->config.tls_keys, i);
    }
    OPENSSL_cleanse(key, sizeof key);
    if (good)
        return value;
    mem_free(value);
    return NULL;
}

static void free_value(uint8_t *value, size_t len)
{
    OPENSSL_cleanse(value, len);
    mem_free(value);
}

static void reply_value(struct gate_call *call, const struct record *r, const char *origin)
{
    size_t len = 0;
    uint8_t *value = open_value(call, r, &len);
    char *text = value ? mem_alloc(base64_size(len) + 1) : NULL;
    if (!text) {
        if (value)
            free_value(value, len);
        gate_reply_status(call, STEAD_E_ABSENT); /* as good as none */
        return;
    }
    base64_encode(value, len, text);
    free_value(value, len);
    gate_reply_json(call->request, json_pack("{s:s, s:s}", "value", text, "origin", origin));
    OPENSSL_cleanse(text, base64_size(len));
    mem_free(text);
    gate_call_free(call);
}

static const char *origin_of(enum session_origin origin)
{
    return origin == ORIGIN_LOCAL ? "local" : "peer";
}

/* -- results -- */

/* Nobody else gets it from here on; whether this one does, is what the result tells. */
static void take(struct gate_call *call, struct session_result *r)
{
    struct session_op op = {.type = SESSION_END,
                            .key = &call->key,
                            .has_match = true,
                            .match = r->record->stamp,
                            .bare = true};
    call->record = r->record;
    r->record = NULL;
    call->tries = r->origin == ORIGIN_LOCAL;
    call->step = STEP_END_OLD;
    gate_call_submit(call, &op);
}

static void taken(struct gate_call *call, int status)
{
    if (status == STEAD_OK)
        reply_value(call, call->record, call->tries ? "local" : "peer");
    else
        gate_reply_status(call, status == STEAD_E_CONFLICT ? STEAD_E_ABSENT : status);
}

void gate_tls_result(struct gate_call *call, struct session_result *r)
{
    bool writes = call->verb == GATE_TLS_PUT || call->verb == GATE_TLS_END;
    if (call->step == STEP_END_OLD)
        taken(call, r->status);
    else if (r->status != STEAD_OK)
        gate_reply_status(call, r->status);
    else if (writes)
        gate_reply_empty(call, 204);
    else if (!r->record)
        gate_reply_status(call, STEAD_E_NOMEM);
    else if (call->verb == GATE_TLS_GET)
        reply_value(call, r->record, origin_of(r->origin));
    else if (r->record->stamp.term != FIRST_TERM)
        gate_reply_status(call, STEAD_E_ABSENT);
    else
        take(call, r);
}

/* -- requests -- */

/* {"value": BASE64, "ttl": SECONDS}; *value is freed with free_value(). */
static int parse_put(const char *body, size_t len, uint8_t **value, size_t *value_len,
                     uint32_t *ttl_ms, const char **why)
{
    const char *text = NULL;
    double ttl_s = 0;
    size_t text_len = 0;
    *why = "the body is {\"value\": BASE64, \"ttl\": SECONDS}, ttl at most a day";
    if (len > BODY_MAX)
        return STEAD_E_TOO_LARGE;
    json_t *root =
        gate_json_bounded(body, len) ? json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    int err = STEAD_E_INVAL;
    if (root && json_unpack(root, "{s:s%, s:F !}", "value", &text, &text_len, "ttl", &ttl_s) == 0 &&
        ttl_s > 0 && ttl_s <= TTL_MAX_S) {
        *ttl_ms = (uint32_t)(ttl_s * 1000) ? (uint32_t)(ttl_s * 1000) : 1;
        *value = mem_alloc(text_len / 4 * 3 + 1);
        err = !*value                                             ? STEAD_E_NOMEM
              : !base64_decode(text, text_len, *value, value_len) ? STEAD_E_INVAL
              : *value_len > VALUE_MAX                            ? STEAD_E_TOO_LARGE
                                                                  : STEAD_OK;
        if (err && *value) {
            free_value(*value, text_len / 4 * 3);
            *value = NULL;
        }
    }
    json_decref(root);
    return err;
}

static struct gate_call *new_call(struct gate *g, struct http_request *r,
                                  const struct gate_route *route)
{
    char place[PLACE_MAX + 1];
    struct gate_call *call = gate_call_new(g, r);
    if (!call)
        return NULL;
    int n = snprintf(place, sizeof place, "%.*s:%.*s", (int)route->kind.len, route->kind.at,
                     (int)route->id.len, route->id.at);
    call->verb = route->verb;
    key_set(&call->key, (uint8_t)kinds_find(store_kinds(g->config.store), "tls"), place, (size_t)n);
    call->deadline_ms = gate_deadline(http_request_head(r));
    call->last_ns = io_now_ns() + 2 * call->deadline_ms * NS_PER_MS;
    return call;
}

static void start_put(struct gate *g, struct http_request *r, const struct gate_route *route,
                      const uint8_t *value, size_t len, uint32_t ttl_ms)
{
    const struct http_head *h = http_request_head(r);
    uint8_t key[TOKEN_KEY_BYTES], salt[TOKEN_SALT_BYTES], box[VALUE_MAX + BOX_OVERHEAD];
    bool again = http_find(h->headers, h->header_count, "if-match") != NULL;
    struct gate_call *call = new_call(g, r, route);
    if (!call)
        return;
    io_random(salt, sizeof salt);
    bool sealed = value_key(call, 0, key) &&
                  box_seal(key, call->key.bytes, call->key.len, salt, value, len, box);
    OPENSSL_cleanse(key, sizeof key);
    if (!sealed) {
        gate_reply_status(call, STEAD_E_NOMEM);
        return;
    }
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"",
                           .value = box,
                           .value_len = len + BOX_OVERHEAD};
    struct session_op op = {.type = again ? SESSION_CHANGE : SESSION_CREATE,
                            .key = &call->key,
                            .ttl_ms = ttl_ms,
                            .ops = &set,
                            .op_count = 1,
                            .bare = true};
    gate_call_submit(call, &op);
}

static void put(struct gate *g, struct http_request *r, const struct gate_route *route,
                const char *body, size_t len)
{
    const char *why;
    uint8_t *value = NULL;
    size_t value_len = 0;
    uint32_t ttl_ms = 0;
    int err = parse_put(body, len, &value, &value_len, &ttl_ms, &why);
    if (err) {
        int status = err == STEAD_E_TOO_LARGE ? 413 : err == STEAD_E_NOMEM ? 503 : 400;
        gate_refuse(g, r, status, err, status == 400 ? why : stead_error_text(err));
        return;
    }
    start_put(g, r, route, value, value_len, ttl_ms);
    free_value(value, value_len);
}

static void start(struct gate *g, struct http_request *r, const struct gate_route *route)
{
    struct gate_call *call = new_call(g, r, route);
    if (!call)
        return;
    bool ends = call->verb == GATE_TLS_END;
    struct session_op op = {
        .type = ends ? SESSION_END : SESSION_READ, .key = &call->key, .peek = !ends, .bare = ends};
    gate_call_submit(call, &op);
}

static bool is_id(struct slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!((id.at[i] >= '0' && id.at[i] <= '9') || (id.at[i] >= 'a' && id.at[i] <= 'f')))
            return false;
    return id.len == ID_CHARS;
}

/* What is wrong with it; NULL: nothing. */
static const char *mistake(const struct http_head *h, const struct gate_route *route)
{
    const struct http_header *match = http_find(h->headers, h->header_count, "if-match");
    if (!gate_id_is_plain(route->kind) || route->kind.len > SET_MAX)
        return "a set is 1 to 63 letters, digits, '-', '_', '.' or '~'";
    if (route->verb == GATE_TLS_KEYS)
        return NULL;
    if (!is_id(route->id))
        return "an id is 64 hexadecimal digits: 32 random bytes, or the digest of some";
    if (!gate_deadline(h))
        return "Stead-Deadline-Ms is a number of milliseconds from 1 on";
    if (match && (route->verb != GATE_TLS_PUT || !slice_is(match->value, "*")))
        return "If-Match is \"*\", with PUT";
    return NULL;
}

enum http_verdict gate_tls_request(struct gate *g, struct http_request *r,
                                   const struct gate_route *route, const char *body, size_t len)
{
    const char *wrong = mistake(http_request_head(r), route);
    char set[SET_MAX + 1];
    if (wrong) {
        gate_refuse(g, r, 400, STEAD_E_INVAL, wrong);
    } else if (!g->config.tls_keys || kinds_find(store_kinds(g->config.store), "tls") < 0) {
        gate_refuse(g, r, 404, STEAD_E_NOT_FOUND, "this farm has no kind tls");
    } else if (route->verb == GATE_TLS_KEYS) {
        snprintf(set, sizeof set, "%.*s", (int)route->kind.len, route->kind.at);
        reply_keys(g, r, set);
    } else if (route->verb != GATE_TLS_PUT) {
        start(g, r, route);
    } else if (!body) {
        return HTTP_WANT_BODY;
    } else {
        put(g, r, route, body, len);
    }
    return HTTP_ANSWERED;
}
