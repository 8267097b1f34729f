/* Commands on their way to the servers that have their names: the map, its links, redirects. */
#include "store/engine_redis_internal.h"

#include "base/mem.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROUNDS_MAX 8    /* redirects of one command, and servers that close */
#define AGAIN_MS 20     /* a slot is being moved */
#define WAIT_TEXT "500" /* for a replica, milliseconds; well below REDIS_ANSWER_MS */
#define WAIT_SHORT "1"  /* when the last batch waited in vain */

void redis_say(struct redis *r, const char *why)
{
    snprintf(r->stats->why, sizeof(r->stats->why), "%s", why);
}

int redis_amiss(struct redis *r)
{
    redis_say(r, "the server answers what was not asked");
    return STEAD_E_PARSE;
}

/* -- links -- */

/* The link that was there before, or one that nobody has. */
static struct redis_link *find_link(struct redis *r, const struct redis_place *place)
{
    struct redis_link *unused = NULL;
    for (size_t i = 0; i < REDIS_LINKS_MAX; i++) {
        struct redis_link *l = &r->links[i];
        if (l->place.port == 0 || redis_place_equal(&l->place, place))
            return l;
        if (!l->open)
            unused = l;
    }
    if (unused)
        *unused = (struct redis_link){0};
    return unused;
}

int redis_link_to(struct redis *r, const struct redis_place *place, struct redis_link **out)
{
    const struct redis_login login = {r->user, r->password, r->tls};
    struct redis_link *l = find_link(r, place);
    *out = l;
    if (!l) {
        redis_say(r, "too many servers");
        return STEAD_E_IO;
    }
    if (l->open)
        return STEAD_OK;
    int err = redis_link_open(l, place, &login);
    if (!err && !r->cluster && r->map.count > 0 && !l->primary) {
        snprintf(l->why, sizeof(l->why), "the server is a replica");
        redis_link_close(l);
        err = STEAD_E_IO;
    }
    if (err) {
        redis_say(r, l->why);
        return err;
    }
    r->stats->connections++;
    r->stats->lost += l->restarted;
    r->lost |= l->restarted;
    return STEAD_OK;
}

/* -- the map -- */

/* SHARDS is asked where SLOTS is no more. */
static int read_map(struct redis *r, struct redis_link *l)
{
    static const char *const questions[] = {"CLUSTER SLOTS", "CLUSTER SHARDS"};
    int err = STEAD_E_IO;
    for (size_t i = 0; i < 2 && err == STEAD_E_IO && l->open; i++) {
        struct redis_answer *a = NULL;
        err = redis_link_ask(l, questions[i], &a);
        if (err)
            redis_link_close(l);
        else if (a->type == REDIS_ERROR) {
            redis_say(r, a->text);
            err = STEAD_E_IO;
        } else
            err = redis_map_parse(a, &l->place, l->tls != NULL, &r->fresh);
        redis_answer_free(a);
    }
    if (err)
        return err;
    r->stats->maps++;
    if (redis_map_whole(&r->fresh))
        return STEAD_OK;
    redis_say(r, "slots of the cluster have no server");
    return STEAD_E_IO;
}

static bool in_map(const struct redis_map *m, const struct redis_place *place)
{
    for (size_t i = 0; i < m->count; i++)
        if (redis_place_equal(&m->primaries[i].place, place))
            return true;
    return false;
}

static void remember(struct redis *r)
{
    struct engine_redis_stats *s = r->stats;
    s->learned_count = r->map.count < REDIS_SEEDS_MAX ? r->map.count : REDIS_SEEDS_MAX;
    for (size_t i = 0; i < s->learned_count; i++)
        s->learned[i] = r->map.primaries[i].place;
}

/* The configured ones first; NULL: there are no more. */
static const struct redis_place *server_to_ask(const struct redis *r, size_t i)
{
    if (i < r->seed_count)
        return &r->seeds[i];
    i -= r->seed_count;
    return i < r->stats->learned_count ? &r->stats->learned[i] : NULL;
}

static void use_fresh(struct redis *r)
{
    if (redis_map_lost(&r->map, &r->fresh)) {
        r->stats->lost++;
        r->lost = true;
    }
    r->map = r->fresh;
    r->stale = false;
    remember(r);
    for (size_t i = 0; i < REDIS_LINKS_MAX; i++)
        if (!in_map(&r->map, &r->links[i].place))
            redis_link_close(&r->links[i]);
}

