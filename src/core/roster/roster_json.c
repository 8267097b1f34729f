/* roster_json.c - the snapshot as clients read it from JSON. How it is written is roster_show.c's.
 */
#include "core/roster/roster.h"

#include "stead/error.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The value's text when it is a string of at most max bytes; an absent one is "" unless it must be
 * there. */
static const char *text_at(const json_t *o, const char *key, size_t max, bool must, bool *ok)
{
    const json_t *v = json_object_get(o, key);
    if (v == NULL && !must)
        return "";
    if (!json_is_string(v) || json_string_length(v) > max) {
        *ok = false;
        return "";
    }
    return json_string_value(v);
}

static void name_at(const json_t *o, const char *key, char *out, size_t max, bool must, bool *ok)
{
    const char *text = text_at(o, key, max, must, ok);
    size_t len = strlen(text);
    if (!entry_name_valid(text, len, !must))
        *ok = false;
    else
        memcpy(out, text, len + 1);
}

static uint32_t u32_at(const json_t *o, const char *key, uint32_t absent, bool *ok)
{
    const json_t *v = json_object_get(o, key);
    if (v == NULL)
        return absent;
    json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;
    if (n < 0 || n > UINT32_MAX) {
        *ok = false;
        return absent;
    }
    return (uint32_t)n;
}

static void groups_at(const json_t *o, struct entry *e, bool *ok)
{
    const json_t *list = json_object_get(o, "groups");
    if (list == NULL)
        return;
    if (!json_is_array(list) || json_array_size(list) > ENTRY_GROUPS_MAX) {
        *ok = false;
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        const char *text = json_is_string(v) ? json_string_value(v) : "";
        size_t len = strlen(text);
        if (!entry_name_valid(text, len, false)) {
            *ok = false;
            return;
        }
        memcpy(e->groups[e->group_count++], text, len + 1);
    }
}

/* After the groups. */
static void group_users_at(const json_t *o, struct entry *e, bool *ok)
{
    const json_t *counts = json_object_get(o, "group_users");
    if (counts == NULL)
        return;
    if (!json_is_object(counts))
        *ok = false;
    for (size_t i = 0; i < e->group_count; i++)
        e->group_users[i] = u32_at(counts, e->groups[i], 0, ok);
}

static uint16_t load_at(const json_t *o, bool *ok)
{
    const json_t *v = json_object_get(o, "load");
    if (v == NULL || json_is_null(v))
        return LOAD_UNKNOWN;
    uint32_t load = u32_at(o, "load", 0, ok);
    if (load > LOAD_MAX)
        *ok = false;
    return (uint16_t)load;
}

/* `address` is the first; the client's network is inside for itself. */
static void addresses_at(const json_t *o, struct entry *e, bool *ok)
{
    const json_t *list = json_object_get(o, "addresses");
    if (list == NULL)
        return;
    if (!json_is_array(list) || json_array_size(list) > 1 + ENTRY_ADDRESSES_MAX) {
        *ok = false;
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        struct addr a;
        if (text == NULL || !addr_parse(text, 0, &a)) {
            *ok = false;
            return;
        }
        if (e->public.family == 0)
            e->public = a;
        else if (!addr_equal(&a, &e->public) && e->address_count < ENTRY_ADDRESSES_MAX)
            e->addresses[e->address_count++] = (struct entry_address){a, NETWORK_INSIDE};
    }
}

static void urls_at(const json_t *o, struct server *s, bool *ok)
{
    const json_t *list = json_object_get(o, "urls");
    if (!json_is_array(list) || json_array_size(list) > SERVER_URLS_MAX) {
        *ok = false;
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        const char *text = json_is_string(v) ? json_string_value(v) : "";
        size_t len = strlen(text);
        if (!entry_url_valid(text, len)) {
            *ok = false;
            return;
        }
        memcpy(s->urls[s->url_count++], text, len + 1);
    }
}

static uint64_t node_at(const json_t *o, bool *ok)
{
    const char *text = text_at(o, "node", 16, false, ok);
    size_t len = strlen(text);
    if (len == 0)
        return 0;
    if (len != 16 || strspn(text, "0123456789abcdef") != 16) {
        *ok = false;
        return 0;
    }
    return strtoull(text, NULL, 16);
}

