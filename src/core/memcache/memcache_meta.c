/* memcache_meta.c - the meta commands: mg ms md ma mn, their flags, and their answers. me (debug)
 * is not there. Stale items and win tokens (I, N with W and Z) are a cache's; a vivify on a miss is
 * refused. */
#include "core/memcache/memcache_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BAD_FORMAT "CLIENT_ERROR bad command line format"
#define NUMBER_MAX 24

struct slice memcache_flag(const struct memcache_request *q, char letter)
{
    for (size_t i = 0; i < q->flag_count; i++)
        if (*q->meta[i].at == letter)
            return (struct slice){q->meta[i].at + 1, q->meta[i].len - 1};
    return (struct slice){NULL, 0};
}

static bool has(const struct memcache_request *q, char letter)
{
    return memcache_flag(q, letter).at != NULL;
}

/* Which letters a command takes. */
static const struct meta {
    const char *name, *letters;
    enum memcache_op op;
} metas[] = {
    {"mg", "bcfhklOqstvTE", MEMCACHE_GET},
    {"ms", "bcCfFIkOqsTME", MEMCACHE_SET},
    {"md", "bCIkOqTxE", MEMCACHE_DELETE},
    {"ma", "bcCNJDTMOqtvkE", MEMCACHE_INCR},
    {"mn", "", MEMCACHE_NOOP},
};

static bool collect_flags(struct slice *line, const char *letters, struct memcache_request *q)
{
    struct slice word;
    while ((word = memcache_word(line)).at != NULL) {
        if (strchr(letters, *word.at) == NULL || has(q, *word.at) ||
            q->flag_count == MEMCACHE_FLAGS_MAX)
            return false;
        q->meta[q->flag_count++] = word;
    }
    return true;
}

/* A flag's number, where the flag was sent. */
static bool number(const struct memcache_request *q, char letter, bool *sent, uint64_t *out)
{
    struct slice text = memcache_flag(q, letter);
    *sent = text.at != NULL;
    return !*sent || memcache_u64(text, out);
}

static bool expiry(struct memcache_request *q)
{
    struct slice text = memcache_flag(q, 'T');
    q->has_expiry = text.at != NULL;
    return text.at == NULL || memcache_i64(text, &q->expiry);
}

static bool store_mode(struct memcache_request *q)
{
    struct slice mode = memcache_flag(q, 'M');
    if (mode.at == NULL)
        return true;
    if (mode.len != 1)
        return false;
    switch (*mode.at | 0x20) {
    case 'e':
        q->op = MEMCACHE_ADD;
        return true;
    case 'a':
        q->op = MEMCACHE_APPEND;
        return true;
    case 'p':
        q->op = MEMCACHE_PREPEND;
        return true;
    case 'r':
        q->op = MEMCACHE_REPLACE;
        return true;
    case 's':
        return true;
    default:
        return false;
    }
}

static bool count_mode(struct memcache_request *q)
{
    struct slice mode = memcache_flag(q, 'M');
    bool sent;
    q->delta = 1;
    if (!number(q, 'D', &sent, &q->delta) || !number(q, 'J', &q->has_initial, &q->initial))
        return false;
    struct slice vivify = memcache_flag(q, 'N');
    q->has_initial = vivify.at != NULL;
    if (vivify.at != NULL && !memcache_i64(vivify, &q->expiry))
        return false;
    if (mode.at == NULL || slice_is_nocase(mode, "i") || slice_is(mode, "+") ||
        slice_is_nocase(mode, "incr"))
        return true;
    q->op = MEMCACHE_DECR;
    return slice_is_nocase(mode, "d") || slice_is(mode, "-") || slice_is_nocase(mode, "decr");
}

static bool read_flags(struct memcache_request *q)
{
    uint64_t flags = 0;
    bool sent;
    q->quiet = has(q, 'q');
    if (!number(q, 'C', &q->has_cas, &q->cas) || !expiry(q))
        return false;
    switch (q->op) {
    case MEMCACHE_GET:
        q->touches = q->has_expiry;
        return true;
    case MEMCACHE_SET:
        if (!number(q, 'F', &sent, &flags) || flags > UINT32_MAX)
            return false;
        q->flags = (uint32_t)flags;
        q->has_expiry = true;
        return store_mode(q);
    case MEMCACHE_INCR:
        return count_mode(q);
    default:
        return true;
    }
}

