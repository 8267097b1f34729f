/* cache_resp.c - Redis's commands that are about one value: a table of what each asks of the store,
 * and how its outcome is said. What a connection says of itself is in cache_resp_admin.c. */
#include "role/gate/cache_resp.h"

#include "base/clock.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define LIFE_MAX_MS UINT32_MAX /* "for ever", where the kind has no life of its own */
#define SYNTAX "ERR syntax error"
#define NO_INTEGER "ERR value is not an integer or out of range"
#define NO_LIFE "ERR invalid expire time"

/* -- saying -- */

static bool room(struct cache_conn *c, size_t need, struct resp_out *o)
{
    char *bytes = cache_conn_room(c, need);
    if (bytes == NULL)
        return false;
    resp_out_init(o, bytes, need, c->version3);
    return true;
}

static bool said(struct cache_conn *c, const struct resp_out *o)
{
    if (o->failed)
        c->broken = true;
    else
        c->out_len += o->len;
    return true;
}

bool cache_say_error(struct cache_conn *c, const char *text)
{
    struct resp_out o;
    if (!room(c, CACHE_REPLY_ROOM, &o))
        return true;
    resp_put_error(&o, text);
    return said(c, &o);
}

bool cache_say_simple(struct cache_conn *c, const char *text)
{
    struct resp_out o;
    if (!room(c, CACHE_REPLY_ROOM, &o))
        return true;
    resp_put_simple(&o, text);
    return said(c, &o);
}

bool cache_say_int(struct cache_conn *c, int64_t n)
{
    struct resp_out o;
    if (!room(c, CACHE_REPLY_ROOM, &o))
        return true;
    resp_put_int(&o, n);
    return said(c, &o);
}

bool cache_say_bulk(struct cache_conn *c, struct slice text)
{
    struct resp_out o;
    if (!room(c, CACHE_REPLY_ROOM + text.len, &o))
        return true;
    resp_put_bulk(&o, text.at, text.len);
    return said(c, &o);
}

bool cache_say_null(struct cache_conn *c)
{
    struct resp_out o;
    if (!room(c, CACHE_REPLY_ROOM, &o))
        return true;
    resp_put_null(&o);
    return said(c, &o);
}

bool cache_say_array(struct cache_conn *c, size_t count)
{
    struct resp_out o;
    if (!room(c, CACHE_REPLY_ROOM, &o))
        return true;
    resp_put_array(&o, count);
    return said(c, &o);
}

static bool say_failure(struct cache_conn *c, const struct cache_op *op)
{
    if (op->error != STEAD_E_TOO_LARGE)
        cache_count(&c->door->config.counters->failed);
    switch (op->error) {
    case STEAD_E_TOO_LARGE:
        return cache_say_error(c, "ERR string exceeds maximum allowed size");
    case STEAD_E_FULL:
    case STEAD_E_NOMEM:
        return cache_say_error(c, "OOM command not allowed: the sessions' memory is full");
    case STEAD_E_ALONE:
        return cache_say_error(c, "NOREPLICAS no other node is there to hold a copy");
    case STEAD_E_NO_QUORUM:
        return cache_say_error(c, "CLUSTERDOWN no majority of the voters can be reached");
    case STEAD_E_ENDED:
        return cache_say_error(c, "ERR this key was ended for good: its kind has final deletion");
    case STEAD_E_UNKNOWN:
        return cache_say_error(c, "ERR the outcome of the write is not known");
    default:
        return cache_say_error(c, "TRYAGAIN not reachable at the moment");
    }
}

/* -- arguments -- */

static struct slice arg(const struct cache_call *call, size_t i)
{
    return call->resp.argv[i];
}

/* A life as Redis counts it, into ms from now. unit_ms: 1000 or 1; at: a time of day. NULL, or what
 * is wrong with it. What is over already gives 0. */
static const char *life(struct slice text, int64_t unit_ms, bool at, uint32_t *out)
{
    int64_t n, ms;
    if (!resp_int(text, &n))
        return NO_INTEGER;
    if (__builtin_mul_overflow(n, unit_ms, &ms))
        return NO_LIFE;
    if (at) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        ms -= (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    }
    *out = ms <= 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
    return NULL;
}

