/* Copies plain numbers from the parts of the node into the admin role's snapshot. */
#include "node/admin_feed.h"

#include "base/log.h"
#include "io/io.h"
#include "node/admin_cull.h"
#include "node/admin_snapshot.h"
#include "node/admin_verify.h"
#include "node/config_diff.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct admin_http copy_http(const struct http_counters *c)
{
    return (struct admin_http){.accepted = c->accepted,
                               .refused = c->refused,
                               .crowded = c->crowded,
                               .requests = c->requests,
                               .bad = c->bad,
                               .timeouts = c->timeouts,
                               .busy = c->busy,
                               .open = c->open,
                               .h2_connections = c->h2_connections,
                               .h2_streams = c->h2_streams,
                               .h2_resets = c->h2_resets,
                               .h2_calmed = c->h2_calmed};
}

/* Each thread counts for itself. */
static struct admin_dns sum_dns(const struct name_stats (*each)[NAME_STATS], size_t workers)
{
    struct admin_dns out = {0};
    for (size_t i = 0; i < workers * NAME_STATS; i++) {
        const struct name_stats *n = &each[i / NAME_STATS][i % NAME_STATS];
        out.udp += n->udp;
        out.tcp += n->tcp;
        out.answered += n->answered;
        out.empty += n->empty;
        out.nxdomain += n->nxdomain;
        out.refused += n->refused;
        out.servfail += n->servfail;
        out.referred += n->referred;
        out.malformed += n->malformed;
        out.truncated += n->truncated;
        out.last_resort += n->last_resort;
        out.dropped += n->dropped;
        out.limited += n->limited;
        out.slipped += n->slipped;
        out.forgotten += n->forgotten;
        out.cookies_good += n->cookies_good;
        out.cookies_new += n->cookies_new;
        out.subnets += n->subnets;
        out.connections += n->connections;
        out.evicted += n->evicted;
        out.idle += n->idle;
        out.oversized += n->oversized;
        out.views += n->views;
        out.views_failed += n->views_failed;
    }
    return out;
}

static struct admin_gate copy_gate(const struct gate_counters *g)
{
    return (struct admin_gate){.calls = g->calls,
                               .denied = g->denied,
                               .invalid = g->invalid,
                               .failed = g->failed,
                               .unknown = g->unknown,
                               .busy = g->busy,
                               .renewed = g->renewed,
                               .waiting = g->waiting,
                               .watching = g->watching,
                               .watch_dropped = g->watch_dropped,
                               .reports = g->reports,
                               .known = g->known,
                               .strangers = g->strangers,
                               .claims_left_out = g->claims_left_out};
}

static struct admin_cache copy_cache(const struct cache_counters *c)
{
    return (struct admin_cache){.connections = c->connections,
                                .accepted = c->accepted,
                                .refused = c->refused,
                                .requests = c->requests,
                                .hits = c->hits,
                                .misses = c->misses,
                                .stores = c->stores,
                                .removals = c->removals,
                                .failed = c->failed,
                                .malformed = c->malformed,
                                .denied = c->denied,
                                .slow = c->slow};
}

static struct admin_sessiond copy_sessiond(const struct sessiond_counters *c)
{
    return (struct admin_sessiond){.requests = c->requests,
                                   .hits = c->hits,
                                   .misses = c->misses,
                                   .stores = c->stores,
                                   .removals = c->removals,
                                   .elsewhere = c->elsewhere,
                                   .late = c->late,
                                   .failed = c->failed,
                                   .malformed = c->malformed,
                                   .full = c->full,
                                   .unsent = c->unsent,
                                   .dropped = c->dropped};
}

_Static_assert(TICKETS_SECTIONS_MAX <= ADMIN_TICKET_SETS_MAX &&
                   TICKET_KEYS <= ADMIN_TICKET_KEYS_MAX,
               "every set has its place");

static struct admin_bulk copy_bulk(const struct bulk_counters *b)
{
    return (struct admin_bulk){.in = b->in,
                               .out = b->out,
                               .returned = b->returned,
                               .links = b->links,
                               .made = b->made,
                               .refused = b->refused};
}

