/* A node's life, as one readable list. */
#include "node/node.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/inherit.h"
#include "io/io.h"
#include "node/admin_feed.h"
#include "node/bulk.h"
#include "node/changes.h"
#include "node/mesh_loop.h"
#include "node/privileges.h"
#include "node/repository_setup.h"
#include "node/setup.h"
#include "node/upgrade.h"
#include "node/worker.h"
#include "store/repository.h"
#include "store/snapshot.h"

#include <inttypes.h>
#include <jansson.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define SHARDS_MAX 16
/* At least, where there is so much: several records of 1 MiB fit. */
#define SHARD_BYTES (8u << 20)

struct node {
    struct config file;          /* as it was read */
    struct config config_now;    /* with what the state folder remembers of operators' changes */
    const struct config *config; /* the latter: as at the start */
    struct changes changes;
    struct setup setup;
    uv_loop_t loop;
    uv_signal_t term, interrupt, hangup;
    uv_timer_t watchdog;
    struct farm *farm;
    struct store *store;
    struct repository *repository; /* NULL: there is none */
    struct snapshot *snapshot;     /* NULL: this node keeps no records */
    struct mesh_loop mesh;
    struct bulk *bulk;
    struct bulk_counters bulk_counters;
    struct key_rings *rings;
    uint64_t sealed_under; /* mark of the active key, as the parts have it */
    struct upgrade upgrade;
    struct shared shared;
    struct worker workers[WORKERS_MAX];
    size_t workers_running;
    struct admin_feed feed;
    struct admin *admin;
    uint64_t started_ns;
    bool refused, started, said_ready;
    int failed;     /* of a successor: what kept it from serving */
    size_t adopted; /* connections, which go to the workers in turn */
};

static int make_keyring(struct node *n);

static void on_gone(void *context)
{
    struct node *n = context;
    n->refused = n->mesh.refused;
    if (upgrade_left(&n->upgrade))
        return;
    uv_stop(&n->loop);
}

/* systemd holds a start for done, and goes on to the next host of a rolling restart, when the node
 * takes clients. */
static void on_phase(void *context, enum mesh_phase phase)
{
    struct node *n = context;
    const char *reason;
    if (!n->started)
        return;
    uint64_t took_ms = (io_now_ns() - n->started_ns) / NS_PER_MS;
    bool first = !n->said_ready && (phase == MESH_UP || phase == MESH_DRAINING);
    if (first)
        log_info("ready", "after_ms=%" PRIu64, took_ms);
    n->said_ready |= first;
    sd_notifyf(0, "%sSTATUS=%s", first ? "READY=1\n" : "",
               admin_feed_ready(phase, &reason) ? "up" : reason);
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    sd_notify(0, "WATCHDOG=1");
}

/* Twice in the time after which systemd would end the process. */
static void start_watchdog(struct node *n)
{
    uint64_t limit_us = 0;
    uv_timer_init(&n->loop, &n->watchdog);
    if (sd_watchdog_enabled(0, &limit_us) > 0 && limit_us >= 2000)
        uv_timer_start(&n->watchdog, on_watchdog, 0, limit_us / 2000);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct node *n = signal->data;
    log_info("stop", "signal=%s", number == SIGTERM ? "TERM" : "INT");
    sd_notify(0, "STOPPING=1");
    upgrade_stop(&n->upgrade);
    mesh_loop_stop(&n->mesh);
}

/* Neither a closed terminal nor the habit of reloading by it may kill a node that holds sessions.
 */
static void on_hangup(uv_signal_t *signal, int number)
{
    struct node *n = signal->data;
    (void)number;
    log_info("hangup", "file=%s", n->config->path);
    changes_reload(&n->changes);
}

/* The shards divide the limits among them, and a record must fit into one. */
static unsigned shard_count(uint64_t memory_bytes, const struct kinds *kinds)
{
    uint64_t least = memory_bytes;
    for (size_t i = 0; i < kinds->count; i++)
        if (kinds->kind[i].memory_bytes && kinds->kind[i].memory_bytes < least)
            least = kinds->kind[i].memory_bytes;
    uint64_t count = least / SHARD_BYTES;
    return count < 1 ? 1 : count > SHARDS_MAX ? SHARDS_MAX : (unsigned)count;
}