/* With a value, it has to be more than nothing. */
static const char *first_life(struct slice text, int64_t unit_ms, bool at, uint32_t *out)
{
    int64_t n;
    const char *wrong = life(text, unit_ms, at, out);
    if (!wrong && resp_int(text, &n) && n <= 0)
        wrong = NO_LIFE;
    if (*out == 0)
        *out = 1; /* over already: stored, and gone */
    return wrong;
}

static bool option_is(const struct cache_call *call, size_t i, const char *word)
{
    return resp_is(&call->resp, i, word);
}

/* EX, PX, EXAT, PXAT with their number; false: none of them. */
static bool take_life(const struct cache_call *call, size_t i, uint32_t *ttl_ms, const char **wrong)
{
    static const struct {
        const char *word;
        int64_t unit_ms;
        bool at;
    } units[] = {{"EX", 1000, false}, {"PX", 1, false}, {"EXAT", 1000, true}, {"PXAT", 1, true}};
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        if (!option_is(call, i, units[u].word))
            continue;
        *wrong = i + 1 < call->resp.argc
                     ? first_life(arg(call, i + 1), units[u].unit_ms, units[u].at, ttl_ms)
                     : SYNTAX;
        return true;
    }
    return false;
}

/* -- commands: what they ask -- */

typedef const char *(*prepare)(struct cache_call *call);

static const char *ask_get(struct cache_call *call)
{
    call->op.verb = CACHE_GET;
    return NULL;
}

static const char *ask_take(struct cache_call *call)
{
    call->op.verb = CACHE_TAKE;
    return NULL;
}

static const char *ask_delete(struct cache_call *call)
{
    call->op.verb = CACHE_DELETE;
    return NULL;
}

static const char *ask_set(struct cache_call *call)
{
    struct cache_op *op = &call->op;
    bool timed = false;
    op->verb = CACHE_SET;
    op->value = arg(call, 2);
    op->ttl_ms = LIFE_MAX_MS;
    for (size_t i = 3; i < call->resp.argc; i++) {
        const char *wrong = NULL;
        bool took = take_life(call, i, &op->ttl_ms, &wrong);
        bool keep = option_is(call, i, "KEEPTTL");
        if (wrong)
            return wrong;
        if ((took || keep) && timed)
            return SYNTAX;
        timed = timed || took || keep;
        if (took)
            i++;
        else if (keep)
            op->ttl_ms = 0;
        else if (option_is(call, i, "NX") && op->verb == CACHE_SET)
            op->verb = CACHE_ADD;
        else if (option_is(call, i, "XX") && op->verb == CACHE_SET)
            op->verb = CACHE_REPLACE;
        else if (option_is(call, i, "GET"))
            op->want_old = true;
        else
            return SYNTAX;
    }
    return NULL;
}

static const char *set_for(struct cache_call *call, int64_t unit_ms)
{
    call->op.verb = CACHE_SET;
    call->op.value = arg(call, 3);
    return first_life(arg(call, 2), unit_ms, false, &call->op.ttl_ms);
}

static const char *ask_setex(struct cache_call *call)
{
    return set_for(call, 1000);
}

static const char *ask_psetex(struct cache_call *call)
{
    return set_for(call, 1);
}

static const char *ask_setnx(struct cache_call *call)
{
    call->op.verb = CACHE_ADD;
    call->op.value = arg(call, 2);
    call->op.ttl_ms = LIFE_MAX_MS;
    return NULL;
}

static const char *ask_getset(struct cache_call *call)
{
    call->op.verb = CACHE_SET;
    call->op.value = arg(call, 2);
    call->op.ttl_ms = LIFE_MAX_MS;
    call->op.want_old = true;
    return NULL;
}

static const char *ask_getex(struct cache_call *call)
{
    call->op.verb = CACHE_GET;
    if (call->resp.argc == 2)
        return NULL;
    call->op.verb = CACHE_TOUCH;
    if (call->resp.argc == 3 && option_is(call, 2, "PERSIST")) {
        call->op.ttl_ms = LIFE_MAX_MS;
        return NULL;
    }
    const char *wrong = NULL;
    bool took = take_life(call, 2, &call->op.ttl_ms, &wrong);
    if (wrong)
        return wrong;
    return took && call->resp.argc == 4 ? NULL : SYNTAX;
}