static void tell_tickets(const struct shared *s, struct admin_tickets *out)
{
    struct tickets_view views[TICKETS_SECTIONS_MAX];
    out->written = s->ticket_counters.written;
    out->taken_up = s->ticket_counters.taken_up;
    out->failed = s->ticket_counters.failed;
    out->count = tickets_look(s->tickets, views);
    for (size_t i = 0; i < out->count; i++) {
        const struct tickets_view *from = &views[i];
        struct admin_ticket_set *to = &out->sets[i];
        snprintf(to->name, sizeof(to->name), "%s", from->name);
        snprintf(to->format, sizeof(to->format), "%s", tickets_format_name(from->format));
        snprintf(to->file, sizeof(to->file), "%s", from->file);
        snprintf(to->why, sizeof(to->why), "%s", from->why);
        to->written = from->written;
        to->due = from->due;
        to->key_count = TICKET_KEYS;
        for (size_t k = 0; k < TICKET_KEYS; k++)
            snprintf(to->keys[k], sizeof(to->keys[k]), "%s", from->keys[k]);
        out->due += from->due || !from->written;
    }
}

static struct admin_director copy_director(const struct director_counters *d)
{
    const struct forward_counters *f = &d->forward;
    const struct watch_counters *w = &d->roster.watch;
    return (struct admin_director){.proxied = d->door.proxied,
                                   .untrusted = d->door.untrusted,
                                   .malformed = d->door.malformed,
                                   .slow = d->door.slow,
                                   .roster = d->verdicts[DECIDE_ROSTER],
                                   .not_found = d->verdicts[DECIDE_NOT_FOUND],
                                   .method = d->verdicts[DECIDE_METHOD],
                                   .redirected = d->verdicts[DECIDE_REDIRECT],
                                   .warmed = d->warmed,
                                   .handoffs = d->verdicts[DECIDE_HANDOFF],
                                   .returned = d->returned,
                                   .handoffs_taken = d->handoffs_taken,
                                   .handoffs_refused = d->handoffs_refused,
                                   .forwarded = d->verdicts[DECIDE_FORWARD],
                                   .relayed = d->verdicts[DECIDE_RELAY],
                                   .misdirected = d->verdicts[DECIDE_MISDIRECTED],
                                   .no_server = d->verdicts[DECIDE_NO_SERVER],
                                   .bad = d->verdicts[DECIDE_BAD],
                                   .not_modified = d->roster.not_modified,
                                   .denied = d->roster.denied,
                                   .rendered = d->roster.rendered,
                                   .watchers = w->open,
                                   .watchers_opened = w->opened,
                                   .watchers_refused = w->refused,
                                   .watchers_resumed = w->resumed,
                                   .watchers_skipped = w->skipped,
                                   .watchers_dropped = w->dropped,
                                   .events = w->events,
                                   .moves = w->moves,
                                   .tunnels_opened = f->opened,
                                   .tunnels_open = f->open,
                                   .tunnels_refused = f->refused,
                                   .tunnels_reset = f->resets,
                                   .tunnels_timed_out = f->timeouts,
                                   .tunnels_busy = f->busy,
                                   .tunnels_failed = f->failed,
                                   .answers_dropped = d->answers_dropped,
                                   .up_bytes = f->up_bytes,
                                   .down_bytes = f->down_bytes};
}

static struct admin_tcp copy_tcp(const struct tcp_counters *t, const struct takeover_counters *a)
{
    const struct forward_counters *f = &t->forward;
    const struct tcp_door_counters *d = &t->door;
    return (struct admin_tcp){.own = t->own,
                              .addresses_held = a->held,
                              .addresses_taken = a->taken,
                              .addresses_failed = a->failed,
                              .backup = t->backup,
                              .balanced = t->balanced,
                              .handed = t->handed,
                              .open = f->open,
                              .nobody = t->nobody,
                              .unnamed = t->unnamed,
                              .busy = t->busy,
                              .untrusted = d->untrusted,
                              .malformed = d->malformed,
                              .slow = d->slow,
                              .full = d->full,
                              .refused = f->refused,
                              .resets = f->resets,
                              .timeouts = f->timeouts,
                              .failed = f->failed,
                              .proxied = d->proxied,
                              .starved = d->starved,
                              .up_bytes = f->up_bytes,
                              .down_bytes = f->down_bytes};
}

_Static_assert(ADMIN_TIMES == EXCHANGE_TIMES, "one histogram");