static struct store *make_store(struct node *n, uint64_t now)
{
    const struct config *c = n->config;
    struct store_config sc = {.mailboxes = c->top.workers * (2 + CACHE_DOORS) + 1};
    session_config_default(&sc.session);
    sc.session.kinds = &c->sessions.kinds;
    sc.session.memory_bytes = c->sessions.present ? c->sessions.memory_bytes : 2 * SHARD_BYTES;
    sc.shards = shard_count(sc.session.memory_bytes, sc.session.kinds);
    if (c->sessions.present)
        sc.session.split_max_ms = c->sessions.split_max_ms;
    sc.session.repository = c->repository.present;
    io_random(sc.session.bucket_secret, sizeof(sc.session.bucket_secret));
    io_random(&sc.session.seed, sizeof(sc.session.seed));
    farm_lasting(n->farm, LASTING_PLACEMENT, sc.session.farm_secret);
    return store_new(&sc, now);
}

/* The configured addresses first, then where the farm was found last time. */
static void fill_join(const struct node *n, struct farm_config *fc)
{
    const struct addresses *join = &n->config->node.join;
    struct addr last[JOIN_ADDRESSES_MAX];
    size_t remembered = state_load_addresses(&n->setup.state, last, JOIN_ADDRESSES_MAX);
    for (size_t i = 0; i < join->count; i++)
        fc->join[fc->join_count++] = join->addr[i];
    for (size_t i = 0; i < remembered && fc->join_count < JOIN_ADDRESSES_MAX; i++) {
        bool known = addr_equal(&last[i], &n->config->node.address);
        for (size_t j = 0; j < fc->join_count; j++)
            known |= addr_equal(&last[i], &fc->join[j]);
        if (!known)
            fc->join[fc->join_count++] = last[i];
    }
}

static int make_core(struct node *n)
{
    struct farm_config fc = {.name = n->config->top.farm};
    uint64_t now = io_now_ns();
    fc.keys = &n->setup.keys;
    member_timing_default(&fc.timing);
    fc.timing.join_wait_ms = n->config->node.join_wait_ms;
    swim_timing_pace(&fc.timing.swim, n->config->node.probe_interval_ms);
    fc.group = n->config->node.multicast;
    for (size_t i = 0; i < n->config->node.voters.count; i++)
        snprintf(fc.voters[fc.voter_count++], sizeof(fc.voters[0]), "%.*s", NAME_MAX_BYTES,
                 n->config->node.voters.text[i]);
    io_random(&fc.seed, sizeof(fc.seed));
    if (n->upgrade.successor) {
        n->setup.entry.twin = n->upgrade.hello.entry.inc;
        fc.join[fc.join_count++] = n->config->node.address; /* where its elder is */
    }
    fill_join(n, &fc);
    n->farm = farm_new(&fc, &n->setup.entry, now);
    keys_wipe(&n->setup.keys);
    if (n->farm && make_keyring(n) == STEAD_OK)
        n->store = make_store(n, now);
    if (n->store)
        own_tell_store(n->config, n->store);
    int err = n->store ? repository_setup(&n->config->repository, n->farm, n->rings, n->store,
                                          &n->repository)
                       : STEAD_E_NOMEM;
    return err || !n->config->sessions.present
               ? err
               : snapshot_setup(n->farm, n->rings, n->store, &n->snapshot);
}

static int start_admin(struct node *n)
{
    struct setup *s = &n->setup;
    n->feed = (struct admin_feed){.config = n->config,
                                  .entry = &s->entry,
                                  .store = n->store,
                                  .repository = n->repository,
                                  .snapshot = n->snapshot,
                                  .mesh = &n->mesh,
                                  .bulk = &n->bulk_counters,
                                  .shared = &n->shared,
                                  .upgrade = &n->upgrade,
                                  .started_ns = n->started_ns};
    struct admin_config c = {.unix_fd = s->admin_unix_fd,
                             .tcp_fd = s->admin_tcp_fd,
                             .tls = s->tls.admin,
                             .operators = *n->config->admin.client_ca != '\0',
                             .source = admin_feed_source(&n->feed)};
    s->admin_unix_fd = s->admin_tcp_fd = -1;
    return admin_start(&c, &n->admin);
}