/* Who is asked: first a server that is there already, then all that are known. */
int redis_refresh(struct redis *r)
{
    int err = STEAD_E_IO;
    struct redis_link *l;
    if (!r->cluster) {
        r->stale = false;
        return STEAD_OK;
    }
    for (size_t i = 0; i < REDIS_LINKS_MAX && err; i++)
        if (r->links[i].open)
            err = read_map(r, &r->links[i]);
    const struct redis_place *place;
    for (size_t i = 0; err && (place = server_to_ask(r, i)); i++)
        if (redis_link_to(r, place, &l) == STEAD_OK)
            err = read_map(r, l);
    if (!err)
        use_fresh(r);
    return err;
}

static int link_all(struct redis *r)
{
    struct redis_link *l;
    int err = STEAD_OK;
    for (size_t i = 0; i < r->map.count && !err; i++)
        err = redis_link_to(r, &r->map.primaries[i].place, &l);
    return err;
}

int redis_find(struct redis *r)
{
    struct redis_link *l;
    int err = STEAD_E_INVAL;
    const struct redis_place *place;
    for (size_t i = 0; (place = server_to_ask(r, i)); i++) {
        err = redis_link_to(r, place, &l);
        if (err)
            continue;
        r->cluster = l->cluster;
        if (r->cluster)
            err = redis_refresh(r);
        else if (l->primary)
            redis_map_single(&r->map, &l->place, l->replicas);
        else {
            redis_say(r, "the server is a replica");
            err = STEAD_E_IO;
        }
        if (!err)
            return link_all(r);
    }
    return err;
}

/* -- one round: everything is sent, then everything is read -- */

static const struct redis_primary *primary_of(const struct redis *r, const struct redis_link *l)
{
    for (size_t i = 0; i < r->map.count; i++)
        if (redis_place_equal(&r->map.primaries[i].place, &l->place))
            return &r->map.primaries[i];
    return NULL;
}

static int queue(struct redis *r, struct redis_command *c)
{
    static const struct slice asking = {"ASKING", 6};
    struct redis_link *l;
    const struct redis_place *place = &c->ask;
    if (!c->asking) {
        if (r->map.owner[c->slot] == 0)
            return STEAD_E_IO;
        place = &r->map.primaries[r->map.owner[c->slot] - 1].place;
    }
    int err = redis_link_to(r, place, &l);
    if (!err && c->asking)
        err = redis_link_add(l, &asking, 1);
    if (!err)
        err = redis_link_add(l, c->argv, c->argc);
    if (!err)
        c->link = l;
    return err;
}

static int queue_all(struct redis *r, struct redis_command *c, size_t count)
{
    int err = STEAD_OK;
    for (size_t i = 0; i < count && !err; i++)
        if (!c[i].answer)
            err = queue(r, &c[i]);
    return err;
}

/* Which links have something to send; with `sure`, a replica is asked for behind it. */
static void send_all(struct redis *r, bool sure, bool *waits)
{
    const char *ms = r->unsure ? WAIT_SHORT : WAIT_TEXT;
    const struct slice wait[] = {{"WAIT", 4}, {"1", 1}, {ms, strlen(ms)}};
    for (size_t i = 0; i < REDIS_LINKS_MAX; i++) {
        struct redis_link *l = &r->links[i];
        waits[i] = false;
        if (!l->open || l->out_len == 0)
            continue;
        const struct redis_primary *p = primary_of(r, l);
        waits[i] = sure && p && p->replicas > 0;
        if ((waits[i] && redis_link_add(l, wait, 3)) || redis_link_send(l)) {
            redis_say(r, l->why);
            redis_link_close(l);
        }
    }
}

static int error_of(const struct redis_answer *a)
{
    if (redis_answer_begins(a, "OOM"))
        return STEAD_E_FULL;
    if (redis_answer_begins(a, "NOAUTH") || redis_answer_begins(a, "NOPERM"))
        return STEAD_E_DENIED;
    return STEAD_E_IO;
}

