/* name_zone.c - from a name to the nodes that it leads to. */
#include "role/name/name_zone.h"

#include <string.h>
#include <strings.h>

/* How good a node is for a client, best first. Each answer has nodes of one grade only. */
enum grade { GRADE_UP, GRADE_DOUBTFUL, GRADE_KNOWN, GRADE_NONE };

const struct addr *name_node_address(const struct roster_node *n)
{
    return n->entry->public.family ? &n->entry->public : &n->entry->address;
}

/* Is `name` below `parent`? */
static bool is_below(const char *name, const char *parent)
{
    size_t n = strlen(name), p = strlen(parent);
    return n > p + 1 && name[n - p - 1] == '.' && strcasecmp(name + n - p, parent) == 0;
}

static enum grade grade_status(enum status s)
{
    switch (s) {
    case STATUS_UP:
        return GRADE_UP;
    case STATUS_FULL:
    case STATUS_SUSPECT:
        return GRADE_DOUBTFUL;
    case STATUS_LEFT:
        return GRADE_NONE;
    default:
        return GRADE_KNOWN;
    }
}

/* Weight 0 says "no new clients": as good as full. */
static enum grade grade_server(const struct roster_node *n, const char *service)
{
    const struct server *s = roster_server(n, service);
    if (!s)
        return GRADE_NONE;
    enum grade g = grade_status(roster_server_status(n, s));
    return g == GRADE_UP && s->weight == 0 ? GRADE_DOUBTFUL : g;
}

static enum grade grade_director(const struct roster_node *n)
{
    if (!roster_is_director(n) || n->entry->public.family == 0)
        return GRADE_NONE;
    return grade_status(n->status);
}

static void add(struct name_targets *t, const struct roster_node *n)
{
    if (t->count < NAME_NODES_MAX)
        t->nodes[t->count++] = n;
}

static void collect_grade(struct name_targets *t, const struct roster *r,
                          const struct name_service *s, enum grade wanted)
{
    if (s->mode != NAME_SERVERS)
        for (size_t i = 0; i < r->count; i++)
            if (grade_director(&r->nodes[i]) == wanted)
                add(t, &r->nodes[i]);
    if (s->mode == NAME_DIRECTORS && t->count)
        return;
    for (size_t i = 0; i < r->count; i++)
        if (grade_server(&r->nodes[i], s->id) == wanted)
            add(t, &r->nodes[i]);
}

static void collect_service(struct name_targets *t, const struct roster *r,
                            const struct name_service *s)
{
    t->meaning = NAME_KNOWN;
    for (enum grade g = GRADE_UP; g < GRADE_NONE && t->count == 0; g++) {
        collect_grade(t, r, s, g);
        t->last_resort = g != GRADE_UP;
    }
}

static const struct name_service *find_service(const struct name_config *c, const char *id)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].id, id) == 0)
            return &c->services[i];
    return NULL;
}

struct host_match {
    const struct roster_node *node; /* whose server has the host */
    const struct server *server;
    bool above; /* a host lies below the name */
};

static bool can_serve(const struct roster_node *n)
{
    return n->status != STATUS_DOWN && n->status != STATUS_LEFT;
}

static void match_server(struct host_match *m, const struct roster_node *n, const struct server *s,
                         const char *name)
{
    size_t name_len = strlen(name);
    for (size_t i = 0; i < s->url_count; i++) {
        const char *host;
        size_t len;
        uint16_t port;
        if (!entry_url_host(s->urls[i], &host, &len, &port))
            continue;
        if (len > name_len + 1 && host[len - name_len - 1] == '.' &&
            strncasecmp(host + len - name_len, name, name_len) == 0)
            m->above = true;
        if (len != name_len || strncasecmp(host, name, len) != 0)
            continue;
        /* After a rename both nodes are known for a while. */
        if (!m->node || (!can_serve(m->node) && can_serve(n))) {
            m->node = n;
            m->server = s;
        }
    }
}

static struct host_match match_host(const struct roster *r, const char *name)
{
    struct host_match m = {0};
    for (size_t i = 0; i < r->count; i++)
        for (size_t k = 0; k < r->nodes[i].entry->server_count; k++)
            match_server(&m, &r->nodes[i], &r->nodes[i].entry->servers[k], name);
    return m;
}

static void collect_host(struct name_targets *t, const struct name_config *c,
                         const struct roster *r, const struct host_match *m)
{
    t->meaning = NAME_KNOWN;
    if (can_serve(m->node)) {
        add(t, m->node);
        return;
    }
    const struct roster_node *backup = roster_find(r, m->server->backup);
    const struct name_service *service = find_service(c, m->server->service);
    if (backup && can_serve(backup))
        add(t, backup);
    else if (service)
        collect_service(t, r, service);
    if (t->count == 0) {
        add(t, m->node);
        t->last_resort = true;
    }
}

static void collect_up(struct name_targets *t, const struct roster *r)
{
    t->meaning = NAME_KNOWN;
    for (enum grade g = GRADE_UP; g < GRADE_NONE && t->count == 0; g++) {
        for (size_t i = 0; i < r->count; i++)
            if (grade_status(r->nodes[i].status) == g)
                add(t, &r->nodes[i]);
        t->last_resort = g != GRADE_UP;
    }
}

static const char *find_zone(const struct name_config *c, const char *name)
{
    const char *best = NULL;
    for (size_t i = 0; i < c->zone_count; i++)
        if ((strcasecmp(name, c->zones[i]) == 0 || is_below(name, c->zones[i])) &&
            (!best || strlen(c->zones[i]) > strlen(best)))
            best = c->zones[i];
    return best;
}

void name_lookup(const struct name_config *c, const struct roster *r, const char *name,
                 struct name_targets *out)
{
    out->meaning = NAME_OUTSIDE;
    out->count = 0;
    out->last_resort = false;
    out->zone = find_zone(c, name);
    if (!out->zone)
        return;
    out->apex = strcasecmp(name, out->zone) == 0;
    bool exists = out->apex;
    for (size_t i = 0; i < c->service_count; i++) {
        if (strcasecmp(c->services[i].name, name) == 0) {
            collect_service(out, r, &c->services[i]);
            return;
        }
        exists |= is_below(c->services[i].name, name);
    }
    struct host_match m = match_host(r, name);
    if (m.node)
        collect_host(out, c, r, &m);
    else if (strncmp(name, "ns.", 3) == 0 && strcasecmp(name + 3, out->zone) == 0)
        collect_up(out, r);
    else
        out->meaning = exists || m.above ? NAME_BARE : NAME_UNKNOWN;
}
