/* status.c - the document of /v1/status. */
#include "role/admin/admin.h"

#include "base/clock.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct number {
    const char *name;
    uint64_t value;
};

static json_t *numbers_json(const struct number *n, size_t count)
{
    json_t *j = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(j, n[i].name, json_integer((json_int_t)n[i].value));
    return j;
}

#define NUMBERS(...)                                                                               \
    numbers_json((const struct number[]){__VA_ARGS__},                                             \
                 sizeof((const struct number[]){__VA_ARGS__}) / sizeof(struct number))

/* As GET /v1/kinds has it. */
static json_t *copies_json(const struct kind *k)
{
    return k->group                  ? json_string("group")
           : k->copies == COPIES_ALL ? json_string("all")
                                     : json_integer(k->copies);
}

static json_t *kinds_json(const struct admin_snapshot *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->kinds.count; i++) {
        const struct kind *k = &s->kinds.kind[i];
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:I, s:o}", "name", k->name, "records",
                            (json_int_t)s->store.sessions.records_of_kind[i], "memory_bytes",
                            (json_int_t)s->store.sessions.memory_of_kind[i], "memory_limit_bytes",
                            (json_int_t)k->memory_bytes, "copies", copies_json(k)));
    }
    return list;
}

/* How the counts came about; null: not known. */
static json_t *own_json(const struct server *v, const struct tally_state *o)
{
    json_t *age =
        o->age_ns == TIME_NEVER ? json_null() : json_real((double)(o->age_ns / NS_PER_MS) / 1000.0);
    json_t *load = o->load == LOAD_UNKNOWN ? json_null() : json_real((double)o->load / 1000.0);
    return json_pack("{s:s, s:o, s:b, s:o, s:I, s:b, s:b}", "users_from", users_from_name(o->from),
                     "users_age_seconds", age, "users_stale", (int)o->stale, "load", load,
                     "weight_percent", (json_int_t)o->percent, "drain", (int)v->drain, "maint",
                     (int)v->maint);
}

static json_t *servers_json(const struct admin_snapshot *s)
{
    json_t *list = json_array();
    for (uint64_t i = 0; i < s->server_count && i < ENTRY_SERVERS_MAX; i++) {
        const struct server *v = &s->servers[i];
        json_t *urls = json_array();
        for (size_t u = 0; u < v->url_count && u < SERVER_URLS_MAX; u++)
            json_array_append_new(urls, json_string(v->urls[u]));
        json_t *j = json_pack("{s:s, s:o, s:s, s:I, s:I, s:I, s:b}", "service", v->service, "urls",
                              urls, "backup", v->backup, "users", (json_int_t)v->users, "capacity",
                              (json_int_t)v->capacity, "weight", (json_int_t)v->weight, "healthy",
                              (int)v->healthy);
        json_object_update_missing_new(j, own_json(v, &s->own[i]));
        json_object_set_new(j, "why", s->why[i] ? json_string(s->why[i]) : json_null());
        json_object_set_new(j, "grown_percent", json_integer((json_int_t)s->own[i].grown));
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *sessions_json(const struct session_stats *s)
{
    return NUMBERS(
        {"records", s->records}, {"owned", s->owned}, {"copies", s->copies},
        {"tombstones", s->tombstones}, {"memory_bytes", s->memory_bytes}, {"waiting", s->waiting},
        {"below_copies", s->below_copies}, {"orphans", s->orphans}, {"doubtful", s->doubtful},
        {"divergent", s->divergent}, {"verified", s->verified}, {"diverged", s->diverged},
        {"ranges_differing", s->ranges_differing}, {"ranges_age_s", s->ranges_age_s},
        {"handover_left", s->handover_left}, {"claims", s->claims},
        {"claims_failed", s->claims_failed}, {"fenced", s->fenced},
        {"splits_merged", s->splits_merged}, {"values_lost", s->values_lost},
        {"no_quorum", s->no_quorum}, {"voting_shards", s->votes}, {"expired", s->expired},
        {"evicted", s->evicted}, {"reads_local", s->reads_local}, {"reads_owner", s->reads_owner},
        {"reads_missed", s->reads_missed}, {"full", s->full}, {"busy", s->busy},
        {"sync_peers", s->sync_peers}, {"sync_done", s->sync_done},
        {"sync_percent", s->sync_parts ? s->sync_percent / s->sync_parts : 0},
        {"bulk_taken", s->bulk_taken}, {"bulk_sent", s->bulk_sent}, {"bulk_kept", s->bulk_kept},
        {"bulk_lost", s->bulk_lost});
}

static json_t *mesh_json(const struct admin_snapshot *s)
{
    const struct mesh_stats *m = &s->mesh;
    return NUMBERS(
        {"peers", m->peers}, {"queued_bytes", m->queued_bytes}, {"frames_in", m->frames_in},
        {"frames_out", m->frames_out}, {"bytes_in", m->bytes_in}, {"bytes_out", m->bytes_out},
        {"retransmits", m->retransmits}, {"dropped_auth", m->dropped_auth},
        {"dropped_replay", m->dropped_replay}, {"dropped_malformed", m->dropped_malformed},
        {"dropped_stranger", m->dropped_stranger}, {"dropped_version", m->dropped_version},
        {"dropped_limit", m->dropped_limit}, {"counted_out", s->members.counted_out},
        {"pauses", s->members.pauses}, {"refused", s->members.refused},
        {"loop_turn_max_ns", s->loop_turn_max_ns});
}

static json_t *multicast_json(const struct admin_snapshot *s)
{
    char group[ADDR_TEXT_MAX];
    const struct mesh_stats *m = &s->mesh;
    return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I}", "group", addr_format(&s->group, group),
                     "silent", (int)m->group_silent, "reached", (json_int_t)m->group_reached,
                     "peers", (json_int_t)m->peers, "copies_group", (json_int_t)m->group_copies,
                     "copies_unicast", (json_int_t)m->unicast_copies);
}