/* All nodes have the keys of TLS sessions without a word between them. */
static void share_tickets(struct node *n)
{
    uint8_t secrets[KEYS_MAX][TICKET_SECRET_BYTES];
    uint64_t marks[KEYS_MAX];
    size_t count = farm_derive_all(n->farm, KEY_FOR_PASSING, "tls-ticket", secrets, marks);
    tls_setup_share(&n->setup.tls, (const uint8_t(*)[TICKET_SECRET_BYTES])secrets, count,
                    n->setup.state.node);
    explicit_bzero(secrets, sizeof(secrets));
}

static int start_bulk(struct node *n)
{
    struct bulk_config c = {.store = n->store,
                            .listen_fd = n->setup.bulk_fd,
                            .inc = farm_self(n->farm)->inc,
                            .counters = &n->bulk_counters};
    n->setup.bulk_fd = -1;
    farm_derive(n->farm, "bulk", c.secret);
    int err = bulk_start(&c, &n->bulk);
    explicit_bzero(c.secret, sizeof(c.secret));
    return err;
}

static void ticket_secrets(struct node *n, struct tickets_secrets *out)
{
    uint8_t secrets[KEYS_MAX][TICKET_SECRET_BYTES];
    uint64_t marks[KEYS_MAX];
    size_t count = farm_derive_all(n->farm, KEY_FOR_PASSING, "ticket-file", secrets, marks);
    memset(out, 0, sizeof(*out));
    for (; out->count < count && out->count < TICKETS_SECRETS_MAX; out->count++)
        memcpy(out->of[out->count], secrets[out->count], TICKET_SECRET_BYTES);
    explicit_bzero(secrets, sizeof(secrets));
}

/* Those for other programs, likewise. */
static int start_tickets(struct node *n)
{
    const struct config *c = n->config;
    struct tickets_secrets secrets;
    ticket_secrets(n, &secrets);
    int err = tickets_start(c->tickets, c->tickets_count, &secrets, &n->shared.ticket_counters,
                            &n->shared.tickets);
    explicit_bzero(&secrets, sizeof(secrets));
    return err;
}

/* Other keys are in effect. */
static void on_keys(void *context)
{
    struct node *n = context;
    struct shared_keys keys;
    struct tickets_secrets tickets;
    uint8_t secret[TICKET_SECRET_BYTES];
    uint64_t active = farm_keys(n->farm)->active;
    keyring_derive(&n->mesh.keys, &keys);
    if (n->started && n->shared.first) {
        share_tickets(n);
        changes_rekey(&n->changes, &keys);
        ticket_secrets(n, &tickets);
        tickets_renew(n->shared.tickets, &tickets);
        explicit_bzero(&tickets, sizeof(tickets));
    }
    farm_derive(n->farm, "bulk", secret);
    if (active != n->sealed_under)
        bulk_rekey(n->bulk, secret);
    explicit_bzero(secret, sizeof(secret));
    n->sealed_under = active;
    if (n->repository)
        repository_reseal(n->repository);
    explicit_bzero(&keys, sizeof(keys));
}

static void on_keys_stored(void *context, int error)
{
    struct node *n = context;
    commands_keys_stored(&n->mesh.commands, error);
}

/* Before anything is derived of the keys. */
static int make_keyring(struct node *n)
{
    n->rings = key_rings_new();
    n->sealed_under = farm_keys(n->farm)->active;
    n->mesh.keys = (struct keyring){.loop = &n->loop,
                                    .farm = n->farm,
                                    .path = n->config->top.key_file,
                                    .rings = n->rings,
                                    .changed = on_keys,
                                    .stored = on_keys_stored,
                                    .context = n};
    if (!n->rings)
        return STEAD_E_NOMEM;
    struct shared_keys keys;
    keyring_derive(&n->mesh.keys, &keys);
    explicit_bzero(&keys, sizeof(keys));
    return STEAD_OK;
}

static int start_threads(struct node *n)
{
    struct shared_keys keys;
    keyring_derive(&n->mesh.keys, &keys);
    int err = shared_init(&n->shared, &n->setup, n->store, &keys, n->rings, &n->file);
    explicit_bzero(&keys, sizeof(keys));
    io_undumped(&n->shared, sizeof(n->shared));
    share_tickets(n);
    if (!err)
        err = shared_open(&n->shared);
    if (err)
        return err;
    changes_init(&n->changes, (struct changes){.loop = &n->loop,
                                               .shared = &n->shared,
                                               .workers = n->workers,
                                               .workers_running = &n->workers_running,
                                               .mesh = &n->mesh,
                                               .state = &n->setup.state});
    n->mesh.commands.changes = &n->changes;
    n->mesh.commands.keys = &n->mesh.keys;
    err = start_tickets(n);
    if (err)
        return err;
    for (unsigned i = 0; i < n->setup.worker_count; i++) {
        err =
            worker_start(&n->workers[i], i, &n->shared, &n->setup.workers[i], &n->setup.caches[i]);
        if (err)
            return err;
        n->workers_running++;
    }
    return start_admin(n);
}

