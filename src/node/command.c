/* command.c - asks, carries out and answers orders. */
#include "node/command.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/io.h"
#include "node/changes.h"
#include "node/keyring.h"
#include "stead/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const verb_names[] = {
    [ORDER_TELL] = "tell",     [ORDER_DRAIN] = "drain",     [ORDER_UNDRAIN] = "undrain",
    [ORDER_MAINT] = "maint",   [ORDER_UNMAINT] = "unmaint", [ORDER_CHANGE] = "change",
    [ORDER_RELOAD] = "reload", [ORDER_KEY] = "key"};

void commands_init(struct commands *c, uv_loop_t *loop, struct farm *farm, struct store *store,
                   const struct state *state)
{
    memset(c, 0, sizeof *c);
    c->loop = loop;
    c->farm = farm;
    c->store = store;
    c->state = state;
    pthread_mutex_init(&c->lock, NULL);
    c->saved = state_load_maint(state);
    store_set_maint(store, c->saved);
    if (c->saved)
        log_warn("maint", "why=\"it was in maintenance when it ended; see 'stead maint --off'\"");
}

void commands_deinit(struct commands *c)
{
    pthread_mutex_destroy(&c->lock);
}

/* -- the thread that asks -- */

uint64_t commands_ask(struct commands *c, const char *server, enum order_verb verb, bool force,
                      const char *text)
{
    uint64_t id = 0;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < COMMANDS_MAX && id == 0; i++) {
        struct command *k = &c->commands[i];
        if (k->id != 0)
            continue;
        *k = (struct command){.id = ++c->serial, .order = {.verb = verb, .force = force}};
        snprintf(k->server, sizeof k->server, "%s", server);
        snprintf(k->order.text, sizeof k->order.text, "%s", text);
        id = k->id;
    }
    pthread_mutex_unlock(&c->lock);
    return id;
}

bool commands_fetch(struct commands *c, uint64_t id, struct ordered *out)
{
    bool answered = false;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < COMMANDS_MAX && id != 0; i++) {
        struct command *k = &c->commands[i];
        if (k->id != id || !k->answered)
            continue;
        *out = k->answer;
        k->id = 0;
        answered = true;
    }
    pthread_mutex_unlock(&c->lock);
    return answered;
}

/* -- the answer, at the node that asked -- */

static void settle(struct command *k, const struct ordered *answer)
{
    k->answer = *answer;
    k->answered = true;
}

static void fail(struct command *k, int error)
{
    settle(k, &(struct ordered){.error = error, .status = STATUS_DOWN});
}

/* token 0 never matches a command that was sent. */
static void settle_token(struct commands *c, uint64_t token, const struct ordered *answer)
{
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < COMMANDS_MAX; i++) {
        struct command *k = &c->commands[i];
        if (k->id != 0 && k->sent && !k->answered && k->order.token == token)
            settle(k, answer);
    }
    pthread_mutex_unlock(&c->lock);
}

/* -- carrying out -- */

static void stand(const struct commands *c, struct ordered *out)
{
    struct store_stats stats;
    store_stats(c->store, &stats);
    out->status = c->status;
    out->draining = store_draining(c->store);
    out->maint = store_maint(c->store);
    out->drained = c->drained && out->draining;
    out->records = stats.sessions.handover_left;
    for (unsigned i = 0; i < ENTRY_SERVERS_MAX; i++)
        out->users += store_users(c->store, i);
}

static void copy_printable(char out[ORDER_TEXT_MAX + 1], const char *text)
{
    size_t i = 0;
    for (; text[i] && i < ORDER_TEXT_MAX; i++)
        out[i] = text[i] >= ' ' && text[i] < 127 ? text[i] : '?';
    out[i] = '\0';
}

