/* health.c - the state of a server by the results of its checks, and the loop that runs them. How
 * one check is made is probe.c's. */
#include "role/director/health.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"
#include "role/director/probe.h"
#include "stead/error.h"
#include "store/store_own.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define INTERVAL_MS 1000
#define TIMEOUT_MS 2000
#define FALL 2
#define ANSWERS_MIN 20 /* before their errors are weighed */

static void on_due(uv_timer_t *t);

struct watched {
    struct health *health;
    struct health_check check;
    struct health_state state;
    unsigned server;
    uv_timer_t timer;
    struct probe *probe;            /* under way */
    struct tls_client_rules *rules; /* NULL: no TLS, or they could not be made */
    uint64_t answers, errors;       /* of the store, when last looked at */
    bool outdated;                  /* the probe under way is of a check that is no more */
};

struct health {
    struct store *store;
    size_t count, handles;
    void (*closed)(void *context);
    void *closed_context;
    bool closing;
    struct watched watched[ENTRY_SERVERS_MAX]; /* places without a server are gone ones */
};

/* -- the state -- */

void health_state_init(struct health_state *s, const struct health_check *c)
{
    *s = (struct health_state){.healthy = c->type == CHECK_NONE,
                               .rise = c->rise ? c->rise : 1,
                               .fall = c->fall ? c->fall : FALL};
    if (!s->healthy)
        s->good = s->rise - 1; /* the first good check at the start is enough */
}

void health_state_doubt(struct health_state *s)
{
    s->healthy = false;
    s->failed = 0;
    s->good = s->rise - 1;
}

bool health_state_result(struct health_state *s, bool good)
{
    bool before = s->healthy;
    s->good = good ? s->good + (s->good < s->rise) : 0;
    s->failed = good ? 0 : s->failed + (s->failed < s->fall);
    if (s->healthy && s->failed >= s->fall)
        s->healthy = false;
    else if (!s->healthy && s->good >= s->rise)
        s->healthy = true;
    return s->healthy != before;
}

bool health_state_changing(const struct health_state *s)
{
    return s->healthy ? s->failed > 0 : s->good > 0 && s->good < s->rise;
}

static bool parse_status(const char **at, int *out)
{
    int n = 0, digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < 3; (*at)++, digits++)
        n = n * 10 + (**at - '0');
    *out = n;
    return digits == 3 && n >= 100 && n <= 599;
}

bool health_status_parse(const char *text, int *min, int *max)
{
    if (!parse_status(&text, min))
        return false;
    *max = *min;
    return *text == '\0' ||
           (*text++ == '-' && parse_status(&text, max) && *text == '\0' && *min <= *max);
}

bool health_checking(const struct health *h, unsigned server)
{
    return server < h->count && h->watched[server].probe != NULL;
}

/* -- running checks -- */

static void maybe_free(struct health *h)
{
    if (!h->closing || h->handles > 0)
        return;
    void (*closed)(void *) = h->closed;
    void *context = h->closed_context;
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++)
        tls_client_rules_free(h->watched[i].rules);
    mem_free(h);
    if (closed)
        closed(context);
}

/* Takes over what a failed forward said meanwhile. */
static void heed_forwards(struct watched *w)
{
    if (w->state.healthy && !store_own_checked(w->health->store, w->server))
        health_state_doubt(&w->state);
}

static uint32_t interval_of(const struct health_check *c)
{
    return c->type == CHECK_NONE || !c->interval_ms ? INTERVAL_MS : c->interval_ms;
}

/* The next check comes sooner while the state may be changing. */
static void pace(struct watched *w)
{
    uint32_t usual = interval_of(&w->check), fast = w->check.interval_fast_ms;
    uint32_t wait = fast && fast < usual && health_state_changing(&w->state) ? fast : usual;
    if (wait != uv_timer_get_repeat(&w->timer))
        uv_timer_start(&w->timer, on_due, wait, wait);
}

/* What clients are answered tells more than a check does. */
static void heed_answers(struct watched *w)
{
    uint64_t answers, errors;
    store_own_answers(w->health->store, w->server, &answers, &errors);
    uint64_t of = answers - w->answers, bad = errors - w->errors;
    if (of < ANSWERS_MIN)
        return;
    w->answers = answers;
    w->errors = errors;
    if (!w->check.errors_max || !w->state.healthy || bad * 100 < of * w->check.errors_max)
        return;
    health_state_doubt(&w->state);
    store_own_why(w->health->store, w->server, "errors");
    store_set_healthy(w->health->store, w->server, false);
    log_warn("server-unhealthy", "service=%s why=errors bad=%llu of=%llu", w->check.service,
             (unsigned long long)bad, (unsigned long long)of);
}

static void on_probed(void *context, bool good, const char *why)
{
    struct watched *w = context;
    struct health *h = w->health;
    w->probe = NULL;
    h->handles--;
    if (h->closing) {
        maybe_free(h);
        return;
    }
    if (w->check.gone || w->outdated) {
        w->outdated = false;
        return;
    }
    heed_forwards(w);
    bool changed = health_state_result(&w->state, good);
    pace(w);
    if (!w->state.healthy)
        store_own_why(h->store, w->server, why);
    if (!changed)
        return;
    if (w->state.healthy)
        store_own_up(h->store, w->server, io_now_ns());
    store_set_healthy(h->store, w->server, w->state.healthy);
    if (w->state.healthy)
        log_info("server-healthy", "service=%s", w->check.service);
    else
        log_warn("server-unhealthy", "service=%s why=%s", w->check.service, why);
}