static bool server_parse(const json_t *o, struct roster_node *n)
{
    struct entry *e = n->entry;
    struct server *s = &e->servers[0];
    bool ok = json_is_object(o);
    name_at(o, "name", e->name, NAME_MAX_BYTES, true, &ok);
    name_at(o, "service", s->service, NAME_MAX_BYTES, true, &ok);
    name_at(o, "zone", e->zone, NAME_MAX_BYTES, false, &ok);
    name_at(o, "version", e->version, sizeof e->version - 1, false, &ok);
    name_at(o, "backup", s->backup, NAME_MAX_BYTES, false, &ok);
    if (!status_parse(text_at(o, "status", 16, true, &ok), &n->status))
        ok = false;
    const char *address = text_at(o, "address", ADDR_TEXT_MAX - 1, false, &ok);
    if (address[0] != '\0' && !addr_parse(address, 0, &e->public))
        ok = false;
    addresses_at(o, e, &ok);
    s->users = u32_at(o, "users", 0, &ok);
    s->weight = u32_at(o, "weight", 1, &ok);
    s->capacity = u32_at(o, "capacity", 0, &ok);
    e->node = node_at(o, &ok);
    groups_at(o, e, &ok);
    group_users_at(o, e, &ok);
    urls_at(o, s, &ok);
    e->server_count = 1;
    /* The status that was told is the effective one and says already what health would. */
    s->healthy = true;
    s->load = load_at(o, &ok);
    e->status = n->status == STATUS_FULL || n->status == STATUS_SUSPECT ? STATUS_UP : n->status;
    return ok;
}

static int compare_nodes(const void *a, const void *b)
{
    const struct roster_node *x = a, *y = b;
    int order = strcmp(x->entry->name, y->entry->name);
    if (order == 0)
        order = strcmp(x->entry->servers[0].service, y->entry->servers[0].service);
    if (order == 0)
        order = (x->status > y->status) - (x->status < y->status);
    /* Zeroed before they were filled, so bytes compare; equal input shall give equal order. */
    size_t len = offsetof(struct entry, servers) + sizeof(struct server);
    return order != 0 ? order : memcmp(x->entry, y->entry, len);
}

static int whole_parse(const json_t *o, struct roster **out)
{
    bool ok = true;
    const json_t *servers = json_object_get(o, "servers");
    const json_t *revision = json_object_get(o, "revision");
    const char *farm = text_at(o, "farm", NAME_MAX_BYTES, true, &ok);
    if (!ok || !entry_name_valid(farm, strlen(farm), true) || !json_is_array(servers) ||
        !json_is_integer(revision) || json_integer_value(revision) < 0)
        return STEAD_E_PARSE;
    size_t count = json_array_size(servers);
    if (count > ROSTER_JSON_SERVERS_MAX)
        return STEAD_E_TOO_LARGE;
    struct roster *r = roster_blank(count, 1);
    if (r == NULL)
        return STEAD_E_NOMEM;
    r->revision = (uint64_t)json_integer_value(revision);
    memcpy(r->farm, farm, strlen(farm));
    for (size_t i = 0; i < count; i++) {
        if (!server_parse(json_array_get(servers, i), &r->nodes[i])) {
            roster_unref(r);
            return STEAD_E_PARSE;
        }
    }
    if (count > 0)
        qsort(r->nodes, count, sizeof r->nodes[0], compare_nodes);
    *out = r;
    return STEAD_OK;
}

int roster_parse_json(const char *json, size_t len, struct roster **out)
{
    json_error_t error;
    if (len > ROSTER_JSON_BYTES_MAX)
        return STEAD_E_TOO_LARGE;
    json_t *o = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
    if (o == NULL)
        return json_error_code(&error) == json_error_out_of_memory ? STEAD_E_NOMEM : STEAD_E_PARSE;
    int rc = json_is_object(o) ? whole_parse(o, out) : STEAD_E_PARSE;
    json_decref(o);
    return rc;
}
