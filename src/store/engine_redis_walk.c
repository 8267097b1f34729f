/* Reading all that is there. SCAN tells names in no order, some of them twice, so that they are
 * sorted here: the least ones of all, as many as have room, then the next ones by another pass. */
#include "store/engine_redis_internal.h"

#include "base/base64.h"
#include "base/mem.h"
#include "stead/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW_FIRST 4096
#define SCAN_COUNT "1000"
#define SCAN_STEPS_MAX (4u << 20) /* of one server: one that never comes to an end is left */
#define SCAN_TRIES 3              /* names were moved between servers meanwhile */
#define GETS 64
#define SNAPSHOT_PUTS 256
#define SNAPSHOT_BYTES (4u << 20)
#define SNAPSHOT_MAX (64ull << 30)

void redis_window_clear(struct redis_window *w)
{
    mem_free(w->names);
    *w = (struct redis_window){.max = w->max};
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, ENGINE_NAME_BYTES);
}

/* -- a window: a heap with its greatest name on top while it is filled -- */

static void swap(struct redis_window *w, size_t a, size_t b)
{
    uint8_t name[ENGINE_NAME_BYTES];
    memcpy(name, w->names[a], sizeof(name));
    memcpy(w->names[a], w->names[b], sizeof(name));
    memcpy(w->names[b], name, sizeof(name));
}

static void rise(struct redis_window *w, size_t i)
{
    for (; i > 0 && compare(w->names[i], w->names[(i - 1) / 2]) > 0; i = (i - 1) / 2)
        swap(w, i, (i - 1) / 2);
}

static void sink(struct redis_window *w)
{
    for (size_t i = 0;;) {
        size_t child = 2 * i + 1;
        if (child >= w->count)
            return;
        if (child + 1 < w->count && compare(w->names[child + 1], w->names[child]) > 0)
            child++;
        if (compare(w->names[i], w->names[child]) >= 0)
            return;
        swap(w, i, child);
        i = child;
    }
}

static int grow(struct redis_window *w)
{
    size_t cap = w->cap ? w->cap * 2 : WINDOW_FIRST;
    void *names = mem_realloc(w->names, cap * ENGINE_NAME_BYTES);
    if (!names)
        return STEAD_E_NOMEM;
    w->names = names;
    w->cap = cap;
    return STEAD_OK;
}

static int add_name(struct redis_window *w, const uint8_t *name)
{
    if (w->count == w->max) {
        w->more = true;
        if (compare(name, w->names[0]) < 0) {
            memcpy(w->names[0], name, ENGINE_NAME_BYTES);
            sink(w);
        }
        return STEAD_OK;
    }
    if (w->count == w->cap && grow(w))
        return STEAD_E_NOMEM;
    memcpy(w->names[w->count++], name, ENGINE_NAME_BYTES);
    rise(w, w->count - 1);
    return STEAD_OK;
}

static void sort_names(struct redis_window *w)
{
    size_t kept = 0;
    if (w->count > 0)
        qsort(w->names, w->count, ENGINE_NAME_BYTES, compare);
    for (size_t i = 0; i < w->count; i++)
        if (kept == 0 || compare(w->names[i], w->names[kept - 1]) != 0)
            memmove(w->names[kept++], w->names[i], ENGINE_NAME_BYTES);
    w->count = kept;
    w->at = 0;
}

/* -- SCAN -- */

/* The engine's own names: those of this prefix with 32 bytes behind it. */
static bool read_name(const struct redis *r, const struct redis_answer *a,
                      uint8_t name[ENGINE_NAME_BYTES])
{
    size_t prefix = strlen(r->prefix), len;
    char text[REDIS_NAME_TEXT + 1], again[REDIS_NAME_MAX];
    uint8_t bytes[ENGINE_NAME_BYTES + 2];
    if (a->type != REDIS_TEXT || a->len != prefix + REDIS_NAME_TEXT ||
        memcmp(a->text, r->prefix, prefix) != 0)
        return false;
    for (size_t i = 0; i < REDIS_NAME_TEXT; i++) {
        char c = a->text[prefix + i];
        text[i] = c == '-' ? '+' : c;
        if (c == '_')
            text[i] = '/';
    }
    text[REDIS_NAME_TEXT] = '=';
    if (!base64_decode(text, sizeof(text), bytes, &len) || len != ENGINE_NAME_BYTES)
        return false;
    memcpy(name, bytes, ENGINE_NAME_BYTES);
    return redis_name(r, name, again) == a->len && memcmp(again, a->text, a->len) == 0;
}

