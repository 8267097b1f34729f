/* The comparison of copies (core/session/verify.c) in words: /v1/verify. */
#include "node/admin_verify.h"

#include "base/mem.h"
#include "core/roster/roster.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#define SHOWN_MAX 256 /* keys that differ; more are only counted */

/* A key as text; one that is none, in hexadecimal. */
static json_t *key_json(const struct key *k)
{
    char text[2 * KEY_BYTES_MAX + 3];
    bool plain = true;
    for (unsigned i = 0; i < k->len; i++)
        plain = plain && isgraph(k->bytes[i]);
    if (plain)
        return json_stringn((const char *)k->bytes, k->len);
    size_t n = (size_t)snprintf(text, sizeof text, "0x");
    for (unsigned i = 0; i < k->len; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%02x", k->bytes[i]);
    return json_string(text);
}

static json_t *node_json(const struct roster *r, uint64_t inc)
{
    char text[24];
    for (size_t i = 0; r && i < r->count; i++)
        if (r->nodes[i].entry->inc == inc)
            return json_string(r->nodes[i].entry->name);
    snprintf(text, sizeof text, "%016" PRIx64, inc);
    return json_string(text);
}

static json_t *found_json(struct store *store, const struct divergence *found, size_t count)
{
    json_t *list = json_array();
    struct roster *r = store_roster(store);
    const struct kinds *kinds = store_kinds(store);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:o}", "kind", kinds->kind[found[i].key.kind].name, "key",
                            key_json(&found[i].key), "node", node_json(r, found[i].peer)));
    roster_unref(r);
    return list;
}

char *admin_verify(struct store *store, bool begin, bool repair)
{
    struct store_stats stats;
    size_t count = SHOWN_MAX;
    struct divergence *found = mem_alloc(SHOWN_MAX * sizeof(*found));
    if (!found)
        return NULL;
    bool running = store_verify(store, begin, repair, found, &count);
    store_stats(store, &stats);
    uint64_t all = stats.sessions.divergent;
    json_t *j = json_pack("{s:b, s:I, s:I, s:o}", "running", (int)running, "compared",
                          (json_int_t)stats.sessions.sweep_verified, "more",
                          (json_int_t)(all > count ? all - count : 0), "differing",
                          found_json(store, found, count));
    mem_free(found);
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    json_decref(j);
    return text;
}
