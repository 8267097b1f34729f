/* cache_memcache.c - what memcached's commands do here. */
#include "role/gate/cache_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BINARY_MARK 0x80
/* An expiry of 0 is for ever with memcached; here it is the kind's life, or this where it has none.
 */
#define LIFE_MAX_MS UINT32_MAX
#define VERSION "1.6.0-stead-" STEAD_VERSION

static void put_out(struct cache_conn *c, const struct memcache_out *o)
{
    if (o->failed)
        c->broken = true;
    else
        c->out_len += o->len;
}

/* An answer without a value. */
static bool say(struct cache_conn *c, const struct memcache_request *q, enum memcache_status s,
                const struct memcache_item *item)
{
    struct memcache_out o;
    char *room = cache_conn_room(c, CACHE_REPLY_ROOM);
    if (room == NULL)
        return true;
    memcache_out_init(&o, room, CACHE_REPLY_ROOM);
    memcache_put_status(&o, q, s, item);
    put_out(c, &o);
    return true;
}

int cache_memcache_parse(struct cache_conn *c, struct cache_call *call, struct slice bytes,
                         bool ahead)
{
    if (bytes.len > 0 && !c->known) {
        c->binary = (uint8_t)*bytes.at == BINARY_MARK;
        c->known = true;
    }
    int n = memcache_parse(bytes.at, bytes.len, c->binary, &call->memcache);
    if (n < 0 && ahead)
        return 0;
    if (n < 0) {
        cache_count(&c->door->config.counters->malformed);
        if (!call->memcache.error)
            call->memcache.error = "CLIENT_ERROR line too long";
        if (!c->binary)
            say(c, &call->memcache, MEMCACHE_INVALID, NULL);
    }
    return n;
}

/* -- outcomes -- */

static enum memcache_status failure(struct cache_conn *c, const struct cache_op *op)
{
    switch (op->error) {
    case STEAD_E_TOO_LARGE:
        return MEMCACHE_TOO_LARGE;
    case STEAD_E_ENDED:
        return MEMCACHE_NOT_STORED;
    default:
        cache_count(&c->door->config.counters->failed);
        break;
    }
    if (op->error == STEAD_E_FULL || op->error == STEAD_E_NOMEM)
        return MEMCACHE_NO_MEMORY;
    return op->error == STEAD_E_BUSY ? MEMCACHE_BUSY : MEMCACHE_FAILED;
}

/* What a store that found nothing, or something, is answered with. */
static enum memcache_status absent_status(const struct memcache_request *q)
{
    switch (q->op) {
    case MEMCACHE_REPLACE:
    case MEMCACHE_APPEND:
    case MEMCACHE_PREPEND:
        return MEMCACHE_NOT_STORED;
    default:
        return MEMCACHE_NOT_FOUND;
    }
}

static enum memcache_status exists_status(const struct memcache_request *q)
{
    /* The binary protocol's add says that the key exists. */
    bool plain_add = q->op == MEMCACHE_ADD && q->form != MEMCACHE_BINARY;
    return plain_add ? MEMCACHE_NOT_STORED : MEMCACHE_EXISTS;
}

static enum memcache_status status_of(struct cache_conn *c, const struct cache_call *call)
{
    const struct memcache_request *q = &call->memcache;
    switch (call->op.outcome) {
    case CACHE_DONE:
        return MEMCACHE_OK;
    case CACHE_ABSENT:
        return absent_status(q);
    case CACHE_EXISTS:
        return exists_status(q);
    case CACHE_NOT_NUMBER:
        return MEMCACHE_NOT_NUMBER;
    case CACHE_UNEQUAL:
    case CACHE_FAILED:
        break;
    }
    return failure(c, &call->op);
}

static struct memcache_item item_of(const struct cache_call *call)
{
    const struct cache_op *op = &call->op;
    struct memcache_item item = {.key = call->memcache.keys[call->index], .left_s = -1};
    if (op->seen.there) {
        item.value = op->seen.value;
        item.flags = op->seen.flags;
        item.cas = op->seen.cas;
        if (op->left_ms > 0)
            item.left_s = op->left_ms / 1000;
    }
    return item;
}

/* -- reading -- */

static void put_found(struct cache_conn *c, const struct cache_call *call)
{
    struct memcache_out o;
    const struct memcache_item item = item_of(call);
    size_t need = CACHE_REPLY_ROOM + item.value.len;
    char *room = cache_conn_room(c, need);
    if (room == NULL)
        return;
    memcache_out_init(&o, room, need);
    memcache_put_item(&o, &call->memcache, &item);
    put_out(c, &o);
    c->door->tally.hits++;
}

static void put_missed(struct cache_conn *c, const struct cache_call *call)
{
    struct memcache_out o;
    char *room = cache_conn_room(c, CACHE_REPLY_ROOM);
    if (room == NULL)
        return;
    memcache_out_init(&o, room, CACHE_REPLY_ROOM);
    memcache_put_miss(&o, &call->memcache, call->memcache.keys[call->index]);
    put_out(c, &o);
    c->door->tally.misses++;
}

