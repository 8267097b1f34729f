/* roster_show.c - the snapshot as JSON, and what is shown of it. The reverse is roster_json.c's. */
#include "core/roster/retry_window.h"
#include "core/roster/roster_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* -- which servers -- */

static size_t first_behind(const struct roster *r, const char *name)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(r->nodes[mid].entry->name, name) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void roster_walk_start(struct roster_walk *w, const struct roster *r,
                       const struct roster_show *show)
{
    *w = (struct roster_walk){.roster = r, .show = show};
    if (show->after != NULL)
        w->at = first_behind(r, show->after);
}

/* The present node's next server that is asked for. */
static bool next_server(struct roster_walk *w, const struct entry *e)
{
    while (w->server_at < e->server_count) {
        const struct server *s = &e->servers[w->server_at++];
        if (w->show->service != NULL && strcmp(s->service, w->show->service) != 0)
            continue;
        w->server = s;
        return true;
    }
    return false;
}

bool roster_walk_next(struct roster_walk *w)
{
    for (; w->at < w->roster->count; w->at++, w->server_at = 0) {
        const struct roster_node *n = &w->roster->nodes[w->at];
        bool full = w->show->limit > 0 && w->told >= w->show->limit && n != w->node;
        if (!next_server(w, n->entry))
            continue;
        if (full) {
            w->more = true;
            return false;
        }
        w->node = n;
        w->told++;
        return true;
    }
    return false;
}

/* -- one server -- */

/* Without a report of its own, users of capacity tell roughly how loaded it is. */
uint16_t roster_show_load(const struct roster_show *show, const struct server *s)
{
    uint64_t load = s->load;
    if (!show->coarse)
        return s->load;
    if (s->load == LOAD_UNKNOWN && s->capacity == 0)
        return LOAD_UNKNOWN;
    if (s->load == LOAD_UNKNOWN)
        load = (uint64_t)s->users * LOAD_MAX / s->capacity;
    if (load > LOAD_MAX)
        load = LOAD_MAX;
    return (uint16_t)((load + ROSTER_LOAD_STEP / 2) / ROSTER_LOAD_STEP * ROSTER_LOAD_STEP);
}

static void strings(struct roster_out *o, const char *first, size_t size, size_t count)
{
    roster_out_text(o, "[");
    for (size_t i = 0; i < count; i++) {
        roster_out_text(o, i > 0 ? "," : "");
        roster_out_string(o, first + i * size);
    }
    roster_out_text(o, "]");
}

static void addresses(struct roster_out *o, const struct roster_show *show, const struct entry *e)
{
    const struct addr *reach[1 + ENTRY_ADDRESSES_MAX];
    char text[ADDR_TEXT_MAX] = "";
    size_t count = entry_public(e, show->network, 0, reach);
    roster_out_text(o, ",\"address\":");
    roster_out_string(o, count > 0 ? addr_format(reach[0], text) : "");
    roster_out_text(o, ",\"addresses\":[");
    for (size_t i = 0; i < count; i++) {
        roster_out_text(o, i > 0 ? "," : "");
        roster_out_string(o, addr_format(reach[i], text));
    }
    roster_out_text(o, "]");
}

static bool named_before(const struct entry *e, size_t group)
{
    for (size_t i = 0; i < group; i++)
        if (strcmp(e->groups[i], e->groups[group]) == 0)
            return true;
    return false;
}

static void counts(struct roster_out *o, const struct entry *e, const struct server *s)
{
    bool any = false;
    roster_out_text(o, ",\"users\":");
    roster_out_number(o, s->users);
    roster_out_text(o, ",\"capacity\":");
    roster_out_number(o, s->capacity);
    roster_out_text(o, ",\"group_users\":{");
    for (size_t i = 0; i < e->group_count; i++) {
        if (named_before(e, i))
            continue;
        roster_out_text(o, any ? "," : "");
        roster_out_string(o, e->groups[i]);
        roster_out_text(o, ":");
        roster_out_number(o, e->group_users[i]);
        any = true;
    }
    roster_out_text(o, "}");
}

void roster_out_server(struct roster_out *o, const struct roster_show *show,
                       const struct roster_node *n, const struct server *s)
{
    const struct entry *e = n->entry;
    char node[17];
    uint16_t load = roster_show_load(show, s);
    snprintf(node, sizeof node, "%016" PRIx64, e->node);
    roster_out_text(o, "{\"name\":");
    roster_out_string(o, e->name);
    roster_out_text(o, ",\"service\":");
    roster_out_string(o, s->service);
    roster_out_text(o, ",\"status\":");
    roster_out_string(o, status_name(roster_server_status(n, s)));
    if (!show->coarse)
        counts(o, e, s);
    roster_out_text(o, ",\"load\":");
    if (load == LOAD_UNKNOWN)
        roster_out_text(o, "null");
    else
        roster_out_number(o, load);
    roster_out_text(o, ",\"groups\":");
    strings(o, e->groups[0], sizeof e->groups[0], e->group_count);
    roster_out_text(o, ",\"weight\":");
    roster_out_number(o, s->weight);
    roster_out_text(o, ",\"urls\":");
    strings(o, s->urls[0], sizeof s->urls[0], s->url_count);
    roster_out_text(o, ",\"zone\":");
    roster_out_string(o, e->zone);
    roster_out_text(o, ",\"node\":");
    roster_out_string(o, node);
    addresses(o, show, e);
    roster_out_text(o, ",\"backup\":");
    roster_out_string(o, s->backup);
    roster_out_text(o, ",\"version\":");
    roster_out_string(o, e->version);
    roster_out_text(o, "}");
}

/* -- the whole -- */

char *roster_show_json(const struct roster *r, const struct roster_show *show, size_t *len)
{
    struct roster_out o = {0};
    struct roster_walk w;
    roster_out_text(&o, "{\"farm\":");
    roster_out_string(&o, r->farm);
    roster_out_text(&o, ",\"revision\":");
    roster_out_number(&o, r->revision);
    roster_out_text(&o, ",\"retry_window_ms\":");
    roster_out_number(&o, show->retry_window_ms);
    roster_out_text(&o, ",\"servers\":[");
    roster_walk_start(&w, r, show);
    while (roster_walk_next(&w)) {
        roster_out_text(&o, w.told > 1 ? "," : "");
        roster_out_server(&o, show, w.node, w.server);
    }
    roster_out_text(&o, "]");
    if (w.more) {
        roster_out_text(&o, ",\"next\":");
        roster_out_string(&o, w.node->entry->name);
    }
    roster_out_text(&o, "}");
    return roster_out_take(&o, len);
}

char *roster_json(const struct roster *r, const char *service)
{
    const struct retry_limits limits = {RETRY_MIN_MS, RETRY_MAX_MS, RETRY_JOINS_PER_S};
    const struct roster_show show = {.service = service,
                                     .network = NETWORK_INSIDE,
                                     .retry_window_ms = retry_window(r, service, &limits)};
    return roster_show_json(r, &show, NULL);
}
