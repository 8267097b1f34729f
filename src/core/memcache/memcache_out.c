/* memcache_out.c - answers, by the form of the request. */
#include "core/memcache/memcache_internal.h"

#include "base/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_MAX 24

void memcache_out_init(struct memcache_out *o, char *bytes, size_t cap)
{
    *o = (struct memcache_out){.bytes = bytes, .cap = cap};
}

void memcache_put(struct memcache_out *o, const void *bytes, size_t len)
{
    if (o->failed || len > o->cap - o->len) {
        o->failed = true;
        return;
    }
    if (len > 0)
        memcpy(o->bytes + o->len, bytes, len);
    o->len += len;
}

void memcache_put_text(struct memcache_out *o, const char *text)
{
    memcache_put(o, text, strlen(text));
}

void memcache_put_u64(struct memcache_out *o, const char *before, uint64_t n)
{
    char text[NUMBER_MAX], *end = text + sizeof text, *at = end;
    do
        *--at = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    memcache_put_text(o, before);
    memcache_put(o, at, (size_t)(end - at));
}

static void put_line(struct memcache_out *o, const char *text)
{
    memcache_put_text(o, text);
    memcache_put(o, "\r\n", 2);
}

static struct slice text_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* -- values -- */

static void text_item(struct memcache_out *o, const struct memcache_request *q,
                      const struct memcache_item *item)
{
    memcache_put(o, "VALUE ", 6);
    memcache_put(o, item->key.at, item->key.len);
    memcache_put_u64(o, " ", item->flags);
    memcache_put_u64(o, " ", item->value.len);
    if (q->with_cas)
        memcache_put_u64(o, " ", item->cas);
    memcache_put(o, "\r\n", 2);
    memcache_put(o, item->value.at, item->value.len);
    memcache_put(o, "\r\n", 2);
}

static void binary_item(struct memcache_out *o, const struct memcache_request *q,
                        const struct memcache_item *item)
{
    uint8_t extras[4];
    struct wire_writer w;
    wire_writer_init(&w, extras, sizeof extras);
    wire_put_u32(&w, item->flags);
    const struct memcache_binary_reply r = {
        .cas = item->cas,
        .extras = {(const char *)extras, sizeof extras},
        .key = q->with_key ? item->key : (struct slice){NULL, 0},
        .value = item->value,
    };
    memcache_binary_reply(o, q, &r);
}

void memcache_put_item(struct memcache_out *o, const struct memcache_request *q,
                       const struct memcache_item *item)
{
    switch (q->form) {
    case MEMCACHE_TEXT:
        text_item(o, q, item);
        break;
    case MEMCACHE_META:
        memcache_meta_item(o, q, item);
        break;
    case MEMCACHE_BINARY:
        binary_item(o, q, item);
        break;
    }
}

void memcache_put_miss(struct memcache_out *o, const struct memcache_request *q, struct slice key)
{
    const struct memcache_item item = {.key = key};
    if (q->form != MEMCACHE_TEXT)
        memcache_put_status(o, q, MEMCACHE_NOT_FOUND, &item);
}

void memcache_put_end(struct memcache_out *o, const struct memcache_request *q)
{
    if (q->form == MEMCACHE_TEXT)
        memcache_put(o, "END\r\n", 5);
}

/* -- outcomes -- */

static const char *status_words(enum memcache_status s)
{
    switch (s) {
    case MEMCACHE_OK:
        return "";
    case MEMCACHE_NOT_FOUND:
        return "Not found";
    case MEMCACHE_EXISTS:
        return "Data exists for key.";
    case MEMCACHE_TOO_LARGE:
        return "Too large.";
    case MEMCACHE_INVALID:
        return "Invalid arguments";
    case MEMCACHE_NOT_STORED:
        return "Not stored.";
    case MEMCACHE_NOT_NUMBER:
        return "Non-numeric server-side value for incr or decr";
    case MEMCACHE_DENIED:
        return "Auth failure.";
    case MEMCACHE_UNKNOWN:
        return "Unknown command";
    case MEMCACHE_NO_MEMORY:
        return "Out of memory";
    case MEMCACHE_BUSY:
        return "Busy";
    case MEMCACHE_FAILED:
        break;
    }
    return "Temporary failure";
}

static const char *success_word(enum memcache_op op)
{
    switch (op) {
    case MEMCACHE_DELETE:
        return "DELETED";
    case MEMCACHE_TOUCH:
        return "TOUCHED";
    case MEMCACHE_FLUSH:
    case MEMCACHE_VERBOSITY:
        return "OK";
    default:
        return "STORED";
    }
}

/* Of text and meta: a failure is said the same in both. NULL: it is no failure. */
static const char *failure_line(const struct memcache_request *q, enum memcache_status s)
{
    if (q->op == MEMCACHE_BAD)
        return q->error;
    switch (s) {
    case MEMCACHE_NOT_NUMBER:
        return "CLIENT_ERROR cannot increment or decrement non-numeric value";
    case MEMCACHE_TOO_LARGE:
        return "SERVER_ERROR object too large for cache";
    case MEMCACHE_NO_MEMORY:
        return "SERVER_ERROR out of memory storing object";
    case MEMCACHE_INVALID:
        return "CLIENT_ERROR bad command line format";
    case MEMCACHE_DENIED:
        return "CLIENT_ERROR unauthenticated";
    case MEMCACHE_UNKNOWN:
        return "ERROR";
    case MEMCACHE_BUSY:
        return "SERVER_ERROR busy";
    case MEMCACHE_FAILED:
        return "SERVER_ERROR not reachable at the moment";
    default:
        return NULL;
    }
}