/* An expiry that is over deletes, as with Redis. */
static const char *expire(struct cache_call *call, int64_t unit_ms, bool at)
{
    if (call->resp.argc > 3)
        return "ERR the options NX, XX, GT and LT are not supported";
    const char *wrong = life(arg(call, 2), unit_ms, at, &call->op.ttl_ms);
    if (wrong)
        return wrong;
    call->op.verb = call->op.ttl_ms > 0 ? CACHE_TOUCH : CACHE_DELETE;
    return NULL;
}

static const char *ask_expire(struct cache_call *call)
{
    return expire(call, 1000, false);
}

static const char *ask_pexpire(struct cache_call *call)
{
    return expire(call, 1, false);
}

static const char *ask_expireat(struct cache_call *call)
{
    return expire(call, 1000, true);
}

static const char *ask_pexpireat(struct cache_call *call)
{
    return expire(call, 1, true);
}

static const char *ask_persist(struct cache_call *call)
{
    call->op.verb = CACHE_TOUCH;
    call->op.ttl_ms = LIFE_MAX_MS;
    return NULL;
}

static const char *ask_append(struct cache_call *call)
{
    call->op.verb = CACHE_APPEND;
    call->op.value = arg(call, 2);
    return NULL;
}

static const char *count_by(struct cache_call *call, int64_t amount)
{
    call->op.verb = CACHE_COUNT;
    call->op.is_signed = true;
    call->op.amount = amount;
    call->op.has_initial = true;
    call->op.initial = (uint64_t)amount;
    call->op.ttl_ms = LIFE_MAX_MS;
    return NULL;
}

static const char *ask_incr(struct cache_call *call)
{
    return count_by(call, 1);
}

static const char *ask_decr(struct cache_call *call)
{
    return count_by(call, -1);
}

static const char *ask_incrby(struct cache_call *call)
{
    int64_t n;
    return resp_int(arg(call, 2), &n) ? count_by(call, n) : NO_INTEGER;
}

static const char *ask_decrby(struct cache_call *call)
{
    int64_t n;
    if (!resp_int(arg(call, 2), &n) || n == INT64_MIN)
        return NO_INTEGER;
    return count_by(call, -n);
}

/* EVALSHA digest 1 key value, EVAL text 1 key value */
static const char *delete_equal(struct cache_call *call)
{
    if (call->resp.argc != 5 || !slice_is(arg(call, 2), "1"))
        return "ERR this script takes one key and one value";
    call->op.verb = CACHE_DELETE_EQUAL;
    call->op.value = arg(call, 4);
    return NULL;
}

static const char *ask_evalsha(struct cache_call *call)
{
    if (!cache_script_digest(call->scripts, arg(call, 1)))
        return "NOSCRIPT No matching script. Please use EVAL.";
    return delete_equal(call);
}

static const char *ask_eval(struct cache_call *call)
{
    char digest[CACHE_SCRIPT_DIGEST + 1];
    if (!cache_script_text(call->scripts, arg(call, 1), digest))
        return "ERR only the script that deletes a key if its value matches is understood";
    return delete_equal(call);
}

/* -- commands: how their outcome is said -- */

static bool absent(const struct cache_op *op)
{
    return op->outcome == CACHE_ABSENT || op->outcome == CACHE_UNEQUAL;
}

static bool say_value(struct cache_conn *c, struct cache_call *call)
{
    const struct cache_op *op = &call->op;
    c->door->tally.hits += op->seen.there;
    c->door->tally.misses += !op->seen.there;
    return op->seen.there ? cache_say_bulk(c, op->seen.value) : cache_say_null(c);
}

static bool say_stored(struct cache_conn *c, struct cache_call *call)
{
    const struct cache_op *op = &call->op;
    c->door->tally.stores += op->outcome == CACHE_DONE;
    if (op->want_old)
        return say_value(c, call);
    return op->outcome == CACHE_DONE ? cache_say_simple(c, "OK") : cache_say_null(c);
}