static void follow(struct redis *r, struct redis_command *c, enum redis_redirect kind,
                   uint16_t slot, struct redis_place *to)
{
    if (!*to->host)
        memcpy(to->host, c->link->place.host, sizeof(to->host));
    r->stats->redirects++;
    if (kind == REDIS_ASK) {
        c->asking = true;
        c->ask = *to;
        return;
    }
    r->stale = true;
    if (redis_map_move(&r->map, slot, to))
        redis_say(r, "too many servers");
}

/* The answer is kept, or says where to ask, or is an error. */
static int judge(struct redis *r, struct redis_command *c, struct redis_answer *a, bool *nap)
{
    struct redis_place to;
    uint16_t slot;
    int err = STEAD_OK;
    c->asking = false;
    if (a->type != REDIS_ERROR) {
        c->answer = a;
        return STEAD_OK;
    }
    enum redis_redirect kind = redis_redirect_parse(a->text, a->len, &slot, &to);
    if (kind != REDIS_STAYS && r->cluster && slot == c->slot)
        follow(r, c, kind, slot, &to);
    else if (redis_answer_begins(a, "TRYAGAIN"))
        *nap = true;
    else {
        redis_say(r, a->text);
        err = error_of(a);
    }
    redis_answer_free(a);
    return err;
}

static int take_one(struct redis *r, struct redis_command *c, bool *nap)
{
    struct redis_answer *a = NULL;
    struct redis_link *l = c->link;
    if (!l->open) /* it broke a moment ago: another round */
        return STEAD_OK;
    int err = redis_link_take(l, &a);
    if (!err && c->asking) {
        redis_answer_free(a);
        err = redis_link_take(l, &a);
    }
    if (!err)
        return judge(r, c, a, nap);
    redis_say(r, l->why);
    redis_link_close(l);
    c->asking = false;
    return err == STEAD_E_IO ? STEAD_OK : err;
}

static int take_all(struct redis *r, struct redis_command *c, size_t count, bool *nap)
{
    int err = STEAD_OK;
    for (size_t i = 0; i < count; i++) {
        int one = c[i].link ? take_one(r, &c[i], nap) : STEAD_OK;
        c[i].link = NULL;
        err = err ? err : one;
    }
    return err;
}

/* What was written is with a replica, or not for sure. */
static void take_waits(struct redis *r, const bool *waits)
{
    bool any = false, unsure = false;
    for (size_t i = 0; i < REDIS_LINKS_MAX; i++) {
        struct redis_link *l = &r->links[i];
        struct redis_answer *a = NULL;
        if (!waits[i])
            continue;
        any = true;
        if (!l->open || redis_link_take(l, &a))
            redis_link_close(l);
        unsure |= !a || a->type != REDIS_NUMBER || a->number < 1;
        redis_answer_free(a);
    }
    if (any) {
        r->unsure = unsure;
        r->stats->unsure += unsure;
    }
}

static void drop(struct redis *r, struct redis_command *c, size_t count)
{
    for (size_t i = 0; i < REDIS_LINKS_MAX; i++)
        if (r->links[i].out_len > 0)
            redis_link_close(&r->links[i]);
    for (size_t i = 0; i < count; i++)
        c[i].link = NULL;
}

static bool all_answered(const struct redis_command *c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!c[i].answer)
            return false;
    return true;
}

static int run(struct redis *r, struct redis_command *c, size_t count, bool sure)
{
    bool waits[REDIS_LINKS_MAX];
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool nap = false;
        int err = r->stale && round > 1 ? redis_refresh(r) : STEAD_OK;
        if (!err)
            err = queue_all(r, c, count);
        if (err) {
            drop(r, c, count);
            return err;
        }
        send_all(r, sure, waits);
        err = take_all(r, c, count, &nap);
        take_waits(r, waits);
        if (err || all_answered(c, count))
            return err;
        if (nap)
            nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000L}, NULL);
    }
    redis_say(r, "redirected, or closed, again and again");
    return STEAD_E_IO;
}

int redis_run(struct redis *r, struct redis_command *c, size_t count, bool sure)
{
    int err = run(r, c, count, sure);
    r->broken = err == STEAD_E_IO;
    return err;
}

void redis_clear(struct redis_command *c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        redis_answer_free(c[i].answer);
        c[i].answer = NULL;
    }
}