static void text_status(struct memcache_out *o, const struct memcache_request *q,
                        enum memcache_status s)
{
    static const char *const words[] = {[MEMCACHE_NOT_FOUND] = "NOT_FOUND",
                                        [MEMCACHE_EXISTS] = "EXISTS",
                                        [MEMCACHE_NOT_STORED] = "NOT_STORED"};
    if (q->quiet)
        return;
    if (s == MEMCACHE_OK)
        put_line(o, success_word(q->op));
    else
        put_line(o, words[s]);
}

static void binary_status(struct memcache_out *o, const struct memcache_request *q,
                          enum memcache_status s, const struct memcache_item *item)
{
    bool expected = q->op == MEMCACHE_GET ? s == MEMCACHE_NOT_FOUND : s == MEMCACHE_OK;
    if (q->quiet && expected)
        return;
    struct memcache_binary_reply r = {.status = (uint16_t)s, .value = text_of(status_words(s))};
    if (s == MEMCACHE_OK && item != NULL)
        r.cas = item->cas;
    if (q->op == MEMCACHE_GET && q->with_key && item != NULL)
        r.key = item->key;
    memcache_binary_reply(o, q, &r);
}

void memcache_put_status(struct memcache_out *o, const struct memcache_request *q,
                         enum memcache_status s, const struct memcache_item *item)
{
    if (q->form == MEMCACHE_BINARY) {
        binary_status(o, q, q->op == MEMCACHE_BAD ? (enum memcache_status)q->status : s, item);
        return;
    }
    const char *failure = failure_line(q, s);
    if (failure != NULL) {
        if (q->form == MEMCACHE_META || !q->quiet)
            put_line(o, failure);
    } else if (q->op == MEMCACHE_NOOP) {
        memcache_put(o, "MN\r\n", 4);
    } else if (q->form == MEMCACHE_META) {
        memcache_meta_status(o, q, s, item);
    } else {
        text_status(o, q, s);
    }
}

void memcache_put_server_error(struct memcache_out *o, const struct memcache_request *q,
                               enum memcache_status s, const char *text)
{
    if (q->form == MEMCACHE_BINARY) {
        const struct memcache_binary_reply r = {.status = (uint16_t)s, .value = text_of(text)};
        memcache_binary_reply(o, q, &r);
    } else if (q->form == MEMCACHE_META || !q->quiet) {
        memcache_put_text(o, "SERVER_ERROR ");
        put_line(o, text);
    }
}

void memcache_put_number(struct memcache_out *o, const struct memcache_request *q, uint64_t number,
                         const struct memcache_item *item)
{
    char text[NUMBER_MAX];
    int len = snprintf(text, sizeof text, "%" PRIu64, number);
    if (q->form == MEMCACHE_BINARY) {
        uint8_t bytes[8];
        struct wire_writer w;
        wire_writer_init(&w, bytes, sizeof bytes);
        wire_put_u64(&w, number);
        const struct memcache_binary_reply r = {.cas = item != NULL ? item->cas : 0,
                                                .value = {(const char *)bytes, sizeof bytes}};
        if (!q->quiet)
            memcache_binary_reply(o, q, &r);
    } else if (q->form == MEMCACHE_META) {
        struct memcache_item with = item != NULL ? *item : (struct memcache_item){.left_s = -1};
        with.value = (struct slice){text, (size_t)len};
        if (memcache_flag(q, 'v').at != NULL)
            memcache_meta_item(o, q, &with);
        else
            memcache_meta_status(o, q, MEMCACHE_OK, &with);
    } else if (!q->quiet) {
        put_line(o, text);
    }
}

void memcache_put_version(struct memcache_out *o, const struct memcache_request *q,
                          const char *version)
{
    const struct memcache_binary_reply r = {.value = text_of(version)};
    if (q->form == MEMCACHE_BINARY) {
        memcache_binary_reply(o, q, &r);
        return;
    }
    memcache_put_text(o, "VERSION ");
    put_line(o, version);
}

void memcache_put_sasl(struct memcache_out *o, const struct memcache_request *q, const char *text)
{
    const struct memcache_binary_reply r = {.value = text_of(text)};
    memcache_binary_reply(o, q, &r);
}

void memcache_put_stat(struct memcache_out *o, const struct memcache_request *q, const char *name,
                       const char *value)
{
    const struct memcache_binary_reply r = {.key = text_of(name), .value = text_of(value)};
    if (q->form == MEMCACHE_BINARY) {
        memcache_binary_reply(o, q, &r);
        return;
    }
    memcache_put_text(o, "STAT ");
    memcache_put_text(o, name);
    memcache_put_text(o, " ");
    put_line(o, value);
}

void memcache_put_stats_end(struct memcache_out *o, const struct memcache_request *q)
{
    const struct memcache_binary_reply r = {.status = MEMCACHE_OK};
    if (q->form == MEMCACHE_BINARY)
        memcache_binary_reply(o, q, &r);
    else
        memcache_put(o, "END\r\n", 5);
}