static json_t *nodes_json(const struct admin_snapshot *s)
{
    json_t *j = json_object();
    for (int i = 0; i <= STATUS_LEFT; i++)
        json_object_set_new(j, status_name((enum status)i), json_integer((json_int_t)s->nodes[i]));
    return j;
}

static json_t *repository_json(const struct repository_stats *r)
{
    return NUMBERS({"up", r->up}, {"records", r->records}, {"file_bytes", r->file_bytes},
                   {"lag_ms", r->lag_ms}, {"waiting", r->waiting}, {"failures", r->failures},
                   {"damaged", r->damaged});
}

#define EXPIRES_SOON_S (14 * 24 * 3600)

/* The farm's keys of the listener's tickets: when each seals, and until when it opens. */
static json_t *ticket_keys_json(const struct admin_tls *t, int64_t now_s)
{
    static const char *const modes[] = {[TLS_RESUMPTION_TICKETS] = "stateless",
                                        [TLS_RESUMPTION_KEPT] = "single-use",
                                        [TLS_RESUMPTION_OFF] = "off"};
    static const char *const states[] = {"next", "seals", "opens"};
    int64_t begins_s = (int64_t)(t->keys.since_s + TICKET_PERIOD_S);
    json_t *keys = json_array();
    for (size_t i = 0; t->has_keys && i < TICKET_KEYS; i++, begins_s -= TICKET_PERIOD_S)
        json_array_append_new(
            keys, json_pack("{s:s, s:s, s:I, s:I}", "id", t->keys.ids[i], "state",
                            states[i < 2 ? i : 2], "seals_at", (json_int_t)begins_s, "opens_until",
                            (json_int_t)(begins_s + (1 + TICKET_PAST) * (int64_t)TICKET_PERIOD_S)));
    json_int_t left_s = (json_int_t)(t->keys.since_s + TICKET_PERIOD_S) - now_s;
    return json_pack("{s:s, s:I, s:I, s:o}", "mode", modes[t->resumption], "now", (json_int_t)now_s,
                     "rotates_in_seconds", (json_int_t)(t->has_keys ? left_s : 0), "keys", keys);
}

/* NULL without a TLS listener. */
static json_t *tls_json(const struct admin_tls *t)
{
    uint64_t failed = 0, expired = 0, expiring = 0;
    json_t *list = json_array();
    int64_t now_s = time(NULL);
    for (int i = 0; i < TLS_FAILURES; i++)
        failed += t->failures[i];
    for (uint64_t i = 0; i < t->certificate_count; i++) {
        const struct admin_certificate *c = &t->certificates[i];
        int64_t left_s = c->not_after_s - now_s;
        expired += left_s < 0;
        expiring += left_s >= 0 && left_s < EXPIRES_SOON_S;
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:I, s:b}", "name", c->name, "subject",
                                        c->subject, "days_left", (json_int_t)(left_s / (24 * 3600)),
                                        "stapled", (int)c->stapled));
    }
    json_t *j =
        NUMBERS({"open", t->open}, {"handshakes", t->handshakes}, {"resumed", t->resumed},
                {"failed", failed}, {"reloads", t->reloads}, {"reloads_failed", t->reloads_failed},
                {"certificates_expired", expired}, {"certificates_expiring", expiring});
    json_object_set_new(j, "certificates", list);
    json_object_set_new(j, "tickets", ticket_keys_json(t, now_s));
    return j;
}