static bool uses_tls(const struct health_check *c)
{
    return c->type == CHECK_TLS || c->type == CHECK_HTTPS;
}

/* "host:port" or "[v6]:port" becomes the host alone. */
static void cut_port(char *name)
{
    if (*name == '[') {
        size_t len = strcspn(name + 1, "]");
        memmove(name, name + 1, len);
        name[len] = '\0';
        return;
    }
    char *colon = strchr(name, ':');
    if (colon && !strchr(colon + 1, ':'))
        *colon = '\0';
}

static void on_due(uv_timer_t *t)
{
    struct watched *w = t->data;
    if (w->check.gone)
        return;
    heed_forwards(w);
    heed_answers(w);
    if (w->probe || (w->check.type == CHECK_NONE && w->state.healthy))
        return;
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS"};
    const struct health_check *k = &w->check;
    bool http = k->type == CHECK_HTTP || k->type == CHECK_HTTPS;
    char name[PROBE_HOST_MAX + 1];
    snprintf(name, sizeof(name), "%s", k->host ? k->host : "");
    cut_port(name);
    struct probe_config c = {.loop = t->loop,
                             .to = k->to,
                             .path = http ? k->path : NULL,
                             .host = k->host,
                             .method = methods[k->method],
                             .status_min = k->status_min,
                             .status_max = k->status_max,
                             .text = k->text,
                             .tls = w->rules,
                             .name = name,
                             .timeout_ms = k->timeout_ms ? k->timeout_ms : TIMEOUT_MS,
                             .done = on_probed,
                             .context = w};
    if (uses_tls(k) && !w->rules) {
        store_own_why(w->health->store, w->server, "ca-file");
        return;
    }
    w->probe = probe_start(&c); /* without memory: the next time */
    w->health->handles += w->probe != NULL;
}

/* A probe under way has its own hold on what it was started with. */
static void make_rules(struct watched *w)
{
    const struct health_check *c = &w->check;
    tls_client_rules_free(w->rules);
    w->rules = uses_tls(c) ? tls_client_rules_new(c->verify, c->ca_file ? c->ca_file : "") : NULL;
    if (uses_tls(c) && !w->rules)
        log_error("check", "service=%s ca-file=%s why=\"it cannot be read\"", c->service,
                  c->ca_file ? c->ca_file : "");
}

/* A server begins with this check: unhealthy until one is good, unless there is none to make. */
static void begin(struct watched *w, const struct health_check *c)
{
    w->check = *c;
    make_rules(w);
    w->outdated = w->probe != NULL;
    if (w->probe)
        probe_cancel(w->probe);
    health_state_init(&w->state, c);
    if (c->gone)
        w->state.healthy = false;
    store_own_why(w->health->store, w->server, "unchecked");
    store_set_healthy(w->health->store, w->server, w->state.healthy);
    uv_timer_stop(&w->timer);
    if (!c->gone)
        uv_timer_start(&w->timer, on_due, 0, interval_of(c));
}

/* Other limits, the same server: it stays as it was found. */
static void go_on(struct watched *w, const struct health_check *c)
{
    struct health_state fresh;
    bool same = w->check.verify == c->verify;
    /* It points to the texts of a check that is no more. */
    w->outdated = w->probe != NULL;
    if (w->probe)
        probe_cancel(w->probe);
    health_state_init(&fresh, c);
    w->state.rise = fresh.rise;
    w->state.fall = fresh.fall;
    w->check = *c;
    if (!same || c->verify) /* the file may be another one by now */
        make_rules(w);
    pace(w);
}

void health_set(struct health *h, const struct health_check *checks, size_t count)
{
    static const struct health_check nobody = {.gone = true, .service = "-"};
    assert(count <= ENTRY_SERVERS_MAX);
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        struct watched *w = &h->watched[i];
        const struct health_check *c = i < count ? &checks[i] : &nobody;
        if (!w->check.gone && !c->gone && w->check.type == c->type &&
            addr_equal(&w->check.to, &c->to))
            go_on(w, c);
        else if (!(w->check.gone && c->gone))
            begin(w, c);
        else
            w->check = *c;
    }
    h->count = count;
}

/* Somebody has found it healthy just now: the process that this one succeeds. */
static void trust(struct watched *w)
{
    w->state.healthy = true;
    store_set_healthy(w->health->store, w->server, true);
}

int health_open(const struct health_config *c, struct health **out)
{
    struct health *h = mem_alloc(sizeof(*h));
    if (!h)
        return STEAD_E_NOMEM;
    bool found[ENTRY_SERVERS_MAX];
    h->store = c->store;
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        struct watched *w = &h->watched[i];
        w->health = h;
        w->server = (unsigned)i;
        w->check.gone = true;
        uv_timer_init(c->loop, &w->timer);
        w->timer.data = w;
        h->handles++;
        found[i] = c->trusting && store_own_checked(c->store, w->server);
    }
    health_set(h, c->checks, c->count);
    for (unsigned i = 0; i < ENTRY_SERVERS_MAX; i++)
        if (found[i] && !h->watched[i].check.gone)
            trust(&h->watched[i]);
    *out = h;
    return STEAD_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct watched *w = handle->data;
    w->health->handles--;
    maybe_free(w->health);
}

void health_close(struct health *h, void (*closed)(void *context), void *context)
{
    h->closing = true;
    h->closed = closed;
    h->closed_context = context;
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        struct watched *w = &h->watched[i];
        uv_close((uv_handle_t *)&w->timer, on_timer_closed);
        if (w->probe)
            probe_cancel(w->probe);
    }
    maybe_free(h); /* a node may have no server */
}
