/* journal.c - the access log and the memory of decisions. */
#include "role/director/journal.h"

#include "base/log.h"
#include "base/mem.h"

#include <jansson.h>
#include <string.h>
#include <uv.h>

struct journal {
    uv_mutex_t lock;
    uint64_t written;
    struct journal_entry entries[JOURNAL_ENTRIES];
};

struct journal *journal_new(void)
{
    struct journal *j = mem_alloc(sizeof(*j));
    if (j && uv_mutex_init(&j->lock) != 0) {
        mem_free(j);
        return NULL;
    }
    return j;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    uv_mutex_destroy(&j->lock);
    mem_free(j);
}

static const char *verdict_name(enum decide_verdict v)
{
    static const char *const names[] = {
        [DECIDE_ROSTER] = "roster",    [DECIDE_NOT_FOUND] = "not-found",
        [DECIDE_METHOD] = "method",    [DECIDE_REDIRECT] = "redirect",
        [DECIDE_FORWARD] = "forward",  [DECIDE_RELAY] = "relay",
        [DECIDE_HANDOFF] = "handoff",  [DECIDE_MISDIRECTED] = "misdirected",
        [DECIDE_NO_SERVER] = "nobody", [DECIDE_BAD] = "bad",
    };
    return names[v];
}

static void cut(char *to, size_t cap, const char *from, size_t len)
{
    len = len < cap ? len : cap - 1;
    memcpy(to, from, len);
    to[len] = '\0';
}

static void cut_slice(char *to, size_t cap, struct slice from)
{
    cut(to, cap, from.at ? from.at : "", from.len);
}

static void keep(struct journal_entry *e, const struct decision *d, const struct http_head *h,
                 const struct addr *client, const struct mark *mark)
{
    memcpy(e->id, mark->id, sizeof(e->id));
    cut_slice(e->method, sizeof(e->method), h->method);
    cut_slice(e->host, sizeof(e->host), h->host);
    cut_slice(e->path, sizeof(e->path), h->path);
    e->client = *client;
    e->verdict = verdict_name(d->verdict);
    e->why = d->why;
    e->policy = d->policy;
    e->status = decide_status(d);
    e->service[0] = e->server[0] = '\0';
    if (d->service)
        cut(e->service, sizeof(e->service), d->service, strlen(d->service));
    const struct server *s = d->chosen.server;
    if (!s)
        return;
    memcpy(e->server, d->chosen.node->entry->name, sizeof(e->server));
    e->server_status = roster_server_status(d->chosen.node, s);
    e->users = s->users;
    e->weight = s->weight;
    e->capacity = s->capacity;
    e->load = s->load;
}

static void write_line(const struct decision *d, const struct http_head *h,
                       const struct addr *client, const struct mark *mark)
{
    char ip[ADDR_TEXT_MAX], method[32], host[300], path[256], trace[TRACE_TEXT_MAX] = "";
    log_quote(h->method.at, h->method.len, method, sizeof(method));
    log_quote(h->host.at, h->host.len, host, sizeof(host));
    log_quote(h->path.at, h->path.len, path, sizeof(path));
    addr_format(client, ip);
    if (mark->traced)
        trace_format(&mark->trace, trace);
    const char *service = d->service ? d->service : "-";
    const char *server = d->chosen.node ? d->chosen.node->entry->name : "-";
    if (d->verdict == DECIDE_REDIRECT)
        log_info("redirect",
                 "client=%s method=%s host=%s path=%s service=%s server=%s policy=%s why=%s "
                 "users=%u id=%s%s%s",
                 ip, method, host, path, service, server, d->policy ? d->policy : "-", d->why,
                 d->chosen.server ? d->chosen.server->users : 0, mark->id,
                 mark->traced ? " traceparent=" : "", trace);
    else if (d->verdict == DECIDE_FORWARD || d->verdict == DECIDE_RELAY)
        log_info("forward", "client=%s method=%s host=%s path=%s service=%s server=%s why=%s id=%s",
                 ip, method, host, path, service, server, d->why, mark->id);
    else
        log_info("answer", "client=%s method=%s host=%s path=%s service=%s status=%d why=%s id=%s",
                 ip, method, host, path, service, decide_status(d), d->why, mark->id);
}

void journal_note(struct journal *j, const struct decision *d, const struct http_head *h,
                  const struct addr *client, const struct mark *mark, const struct roster *roster,
                  int64_t now_s)
{
    uv_mutex_lock(&j->lock);
    struct journal_entry *e = &j->entries[j->written++ % JOURNAL_ENTRIES];
    e->at_s = now_s;
    e->revision = roster ? roster->revision : 0;
    keep(e, d, h, client, mark);
    uv_mutex_unlock(&j->lock);
    if (log_wants(LOG_INFO))
        write_line(d, h, client, mark);
}

bool journal_find(struct journal *j, const char *id, struct journal_entry *out)
{
    bool found = false;
    uv_mutex_lock(&j->lock);
    uint64_t kept = j->written < JOURNAL_ENTRIES ? j->written : JOURNAL_ENTRIES;
    for (uint64_t i = 0; i < kept && !found; i++) {
        const struct journal_entry *e = &j->entries[(j->written - 1 - i) % JOURNAL_ENTRIES];
        found = strcmp(e->id, id) == 0;
        if (found)
            *out = *e;
    }
    uv_mutex_unlock(&j->lock);
    return found;
}

/* What came from outside may be no UTF-8: such a text is left out. */
static void put_text(json_t *to, const char *name, const char *text)
{
    json_t *value = json_string(text);
    json_object_set_new(to, name, value ? value : json_null());
}

static json_t *chosen_json(const struct journal_entry *e)
{
    json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "name", e->server, "status",
                          status_name(e->server_status), "users", (json_int_t)e->users, "weight",
                          (json_int_t)e->weight, "capacity", (json_int_t)e->capacity, "revision",
                          (json_int_t)e->revision);
    if (o)
        json_object_set_new(o, "load",
                            e->load == LOAD_UNKNOWN ? json_null() : json_integer(e->load));
    return o;
}

char *journal_json(const struct journal_entry *e, const char *node)
{
    char ip[ADDR_TEXT_MAX];
    json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:i}", "id", e->id, "node", node, "time",
                          (json_int_t)e->at_s, "client", addr_format(&e->client, ip), "verdict",
                          e->verdict, "why", e->why, "status", e->status);
    if (!o)
        return NULL;
    put_text(o, "method", e->method);
    put_text(o, "host", e->host);
    put_text(o, "path", e->path);
    put_text(o, "service", e->service);
    json_object_set_new(o, "policy", e->policy ? json_string(e->policy) : json_null());
    json_object_set_new(o, "chosen", *e->server ? chosen_json(e) : json_null());
    char *text = json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    return text;
}
