/* keys.c - generations of a farm's key: what may follow on what, and merging. Files are
 * keys_file.c's, bytes keys_wire.c's, and who is told keys_talk.c's. */
#include "core/mesh/keys.h"

#include "stead/error.h"

#include <assert.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define DIGEST_BYTES 32

_Static_assert(DIGEST_BYTES == KEY_SECRET_BYTES, "a digest is a secret");

static void derive(const uint8_t secret[KEY_SECRET_BYTES], const char *purpose,
                   uint8_t out[DIGEST_BYTES])
{
    unsigned len = DIGEST_BYTES;
    const uint8_t *done = HMAC(EVP_sha256(), secret, KEY_SECRET_BYTES, (const uint8_t *)purpose,
                               strlen(purpose), out, &len);
    assert(done && len == DIGEST_BYTES); /* a wrong value would be kept in the file for good */
    (void)done;
}

uint64_t keys_mark(const uint8_t secret[KEY_SECRET_BYTES])
{
    uint8_t digest[DIGEST_BYTES];
    struct wire_reader r;
    derive(secret, "stead key mark 1", digest);
    wire_reader_init(&r, digest, sizeof digest);
    return wire_u64(&r);
}

static void fill(struct key_generation *g, uint8_t number, uint64_t mark,
                 const uint8_t secret[KEY_SECRET_BYTES])
{
    *g = (struct key_generation){.number = number, .mark = mark, .has_data = true};
    memcpy(g->secret, secret, KEY_SECRET_BYTES);
    derive(secret, "stead key data 1", g->data);
}

void keys_init(struct keys *k, const uint8_t secret[KEY_SECRET_BYTES])
{
    *k = (struct keys){.count = 1, .active = keys_mark(secret)};
    fill(&k->list[0], 1, k->active, secret);
}

void keys_wipe(struct keys *k)
{
    OPENSSL_cleanse(k, sizeof *k);
}

static struct key_generation *find(struct keys *k, uint64_t mark)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->list[i].mark == mark)
            return &k->list[i];
    return NULL;
}

const struct key_generation *keys_find(const struct keys *k, uint64_t mark)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->list[i].mark == mark)
            return &k->list[i];
    return NULL;
}

const struct key_generation *keys_active(const struct keys *k)
{
    const struct key_generation *g = keys_find(k, k->active);
    assert(g && g->state == KEY_ACCEPTED);
    return g;
}

const struct key_generation *keys_numbered(const struct keys *k, uint8_t number)
{
    const struct key_generation *found = NULL;
    for (size_t i = 0; i < k->count; i++)
        if (k->list[i].number == number && (!found || k->list[i].state <= found->state))
            found = &k->list[i];
    return found;
}

static bool same(const struct key_generation *a, const struct key_generation *b)
{
    return a->number == b->number && a->state == b->state && a->quiet == b->quiet &&
           a->has_data == b->has_data && a->mark == b->mark;
}

bool keys_equal(const struct keys *a, const struct keys *b)
{
    bool equal = a->turn == b->turn && a->active == b->active && a->count == b->count &&
                 a->lasting_known == b->lasting_known &&
                 memcmp(a->lasting, b->lasting, sizeof a->lasting) == 0;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = same(&a->list[i], &b->list[i]);
    return equal;
}

/* -- changes -- */

static size_t accepted(const struct keys *k)
{
    size_t n = 0;
    for (size_t i = 0; i < k->count; i++)
        n += k->list[i].state == KEY_ACCEPTED;
    return n;
}

static void take_out(struct keys *k, size_t at)
{
    k->count--;
    memmove(&k->list[at], &k->list[at + 1], (k->count - at) * sizeof k->list[0]);
    OPENSSL_cleanse(&k->list[k->count], sizeof k->list[0]);
}

/* A forgotten one makes room. */
static bool make_room(struct keys *k)
{
    for (size_t i = 0; k->count == KEYS_MAX && i < k->count; i++)
        if (k->list[i].state == KEY_FORGOTTEN)
            take_out(k, i);
    return k->count < KEYS_MAX;
}

/* In its place; the caller made room. */
static struct key_generation *put_in(struct keys *k, uint8_t number, uint64_t mark)
{
    size_t at = 0;
    while (at < k->count && (k->list[at].number < number ||
                             (k->list[at].number == number && k->list[at].mark < mark)))
        at++;
    memmove(&k->list[at + 1], &k->list[at], (k->count - at) * sizeof k->list[0]);
    k->count++;
    return &k->list[at];
}

/* One above the greatest; after 255 the least that is free. */
static uint8_t next_number(const struct keys *k)
{
    unsigned greatest = 0;
    for (size_t i = 0; i < k->count; i++)
        if (k->list[i].number > greatest)
            greatest = k->list[i].number;
    if (greatest < UINT8_MAX)
        return (uint8_t)(greatest + 1);
    uint8_t number = 1;
    while (keys_numbered(k, number))
        number++;
    return number;
}