static bool answer_with(struct commands *c, uint64_t inc, const struct order *o, int error,
                        const char *text, uint64_t now_ns)
{
    struct ordered a = {.token = o->token, .error = error};
    copy_printable(a.text, text);
    stand(c, &a);
    if (error)
        c->refused++;
    else if (o->verb != ORDER_TELL)
        c->carried_out++;
    if (inc == farm_self(c->farm)->inc) {
        if (orders_close(&c->orders, inc, a.token))
            settle_token(c, a.token, &a);
        return false;
    }
    struct wire_writer w;
    struct msg *m = msg_new(inc, ORDER_BYTES_MAX);
    if (!m)
        return false; /* the asker's patience ends */
    wire_writer_init(&w, m->bytes, ORDER_BYTES_MAX);
    ordered_encode(&a, &w);
    assert(wire_put_ok(&w));
    m->len = wire_written(&w);
    bool sent = farm_send_order(c->farm, m, now_ns) == STEAD_OK;
    msg_free(m);
    return sent;
}

static bool answer(struct commands *c, uint64_t inc, const struct order *o, int error,
                   uint64_t now_ns)
{
    return answer_with(c, inc, o, error, "", now_ns);
}

/* Would it leave a service without a server? What is out already may be told again. */
static bool must_stay(struct commands *c, const struct order *o)
{
    if (o->force || store_draining(c->store) || store_maint(c->store))
        return false;
    struct roster *r = store_roster(c->store);
    const char *service = r ? order_last(r) : NULL;
    if (service)
        log_warn("order-refused", "verb=%s service=%s why=\"no other server is up\"",
                 verb_names[o->verb], service);
    roster_unref(r);
    return service != NULL;
}

static void save(uv_work_t *work)
{
    struct commands *c = work->data;
    c->save_error = state_save_maint(c->state, c->saving_as);
}

static void start_saving(struct commands *c);

static void on_saved(uv_work_t *work, int status)
{
    struct commands *c = work->data;
    (void)status;
    c->saving = false;
    bool good = c->save_error == STEAD_OK;
    if (good)
        c->saved = c->saving_as;
    else
        log_error("state", "file=maint error=%s", stead_error_name(c->save_error));
    if (good && c->saved != store_maint(c->store)) {
        start_saving(c); /* another order came meanwhile */
        return;
    }
    uint64_t now_ns = io_now_ns();
    for (size_t i = 0; i < c->reply_count; i++)
        answer(c, c->replies[i].inc, &c->replies[i].order, good ? STEAD_OK : STEAD_E_IO, now_ns);
    c->reply_count = 0;
}

static void start_saving(struct commands *c)
{
    c->save.data = c;
    c->saving_as = store_maint(c->store);
    c->saving = uv_queue_work(c->loop, &c->save, save, on_saved) == 0;
}

/* True when the answer waits until the change is on disk. */
static bool set_maint(struct commands *c, uint64_t inc, const struct order *o, bool on)
{
    store_set_maint(c->store, on);
    if (on == c->saved && !c->saving)
        return false;
    if (c->reply_count == ORDERS_MAX)
        return false;
    c->replies[c->reply_count++] = (struct command_reply){.inc = inc, .order = *o};
    if (!c->saving)
        start_saving(c);
    return true;
}

/* -- orders that change the configuration -- */

/* NULL: too many wait. */
static struct command_reply *wait_for(struct commands *c, uint64_t inc, const struct order *o)
{
    for (size_t i = 0; i < ORDERS_MAX; i++) {
        struct command_reply *w = &c->waiting[i];
        if (w->inc != 0)
            continue;
        *w = (struct command_reply){.inc = inc, .order = *o};
        return w;
    }
    return NULL;
}

void commands_changed(struct commands *c, uint64_t serial, int error)
{
    for (size_t i = 0; i < ORDERS_MAX; i++) {
        struct command_reply *w = &c->waiting[i];
        if (w->inc == 0 || w->order.verb != ORDER_CHANGE || w->serial > serial)
            continue;
        answer_with(c, w->inc, &w->order, error ? STEAD_E_IO : STEAD_OK, "", io_now_ns());
        w->inc = 0;
    }
}

