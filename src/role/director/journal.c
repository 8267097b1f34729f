/* journal.c - the access log and the memory of decisions. */
#include "role/director/journal.h"

#include "base/log.h"
#include "base/mem.h"

#include <jansson.h>
#include <string.h>
#include <uv.h>

/* An entry as it is kept: this, and its texts behind it, without their ends. Small, since every
 * request passes through the processor's cache. */
struct kept {
    uint32_t size; /* of all of it, padded; 0: the rest of the ring is empty, go on at its start */
    uint16_t status, load;
    int64_t at_s;
    const char *verdict, *why, *policy;
    uint64_t revision;
    uint32_t users, weight, capacity;
    uint8_t server_status;
    uint8_t id_len, method_len, host_len, path_len, service_len, server_len;
    struct addr client;
};

struct journal {
    uv_mutex_t lock;
    uint32_t first, next; /* places in the ring: of the oldest entry, and behind the newest */
    uint32_t count;
    _Alignas(struct kept) uint8_t ring[JOURNAL_BYTES];
};

_Static_assert(JOURNAL_PATH_MAX <= 256 && JOURNAL_HOST_MAX <= 256, "lengths fit a byte");

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

/* -- the ring -- */

static struct kept *at(struct journal *j, uint32_t place)
{
    return (struct kept *)(void *)(j->ring + place);
}

/* The place of the entry that stands at `place` or, when that is the end, at the start. */
static uint32_t settle(struct journal *j, uint32_t place)
{
    bool end = place + sizeof(struct kept) > JOURNAL_BYTES || at(j, place)->size == 0;
    return end ? 0 : place;
}

static void forget_first(struct journal *j)
{
    j->first = settle(j, j->first);
    j->first += at(j, j->first)->size;
    j->count--;
}

/* Room for an entry behind the newest; the oldest go. */
static struct kept *make_room(struct journal *j, uint32_t size)
{
    if (j->next + size > JOURNAL_BYTES) {
        while (j->count > 0 && settle(j, j->first) >= j->next)
            forget_first(j);
        if (j->next + sizeof(struct kept) <= JOURNAL_BYTES)
            at(j, j->next)->size = 0;
        j->next = 0;
    }
    while (j->count > 0) {
        j->first = settle(j, j->first); /* now: what says so may be written over */
        if (j->first < j->next || j->first >= j->next + size)
            break;
        forget_first(j);
    }
    if (j->count == 0)
        j->first = j->next;
    struct kept *k = at(j, j->next);
    j->next += size;
    j->count++;
    return k;
}

static uint8_t cut(size_t len, size_t cap)
{
    return (uint8_t)(len < cap ? len : cap - 1);
}

static uint8_t *put(uint8_t *to, const void *from, uint8_t len)
{
    if (len)
        memcpy(to, from, len);
    return to + len;
}

static void keep(struct journal *j, const struct decision *d, const struct http_head *h,
                 const struct addr *client, const struct mark *mark, uint64_t revision,
                 int64_t now_s)
{
    const char *service = d->service ? d->service : "";
    const char *server = d->chosen.server ? d->chosen.node->entry->name : "";
    struct kept e = {.status = (uint16_t)decide_status(d),
                     .at_s = now_s,
                     .verdict = verdict_name(d->verdict),
                     .why = d->why,
                     .policy = d->policy,
                     .revision = revision,
                     .id_len = cut(strlen(mark->id), MARK_ID_MAX),
                     .method_len = cut(h->method.len, JOURNAL_METHOD_MAX),
                     .host_len = cut(h->host.len, JOURNAL_HOST_MAX),
                     .path_len = cut(h->path.len, JOURNAL_PATH_MAX),
                     .service_len = cut(strlen(service), NAME_MAX_BYTES + 1),
                     .server_len = cut(strlen(server), NAME_MAX_BYTES + 1),
                     .client = *client};
    if (d->chosen.server) {
        const struct server *s = d->chosen.server;
        e.server_status = (uint8_t)roster_server_status(d->chosen.node, s);
        e.users = s->users;
        e.weight = s->weight;
        e.capacity = s->capacity;
        e.load = s->load;
    }
    uint32_t texts =
        (uint32_t)e.id_len + e.method_len + e.host_len + e.path_len + e.service_len + e.server_len;
    e.size =
        (uint32_t)((sizeof(e) + texts + _Alignof(struct kept) - 1) & ~(_Alignof(struct kept) - 1));
    struct kept *k = make_room(j, e.size);
    *k = e;
    uint8_t *to = put((uint8_t *)(k + 1), mark->id, e.id_len);
    to = put(to, h->method.at, e.method_len);
    to = put(to, h->host.at, e.host_len);
    to = put(to, h->path.at, e.path_len);
    to = put(to, service, e.service_len);
    put(to, server, e.server_len);
}

static const uint8_t *take(const uint8_t *from, char *to, uint8_t len)
{
    memcpy(to, from, len);
    to[len] = '\0';
    return from + len;
}

static void unpack(const struct kept *k, struct journal_entry *out)
{
    *out = (struct journal_entry){.at_s = k->at_s,
                                  .client = k->client,
                                  .verdict = k->verdict,
                                  .why = k->why,
                                  .policy = k->policy,
                                  .status = k->status,
                                  .server_status = (enum status)k->server_status,
                                  .users = k->users,
                                  .weight = k->weight,
                                  .capacity = k->capacity,
                                  .load = k->load,
                                  .revision = k->revision};
    const uint8_t *from = take((const uint8_t *)(k + 1), out->id, k->id_len);
    from = take(from, out->method, k->method_len);
    from = take(from, out->host, k->host_len);
    from = take(from, out->path, k->path_len);
    from = take(from, out->service, k->service_len);
    take(from, out->server, k->server_len);
}

/* -- the log -- */

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
    keep(j, d, h, client, mark, roster ? roster->revision : 0, now_s);
    uv_mutex_unlock(&j->lock);
    if (log_wants(LOG_INFO))
        write_line(d, h, client, mark);
}

bool journal_find(struct journal *j, const char *id, struct journal_entry *out)
{
    const struct kept *found = NULL;
    size_t len = strlen(id);
    uv_mutex_lock(&j->lock);
    uint32_t place = j->first;
    for (uint32_t i = 0; i < j->count; i++) {
        place = settle(j, place);
        const struct kept *k = at(j, place);
        if (k->id_len == len && memcmp(k + 1, id, len) == 0)
            found = k;
        place += k->size;
    }
    if (found)
        unpack(found, out);
    uv_mutex_unlock(&j->lock);
    return found != NULL;
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