/* One key of a GET is done. False: with an error, which is said in place of the END. */
static bool get_put(struct cache_conn *c, struct cache_call *call)
{
    switch (call->op.outcome) {
    case CACHE_DONE:
        put_found(c, call);
        break;
    case CACHE_FAILED:
        say(c, &call->memcache, failure(c, &call->op), NULL);
        return false;
    default:
        put_missed(c, call);
        break;
    }
    cache_op_deinit(&call->op);
    call->index++;
    return true;
}

static bool ttl_of(const struct memcache_request *q, uint32_t *ttl_ms)
{
    *ttl_ms = 0;
    if (!q->has_expiry)
        return true;
    if (!memcache_ttl(q->expiry, q->expiry > MEMCACHE_RELATIVE_MAX_S ? time(NULL) : 0, ttl_ms))
        return false;
    if (*ttl_ms == 0)
        *ttl_ms = LIFE_MAX_MS;
    return true;
}

/* Keys are done one after another, here in a loop as long as none has to wait. */
static bool get_next(struct cache_conn *c, struct cache_call *call)
{
    const struct memcache_request *q = &call->memcache;
    while (call->index < q->key_count) {
        cache_op_init(&call->op);
        call->op.verb = q->touches ? CACHE_TOUCH : CACHE_GET;
        if (!cache_key(c->door, q->keys[call->index], &call->op.key))
            return say(c, q, MEMCACHE_INVALID, NULL);
        if (q->touches && !ttl_of(q, &call->op.ttl_ms))
            call->op.ttl_ms = 1;
        if (!cache_run(c, call))
            return false;
        if (!get_put(c, call))
            return true;
    }
    struct memcache_out o;
    char *room = cache_conn_room(c, CACHE_REPLY_ROOM);
    if (room == NULL)
        return true;
    memcache_out_init(&o, room, CACHE_REPLY_ROOM);
    memcache_put_end(&o, q);
    put_out(c, &o);
    return true;
}

/* -- writing -- */

static bool write_done(struct cache_conn *c, struct cache_call *call)
{
    const struct memcache_request *q = &call->memcache;
    const struct memcache_item item = item_of(call);
    bool done = call->op.outcome == CACHE_DONE;
    c->door->tally.removals += done && q->op == MEMCACHE_DELETE;
    c->door->tally.stores += done && q->op != MEMCACHE_DELETE;
    if (!done || (q->op != MEMCACHE_INCR && q->op != MEMCACHE_DECR))
        return say(c, q, status_of(c, call), call->op.seen.there ? &item : NULL);
    struct memcache_out o;
    char *room = cache_conn_room(c, CACHE_REPLY_ROOM);
    if (room == NULL)
        return true;
    memcache_out_init(&o, room, CACHE_REPLY_ROOM);
    memcache_put_number(&o, q, call->op.number, &item);
    put_out(c, &o);
    return true;
}

static enum cache_verb verb_of(enum memcache_op op)
{
    switch (op) {
    case MEMCACHE_ADD:
        return CACHE_ADD;
    case MEMCACHE_REPLACE:
        return CACHE_REPLACE;
    case MEMCACHE_APPEND:
        return CACHE_APPEND;
    case MEMCACHE_PREPEND:
        return CACHE_PREPEND;
    case MEMCACHE_DELETE:
        return CACHE_DELETE;
    case MEMCACHE_INCR:
    case MEMCACHE_DECR:
        return CACHE_COUNT;
    case MEMCACHE_TOUCH:
        return CACHE_TOUCH;
    default:
        return CACHE_SET;
    }
}

static bool begin_write(struct cache_conn *c, struct cache_call *call)
{
    const struct memcache_request *q = &call->memcache;
    struct cache_op *op = &call->op;
    cache_op_init(op);
    op->verb = verb_of(q->op);
    op->value = q->value;
    op->flags = q->flags;
    op->has_cas = q->has_cas;
    op->cas = q->cas;
    op->down = q->op == MEMCACHE_DECR;
    op->delta = q->delta;
    op->has_initial = q->has_initial;
    op->initial = q->initial;
    if (!cache_key(c->door, q->keys[0], &op->key))
        return say(c, q, MEMCACHE_INVALID, NULL);
    /* What is over before it begins is as good as deleted; it was stored, as memcached says. */
    if (!ttl_of(q, &op->ttl_ms) && op->verb != CACHE_DELETE)
        op->ttl_ms = 1;
    return cache_run(c, call) && write_done(c, call);
}

/* -- the rest -- */

static bool say_stats(struct cache_conn *c, const struct memcache_request *q)
{
    const struct cache_counters *n = c->door->config.counters;
    const struct {
        const char *name;
        const atomic_uint_fast64_t *value;
    } stats[] = {{"curr_connections", &n->connections},
                 {"total_connections", &n->accepted},
                 {"get_hits", &n->hits},
                 {"get_misses", &n->misses},
                 {"cmd_set", &n->stores},
                 {"delete_hits", &n->removals}};
    struct memcache_out o;
    char *room = cache_conn_room(c, 2 * CACHE_REPLY_ROOM), text[24];
    if (room == NULL)
        return true;
    memcache_out_init(&o, room, 2 * CACHE_REPLY_ROOM);
    snprintf(text, sizeof text, "%d", (int)getpid());
    memcache_put_stat(&o, q, "pid", text);
    memcache_put_stat(&o, q, "version", VERSION);
    for (size_t i = 0; i < sizeof stats / sizeof stats[0]; i++) {
        snprintf(text, sizeof text, "%" PRIu64, (uint64_t)atomic_load(stats[i].value));
        memcache_put_stat(&o, q, stats[i].name, text);
    }
    memcache_put_stats_end(&o, q);
    put_out(c, &o);
    return true;
}