static struct admin_exchange copy_exchange(const struct exchange_counters *x)
{
    struct admin_exchange out = {.clients = x->clients,
                                 .clients_total = x->clients_total,
                                 .returned = x->returned,
                                 .upgraded = x->upgraded,
                                 .busy = x->busy,
                                 .crowded = x->crowded,
                                 .retries = x->retries,
                                 .timeouts = x->timeouts,
                                 .bad_answers = x->bad_answers,
                                 .client_breaks = x->client_breaks,
                                 .server_breaks = x->server_breaks,
                                 .connects = x->upstream.connects,
                                 .reuses = x->upstream.reuses,
                                 .kept = x->upstream.kept,
                                 .refused = x->upstream.refused,
                                 .failed = x->upstream.failed,
                                 .up_bytes = x->up_bytes,
                                 .down_bytes = x->down_bytes,
                                 .time_us = x->time_us};
    for (size_t i = 0; i < sizeof(out.answers) / sizeof(out.answers[0]); i++)
        out.answers[i] = x->answers[i];
    for (size_t i = 0; i < ADMIN_TIMES; i++)
        out.times[i] = x->times[i];
    return out;
}

static void tell_tls(const struct tls_setup *s, struct admin_tls *out)
{
    struct tls_context *c = s->door ? tls_door_context(s->door) : NULL;
    out->handshakes = s->counters.handshakes;
    out->resumed = s->counters.resumed;
    out->early_taken = s->counters.early_taken;
    out->renegotiations = s->counters.renegotiations;
    out->early_refused = s->counters.early_refused;
    out->open = s->counters.open;
    for (int i = 0; i < TLS_RESUMED_WAYS; i++)
        out->resumed_by[i] = s->counters.resumed_by[i];
    for (int i = 0; i < TLS_MISSED_REASONS; i++)
        out->missed[i] = s->counters.missed[i];
    out->reloads = s->reloads;
    out->reloads_failed = s->reloads_failed;
    for (int i = 0; i < TLS_FAILURES; i++)
        out->failures[i] = s->counters.failures[i];
    out->resumption = c ? (int)tls_context_resumption(c) : TLS_RESUMPTION_OFF;
    out->has_keys = out->resumption == TLS_RESUMPTION_TICKETS && s->door &&
                    tls_door_tickets(s->door, &out->keys);
    for (size_t i = 0; c && i < tls_context_count(c); i++) {
        const struct tls_certificate *from = tls_context_certificate(c, i);
        struct admin_certificate *to = &out->certificates[out->certificate_count++];
        snprintf(to->name, sizeof(to->name), "%s", from->name);
        snprintf(to->subject, sizeof(to->subject), "%s", from->subject);
        to->not_after_s = from->not_after;
        to->stapled = from->ocsp_until > time(NULL);
    }
    tls_context_unref(c);
}

static struct admin_own copy_own(const struct own *o)
{
    const struct users_counters *c = &o->counters;
    const struct agent_door_counters *d = &o->doors_counters;
    return (struct admin_own){.kernel_counts = c->kernel_counts,
                              .kernel_failed = c->kernel_failed,
                              .kernel_capped = c->kernel_capped,
                              .agent_told = c->agent_ends[AGENT_ASK_TOLD],
                              .agent_unreachable = c->agent_ends[AGENT_ASK_UNREACHABLE],
                              .agent_timeouts = c->agent_ends[AGENT_ASK_TIMEOUT],
                              .agent_malformed = c->agent_ends[AGENT_ASK_MALFORMED],
                              .agent_unknown_words = c->agent_unknown_words,
                              .door_answered = d->answered,
                              .door_refused = d->refused,
                              .door_unknown = d->unknown};
}

bool admin_feed_ready(enum mesh_phase p, const char **reason)
{
    static const char *const reasons[] = {[MESH_JOINING] = "joining",
                                          [MESH_UP] = "",
                                          [MESH_DRAINING] = "draining",
                                          [MESH_LEAVING] = "leaving",
                                          [MESH_GONE] = "leaving"};
    *reason = reasons[p];
    return p == MESH_UP;
}