static bool say_done(struct cache_conn *c, struct cache_call *call)
{
    return cache_say_int(c, call->op.outcome == CACHE_DONE);
}

static bool say_length(struct cache_conn *c, struct cache_call *call)
{
    return cache_say_int(c, (int64_t)call->op.seen.value.len);
}

static bool say_number(struct cache_conn *c, struct cache_call *call)
{
    return cache_say_int(c, (int64_t)call->op.number);
}

static bool say_left(struct cache_conn *c, struct cache_call *call, uint32_t unit_ms)
{
    const struct cache_op *op = &call->op;
    if (absent(op))
        return cache_say_int(c, -2);
    /* Redis rounds half up. */
    return cache_say_int(c, op->left_ms == 0 ? -1 : ((int64_t)op->left_ms + unit_ms / 2) / unit_ms);
}

static bool say_ttl(struct cache_conn *c, struct cache_call *call)
{
    return say_left(c, call, 1000);
}

static bool say_pttl(struct cache_conn *c, struct cache_call *call)
{
    return say_left(c, call, 1);
}

static bool say_type(struct cache_conn *c, struct cache_call *call)
{
    return cache_say_simple(c, absent(&call->op) ? "none" : "string");
}

/* -- the table -- */

enum shape {
    ONE,   /* the key is the first argument */
    THIRD, /* the third: scripts */
    SUM,   /* all arguments are keys; the answer counts those that were there */
    EACH   /* all arguments are keys; the answer is an array */
};

static const struct command {
    const char *name;
    int argc; /* with the name; negative: at least */
    enum shape shape;
    prepare ask;
    bool (*say)(struct cache_conn *c, struct cache_call *call);
} commands[] = {
    {"GET", 2, ONE, ask_get, say_value},
    {"SET", -3, ONE, ask_set, say_stored},
    {"SETEX", 4, ONE, ask_setex, say_stored},
    {"DEL", -2, SUM, ask_delete, NULL},
    {"EXPIRE", -3, ONE, ask_expire, say_done},
    {"EXISTS", -2, SUM, ask_get, NULL},
    {"PSETEX", 4, ONE, ask_psetex, say_stored},
    {"SETNX", 3, ONE, ask_setnx, say_done},
    {"GETSET", 3, ONE, ask_getset, say_value},
    {"GETDEL", 2, ONE, ask_take, say_value},
    {"GETEX", -2, ONE, ask_getex, say_value},
    {"MGET", -2, EACH, ask_get, say_value},
    {"UNLINK", -2, SUM, ask_delete, NULL},
    {"TOUCH", -2, SUM, ask_get, NULL},
    {"PEXPIRE", -3, ONE, ask_pexpire, say_done},
    {"EXPIREAT", -3, ONE, ask_expireat, say_done},
    {"PEXPIREAT", -3, ONE, ask_pexpireat, say_done},
    {"PERSIST", 2, ONE, ask_persist, say_done},
    {"TTL", 2, ONE, ask_get, say_ttl},
    {"PTTL", 2, ONE, ask_get, say_pttl},
    {"TYPE", 2, ONE, ask_get, say_type},
    {"STRLEN", 2, ONE, ask_get, say_length},
    {"APPEND", 3, ONE, ask_append, say_length},
    {"INCR", 2, ONE, ask_incr, say_number},
    {"DECR", 2, ONE, ask_decr, say_number},
    {"INCRBY", 3, ONE, ask_incrby, say_number},
    {"DECRBY", 3, ONE, ask_decrby, say_number},
    {"EVALSHA", -3, THIRD, ask_evalsha, say_done},
    {"EVAL", -3, THIRD, ask_eval, say_done},
};

static const struct command *command_named(struct slice name)
{
    char first = (char)(name.len > 0 ? *name.at & ~('a' ^ 'A') : 0);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (first == *commands[i].name && slice_is_nocase(name, commands[i].name))
            return &commands[i];
    return NULL;
}