int memcache_parse_meta(struct slice name, struct slice line, const char **at, const char *end,
                        struct memcache_request *q)
{
    const struct meta *m = metas;
    uint64_t len = 0;
    q->form = MEMCACHE_META;
    while (m < metas + sizeof metas / sizeof metas[0] && !slice_is(name, m->name))
        m++;
    if (m == metas + sizeof metas / sizeof metas[0]) {
        memcache_bad(q, "ERROR");
        return 1;
    }
    q->op = m->op;
    if (q->op == MEMCACHE_NOOP)
        return 1;
    q->keys[0] = memcache_word(&line);
    q->key_count = 1;
    bool keyed = memcache_key_valid(q->keys[0]);
    bool sized = q->op != MEMCACHE_SET || memcache_u64(memcache_word(&line), &len);
    bool ok =
        keyed && sized && collect_flags(&line, m->letters, q) && !has(q, 'b') && read_flags(q);
    int got = 1;
    if (m->op == MEMCACHE_SET && sized)
        got = memcache_take_value(at, end, len, q);
    if (got == 1 && !ok && q->error == NULL)
        memcache_bad(q, BAD_FORMAT);
    return got;
}

/* -- answers -- */

static void put_left(struct memcache_out *o, int64_t left_s)
{
    char text[NUMBER_MAX + 2];
    int len = snprintf(text, sizeof text, " t%" PRId64, left_s);
    memcache_put(o, text, (size_t)len);
}

/* The flags that ask for something come back with it, in the order in which they were sent. */
static void put_flags(struct memcache_out *o, const struct memcache_request *q,
                      const struct memcache_item *item)
{
    for (size_t i = 0; i < q->flag_count; i++) {
        char letter = *q->meta[i].at;
        if (letter == 'O' || letter == 'k' || letter == 'b') {
            struct slice text =
                letter == 'k' ? q->keys[0] : (struct slice){q->meta[i].at + 1, q->meta[i].len - 1};
            char head[2] = {' ', letter};
            memcache_put(o, head, 2);
            memcache_put(o, text.at, letter == 'b' ? 0 : text.len);
        } else if (item == NULL) {
            continue;
        } else if (letter == 'c') {
            memcache_put_u64(o, " c", item->cas);
        } else if (letter == 'f') {
            memcache_put_u64(o, " f", item->flags);
        } else if (letter == 's') {
            memcache_put_u64(o, " s", item->value.len);
        } else if (letter == 't') {
            put_left(o, item->left_s);
        }
    }
    memcache_put(o, "\r\n", 2);
}

void memcache_meta_item(struct memcache_out *o, const struct memcache_request *q,
                        const struct memcache_item *item)
{
    bool value = has(q, 'v');
    if (value)
        memcache_put_u64(o, "VA ", item->value.len);
    else
        memcache_put(o, "HD", 2);
    put_flags(o, q, item);
    if (value) {
        memcache_put(o, item->value.at, item->value.len);
        memcache_put(o, "\r\n", 2);
    }
}

/* The outcome that a quiet request expects, and is not told: a miss of mg, a success of the rest.
 */
static bool expected(const struct memcache_request *q, enum memcache_status s)
{
    if (q->op == MEMCACHE_GET)
        return s == MEMCACHE_NOT_FOUND;
    return s == MEMCACHE_OK || (q->op == MEMCACHE_DELETE && s == MEMCACHE_NOT_FOUND);
}

void memcache_meta_status(struct memcache_out *o, const struct memcache_request *q,
                          enum memcache_status s, const struct memcache_item *item)
{
    if (q->quiet && expected(q, s))
        return;
    switch (s) {
    case MEMCACHE_OK:
        memcache_put(o, "HD", 2);
        break;
    case MEMCACHE_NOT_FOUND:
        if (q->op == MEMCACHE_GET) {
            memcache_put(o, "EN\r\n", 4);
            return;
        }
        memcache_put(o, "NF", 2);
        break;
    case MEMCACHE_EXISTS:
        memcache_put(o, "EX", 2);
        break;
    default:
        memcache_put(o, "NS", 2);
        break;
    }
    put_flags(o, q, item);
}
