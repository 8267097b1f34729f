/* news.c - JSON of a node, that may lie: all of it is checked before anything is believed. */
#include "client/news.h"

#include "base/mem.h"
#include "stead/error.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Read from the text, not from a second tree of a roster of megabytes. The quote before the name
 * cannot stand inside of a string without a backslash behind the name, so this is a key. */
static uint32_t window_in(const char *json, size_t len)
{
    static const char key[] = "\"retry_window_ms\"";
    const char *at = memmem(json, len, key, sizeof key - 1), *end = json + len;
    uint64_t ms = 0;
    if (!at)
        return NEWS_WINDOW_UNKNOWN;
    at += sizeof key - 1;
    while (at < end && (*at == ':' || *at == ' '))
        at++;
    if (at == end || *at < '0' || *at > '9')
        return NEWS_WINDOW_UNKNOWN;
    for (; at < end && *at >= '0' && *at <= '9' && ms < UINT32_MAX; at++)
        ms = ms * 10 + (uint64_t)(*at - '0');
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

int news_whole(const char *json, size_t len, struct news *out)
{
    *out = (struct news){.kind = NEWS_ROSTER};
    int err = roster_parse_json(json, len, &out->roster);
    out->window_ms = err ? NEWS_WINDOW_UNKNOWN : window_in(json, len);
    return err;
}

/* The change as a roster of its own, by the one parser of servers that there is. */
static int parse_servers(const json_t *change, const struct roster *old, struct roster **out)
{
    json_t *servers = json_object_get(change, "servers");
    servers = servers ? json_incref(servers) : json_array();
    json_t *whole = json_pack("{s:s, s:O, s:o}", "farm", old->farm, "revision",
                              json_object_get(change, "revision"), "servers", servers);
    char *text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;
    json_decref(whole);
    if (!text)
        return STEAD_E_NOMEM;
    int err = roster_parse_json(text, strlen(text), out);
    free(text);
    return err;
}

static int compare(const struct roster_node *a, const struct roster_node *b)
{
    int order = strcmp(a->entry->name, b->entry->name);
    return order ? order : strcmp(a->entry->servers[0].service, b->entry->servers[0].service);
}

static void mark(const struct roster *r, const char *name, const char *service, bool *gone)
{
    const struct roster_node *n = roster_find(r, name);
    for (; n && n < r->nodes + r->count && strcmp(n->entry->name, name) == 0; n++)
        if (strcmp(n->entry->servers[0].service, service) == 0)
            gone[n - r->nodes] = true;
}

static int mark_gone(const json_t *list, const struct roster *old, bool *gone)
{
    size_t i;
    const json_t *v;
    if (list && (!json_is_array(list) || json_array_size(list) > ROSTER_JSON_SERVERS_MAX))
        return STEAD_E_PARSE;
    json_array_foreach(list, i, v)
    {
        const char *name = json_string_value(json_object_get(v, "name"));
        const char *service = json_string_value(json_object_get(v, "service"));
        if (!name || !service)
            return STEAD_E_PARSE;
        mark(old, name, service, gone);
    }
    return STEAD_OK;
}

/* Both are in order, so is the result. */
static int join(const struct roster *old, const bool *gone, const struct roster *fresh,
                struct roster **out)
{
    size_t count = fresh->count, n = 0, f = 0;
    for (size_t i = 0; i < old->count; i++)
        count += !gone[i];
    if (count > ROSTER_JSON_SERVERS_MAX)
        return STEAD_E_TOO_LARGE;
    struct roster *r = roster_new(count);
    if (!r)
        return STEAD_E_NOMEM;
    for (size_t i = 0; i <= old->count; i++) {
        if (i < old->count && gone[i])
            continue;
        while (f < fresh->count &&
               (i == old->count || compare(&fresh->nodes[f], &old->nodes[i]) < 0))
            r->nodes[n++] = fresh->nodes[f++];
        if (i < old->count)
            r->nodes[n++] = old->nodes[i];
    }
    for (size_t i = 0; i < n; i++)
        entry_ref(r->nodes[i].entry);
    r->revision = fresh->revision;
    memcpy(r->farm, old->farm, sizeof r->farm);
    *out = r;
    return STEAD_OK;
}

static int apply(const json_t *change, struct roster *old, struct roster **out)
{
    struct roster *fresh;
    if (!json_is_integer(json_object_get(change, "revision")))
        return STEAD_E_PARSE;
    int err = parse_servers(change, old, &fresh);
    if (err)
        return err;
    bool *gone = mem_alloc(old->count * sizeof *gone);
    err = gone ? mark_gone(json_object_get(change, "gone"), old, gone) : STEAD_E_NOMEM;
    for (size_t i = 0; !err && i < fresh->count; i++)
        mark(old, fresh->nodes[i].entry->name, fresh->nodes[i].entry->servers[0].service, gone);
    if (!err)
        err = join(old, gone, fresh, out);
    mem_free(gone);
    roster_unref(fresh);
    return err;
}

static bool copy_name(const json_t *v, char out[NAME_MAX_BYTES + 1])
{
    const char *text = json_string_value(v);
    if (!text || !entry_name_valid(text, strlen(text), false))
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static int read_move(const json_t *o, struct news *out)
{
    const json_t *within = json_object_get(o, "within_ms"), *to = json_object_get(o, "to");
    if (!copy_name(json_object_get(o, "service"), out->service) || !json_is_array(to) ||
        !json_is_integer(within) || json_integer_value(within) < 0 ||
        json_integer_value(within) > UINT32_MAX)
        return STEAD_E_PARSE;
    out->within_ms = (uint32_t)json_integer_value(within);
    for (size_t i = 0; i < json_array_size(to) && i < NEWS_TARGETS_MAX; i++)
        if (!copy_name(json_array_get(to, i), out->to[out->to_count++]))
            return STEAD_E_PARSE;
    out->kind = NEWS_MOVE;
    return STEAD_OK;
}

int news_event(const char *event, const char *json, size_t len, struct roster *old,
               struct news *out)
{
    *out = (struct news){.kind = NEWS_NOTHING, .window_ms = NEWS_WINDOW_UNKNOWN};
    bool change = strcmp(event, "change") == 0;
    if (strcmp(event, "roster") == 0)
        return news_whole(json, len, out);
    if (!change && strcmp(event, "move") != 0)
        return STEAD_OK;
    if (len > ROSTER_JSON_BYTES_MAX)
        return STEAD_E_TOO_LARGE;
    json_error_t error;
    json_t *o = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
    if (!o)
        return json_error_code(&error) == json_error_out_of_memory ? STEAD_E_NOMEM : STEAD_E_PARSE;
    int err = STEAD_E_PARSE;
    if (json_is_object(o) && change && old) {
        err = apply(o, old, &out->roster);
        out->kind = err ? NEWS_NOTHING : NEWS_ROSTER;
        out->window_ms = window_in(json, len);
    } else if (json_is_object(o) && !change) {
        err = read_move(o, out);
    }
    json_decref(o);
    return err;
}
