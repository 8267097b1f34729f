/* tcp_target.c - own server, backup, the one it had, by key, by policy: in this order. */
#include "role/director/tcp_target.h"

#include <string.h>

static bool was_tried(const struct tcp_target_view *v, const char *node)
{
    for (size_t i = 0; i < v->tried_count; i++)
        if (strcmp(v->tried[i], node) == 0)
            return true;
    return false;
}

/* A server that still takes those who have been with it: full and draining ones do. */
static bool node_serves(const struct tcp_target_rule *r, const struct tcp_target_view *v,
                        const char *name, struct pick_choice *out)
{
    const struct roster_node *n = name ? roster_find(v->roster, name) : NULL;
    const struct server *s = n ? roster_server(n, r->service) : NULL;
    if (!s || n->self || was_tried(v, name))
        return false;
    enum status status = roster_server_status(n, s);
    *out = (struct pick_choice){n, s};
    return status == STATUS_UP || status == STATUS_FULL || status == STATUS_DRAINING;
}

static void settle(struct tcp_target *out, enum tcp_verdict verdict, const char *why)
{
    out->verdict = verdict;
    out->why = why;
}

static bool pick_other(const struct tcp_target_rule *r, const struct tcp_target_view *v,
                       struct tcp_target *out)
{
    const char * not [TCP_TRIES_MAX + 1] = {v->self_name};
    struct pick_filter f = {.service = r->service, .exclude = not, .exclude_count = 1};
    for (size_t i = 0; i < v->tried_count; i++)
        not [f.exclude_count++] = v->tried[i];
    if (v->by_key && pick_by_key(v->roster, &f, v->key, &out->chosen))
        settle(out, TCP_NODE, "by-key");
    else if (pick(v->roster, &f, r->policy, true, v->chance, &out->chosen))
        settle(out, TCP_NODE, "balanced");
    else
        return false;
    return true;
}

void tcp_target(const struct tcp_target_rule *r, const struct tcp_target_view *v,
                struct tcp_target *out)
{
    *out = (struct tcp_target){.verdict = TCP_NOBODY, .why = "no-server"};
    bool named = r->backup && *r->backup && strcmp(r->backup, "primary") != 0;
    bool own = r->own && v->own_good;
    bool stays = !v->hop && v->stuck && (!own || r->failback != FAILBACK_AT_ONCE) &&
                 node_serves(r, v, v->stuck, &out->chosen);
    if (stays)
        settle(out, TCP_NODE, "stays");
    else if (own)
        settle(out, TCP_OWN, "own");
    else if (v->hop)
        out->why = "hop"; /* who sent it knows by now that it should not have */
    else if (r->own && named && node_serves(r, v, r->backup, &out->chosen))
        settle(out, TCP_NODE, "backup");
    else
        (void)pick_other(r, v, out);
    out->backup = out->verdict == TCP_NODE && r->own;
    if (out->verdict != TCP_NODE)
        out->chosen = (struct pick_choice){NULL, NULL};
}

bool tcp_target_addr(const struct pick_choice *c, struct addr *out)
{
    const struct entry *e = c->node->entry;
    for (size_t i = 0; i < c->server->url_count; i++) {
        const char *host;
        size_t len;
        uint16_t port;
        char text[ADDR_TEXT_MAX];
        if (!entry_url_is_tcp(c->server->urls[i]) ||
            !entry_url_host(c->server->urls[i], &host, &len, &port))
            continue;
        struct addr literal;
        bool fits = len < sizeof(text);
        if (fits) {
            memcpy(text, host, len);
            text[len] = '\0';
        }
        if (fits && addr_parse(text, port, &literal))
            *out = literal;
        else
            *out = e->public.family ? e->public : e->address;
        out->port = port;
        return true;
    }
    return false;
}
