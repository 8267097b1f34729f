/* roster_call.c - stead_roster_get() and what it gives. */
#include "base/mem.h"
#include "client/call.h"

struct stead_roster {
    struct roster *roster;
    char first[ADDR_TEXT_MAX];
    struct stead_server servers[];
};

static int keep(struct stead_client *c, struct stead_roster **out)
{
    struct roster *r = c->ladder.roster;
    struct stead_roster *kept = mem_alloc(sizeof *kept + r->count * sizeof kept->servers[0]);
    if (!kept)
        return STEAD_E_NOMEM;
    kept->roster = roster_ref(r);
    addr_format(&c->ladder.first, kept->first);
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->nodes[i];
        const struct server *s = &n->entry->servers[0];
        kept->servers[i] = (struct stead_server){
            .name = n->entry->name,
            .service = s->service,
            .status = status_name(roster_server_status(n, s)),
            .zone = n->entry->zone,
            .url = s->url_count ? s->urls[0] : "",
            .users = s->users,
            .weight = s->weight,
            .capacity = s->capacity,
            .load = s->load == LOAD_UNKNOWN ? -1 : s->load,
        };
    }
    *out = kept;
    return STEAD_OK;
}

int stead_roster_get(const char *url, const struct stead_options *options,
                     struct stead_roster **roster)
{
    struct stead_client *c;
    *roster = NULL;
    int err = call_run(url, options, LADDER_TO_ROSTER, CALL_ROUNDS, &c);
    if (!err)
        err = keep(c, roster);
    stead_client_free(c);
    return err;
}

uint64_t stead_roster_revision(const struct stead_roster *roster)
{
    return roster->roster->revision;
}

const char *stead_roster_farm(const struct stead_roster *roster)
{
    return roster->roster->farm;
}

const char *stead_roster_first(const struct stead_roster *roster)
{
    return roster->first;
}

size_t stead_roster_count(const struct stead_roster *roster)
{
    return roster->roster->count;
}

const struct stead_server *stead_roster_server(const struct stead_roster *roster, size_t index)
{
    return index < roster->roster->count ? &roster->servers[index] : NULL;
}

void stead_roster_free(struct stead_roster *roster)
{
    if (!roster)
        return;
    roster_unref(roster->roster);
    mem_free(roster);
}
