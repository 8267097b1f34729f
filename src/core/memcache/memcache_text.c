/* memcache_text.c - text requests: a line of words, and a value behind it where there is one. */
#include "core/memcache/memcache_internal.h"

#include <string.h>

#define BAD_FORMAT "CLIENT_ERROR bad command line format"

struct slice memcache_word(struct slice *line)
{
    size_t i = 0;
    while (i < line->len && line->at[i] == ' ')
        i++;
    size_t from = i;
    while (i < line->len && line->at[i] != ' ')
        i++;
    struct slice word = {i > from ? line->at + from : NULL, i - from};
    *line = (struct slice){line->at + i, line->len - i};
    return word;
}

bool memcache_u64(struct slice text, uint64_t *out)
{
    uint64_t v = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

bool memcache_i64(struct slice text, int64_t *out)
{
    bool minus = text.len > 0 && *text.at == '-';
    uint64_t v;
    if (!memcache_u64((struct slice){text.at + minus, text.len - minus}, &v) || v > INT64_MAX)
        return false;
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

bool memcache_key_valid(struct slice key)
{
    if (key.len == 0 || key.len > MEMCACHE_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.at[i] <= ' ' || key.at[i] == 127)
            return false;
    return true;
}

void memcache_bad(struct memcache_request *q, const char *error)
{
    q->op = MEMCACHE_BAD;
    q->error = error;
}

int memcache_take_value(const char **at, const char *end, uint64_t len, struct memcache_request *q)
{
    if (len > MEMCACHE_VALUE_MAX) {
        memcache_bad(q, "SERVER_ERROR object too large for cache");
        q->status = MEMCACHE_TOO_LARGE;
        q->skip = len <= SIZE_MAX - 2 ? (size_t)len + 2 : SIZE_MAX;
        return 1;
    }
    if ((size_t)(end - *at) < len + 2)
        return 0;
    q->value = (struct slice){*at, (size_t)len};
    if ((*at)[len] != '\r' || (*at)[len + 1] != '\n') {
        /* What follows is read as commands again from the next line on. */
        const char *lf = memchr(*at + len, '\n', (size_t)(end - *at) - len);
        *at = lf != NULL ? lf + 1 : end;
        memcache_bad(q, "CLIENT_ERROR bad data chunk");
        return 1;
    }
    *at += len + 2;
    return 1;
}

/* Nothing but perhaps "noreply" is left of the line. */
static bool finish(struct slice *line, struct memcache_request *q)
{
    struct slice word = memcache_word(line);
    q->quiet = slice_is(word, "noreply");
    return word.at == NULL || (q->quiet && memcache_word(line).at == NULL);
}

static bool one_key(struct slice *line, struct memcache_request *q)
{
    q->keys[0] = memcache_word(line);
    q->key_count = 1;
    return memcache_key_valid(q->keys[0]);
}

static void parse_get(struct slice line, struct memcache_request *q)
{
    struct slice key;
    if (q->touches && !memcache_i64(memcache_word(&line), &q->expiry)) {
        memcache_bad(q, "CLIENT_ERROR invalid exptime argument");
        return;
    }
    q->has_expiry = q->touches;
    while ((key = memcache_word(&line)).at != NULL) {
        if (!memcache_key_valid(key) || q->key_count == MEMCACHE_KEYS_MAX) {
            memcache_bad(q, BAD_FORMAT);
            return;
        }
        q->keys[q->key_count++] = key;
    }
    if (q->key_count == 0)
        memcache_bad(q, "ERROR");
}

static int parse_store(struct slice line, const char **at, const char *end,
                       struct memcache_request *q)
{
    uint64_t flags, len = 0;
    bool ok = one_key(&line, q) && memcache_u64(memcache_word(&line), &flags) &&
              flags <= UINT32_MAX && memcache_i64(memcache_word(&line), &q->expiry);
    bool sized = ok && memcache_u64(memcache_word(&line), &len);
    ok = sized && (!q->has_cas || memcache_u64(memcache_word(&line), &q->cas)) && finish(&line, q);
    if (!sized) {
        memcache_bad(q, BAD_FORMAT);
        return 1;
    }
    q->flags = (uint32_t)flags;
    q->has_expiry = true;
    int got = memcache_take_value(at, end, len, q);
    if (got == 1 && !ok)
        memcache_bad(q, BAD_FORMAT);
    return got;
}

static void parse_delete(struct slice line, struct memcache_request *q)
{
    bool ok = one_key(&line, q);
    struct slice rest = line;
    /* An old client's time, which must be 0. */
    if (slice_is(memcache_word(&rest), "0"))
        line = rest;
    if (!ok || !finish(&line, q))
        memcache_bad(q, "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]");
}

static void parse_count(struct slice line, struct memcache_request *q)
{
    if (!one_key(&line, q))
        memcache_bad(q, BAD_FORMAT);
    else if (!memcache_u64(memcache_word(&line), &q->delta))
        memcache_bad(q, "CLIENT_ERROR invalid numeric delta argument");
    else if (!finish(&line, q))
        memcache_bad(q, "ERROR");
}

static void parse_touch(struct slice line, struct memcache_request *q)
{
    q->has_expiry = true;
    if (!one_key(&line, q))
        memcache_bad(q, BAD_FORMAT);
    else if (!memcache_i64(memcache_word(&line), &q->expiry))
        memcache_bad(q, "CLIENT_ERROR invalid exptime argument");
    else if (!finish(&line, q))
        memcache_bad(q, "ERROR");
}

/* flush_all [delay] [noreply], verbosity [n] [noreply], stats [what] */
static void parse_admin(struct slice line, struct memcache_request *q)
{
    struct slice word;
    while ((word = memcache_word(&line)).at != NULL) {
        if (slice_is(word, "noreply"))
            q->quiet = true;
        else if (q->key_count == 0)
            q->keys[q->key_count++] = word;
    }
    if (q->op == MEMCACHE_FLUSH && q->key_count == 1 && !memcache_i64(q->keys[0], &q->expiry))
        memcache_bad(q, "CLIENT_ERROR bad command line format");
}

static const struct command {
    const char *name;
    enum memcache_op op;
    bool with_cas, touches, has_cas;
} commands[] = {
    {"get", MEMCACHE_GET, false, false, false},
    {"gets", MEMCACHE_GET, true, false, false},
    {"gat", MEMCACHE_GET, false, true, false},
    {"gats", MEMCACHE_GET, true, true, false},
    {"set", MEMCACHE_SET, false, false, false},
    {"add", MEMCACHE_ADD, false, false, false},
    {"replace", MEMCACHE_REPLACE, false, false, false},
    {"append", MEMCACHE_APPEND, false, false, false},
    {"prepend", MEMCACHE_PREPEND, false, false, false},
    {"cas", MEMCACHE_SET, false, false, true},
    {"delete", MEMCACHE_DELETE, false, false, false},
    {"incr", MEMCACHE_INCR, false, false, false},
    {"decr", MEMCACHE_DECR, false, false, false},
    {"touch", MEMCACHE_TOUCH, false, false, false},
    {"flush_all", MEMCACHE_FLUSH, false, false, false},
    {"version", MEMCACHE_VERSION, false, false, false},
    {"verbosity", MEMCACHE_VERBOSITY, false, false, false},
    {"stats", MEMCACHE_STATS, false, false, false},
    {"quit", MEMCACHE_QUIT, false, false, false},
};

static const struct command *command_named(struct slice name)
{
    for (size_t i = 0; name.at != NULL && i < sizeof commands / sizeof commands[0]; i++)
        if (*name.at == *commands[i].name && slice_is(name, commands[i].name))
            return &commands[i];
    return NULL;
}

/* A web page can make a browser send a request here, with commands of its own in the body: none of
 * them is looked at. */
static bool is_http(struct slice line)
{
    return slice_fits(line, (struct slice){"* HTTP/1.*", 10});
}

static int refuse_http(struct memcache_request *q)
{
    q->error = "CLIENT_ERROR this is no HTTP server";
    return -1;
}

static int parse_line(struct slice line, const char **at, const char *end,
                      struct memcache_request *q)
{
    const struct slice whole = line;
    struct slice name = memcache_word(&line);
    if (name.len == 2 && *name.at == 'm')
        return memcache_parse_meta(name, line, at, end, q);
    const struct command *c = command_named(name);
    if (c == NULL) {
        memcache_bad(q, "ERROR");
        return is_http(whole) ? refuse_http(q) : 1;
    }
    q->op = c->op;
    q->with_cas = c->with_cas;
    q->touches = c->touches;
    q->has_cas = c->has_cas;
    switch (c->op) {
    case MEMCACHE_GET:
        parse_get(line, q);
        return 1;
    case MEMCACHE_SET:
    case MEMCACHE_ADD:
    case MEMCACHE_REPLACE:
    case MEMCACHE_APPEND:
    case MEMCACHE_PREPEND:
        return parse_store(line, at, end, q);
    case MEMCACHE_DELETE:
        parse_delete(line, q);
        return 1;
    case MEMCACHE_INCR:
    case MEMCACHE_DECR:
        parse_count(line, q);
        return 1;
    case MEMCACHE_TOUCH:
        parse_touch(line, q);
        return 1;
    default:
        parse_admin(line, q);
        return 1;
    }
}

/* All but the arrays, of which only what is counted is set. */
static void clear(struct memcache_request *q, enum memcache_form form)
{
    q->op = MEMCACHE_BAD;
    q->form = form;
    q->quiet = q->with_cas = q->with_key = q->touches = q->has_cas = false;
    q->has_expiry = q->has_initial = false;
    q->opcode = 0;
    q->opaque = q->flags = 0;
    q->expiry = 0;
    q->cas = q->delta = q->initial = 0;
    q->key_count = q->flag_count = q->skip = 0;
    q->value = (struct slice){NULL, 0};
    q->error = NULL;
    q->status = MEMCACHE_OK;
}

int memcache_parse(const char *bytes, size_t len, bool binary, struct memcache_request *out)
{
    clear(out, binary ? MEMCACHE_BINARY : MEMCACHE_TEXT);
    if (binary)
        return memcache_parse_binary(bytes, len, out);
    const char *end = bytes + len;
    const char *lf = memchr(bytes, '\n', len < MEMCACHE_LINE_MAX ? len : MEMCACHE_LINE_MAX);
    if (lf == NULL)
        return len < MEMCACHE_LINE_MAX ? 0 : -1;
    size_t line_len = (size_t)(lf - bytes);
    struct slice line = {bytes, line_len > 0 && lf[-1] == '\r' ? line_len - 1 : line_len};
    const char *at = lf + 1;
    int got = parse_line(line, &at, end, out);
    return got == 1 ? (int)(at - bytes) : got;
}

bool memcache_ttl(int64_t expiry, int64_t now_s, uint32_t *ttl_ms)
{
    int64_t left_s = expiry > MEMCACHE_RELATIVE_MAX_S ? expiry - now_s : expiry;
    *ttl_ms = 0;
    if (expiry == 0)
        return true;
    if (left_s <= 0)
        return false;
    *ttl_ms = left_s > UINT32_MAX / 1000 ? UINT32_MAX : (uint32_t)left_s * 1000;
    return true;
}
