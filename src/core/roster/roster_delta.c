/* roster_delta.c - what has changed between two snapshots of one node. Entries are shared between
 * snapshots, so what is the same is known by its place. */
#include "core/roster/roster_out.h"

#include "stead/error.h"

#include <string.h>

struct delta {
    const struct roster_show *show;
    struct roster_out servers, gone, before, after;
};

static bool shown(const char *service, const struct server *s)
{
    return service == NULL || strcmp(s->service, service) == 0;
}

static bool same(const struct roster_node *a, const struct roster_node *b)
{
    return a->entry == b->entry && a->status == b->status;
}

static void add_gone(struct delta *d, const struct roster_node *n, const struct server *s)
{
    struct roster_out *o = &d->gone;
    roster_out_text(o, o->len > 0 ? ",{\"name\":" : "{\"name\":");
    roster_out_string(o, n->entry->name);
    roster_out_text(o, ",\"service\":");
    roster_out_string(o, s->service);
    roster_out_text(o, "}");
}

/* b's server, unless it looks as it did in a (NULL: it was not there). */
static void add_changed(struct delta *d, const struct roster_node *a, const struct roster_node *b,
                        const struct server *s)
{
    const struct server *was = a != NULL ? roster_server(a, s->service) : NULL;
    d->before.len = d->after.len = 0;
    if (was != NULL)
        roster_out_server(&d->before, d->show, a, was);
    roster_out_server(&d->after, d->show, b, s);
    if (d->before.failed || d->after.failed)
        return;
    if (d->before.len == d->after.len && memcmp(d->before.bytes, d->after.bytes, d->after.len) == 0)
        return;
    if (d->servers.len > 0)
        roster_out_text(&d->servers, ",");
    roster_out_bytes(&d->servers, d->after.bytes, d->after.len);
}

/* a or b may be NULL, not both. */
static void add_node(struct delta *d, const struct roster_node *a, const struct roster_node *b)
{
    for (size_t i = 0; b != NULL && i < b->entry->server_count; i++)
        if (shown(d->show->service, &b->entry->servers[i]))
            add_changed(d, a, b, &b->entry->servers[i]);
    for (size_t i = 0; a != NULL && i < a->entry->server_count; i++) {
        const struct server *s = &a->entry->servers[i];
        if (shown(d->show->service, s) && (b == NULL || roster_server(b, s->service) == NULL))
            add_gone(d, a, s);
    }
}

/* The next pair of nodes of one name; a node that only one has stands alone. False at the end. */
static bool next_pair(const struct roster *from, const struct roster *to, size_t at[2],
                      const struct roster_node *pair[2])
{
    pair[0] = at[0] < from->count ? &from->nodes[at[0]] : NULL;
    pair[1] = at[1] < to->count ? &to->nodes[at[1]] : NULL;
    if (pair[0] == NULL && pair[1] == NULL)
        return false;
    if (pair[0] != NULL && pair[1] != NULL) {
        int order = strcmp(pair[0]->entry->name, pair[1]->entry->name);
        if (order != 0)
            pair[order < 0 ? 1 : 0] = NULL;
    }
    at[0] += pair[0] != NULL;
    at[1] += pair[1] != NULL;
    return true;
}

static void write_delta(const struct delta *d, const struct roster *to, uint32_t window_before,
                        struct roster_out *o)
{
    roster_out_text(o, "{\"revision\":");
    roster_out_number(o, to->revision);
    if (d->show->retry_window_ms != window_before) {
        roster_out_text(o, ",\"retry_window_ms\":");
        roster_out_number(o, d->show->retry_window_ms);
    }
    roster_out_text(o, ",\"servers\":[");
    roster_out_bytes(o, d->servers.bytes, d->servers.len);
    roster_out_text(o, "],\"gone\":[");
    roster_out_bytes(o, d->gone.bytes, d->gone.len);
    roster_out_text(o, "]}");
}

int roster_delta(const struct roster *from, const struct roster *to, const struct roster_show *show,
                 uint32_t window_before, char **out, size_t *len)
{
    struct delta d = {.show = show};
    struct roster_out o = {0};
    const struct roster_node *pair[2];
    size_t at[2] = {0, 0};
    int result = STEAD_OK;
    *out = NULL;
    while (next_pair(from, to, at, pair))
        if (pair[0] == NULL || pair[1] == NULL || !same(pair[0], pair[1]))
            add_node(&d, pair[0], pair[1]);
    bool failed = d.servers.failed || d.gone.failed || d.before.failed || d.after.failed;
    if (!failed &&
        (d.servers.len > 0 || d.gone.len > 0 || show->retry_window_ms != window_before)) {
        write_delta(&d, to, window_before, &o);
        *out = roster_out_take(&o, len);
        failed = *out == NULL;
    }
    if (failed)
        result = STEAD_E_NOMEM;
    roster_out_deinit(&d.servers);
    roster_out_deinit(&d.gone);
    roster_out_deinit(&d.before);
    roster_out_deinit(&d.after);
    return result;
}

/* More than counts, of nodes that both have. */
static bool node_urgent(const struct roster_node *a, const struct roster_node *b,
                        const char *service)
{
    if (a->status != b->status || a->entry->inc != b->entry->inc ||
        a->entry->shape != b->entry->shape || a->entry->server_count != b->entry->server_count)
        return true;
    for (size_t i = 0; i < b->entry->server_count; i++) {
        const struct server *x = &a->entry->servers[i], *y = &b->entry->servers[i];
        if (shown(service, y) && (roster_server_status(a, x) != roster_server_status(b, y) ||
                                  x->weight != y->weight || x->capacity != y->capacity))
            return true;
    }
    return false;
}

bool roster_delta_urgent(const struct roster *from, const struct roster *to, const char *service)
{
    const struct roster_node *pair[2];
    size_t at[2] = {0, 0};
    while (next_pair(from, to, at, pair))
        if (pair[0] == NULL || pair[1] == NULL ||
            (!same(pair[0], pair[1]) && node_urgent(pair[0], pair[1], service)))
            return true;
    return false;
}