static void tell_phase(const struct admin_feed *f, struct admin_snapshot *out)
{
    static const enum status statuses[] = {[MESH_JOINING] = STATUS_JOINING,
                                           [MESH_UP] = STATUS_UP,
                                           [MESH_DRAINING] = STATUS_DRAINING,
                                           [MESH_LEAVING] = STATUS_DRAINING,
                                           [MESH_GONE] = STATUS_LEFT};
    enum mesh_phase p = (enum mesh_phase)atomic_load(&f->mesh->phase_shown);
    const char *reason, *more = "";
    out->maint = store_maint(f->store);
    out->status = statuses[p];
    out->ready = admin_feed_ready(p, &reason);
    out->drained = atomic_load(&f->mesh->drained_shown);
    out->alone = atomic_load(&f->mesh->alone_shown) && out->mesh.peers == 0;
    if (p == MESH_UP && out->maint) {
        out->status = STATUS_MAINT;
        out->ready = false;
        reason = "maint";
        more = ": an operator took it out";
    } else if (p == MESH_JOINING)
        more = out->mesh.peers ? ": copies are on their way" : ": no other node has answered yet";
    else if (p == MESH_DRAINING || p == MESH_LEAVING)
        more = out->drained ? ": nothing is left here" : ": records are being handed over";
    snprintf(out->reason, sizeof(out->reason), "%s%s", reason, more);
}

static void tell_servers(const struct admin_feed *f, struct admin_snapshot *out)
{
    struct entry e = *f->entry;
    struct own_entry o = {0};
    struct live *l = live_now(&f->shared->now);
    live_entry(&l->config, &e, &o);
    live_unref(l);
    own_entry_fill(&o, f->store, io_now_ns(), &e);
    out->server_count = e.server_count;
    memcpy(out->servers, e.servers, sizeof(out->servers));
    memcpy(out->own, o.last, sizeof(out->own));
    for (size_t i = 0; i < e.server_count; i++)
        out->why[i] = e.servers[i].healthy ? NULL
                      : store_own_checked(f->store, o.place[i])
                          ? "told"
                          : store_own_reason(f->store, o.place[i]);
}

static struct admin_upgrades copy_upgrades(const struct admin_feed *f)
{
    return (struct admin_upgrades){.begun = f->upgrade->begun,
                                   .failed = f->upgrade->failed,
                                   .adopted = f->upgrade->adopted,
                                   .relayed = f->mesh->relay.passed,
                                   .relay_lost = f->mesh->relay.lost};
}

_Static_assert(ADMIN_KEYS_MAX == KEYS_MAX && ADMIN_KEY_NODES_MAX == KEYRING_NODES_MAX,
               "all that is known is shown");

static void tell_keys(struct mesh_loop *m, struct admin_keys *out)
{
    static const char *const states[] = {"accepted", "retired", "forgotten"};
    struct keyring_view v;
    mesh_loop_keys(m, &v);
    *out = (struct admin_keys){.turn = v.turn,
                               .in = v.in,
                               .out = v.out,
                               .malformed = v.malformed,
                               .changes = v.changes,
                               .store_failed = v.store_failed,
                               .silent = v.nodes_silent,
                               .count = v.count,
                               .node_count = v.node_count};
    for (size_t i = 0; i < v.count; i++) {
        out->known += v.list[i].state == KEY_ACCEPTED;
        if (v.list[i].active)
            out->active = v.list[i].number;
        out->list[i].number = v.list[i].number;
        out->list[i].mark = v.list[i].mark;
        out->list[i].nodes = v.list[i].nodes_with;
        out->list[i].nodes_active = v.list[i].nodes_active;
        out->list[i].nodes_using = v.list[i].nodes_using;
        out->list[i].state = states[v.list[i].state];
        out->list[i].active = v.list[i].active;
        out->list[i].here = v.list[i].quiet;
    }
    for (size_t i = 0; i < v.node_count; i++) {
        memcpy(out->nodes[i].name, v.nodes[i].name, sizeof(out->nodes[i].name));
        out->nodes[i].told = v.nodes[i].told;
        out->nodes[i].active = v.nodes[i].active;
        out->nodes[i].accepted = v.nodes[i].accepted;
    }
}