/* -- upgrades: what the two processes do at the other parts -- */

static int serve(void *context)
{
    struct node *n = context;
    int err = start_threads(n);
    if (err) {
        n->failed = err;
        uv_stop(&n->loop);
    }
    return err;
}

static void retire(void *context, bool retired, int to)
{
    struct node *n = context;
    for (size_t i = 0; i < n->workers_running; i++)
        worker_retire(&n->workers[i], retired, to);
    admin_retire(n->admin, retired);
}

static void quiet(void *context)
{
    struct node *n = context;
    for (size_t i = 0; i < n->workers_running; i++)
        worker_be_quiet(&n->workers[i]);
}

static uint64_t busy(void *context, bool of_store)
{
    struct node *n = context;
    const struct shared *s = &n->shared;
    uint64_t count = s->gate_http.open;
    for (unsigned p = 0; p < CACHE_DOORS; p++)
        count += s->caches[p].connections;
    if (!of_store)
        count += s->director.http.open + s->director.forward.open + s->director.exchange.clients +
                 s->tcp_counters.forward.open + s->tcp_counters.door.waiting +
                 s->director.door.waiting;
    return count;
}

/* The next worker in turn that has room; NULL: none has. */
static struct worker *roomy(struct node *n)
{
    for (size_t i = 0; i < n->workers_running; i++) {
        struct worker *w = &n->workers[(n->adopted + i) % n->workers_running];
        if (worker_has_room(w))
            return w;
    }
    return NULL;
}

static bool room(void *context)
{
    struct node *n = context;
    return n->workers_running == 0 || roomy(n);
}

static void adopt(void *context, const struct hand *h, struct upgrade_fds *fds)
{
    struct node *n = context;
    struct worker *w = roomy(n);
    n->adopted++;
    if (!w || !worker_adopt(w, h, fds))
        upgrade_fds_close(fds);
}

static void end(void *context)
{
    struct node *n = context;
    uv_stop(&n->loop);
}

static int open_upgrade(struct node *n)
{
    const struct upgrade_hooks hooks = {.context = n,
                                        .serve = serve,
                                        .retire = retire,
                                        .quiet = quiet,
                                        .busy = busy,
                                        .room = room,
                                        .adopt = adopt,
                                        .end = end};
    if (n->upgrade.successor)
        mesh_loop_read(&n->mesh, false);
    return upgrade_open(&n->upgrade, &n->loop, &n->mesh, &hooks);
}

/* What its elder knows, a successor need not find out. */
static void take_word(struct node *n)
{
    const struct entry *was = &n->upgrade.hello.entry, *is = &n->setup.entry;
    n->mesh.twin = was->inc;
    n->mesh.hold = true;
    store_set_draining(n->store, n->upgrade.hello.draining);
    for (unsigned i = 0; i < is->server_count; i++)
        for (size_t j = 0; j < was->server_count; j++)
            if (strcmp(is->servers[i].service, was->servers[j].service) == 0)
                store_set_healthy(n->store, i, was->servers[j].healthy);
}

static int watch_signals(struct node *n)
{
    n->term.data = n->interrupt.data = n->hangup.data = n;
    if (uv_signal_init(&n->loop, &n->term) || uv_signal_init(&n->loop, &n->interrupt) ||
        uv_signal_init(&n->loop, &n->hangup) || uv_signal_start(&n->term, on_signal, SIGTERM) ||
        uv_signal_start(&n->interrupt, on_signal, SIGINT) ||
        uv_signal_start(&n->hangup, on_hangup, SIGHUP))
        return STEAD_E_IO;
    return STEAD_OK;
}

