/* roster_text.c - the snapshot as lines for scripts. Columns are only ever added at the end. */
#include "core/roster/roster_out.h"

#include <string.h>

static void column(struct roster_out *o, const char *text)
{
    roster_out_text(o, *text != '\0' ? text : "-");
    roster_out_text(o, "\t");
}

static void number_column(struct roster_out *o, bool told, uint64_t n)
{
    if (told)
        roster_out_number(o, n);
    else
        roster_out_text(o, "-");
    roster_out_text(o, "\t");
}

/* Texts of `size` bytes each. */
static void list_column(struct roster_out *o, const char *first, size_t size, size_t count,
                        const char *end)
{
    for (size_t i = 0; i < count; i++) {
        roster_out_text(o, i > 0 ? "," : "");
        roster_out_text(o, first + i * size);
    }
    roster_out_text(o, count > 0 ? "" : "-");
    roster_out_text(o, end);
}

static void line(struct roster_out *o, const struct roster_show *show, const struct roster_node *n,
                 const struct server *s)
{
    const struct entry *e = n->entry;
    const struct addr *reach[1 + ENTRY_ADDRESSES_MAX];
    char address[ADDR_TEXT_MAX] = "";
    uint16_t load = roster_show_load(show, s);
    if (entry_public(e, show->network, 0, reach) > 0)
        addr_format(reach[0], address);
    column(o, e->name);
    column(o, s->service);
    column(o, status_name(roster_server_status(n, s)));
    number_column(o, !show->coarse, s->users);
    number_column(o, !show->coarse, s->capacity);
    number_column(o, true, s->weight);
    number_column(o, load != LOAD_UNKNOWN, load);
    list_column(o, e->groups[0], sizeof e->groups[0], e->group_count, "\t");
    column(o, e->zone);
    column(o, address);
    list_column(o, s->urls[0], sizeof s->urls[0], s->url_count, "\n");
}

char *roster_show_text(const struct roster *r, const struct roster_show *show, size_t *len)
{
    struct roster_out o = {0};
    struct roster_walk w;
    roster_walk_start(&w, r, show);
    while (roster_walk_next(&w))
        line(&o, show, w.node, w.server);
    return roster_out_take(&o, len);
}