static int take_names(struct redis *r, const struct redis_answer *list, const uint8_t *after)
{
    uint8_t name[ENGINE_NAME_BYTES];
    int err = STEAD_OK;
    for (size_t i = 0; i < list->count && !err; i++)
        if (read_name(r, list->items[i], name) && (!after || compare(name, after) > 0))
            err = add_name(&r->window, name);
    return err;
}

/* [cursor, [name, ...]] */
static int read_step(struct redis *r, const struct redis_answer *a, const uint8_t *after,
                     char cursor[24])
{
    if (a->type == REDIS_ERROR) {
        redis_say(r, a->text);
        return redis_answer_begins(a, "NOPERM") ? STEAD_E_DENIED : STEAD_E_IO;
    }
    if (a->type != REDIS_LIST || a->count != 2 || a->items[1]->type != REDIS_LIST)
        return redis_amiss(r);
    const struct redis_answer *next = a->items[0];
    if (next->type != REDIS_TEXT || next->len == 0 || next->len > 20 ||
        strspn(next->text, "0123456789") != next->len)
        return redis_amiss(r);
    memcpy(cursor, next->text, next->len + 1);
    return take_names(r, a->items[1], after);
}

static int scan_server(struct redis *r, const struct redis_place *place, const uint8_t *after)
{
    char cursor[24] = "0", words[128];
    struct redis_link *l;
    int err = redis_link_to(r, place, &l);
    for (size_t step = 0; !err; step++) {
        struct redis_answer *a = NULL;
        snprintf(words, sizeof(words), "SCAN %s MATCH %s* COUNT " SCAN_COUNT, cursor, r->prefix);
        if (step == SCAN_STEPS_MAX)
            return redis_amiss(r);
        err = redis_link_ask(l, words, &a);
        if (err) {
            redis_say(r, l->why);
            redis_link_close(l);
        } else
            err = read_step(r, a, after, cursor);
        redis_answer_free(a);
        if (!err)
            err = redis_hold(r);
        if (!err && strcmp(cursor, "0") == 0)
            return STEAD_OK;
        if (!err && !l->open) /* what it had told is of another time */
            err = STEAD_E_IO;
    }
    return err;
}

static int scan_all(struct redis *r, const uint8_t *after)
{
    int err = STEAD_OK;
    redis_window_clear(&r->window);
    /* The map moves when a server says so, and all begins again. */
    for (size_t i = 0; i < r->map.count && !err && !r->stale; i++) {
        struct redis_place place = r->map.primaries[i].place;
        err = scan_server(r, &place, after);
    }
    return err;
}

static bool same_map(const struct redis_map *a, const struct redis_map *b)
{
    for (size_t slot = 0; slot < REDIS_SLOTS; slot++) {
        if (a->owner[slot] == 0 || b->owner[slot] == 0 ||
            !redis_place_equal(&a->primaries[a->owner[slot] - 1].place,
                               &b->primaries[b->owner[slot] - 1].place))
            return false;
    }
    return true;
}

/* A name that is moved to a server that was read already would be missed: so the map must be the
 * same before and after. */
static int fill_window(struct redis *r, const uint8_t *after)
{
    struct redis_map *before = mem_alloc(sizeof(*before));
    int err = before ? STEAD_E_IO : STEAD_E_NOMEM;
    for (int i = 0; before && i < SCAN_TRIES; i++) {
        err = redis_refresh(r);
        *before = r->map;
        if (!err)
            err = scan_all(r, after);
        if (!err)
            err = redis_refresh(r);
        if (err || same_map(before, &r->map))
            break;
        redis_say(r, "slots are being moved");
        err = STEAD_E_IO;
    }
    mem_free(before);
    if (err)
        redis_window_clear(&r->window);
    else
        sort_names(&r->window);
    return err;
}