/* In the reverse order of run(); the loop ends when its last handle is closed. */
static void stop(struct node *n)
{
    admin_stop(n->admin);
    tickets_stop(n->shared.tickets);
    n->shared.tickets = NULL;
    while (n->workers_running > 0)
        worker_stop(&n->workers[--n->workers_running]);
    bulk_stop(n->bulk);
    mesh_loop_close(&n->mesh);
    upgrade_close(&n->upgrade);
    uv_close((uv_handle_t *)&n->term, NULL);
    uv_close((uv_handle_t *)&n->interrupt, NULL);
    uv_close((uv_handle_t *)&n->hangup, NULL);
    uv_close((uv_handle_t *)&n->watchdog, NULL);
    uv_run(&n->loop, UV_RUN_DEFAULT);
    shared_close(&n->shared); /* a reload under way has ended with the loop */
    changes_deinit(&n->changes);
    commands_deinit(&n->mesh.commands);
}

static int run(struct node *n)
{
    char where[ADDR_TEXT_MAX];
    int err = watch_signals(n);
    n->mesh.gone = on_gone;
    n->mesh.moved = on_phase;
    n->mesh.context = n;
    if (n->upgrade.successor)
        take_word(n);
    if (!err)
        err = mesh_loop_open(&n->mesh, &n->loop, n->setup.mesh_fd, n->farm, n->store,
                             &n->setup.state, n->config);
    if (!err)
        err = n->config->node.bulk ? start_bulk(n) : STEAD_OK;
    if (!err && n->setup.group_fd >= 0)
        err = mesh_loop_open_group(&n->mesh, n->setup.group_fd);
    if (!err)
        err = open_upgrade(n);
    if (err)
        return err;
    start_watchdog(n);
    if (n->repository)
        err = repository_start(n->repository);
    if (!err && !n->upgrade.successor)
        err = start_threads(n);
    if (!err) {
        log_info("started", "farm=%s address=%s version=%s", n->config->top.farm,
                 addr_format(&n->config->node.address, where), STEAD_VERSION);
        n->started = true;
        on_phase(n, n->mesh.phase);
        uv_run(&n->loop, UV_RUN_DEFAULT);
        err = n->failed;
    }
    stop(n);
    return err;
}

/* Of JSON, where values of private fields pass through. */
static void free_wiped(void *memory)
{
    mem_free_wiped(memory, malloc_usable_size(memory));
}

int node_run(const struct config *c)
{
    int exit_status = 1;
    json_set_alloc_funcs(malloc, free_wiped);
    log_set_level((enum log_level)c->top.log_level);
    log_set_node(c->node.name);
    log_set_stamps(getenv("JOURNAL_STREAM") == NULL);
    struct node *n = mem_alloc(sizeof(*n));
    if (!n)
        return exit_status;
    n->file = *c;
    changes_restore(&n->file, &n->config_now);
    c = n->config = &n->config_now;
    n->started_ns = io_now_ns();
    if (!upgrade_inherit(&n->upgrade, c) || setup_open(c, &n->setup))
        goto allocated;
    inherit_end();
    if (setup_rules(&n->setup, n->upgrade.hello.rules))
        goto set_up;
    /* Before there is a thread: the others get what this one has left. */
    if (privileges_drop(c, n->setup.socket_files, n->setup.socket_file_count) ||
        uv_loop_init(&n->loop))
        goto set_up;
    signal(SIGPIPE, SIG_IGN);
    int err = make_core(n);
    if (!err)
        err = run(n);
    if (err)
        fprintf(stderr, "stead: it cannot start: %s\n", stead_error_text(err));
    else if (n->refused)
        fprintf(stderr, "stead: the farm refuses node %s: %s\n", c->node.name,
                stead_error_text(STEAD_E_NAME_TAKEN));
    else
        exit_status = 0;
    snapshot_free(n->snapshot);
    repository_free(n->repository); /* after the last change */
    store_free(n->store);
    farm_free(n->farm);
    keyring_close(&n->mesh.keys);
    key_rings_free(n->rings);
    uv_loop_close(&n->loop);
    uv_library_shutdown(); /* its threads end while OpenSSL can still put away what they had */
    if (exit_status == 0)
        log_info("stopped", "farm=%s", c->top.farm);
set_up:
    n->setup.borrowed = upgrade_handed(&n->upgrade) || n->upgrade.successor;
    upgrade_deinit(&n->upgrade);
    setup_close(&n->setup);
allocated:
    mem_free(n);
    return exit_status;
}