void commands_reloaded(struct commands *c, int error, const char *text)
{
    for (size_t i = 0; i < ORDERS_MAX; i++) {
        struct command_reply *w = &c->waiting[i];
        if (w->inc == 0 || w->order.verb != ORDER_RELOAD)
            continue;
        answer_with(c, w->inc, &w->order, error, text, io_now_ns());
        w->inc = 0;
    }
}

static bool change(struct commands *c, uint64_t inc, const struct order *o, uint64_t now_ns)
{
    char text[CHANGE_WHY_MAX] = "";
    struct command_reply *w = c->changes ? wait_for(c, inc, o) : NULL;
    if (!w)
        return answer(c, inc, o, c->changes ? STEAD_E_BUSY : STEAD_E_UNSUPPORTED, now_ns);
    w->serial = UINT64_MAX; /* not yet made */
    int error = changes_apply(c->changes, o->text, o->force, text, sizeof text, &w->serial);
    if (error == STEAD_PENDING)
        return false;
    w->inc = 0;
    return answer_with(c, inc, o, error, text, now_ns);
}

static bool reload(struct commands *c, uint64_t inc, const struct order *o, uint64_t now_ns)
{
    if (!c->changes || !wait_for(c, inc, o))
        return answer(c, inc, o, c->changes ? STEAD_E_BUSY : STEAD_E_UNSUPPORTED, now_ns);
    changes_reload(c->changes);
    return false;
}

void commands_keys_stored(struct commands *c, int error)
{
    for (size_t i = 0; i < ORDERS_MAX; i++) {
        struct command_reply *w = &c->waiting[i];
        if (w->inc == 0 || w->order.verb != ORDER_KEY)
            continue;
        answer_with(c, w->inc, &w->order, error ? STEAD_E_IO : STEAD_OK,
                    error ? "the key file cannot be written" : w->order.text, io_now_ns());
        w->inc = 0;
    }
}

/* What it says is kept in the order's place until the file is written. */
static bool key(struct commands *c, uint64_t inc, const struct order *o, uint64_t now_ns)
{
    char says[KEYRING_SAYS_MAX] = "";
    struct command_reply *w = c->keys ? wait_for(c, inc, o) : NULL;
    if (!w)
        return answer(c, inc, o, c->keys ? STEAD_E_BUSY : STEAD_E_UNSUPPORTED, now_ns);
    int error = keyring_order(c->keys, o->text, o->force, says);
    log_info("key", "order=\"%s\" said=\"%s\"", o->text, says);
    copy_printable(w->order.text, says);
    if (error == STEAD_PENDING)
        return false;
    w->inc = 0;
    return answer_with(c, inc, o, error, says, now_ns);
}

static bool carry_out(struct commands *c, uint64_t inc, const struct order *o, uint64_t now_ns)
{
    int error = STEAD_OK;
    if (o->verb != ORDER_TELL)
        log_info("order", "verb=%s force=%d from=%016" PRIx64, verb_names[o->verb], o->force, inc);
    switch (o->verb) {
    case ORDER_TELL:
        break;
    case ORDER_DRAIN:
        if (must_stay(c, o))
            error = STEAD_E_NO_SERVER;
        else
            store_set_draining(c->store, true);
        break;
    case ORDER_UNDRAIN:
        store_set_draining(c->store, false);
        break;
    case ORDER_MAINT:
        if (must_stay(c, o))
            error = STEAD_E_NO_SERVER;
        else if (set_maint(c, inc, o, true))
            return false;
        break;
    case ORDER_UNMAINT:
        if (set_maint(c, inc, o, false))
            return false;
        break;
    case ORDER_CHANGE:
        return change(c, inc, o, now_ns);
    case ORDER_RELOAD:
        return reload(c, inc, o, now_ns);
    case ORDER_KEY:
        return key(c, inc, o, now_ns);
    }
    return answer(c, inc, o, error, now_ns);
}

