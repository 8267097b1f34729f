/* The engine's calls, and the lock that keeps a second process out. */
#include "store/engine_redis_internal.h"

#include "base/base64.h"
#include "base/mem.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define LOCK_MS 5000
#define LOCK_TEXT "5000"
#define HOLD_MS 1000  /* the lock is asked after so often */
#define LOOK_MS 10000 /* and who is primary */
#define STATS_MS 1000
#define POLL_MS 100

struct redis *redis_of(struct engine *e)
{
    return (struct redis *)(void *)e;
}

static struct slice text_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

size_t redis_name(const struct redis *r, const uint8_t name[ENGINE_NAME_BYTES], char *out)
{
    size_t len = strlen(r->prefix);
    memcpy(out, r->prefix, len);
    return len + base64_encode_url(name, ENGINE_NAME_BYTES, out + len);
}

/* -- the lock -- */

static void nap(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

/* One command about the lock: its words, with NULL for the lock's name. */
static int ask_lock(struct redis *r, const char *const *words, size_t count,
                    struct redis_answer **out)
{
    char name[REDIS_NAME_MAX];
    struct redis_command c = {.argc = count};
    snprintf(name, sizeof(name), "%slock", r->prefix);
    c.slot = redis_slot(name, strlen(name));
    for (size_t i = 0; i < count; i++)
        c.argv[i] = text_of(words[i] ? words[i] : name);
    int err = redis_run(r, &c, 1, false);
    *out = c.answer;
    return err;
}

static int try_lock(struct redis *r)
{
    const char *words[] = {"SET", NULL, r->stats->token, "NX", "PX", LOCK_TEXT};
    struct redis_answer *a;
    int err = ask_lock(r, words, 6, &a);
    if (!err && a->type != REDIS_STATUS)
        err = a->type == REDIS_NIL ? STEAD_E_IN_USE : redis_amiss(r);
    if (!err)
        r->lock_ms = redis_now_ms();
    redis_answer_free(a);
    return err;
}

static int lock_left(struct redis *r, long long *ms)
{
    const char *words[] = {"PTTL", NULL};
    struct redis_answer *a;
    int err = ask_lock(r, words, 2, &a);
    *ms = !err && a->type == REDIS_NUMBER ? a->number : 0;
    redis_answer_free(a);
    return err;
}

/* Whose it is: 1 ours, 0 nobody's, below: the error. */
static int owner_of_lock(struct redis *r)
{
    const char *words[] = {"GET", NULL};
    struct redis_answer *a;
    int err = ask_lock(r, words, 2, &a);
    if (!err && a->type == REDIS_TEXT)
        err = redis_answer_is(a, REDIS_TEXT, r->stats->token) ? 1 : STEAD_E_IN_USE;
    else if (!err && a->type != REDIS_NIL)
        err = redis_amiss(r);
    redis_answer_free(a);
    return err;
}

static int with_lock(struct redis *r, const char *verb, const char *value)
{
    const char *words[] = {verb, NULL, value};
    struct redis_answer *a;
    int err = ask_lock(r, words, value ? 3 : 2, &a);
    redis_answer_free(a);
    return err;
}

static int renew_lock(struct redis *r)
{
    int err = with_lock(r, "PEXPIRE", LOCK_TEXT);
    if (!err)
        r->lock_ms = redis_now_ms();
    return err;
}

/* It may be this process's own from before. One who died holding it is waited for; one who lives
 * renews it, and is not. */
static int take_lock(struct redis *r)
{
    uint64_t end_ms = redis_now_ms() + 2 * LOCK_MS;
    long long before = LOCK_MS, left;
    int err = owner_of_lock(r);
    if (err == 1)
        return renew_lock(r);
    while ((err = try_lock(r)) == STEAD_E_IN_USE && redis_now_ms() < end_ms) {
        int asked = lock_left(r, &left);
        if (asked)
            return asked;
        if (left > before)
            break;
        before = left;
        nap(POLL_MS);
    }
    if (err == STEAD_E_IN_USE)
        redis_say(r, "another repository writes under this prefix");
    return err;
}

int redis_hold(struct redis *r)
{
    if (redis_now_ms() < r->lock_ms + HOLD_MS)
        return STEAD_OK;
    int whose = owner_of_lock(r);
    if (whose < 0) {
        if (whose == STEAD_E_IN_USE)
            redis_say(r, "another repository has begun to write under this prefix");
        return whose;
    }
    if (whose == 0) {
        /* It was renewed a moment ago: the server has dropped what it had. */
        bool early = redis_now_ms() < r->lock_ms + LOCK_MS / 2;
        r->stats->lost += early;
        r->lost |= early;
        return try_lock(r);
    }
    return renew_lock(r);
}

/* -- calls -- */

/* What is gone with a primary is said once: then the caller opens anew, and puts all again. */
static int settle(struct redis *r, int err)
{
    if (!err && r->stale)
        err = redis_refresh(r);
    if (!err && r->lost) {
        redis_say(r, "a server was replaced or is empty: all is written again");
        err = STEAD_E_IO;
    }
    return err;
}

struct put_text {
    char name[REDIS_NAME_MAX], life[24];
};

static void make_put(const struct redis *r, const struct engine_put *p, struct put_text *text,
                     struct redis_command *c)
{
    size_t len = redis_name(r, p->name, text->name);
    const struct slice name = {text->name, len};
    *c = (struct redis_command){.slot = redis_slot(text->name, len), .argc = 2};
    c->argv[0] = text_of(p->bytes ? "SET" : "DEL");
    c->argv[1] = name;
    if (!p->bytes)
        return;
    c->argv[c->argc++] = (struct slice){(const char *)p->bytes, p->len};
    if (p->life_ms > 0) {
        snprintf(text->life, sizeof(text->life), "%llu", (unsigned long long)p->life_ms);
        c->argv[c->argc++] = text_of("PX");
        c->argv[c->argc++] = text_of(text->life);
    }
}

static bool put_done(const struct redis_command *c)
{
    return c->argc == 2 ? c->answer->type == REDIS_NUMBER
                        : redis_answer_is(c->answer, REDIS_STATUS, "OK");
}

/* As many as go at a time. */
static int put_some(struct redis *r, const struct engine_put *puts, size_t count, size_t *done)
{
    struct redis_command c[REDIS_PIPELINE];
    struct put_text texts[REDIS_PIPELINE];
    size_t n = 0, bytes = 0;
    while (n < count && n < REDIS_PIPELINE && bytes < REDIS_PIPELINE_BYTES) {
        if (puts[n].bytes && puts[n].len > ENGINE_VALUE_MAX)
            return STEAD_E_INVAL;
        make_put(r, &puts[n], &texts[n], &c[n]);
        bytes += puts[n++].len;
    }
    int err = redis_run(r, c, n, true);
    for (size_t i = 0; i < n && !err; i++)
        err = put_done(&c[i]) ? STEAD_OK : redis_amiss(r);
    redis_clear(c, n);
    *done = n;
    return err;
}

static int redis_put(struct engine *e, const struct engine_put *puts, size_t count)
{
    struct redis *r = redis_of(e);
    int err = redis_hold(r);
    for (size_t at = 0, n = 0; at < count && !err; at += n) {
        /* The last one says that the others are there. */
        size_t left = count - at > 1 ? count - at - 1 : 1;
        err = put_some(r, puts + at, left, &n);
    }
    return settle(r, err);
}

static int redis_get(struct engine *e, const uint8_t name[ENGINE_NAME_BYTES], engine_take *take,
                     void *context)
{
    struct redis *r = redis_of(e);
    char text[REDIS_NAME_MAX];
    size_t len = redis_name(r, name, text);
    struct redis_command c = {
        .argv = {{"GET", 3}, {text, len}}, .argc = 2, .slot = redis_slot(text, len)};
    int err = redis_run(r, &c, 1, false);
    if (!err && c.answer->type == REDIS_NIL)
        err = STEAD_E_ABSENT;
    else if (!err && (c.answer->type != REDIS_TEXT || c.answer->len > ENGINE_VALUE_MAX))
        err = redis_amiss(r);
    if (!err)
        take(context, name, (const uint8_t *)c.answer->text, c.answer->len);
    redis_clear(&c, 1);
    return err;
}

/* Of all that is in the servers, other farms' too: counting one's own would mean to walk. */
static int count_keys(struct redis *r)
{
    uint64_t keys = 0;
    int err = STEAD_OK;
    for (size_t i = 0; i < r->map.count && !err; i++) {
        struct redis_link *l;
        struct redis_answer *a = NULL;
        err = redis_link_to(r, &r->map.primaries[i].place, &l);
        if (!err && (err = redis_link_ask(l, "DBSIZE", &a))) {
            redis_say(r, l->why);
            redis_link_close(l);
        }
        if (!err && a->type == REDIS_NUMBER && a->number > 0)
            keys += (uint64_t)a->number;
        redis_answer_free(a);
    }
    if (!err)
        r->counted = (struct engine_stats){.records = keys};
    return err;
}

static int redis_stats(struct engine *e, struct engine_stats *out)
{
    struct redis *r = redis_of(e);
    uint64_t now_ms = redis_now_ms();
    int err = STEAD_OK;
    if (r->stats_ms == 0 || now_ms >= r->stats_ms + STATS_MS) {
        r->stats_ms = now_ms;
        err = count_keys(r);
    }
    *out = r->counted;
    return err;
}

/* Replicas come and go; primaries are replaced without a word. */
static int look(struct redis *r)
{
    struct redis_link *l;
    if (r->cluster)
        return redis_refresh(r);
    int err = redis_link_to(r, &r->map.primaries[0].place, &l);
    if (err)
        return err;
    err = redis_link_look(l);
    if (!err && !l->primary) {
        snprintf(l->why, sizeof(l->why), "the server is a replica by now");
        err = STEAD_E_IO;
    }
    if (err) {
        redis_say(r, l->why);
        redis_link_close(l);
        return err;
    }
    r->map.primaries[0].replicas = l->replicas;
    return STEAD_OK;
}

static int redis_tick(struct engine *e)
{
    struct redis *r = redis_of(e);
    uint64_t now_ms = redis_now_ms();
    int err = redis_hold(r);
    if (!err && now_ms >= r->look_ms + LOOK_MS) {
        r->look_ms = now_ms;
        err = look(r);
    }
    return settle(r, err);
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    mem_free(text);
}

static void redis_close(struct engine *e)
{
    struct redis *r = redis_of(e);
    if (r->lock_ms > 0 && !r->broken && owner_of_lock(r) == 1)
        (void)with_lock(r, "DEL", NULL);
    for (size_t i = 0; i < REDIS_LINKS_MAX; i++)
        redis_link_close(&r->links[i]);
    redis_window_clear(&r->window);
    redis_tls_rules_free(r->tls);
    wipe(r->user);
    wipe(r->password);
    mem_free(r);
}

static const struct engine_calls redis_calls = {.put = redis_put,
                                                .get = redis_get,
                                                .walk = redis_walk,
                                                .snapshot = redis_snapshot,
                                                .stats = redis_stats,
                                                .tick = redis_tick,
                                                .close = redis_close};

/* -- opening -- */

/* How many; 0: one of them is none, or there are too many. */
static size_t read_addresses(const char *text, struct redis_place out[REDIS_SEEDS_MAX])
{
    size_t count = 0;
    for (const char *at = text; count < REDIS_SEEDS_MAX; at++) {
        at += strspn(at, " ");
        size_t len = strcspn(at, " ,");
        if (!redis_place_parse(at, len, &out[count]) || !*out[count].host)
            return 0;
        count++;
        at += len;
        at += strspn(at, " ");
        if (!*at)
            return count;
        if (*at != ',')
            return 0;
    }
    return 0;
}

bool engine_redis_addresses(const char *text)
{
    struct redis_place places[REDIS_SEEDS_MAX];
    return read_addresses(text, places) > 0;
}

static bool good_prefix(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= REDIS_PREFIX_MAX &&
           strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == len;
}

static int copy_config(struct redis *r, const struct engine_redis_config *c)
{
    uint8_t token[16];
    r->seed_count = read_addresses(c->addresses, r->seeds);
    if (!good_prefix(c->prefix) || r->seed_count == 0)
        return STEAD_E_INVAL;
    snprintf(r->prefix, sizeof(r->prefix), "stead:%s:", c->prefix);
    r->user = c->user ? mem_strdup(c->user) : NULL;
    r->password = c->password ? mem_strdup(c->password) : NULL;
    if ((c->user && !r->user) || (c->password && !r->password))
        return STEAD_E_NOMEM;
    if (*r->stats->token)
        return STEAD_OK;
    if (getrandom(token, sizeof(token), 0) != (ssize_t)sizeof(token))
        return STEAD_E_IO;
    base64_encode_url(token, sizeof(token), r->stats->token);
    return STEAD_OK;
}

static int make_rules(struct redis *r, const struct engine_redis_config *c)
{
    const char *why;
    if (!c->tls)
        return STEAD_OK;
    r->tls = redis_tls_rules_new(c->ca_file, c->certificate, c->key, &why);
    if (!r->tls)
        redis_say(r, why);
    return r->tls ? STEAD_OK : STEAD_E_IO;
}

int engine_redis_open(const struct engine_redis_config *c, struct engine **out)
{
    struct redis *r = mem_alloc(sizeof(*r));
    if (!r)
        return STEAD_E_NOMEM;
    r->engine.calls = &redis_calls;
    r->stats = c->stats;
    r->window.max = REDIS_WINDOW_NAMES;
    int err = copy_config(r, c);
    if (!err)
        err = make_rules(r, c);
    if (!err)
        err = redis_find(r);
    if (!err)
        err = take_lock(r);
    if (err) {
        redis_close(&r->engine);
        return err;
    }
    r->look_ms = redis_now_ms();
    r->lost = false;
    *out = &r->engine;
    return STEAD_OK;
}