/* NULL without such sections. */
static json_t *tickets_json(const struct admin_tickets *t)
{
    static const char *const states[] = {"next", "seals", "opens"};
    json_t *list = json_array();
    for (size_t i = 0; i < t->count; i++) {
        const struct admin_ticket_set *s = &t->sets[i];
        json_t *keys = json_array();
        for (size_t k = 0; k < s->key_count; k++)
            json_array_append_new(
                keys, json_pack("{s:s, s:s}", "id", s->keys[k], "state", states[k < 2 ? k : 2]));
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:b, s:b, s:s}", "set", s->name,
                                              "format", s->format, "file", s->file, "keys", keys,
                                              "written", (int)s->written, "due", (int)s->due, "why",
                                              s->why));
    }
    return list;
}

static json_t *key_nodes_json(const struct admin_keys *k)
{
    json_t *list = json_array();
    for (size_t i = 0; i < k->node_count; i++) {
        json_t *accepted = json_array();
        for (size_t g = 0; g < k->count; g++)
            if (k->nodes[i].accepted >> g & 1)
                json_array_append_new(accepted, json_integer((json_int_t)k->list[g].number));
        json_array_append_new(list,
                              json_pack("{s:s, s:b, s:I, s:o}", "name", k->nodes[i].name, "told",
                                        (int)k->nodes[i].told, "active",
                                        (json_int_t)k->nodes[i].active, "accepted", accepted));
    }
    return list;
}

static json_t *keys_json(const struct admin_keys *k)
{
    json_t *list = json_array();
    for (size_t i = 0; i < k->count; i++) {
        char mark[20];
        snprintf(mark, sizeof mark, "%016" PRIx64, k->list[i].mark);
        json_array_append_new(list, json_pack("{s:I, s:s, s:b, s:b, s:s, s:I, s:I, s:I}", "number",
                                              (json_int_t)k->list[i].number, "state",
                                              k->list[i].state, "active", (int)k->list[i].active,
                                              "here", (int)k->list[i].here, "mark", mark, "nodes",
                                              (json_int_t)k->list[i].nodes, "nodes_active",
                                              (json_int_t)k->list[i].nodes_active, "nodes_using",
                                              (json_int_t)k->list[i].nodes_using));
    }
    json_t *j = NUMBERS({"active", k->active}, {"known", k->known}, {"turn", k->turn},
                        {"silent", k->silent}, {"malformed", k->malformed},
                        {"store_failed", k->store_failed});
    json_object_set_new(j, "generations", list);
    json_object_set_new(j, "nodes", key_nodes_json(k));
    return j;
}

char *admin_status_json(const struct admin_snapshot *s)
{
    char id[20], inc[20];
    /* As text: JavaScript and jq know integers up to 2^53 only. */
    snprintf(id, sizeof id, "%016" PRIx64, s->node_id);
    snprintf(inc, sizeof inc, "%016" PRIx64, s->inc);
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:f, s:s, s:b, s:s, s:b, s:b, s:b, s:I, s:o, s:o, s:o, "
        "s:o, s:o}",
        "node", s->node, "id", id, "incarnation", inc, "farm", s->farm, "version", s->version,
        "pid", (json_int_t)s->pid, "uptime_seconds", (double)(s->uptime_ns / 1000000) / 1000.0,
        "status", status_name(s->status), "ready", (int)s->ready, "reason",
        s->ready ? "" : s->reason, "maint", (int)s->maint, "drained", (int)s->drained, "alone",
        (int)s->alone, "roster_revision", (json_int_t)s->roster_revision, "nodes", nodes_json(s),
        "sessions", sessions_json(&s->store.sessions), "kinds", kinds_json(s), "mesh", mesh_json(s),
        "servers", servers_json(s));
    if (j && s->group.family)
        json_object_set_new(j, "multicast", multicast_json(s));
    if (j && s->tls.certificate_count)
        json_object_set_new(j, "tls", tls_json(&s->tls));
    if (j)
        json_object_set_new(j, "keys", keys_json(&s->keys));
    if (j && s->repository.there)
        json_object_set_new(j, "repository", repository_json(&s->repository));
    if (j && s->tickets.count)
        json_object_set_new(j, "tickets", tickets_json(&s->tickets));
    char *text = j ? json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(j);
    return text;
}