static bool say_version(struct cache_conn *c, const struct memcache_request *q)
{
    struct memcache_out o;
    char *room = cache_conn_room(c, CACHE_REPLY_ROOM);
    if (room == NULL)
        return true;
    memcache_out_init(&o, room, CACHE_REPLY_ROOM);
    memcache_put_version(&o, q, VERSION);
    put_out(c, &o);
    return true;
}

static bool say_sasl(struct cache_conn *c, const struct memcache_request *q, const char *text)
{
    struct memcache_out o;
    char *room = cache_conn_room(c, CACHE_REPLY_ROOM);
    if (room == NULL)
        return true;
    memcache_out_init(&o, room, CACHE_REPLY_ROOM);
    memcache_put_sasl(&o, q, text);
    put_out(c, &o);
    return true;
}

/* memcached's text clients give a password as "user password" in a first set (its -Y option), those
 * of the binary protocol by SASL. Who the user is does not matter. */
static struct slice given_password(const struct memcache_request *q)
{
    if (q->op == MEMCACHE_AUTH)
        return memcache_plain_password(q);
    if (q->op != MEMCACHE_SET || q->form != MEMCACHE_TEXT)
        return (struct slice){NULL, 0};
    const char *blank = memchr(q->value.at, ' ', q->value.len);
    size_t user = blank != NULL ? (size_t)(blank - q->value.at) + 1 : 0;
    return (struct slice){q->value.at + user, q->value.len - user};
}

static bool password_is(const char *wanted, struct slice given)
{
    size_t len = strlen(wanted);
    unsigned differs = given.len != len;
    for (size_t i = 0; i < given.len && i < len; i++)
        differs |= (unsigned char)given.at[i] ^ (unsigned char)wanted[i];
    return given.at != NULL && differs == 0;
}

static bool admit(struct cache_conn *c, const struct memcache_request *q)
{
    if (q->op == MEMCACHE_MECHANISMS)
        return say_sasl(c, q, "PLAIN");
    c->admitted = password_is(c->door->config.password, given_password(q));
    if (c->admitted)
        return q->op == MEMCACHE_AUTH ? say_sasl(c, q, "Authenticated")
                                      : say(c, q, MEMCACHE_OK, NULL);
    cache_count(&c->door->config.counters->denied);
    return say(c, q, MEMCACHE_DENIED, NULL);
}

bool cache_memcache_begin(struct cache_conn *c, struct cache_call *call)
{
    const struct memcache_request *q = &call->memcache;
    c->skip = q->skip;
    if (q->op == MEMCACHE_BAD)
        cache_count(&c->door->config.counters->malformed);
    bool sasl = q->op == MEMCACHE_AUTH || q->op == MEMCACHE_MECHANISMS;
    if (sasl && c->door->config.password[0] == '\0')
        return say(c, q, MEMCACHE_UNKNOWN, NULL); /* as memcached without SASL */
    if (sasl || (!c->admitted && q->op != MEMCACHE_BAD && q->op != MEMCACHE_QUIT))
        return admit(c, q);
    switch (q->op) {
    case MEMCACHE_GET:
        return get_next(c, call);
    case MEMCACHE_SET:
    case MEMCACHE_ADD:
    case MEMCACHE_REPLACE:
    case MEMCACHE_APPEND:
    case MEMCACHE_PREPEND:
    case MEMCACHE_DELETE:
    case MEMCACHE_INCR:
    case MEMCACHE_DECR:
    case MEMCACHE_TOUCH:
        return begin_write(c, call);
    case MEMCACHE_VERSION:
        return say_version(c, q);
    case MEMCACHE_STATS:
        return say_stats(c, q);
    case MEMCACHE_QUIT:
        if (q->form == MEMCACHE_BINARY && !q->quiet)
            say(c, q, MEMCACHE_OK, NULL);
        c->broken = true;
        return true;
    case MEMCACHE_FLUSH:
        /* One client must not end everybody's sessions on every node. */
        return say(c, q, MEMCACHE_UNKNOWN, NULL);
    case MEMCACHE_BAD:
    case MEMCACHE_NOOP:
    case MEMCACHE_VERBOSITY:
    case MEMCACHE_MECHANISMS:
    case MEMCACHE_AUTH:
        break;
    }
    return say(c, q, MEMCACHE_OK, NULL);
}

bool cache_memcache_resume(struct cache_conn *c, struct cache_call *call)
{
    if (call->memcache.op != MEMCACHE_GET)
        return write_done(c, call);
    return !get_put(c, call) || get_next(c, call);
}