static void collect(void *context, struct admin_snapshot *out)
{
    struct admin_feed *f = context;
    snprintf(out->node, sizeof(out->node), "%s", f->config->node.name);
    out->group = f->config->node.multicast;
    snprintf(out->farm, sizeof(out->farm), "%s", f->config->top.farm);
    snprintf(out->version, sizeof(out->version), "%s", STEAD_VERSION);
    out->node_id = f->entry->node;
    out->inc = f->entry->inc;
    out->pid = (uint64_t)getpid();
    out->uptime_ns = io_now_ns() - f->started_ns;
    store_kinds_now(f->store, &out->kinds);
    store_stats(f->store, &out->store);
    mesh_loop_stats(f->mesh, &out->mesh, &out->members);
    tell_keys(f->mesh, &out->keys);
    tell_phase(f, out);
    tell_servers(f, out);
    out->log_lost = log_lost();
    out->public_http = copy_http(&f->shared->director.http);
    out->gate_http = copy_http(&f->shared->gate_http);
    out->dns = sum_dns(f->shared->name, WORKERS_MAX);
    out->gate = copy_gate(&f->shared->gate);
    out->upgrades = copy_upgrades(f);
    if (f->repository)
        repository_stats(f->repository, &out->repository);
    if (f->snapshot)
        snapshot_state(f->snapshot, &out->snapshot);
    out->orders = (struct admin_orders){.done = f->mesh->commands.carried_out,
                                        .refused = f->mesh->commands.refused,
                                        .malformed = f->mesh->commands.malformed};
    out->bulk = copy_bulk(f->bulk);
    out->memcached = copy_cache(&f->shared->caches[CACHE_MEMCACHE]);
    out->redis = copy_cache(&f->shared->caches[CACHE_RESP]);
    out->sessiond = copy_sessiond(&f->shared->sessiond);
    tell_tickets(f->shared, &out->tickets);
    out->own_parts = copy_own(&f->shared->own);
    out->director = copy_director(&f->shared->director);
    out->exchange = copy_exchange(&f->shared->director.exchange);
    tell_tls(f->shared->tls, &out->tls);
    out->tls.kept = f->shared->kept.kept;
    out->tls.unkept = f->shared->kept.unkept;
    out->tls.unasked = f->shared->kept.full;
    out->tcp = copy_tcp(&f->shared->tcp_counters, &f->shared->takeover_counters);
    out->loop_turn_max_ns = atomic_exchange(&f->mesh->turn_max_ns, 0);
}

static struct roster *roster(void *context)
{
    struct admin_feed *f = context;
    return store_roster(f->store);
}

static uint64_t order(void *context, const char *server, enum order_verb verb, bool force,
                      const char *text)
{
    struct admin_feed *f = context;
    uint64_t id = commands_ask(&f->mesh->commands, server, verb, force, text);
    mesh_loop_wake(f->mesh);
    return id;
}

static bool ordered(void *context, uint64_t id, struct ordered *out)
{
    struct admin_feed *f = context;
    return commands_fetch(&f->mesh->commands, id, out);
}

static char *decision(void *context, const char *id)
{
    struct admin_feed *f = context;
    struct journal_entry e;
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        if (f->shared->journals[i] && journal_find(f->shared->journals[i], id, &e))
            return journal_json(&e, f->config->node.name);
    return NULL;
}

static char *config_text(void *context)
{
    struct admin_feed *f = context;
    struct live *l = live_now(&f->shared->now);
    json_t *j = config_json(&l->file, &l->config);
    live_unref(l);
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
    json_decref(j);
    return text;
}

static char *verify(void *context, bool begin, bool repair)
{
    struct admin_feed *f = context;
    return admin_verify(f->store, begin, repair);
}

static char *cull(void *context, const char *kind, const char *field, const char *value, int *error)
{
    struct admin_feed *f = context;
    char *text = admin_cull(f->store, &f->cull, kind, field, value, io_now_ns(), error);
    mesh_loop_wake(f->mesh);
    return text;
}

static char *snapshot(void *context, bool load, const char *path, int *error)
{
    struct admin_feed *f = context;
    return admin_snapshot(f->snapshot, load, path, error);
}

static int upgrade(void *context, const char *binary, const char *config)
{
    struct admin_feed *f = context;
    return upgrade_ask(f->upgrade, binary, config);
}

static char *upgraded(void *context)
{
    struct admin_feed *f = context;
    return upgrade_json(f->upgrade);
}

struct admin_source admin_feed_source(struct admin_feed *f)
{
    return (struct admin_source){.context = f,
                                 .collect = collect,
                                 .roster = roster,
                                 .order = order,
                                 .ordered = ordered,
                                 .config = config_text,
                                 .decision = decision,
                                 .verify = verify,
                                 .cull = cull,
                                 .snapshot = snapshot,
                                 .upgrade = upgrade,
                                 .upgraded = upgraded,
                                 .node = f->config->node.name};
}