/* -- values -- */

static bool in_window(const struct redis_window *w, const uint8_t *after)
{
    return w->count > 0 && compare(after, w->names[0]) >= 0 &&
           compare(after, w->names[w->count - 1]) <= 0;
}

static void seek(struct redis_window *w, const uint8_t *after)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(w->names[middle], after) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    w->at = low;
}

/* The values of some names; a name that is gone by now is passed over. */
static int give_some(struct redis *r, engine_take *take, void *context, bool *on)
{
    struct redis_window *w = &r->window;
    struct redis_command c[GETS];
    char texts[GETS][REDIS_NAME_MAX];
    size_t n = 0;
    int err = redis_hold(r);
    for (; n < GETS && w->at + n < w->count; n++) {
        size_t len = redis_name(r, w->names[w->at + n], texts[n]);
        c[n] = (struct redis_command){
            .argv = {{"GET", 3}, {texts[n], len}}, .argc = 2, .slot = redis_slot(texts[n], len)};
    }
    if (!err)
        err = redis_run(r, c, n, false);
    for (size_t i = 0; i < n && *on && !err; i++) {
        const struct redis_answer *a = c[i].answer;
        if (a->type == REDIS_TEXT && a->len <= ENGINE_VALUE_MAX)
            *on = take(context, w->names[w->at], (const uint8_t *)a->text, a->len);
        else if (a->type != REDIS_NIL)
            err = redis_amiss(r);
        w->at++;
    }
    redis_clear(c, n);
    return err;
}

int redis_walk(struct engine *e, const uint8_t *after, engine_take *take, void *context)
{
    struct redis *r = redis_of(e);
    struct redis_window *w = &r->window;
    uint8_t last[ENGINE_NAME_BYTES];
    bool on = true;
    int err = STEAD_OK;
    if (after && in_window(w, after))
        seek(w, after);
    else
        err = fill_window(r, after);
    while (!err && on) {
        while (!err && on && w->at < w->count)
            err = give_some(r, take, context, &on);
        if (err || !on)
            break;
        if (!w->more) {
            redis_window_clear(w);
            break;
        }
        memcpy(last, w->names[w->count - 1], sizeof(last));
        err = fill_window(r, last);
    }
    return err;
}

/* -- a copy in a file -- */

struct copy {
    struct engine *to;
    struct engine_put puts[SNAPSHOT_PUTS];
    uint8_t *bytes[SNAPSHOT_PUTS];
    size_t count, size;
    int err;
};

static void copy_flush(struct copy *c)
{
    if (!c->err && c->count > 0)
        c->err = c->to->calls->put(c->to, c->puts, c->count);
    for (size_t i = 0; i < c->count; i++)
        mem_free(c->bytes[i]);
    c->count = c->size = 0;
}

static bool copy_one(void *context, const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes,
                     size_t len)
{
    struct copy *c = context;
    uint8_t *own = mem_dup(bytes, len);
    if (!own) {
        c->err = STEAD_E_NOMEM;
        return false;
    }
    struct engine_put *p = &c->puts[c->count];
    *p = (struct engine_put){.bytes = own, .len = len};
    memcpy(p->name, name, ENGINE_NAME_BYTES);
    c->bytes[c->count++] = own;
    c->size += len;
    if (c->count == SNAPSHOT_PUTS || c->size >= SNAPSHOT_BYTES)
        copy_flush(c);
    return c->err == STEAD_OK;
}

/* The file is one of the embedded engine, which every repository reads. */
int redis_snapshot(struct engine *e, const char *path)
{
    if (access(path, F_OK) == 0)
        return STEAD_E_EXISTS;
    struct copy *c = mem_alloc(sizeof(*c));
    if (!c)
        return STEAD_E_NOMEM;
    int err = engine_lmdb_open(path, SNAPSHOT_MAX, &c->to);
    if (!err) {
        err = redis_walk(e, NULL, copy_one, c);
        copy_flush(c);
        err = err ? err : c->err;
        engine_close(c->to);
        if (err)
            unlink(path);
    }
    mem_free(c);
    return err;
}
