/* Ending all sessions of a user, in words: /v1/session-end. */
#include "node/admin_cull.h"

#include "core/roster/roster.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *silent_json(struct store *store, const struct cull_state *st)
{
    json_t *list = json_array();
    struct roster *r = store_roster(store);
    for (size_t i = 0; i < st->silent_count; i++) {
        char name[NAME_MAX_BYTES + 1];
        snprintf(name, sizeof name, "%016" PRIx64, st->silent[i]);
        for (size_t k = 0; r && k < r->count; k++)
            if (r->nodes[k].entry->inc == st->silent[i])
                snprintf(name, sizeof name, "%s", r->nodes[k].entry->name);
        json_array_append_new(list, json_string(name));
    }
    roster_unref(r);
    return list;
}

static int begin(struct store *store, struct store_cull *c, const char *kind, const char *field,
                 const char *value, uint64_t now_ns)
{
    struct cull_wish w;
    int index = kinds_find(store_kinds(store), kind);
    if (index < 0)
        return STEAD_E_NOT_FOUND;
    if (!cull_wish_set(&w, (uint8_t)index, field, strlen(field), value, strlen(value)))
        return STEAD_E_INVAL;
    return store_cull(store, &w, now_ns, c);
}

char *admin_cull(struct store *store, struct store_cull *c, const char *kind, const char *field,
                 const char *value, uint64_t now_ns, int *error)
{
    struct cull_state st;
    *error = value ? begin(store, c, kind, field, value, now_ns) : STEAD_OK;
    if (*error)
        return NULL;
    store_cull_state(store, c, &st);
    json_t *j =
        json_pack("{s:b, s:I, s:I, s:o}", "running", (int)st.running, "ended", (json_int_t)st.ended,
                  "failed", (json_int_t)st.failed, "silent", silent_json(store, &st));
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    json_decref(j);
    *error = text ? STEAD_OK : STEAD_E_NOMEM;
    return text;
}