int keys_add(struct keys *k, const uint8_t secret[KEY_SECRET_BYTES], bool quiet, uint64_t *mark)
{
    *mark = keys_mark(secret);
    if (keys_find(k, *mark))
        return STEAD_E_EXISTS;
    if (accepted(k) == KEYS_ACCEPTED_MAX || !make_room(k))
        return STEAD_E_FULL;
    uint8_t number = next_number(k);
    struct key_generation *g = put_in(k, number, *mark);
    fill(g, number, *mark, secret);
    g->quiet = quiet;
    return STEAD_OK;
}

int keys_activate(struct keys *k, uint64_t mark)
{
    const struct key_generation *g = keys_find(k, mark);
    if (!g || g->state != KEY_ACCEPTED)
        return STEAD_E_NOT_FOUND;
    if (mark == k->active)
        return STEAD_E_EXISTS;
    if (k->turn >= KEYS_TURN_MAX)
        return STEAD_E_FULL;
    k->turn++;
    k->active = mark;
    return STEAD_OK;
}

static void lower(struct key_generation *g, enum key_state to)
{
    g->state = to;
    OPENSSL_cleanse(g->secret, sizeof g->secret);
    if (to < KEY_FORGOTTEN)
        return;
    OPENSSL_cleanse(g->data, sizeof g->data);
    g->has_data = false;
}

int keys_retire(struct keys *k, uint64_t mark)
{
    struct key_generation *g = find(k, mark);
    if (!g || g->state != KEY_ACCEPTED)
        return STEAD_E_NOT_FOUND;
    if (mark == k->active)
        return STEAD_E_IN_USE;
    lower(g, KEY_RETIRED);
    return STEAD_OK;
}

int keys_forget(struct keys *k, uint64_t mark)
{
    struct key_generation *g = find(k, mark);
    if (!g || g->state != KEY_RETIRED)
        return STEAD_E_NOT_FOUND;
    lower(g, KEY_FORGOTTEN);
    return STEAD_OK;
}

/* -- merging -- */

static bool take_secret(struct keys *k, const struct key_said *s)
{
    if (keys_find(k, s->mark) || accepted(k) == KEYS_ACCEPTED_MAX || !make_room(k))
        return false;
    fill(put_in(k, s->number, s->mark), s->number, s->mark, s->secret);
    return true;
}

/* Others have retired what is active here, on their side of a cut: theirs is from here on, by a
 * turn that tells everybody who still goes by the other. */
static bool give_way(struct keys *k, const struct keys_said *by)
{
    const struct key_generation *g = keys_find(k, by->active);
    if (!g || g->state != KEY_ACCEPTED || by->active == k->active)
        return false;
    if (by->turn > k->turn)
        k->turn = by->turn;
    k->turn += k->turn < KEYS_TURN_MAX;
    k->active = by->active;
    return true;
}

/* Of one that was never here the mark is kept all the same: nobody shall bring it. */
static bool take_end(struct keys *k, const struct key_said *s, const struct keys_said *by)
{
    struct key_generation *g = find(k, s->mark);
    if (g && g->state >= s->state)
        return false;
    if (s->mark == k->active && !give_way(k, by))
        return false;
    if (!g) {
        if (k->count == KEYS_MAX) /* nothing that is needed makes room for that */
            return false;
        g = put_in(k, s->number, s->mark);
        *g = (struct key_generation){.number = s->number, .mark = s->mark};
    }
    lower(g, s->state);
    return true;
}

static bool take_active(struct keys *k, const struct keys_said *s)
{
    const struct key_generation *g = keys_find(k, s->active);
    bool newer = s->turn > k->turn || (s->turn == k->turn && s->active > k->active);
    if (!newer || !g || g->state != KEY_ACCEPTED)
        return false;
    k->turn = s->turn;
    k->active = s->active;
    return true;
}

/* Whoever was in the farm when it was given its second generation knows them surely. */
static bool take_lasting(struct keys *k, const struct keys_said *s)
{
    if (s->turn <= k->turn || memcmp(k->lasting, s->lasting, sizeof k->lasting) == 0)
        return false;
    memcpy(k->lasting, s->lasting, sizeof k->lasting);
    k->lasting_known = true;
    return true;
}

bool keys_merge(struct keys *k, const struct keys_said *s)
{
    bool changed = take_lasting(k, s);
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].state == KEY_ACCEPTED && s->list[i].given)
            changed |= take_secret(k, &s->list[i]);
    changed |= take_active(k, s);
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].state != KEY_ACCEPTED)
            changed |= take_end(k, &s->list[i], s);
    return changed;
}

bool keys_news_for(const struct keys *k, const struct keys_said *s)
{
    bool news = k->turn > s->turn || (k->turn == s->turn && k->active > s->active);
    for (size_t i = 0; i < k->count && !news; i++) {
        const struct key_generation *g = &k->list[i];
        const struct key_said *known = keys_said_find(s, g->mark);
        if (g->state == KEY_ACCEPTED)
            news = !g->quiet && !known;
        else
            news = known && known->state < g->state;
    }
    return news;
}