/* -- sending -- */

/* By its name, or by a URL of one of its servers. */
static const struct roster_node *node_named(const struct roster *r, const char *server)
{
    const struct roster_node *n = NULL;
    const struct server *s;
    const char *host;
    size_t len;
    uint16_t port;
    if (!strstr(server, "://"))
        return roster_find(r, server);
    if (!entry_url_host(server, &host, &len, &port) || !roster_by_host(r, host, len, port, &n, &s))
        return NULL;
    return n;
}

/* The incarnation of the node that is meant, 0 with *error set when there is none to ask. */
static uint64_t find_node(const struct commands *c, const char *server, int *error)
{
    const struct entry *self = farm_self(c->farm);
    if (!*server || strcmp(server, self->name) == 0)
        return self->inc;
    struct roster *r = store_roster(c->store);
    const struct roster_node *n = r ? node_named(r, server) : NULL;
    bool gone = n && (n->status == STATUS_DOWN || n->status == STATUS_LEFT);
    uint64_t inc = n && !gone ? n->entry->inc : 0;
    *error = gone ? STEAD_E_UNREACHABLE : STEAD_E_NOT_FOUND;
    roster_unref(r);
    return inc;
}

static bool send_order(struct commands *c, uint64_t inc, const struct order *o, uint64_t now_ns)
{
    struct wire_writer w;
    struct msg *m = msg_new(inc, ORDER_BYTES_MAX);
    if (!m)
        return false;
    wire_writer_init(&w, m->bytes, ORDER_BYTES_MAX);
    order_encode(o, &w);
    assert(wire_put_ok(&w));
    m->len = wire_written(&w);
    bool sent = farm_send_order(c->farm, m, now_ns) == STEAD_OK;
    msg_free(m);
    return sent;
}

/* The next command that was not sent, which is then marked as sent; false: none. */
static bool next_unsent(struct commands *c, uint64_t now_ns, uint64_t *inc, struct order *out)
{
    bool found = false;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < COMMANDS_MAX && !found; i++) {
        struct command *k = &c->commands[i];
        int error = STEAD_E_BUSY;
        if (k->id == 0 || k->sent || k->answered)
            continue;
        *inc = find_node(c, k->server, &error);
        k->order.token = *inc ? orders_open(&c->orders, *inc, now_ns / NS_PER_MS) : 0;
        if (k->order.token == 0) {
            fail(k, *inc ? STEAD_E_BUSY : error);
            continue;
        }
        k->sent = true;
        *out = k->order;
        found = true;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

bool commands_turn(struct commands *c, enum status status, bool drained, uint64_t now_ns)
{
    uint64_t inc, token;
    struct order o;
    bool sent = false;
    c->status = status;
    c->drained = drained;
    while (next_unsent(c, now_ns, &inc, &o)) {
        if (inc == farm_self(c->farm)->inc)
            carry_out(c, inc, &o, now_ns);
        else
            sent |= send_order(c, inc, &o, now_ns);
    }
    while ((token = orders_expire(&c->orders, now_ns / NS_PER_MS)))
        settle_token(c, token,
                     &(struct ordered){.error = STEAD_E_DEADLINE, .status = STATUS_SUSPECT});
    return sent;
}

bool commands_message(struct commands *c, const struct msg *m, uint64_t now_ns)
{
    struct order o;
    struct ordered a;
    switch (order_decode(m->bytes, m->len, &o, &a)) {
    case ORDER_ASKED:
        return carry_out(c, m->peer, &o, now_ns);
    case ORDER_ANSWERED:
        if (orders_close(&c->orders, m->peer, a.token))
            settle_token(c, a.token, &a);
        return false;
    case ORDER_MALFORMED:
        break;
    }
    c->malformed++;
    return false;
}
