/* choice.c - a choice, and why it was made. */
#include "base/mem.h"
#include "client/call.h"
#include "client/net.h"

#include <stdio.h>
#include <string.h>

struct stead_choice {
    struct roster *roster;
    char server[NAME_MAX_BYTES + 1];
    char *url;
    char first[ADDR_TEXT_MAX];
    char reason[384];
    enum policy policy;
    uint64_t age_ms;
    size_t count;
    const char **names;
    struct stead_considered considered[]; /* one for each of the roster */
};

/* The server's scheme, host and port, the caller's path: as the director does. */
static char *make_url(const char *base, struct slice path)
{
    size_t len = strlen(base);
    char *url = mem_alloc(len + path.len + 1);
    if (!url)
        return NULL;
    memcpy(url, base, len);
    memcpy(url + len, path.at, path.len);
    return url;
}

static bool is_drawn(const struct shortlist_why *why, const struct roster_node *n)
{
    for (size_t i = 0; why->drawn_count == 2 && i < 2; i++)
        if (why->drawn[i].node == n)
            return true;
    return false;
}

static void consider(struct stead_choice *c, const struct wish *w, const struct shortlist_why *why,
                     const struct roster_node *chosen)
{
    for (size_t i = 0; i < c->roster->count; i++) {
        const struct roster_node *n = &c->roster->nodes[i];
        const struct server *s = &n->entry->servers[0];
        enum verdict v = shortlist_judge(w, n);
        bool candidate = chosen && v == why->among;
        c->considered[i] = (struct stead_considered){
            .name = n->entry->name,
            .service = s->service,
            .status = status_name(roster_server_status(n, s)),
            .verdict = n == chosen ? "chosen" : verdict_text(candidate ? VERDICT_CANDIDATE : v),
            .users = s->users,
            .weight = s->weight,
            .capacity = s->capacity,
            .load = s->load == LOAD_UNKNOWN ? -1 : s->load,
            .drawn = is_drawn(why, n),
        };
        if (candidate)
            c->names[c->count++] = n->entry->name;
    }
}

static void explain_two(struct stead_choice *c, const struct shortlist_why *why,
                        const struct roster_node *chosen)
{
    const struct pick_choice *won = &why->drawn[why->drawn[1].node == chosen];
    const struct pick_choice *lost = &why->drawn[why->drawn[0].node == chosen];
    uint64_t own = (uint64_t)won->server->users * lost->server->weight;
    uint64_t other = (uint64_t)lost->server->users * won->server->weight;
    snprintf(c->reason, sizeof c->reason,
             "drawn by weight with %s, and %s: %u users at weight %u against %u at weight %u",
             lost->node->entry->name, own < other    ? "less loaded"
             : own == other ? "no more loaded"
                            : "about as loaded",
             won->server->users, won->server->weight, lost->server->users, lost->server->weight);
}

static void explain(struct stead_choice *c, const struct shortlist_why *why,
                    const struct roster_node *chosen)
{
    static const char *const reasons[] = {[POLICY_RANDOM] = "drawn at random",
                                          [POLICY_WEIGHTED] = "drawn by weight",
                                          [POLICY_LEAST_USERS] = "the fewest users by weight"};
    if (!chosen)
        snprintf(c->reason, sizeof c->reason, "none of the %zu servers can be chosen",
                 c->roster->count);
    else if (c->count == 1)
        snprintf(c->reason, sizeof c->reason, "the only one that can be chosen");
    else if (why->drawn_count == 2)
        explain_two(c, why, chosen);
    else
        snprintf(c->reason, sizeof c->reason, "%s, of %zu", reasons[c->policy], c->count);
}

int call_choice(struct stead_client *client, int err, struct stead_choice **out)
{
    const struct ladder *l = &client->ladder;
    struct roster *r = l->roster;
    struct wish w = ladder_wish(l, net_now_ms());
    struct shortlist_why why = {.among = VERDICT_CANDIDATE};
    struct pick_choice chosen = {NULL, NULL};
    /* The client is on the server by now, or it would be left out. */
    w.leave = NULL;
    if (!err)
        err = shortlist_pick(&w, r, l->chance, &chosen, &why);
    if (err && err != STEAD_E_NO_SERVER)
        return err;
    struct stead_choice *c = mem_alloc(sizeof *c + r->count * sizeof c->considered[0]);
    if (!c)
        return STEAD_E_NOMEM;
    c->roster = roster_ref(r);
    c->names = mem_alloc(r->count * sizeof *c->names);
    c->url = chosen.node ? make_url(l->next.url, client->terms.url.path) : mem_strdup("");
    if (!c->names || !c->url) {
        stead_choice_free(c);
        return STEAD_E_NOMEM;
    }
    snprintf(c->server, sizeof c->server, "%s", chosen.node ? l->next.name : "");
    addr_format(&l->first, c->first);
    c->policy = w.policy;
    c->age_ms = w.now_ms - l->heard_ms;
    const struct roster_node *node = chosen.node ? roster_find(r, c->server) : NULL;
    while (node && strcmp(node->entry->servers[0].service, w.service) != 0)
        node++;
    consider(c, &w, &why, node);
    explain(c, &why, node);
    *out = c;
    return STEAD_OK;
}

const char *stead_choice_url(const struct stead_choice *choice)
{
    return choice->url;
}

const char *stead_choice_server(const struct stead_choice *choice)
{
    return choice->server;
}

const char *stead_choice_first(const struct stead_choice *choice)
{
    return choice->first;
}

const char *stead_choice_policy(const struct stead_choice *choice)
{
    return policy_name(choice->policy);
}

const char *stead_choice_reason(const struct stead_choice *choice)
{
    return choice->reason;
}

uint64_t stead_choice_age_ms(const struct stead_choice *choice)
{
    return choice->age_ms;
}

uint64_t stead_choice_revision(const struct stead_choice *choice)
{
    return choice->roster->revision;
}

size_t stead_choice_candidates(const struct stead_choice *choice)
{
    return choice->count;
}

const char *stead_choice_candidate(const struct stead_choice *choice, size_t index)
{
    return index < choice->count ? choice->names[index] : NULL;
}

size_t stead_choice_considered_count(const struct stead_choice *choice)
{
    return choice->roster->count;
}

const struct stead_considered *stead_choice_considered(const struct stead_choice *choice,
                                                       size_t index)
{
    return index < choice->roster->count ? &choice->considered[index] : NULL;
}

void stead_choice_free(struct stead_choice *choice)
{
    if (!choice)
        return;
    roster_unref(choice->roster);
    mem_free(choice->url);
    mem_free(choice->names);
    mem_free(choice);
}