static bool say_outcome(struct cache_conn *c, struct cache_call *call, const struct command *m)
{
    if (call->op.outcome == CACHE_FAILED)
        return say_failure(c, &call->op);
    if (call->op.outcome == CACHE_NOT_NUMBER)
        return cache_say_error(c, NO_INTEGER);
    c->door->tally.removals += call->op.outcome == CACHE_DONE && call->op.verb >= CACHE_DELETE;
    if (m->say == say_length && absent(&call->op) && call->op.verb == CACHE_APPEND)
        return cache_say_int(c, 0);
    return m->say(c, call);
}

/* Fills in the operation for the key at argument i. NULL, or an error to say. */
static const char *prepare_key(struct cache_conn *c, struct cache_call *call,
                               const struct command *m, size_t i)
{
    cache_op_init(&call->op);
    call->scripts = &c->door->scripts;
    const char *error = m->ask(call);
    if (error != NULL)
        return error;
    if (i >= call->resp.argc)
        return SYNTAX;
    if (m->shape == THIRD)
        call->hash = 0; /* of what looked like the key */
    if (!cache_key(c->door, arg(call, i), &call->op.key))
        return "ERR a key has 1 to 250 bytes here";
    return NULL;
}

/* The answer of one key among several. False: it is an error, said for all. */
static bool take_key(struct cache_conn *c, struct cache_call *call, const struct command *m)
{
    if (call->op.outcome == CACHE_FAILED && m->shape == SUM)
        return !say_failure(c, &call->op);
    if (m->shape == EACH)
        (void)say_outcome(c, call, m);
    call->sum += call->op.outcome == CACHE_DONE;
    cache_op_deinit(&call->op);
    call->index++;
    return true;
}

static bool next_key(struct cache_conn *c, struct cache_call *call, const struct command *m)
{
    while (call->index + 1 < call->resp.argc) {
        const char *error = prepare_key(c, call, m, call->index + 1);
        if (error != NULL)
            return cache_say_error(c, error);
        if (!cache_run(c, call))
            return false;
        if (!take_key(c, call, m))
            return true;
    }
    return m->shape == EACH || cache_say_int(c, call->sum);
}

static bool run_command(struct cache_conn *c, struct cache_call *call, const struct command *m)
{
    if (m->shape == EACH)
        cache_say_array(c, call->resp.argc - 1);
    if (m->shape == EACH || m->shape == SUM)
        return next_key(c, call, m);
    const char *error = prepare_key(c, call, m, m->shape == THIRD ? 3 : 1);
    if (error != NULL)
        return cache_say_error(c, error);
    return cache_run(c, call) && say_outcome(c, call, m);
}

int cache_resp_parse(struct cache_conn *c, struct cache_call *call, struct slice bytes, bool ahead)
{
    const char *why = NULL;
    int n = resp_parse(bytes.at, bytes.len, &call->resp, &why);
    if (n < 0 && ahead)
        return 0;
    if (n < 0) {
        char text[128] = "ERR ";
        cache_count(&c->door->config.counters->malformed);
        strncat(text, why, sizeof text - 5);
        cache_say_error(c, text);
    }
    return n;
}

bool cache_resp_begin(struct cache_conn *c, struct cache_call *call)
{
    bool answered;
    size_t argc = call->resp.argc;
    if (argc == 0)
        return true;
    const struct command *m = c->admitted ? command_named(call->resp.argv[0]) : NULL;
    bool fits = m != NULL && (m->argc > 0 ? argc == (size_t)m->argc : argc >= (size_t)-m->argc);
    if (c->admitted && (m == NULL || c->multi != NULL) &&
        cache_resp_multi(c, call, m != NULL, fits))
        return true;
    if (m == NULL)
        return cache_resp_admin(c, call, &answered) ? answered : cache_say_unknown(c, call);
    if (!fits)
        return cache_say_arity(c, call);
    return run_command(c, call, m);
}

bool cache_resp_resume(struct cache_conn *c, struct cache_call *call)
{
    const struct command *m = command_named(call->resp.argv[0]);
    if (m->shape == ONE || m->shape == THIRD)
        return say_outcome(c, call, m);
    return !take_key(c, call, m) || next_key(c, call, m);
}
