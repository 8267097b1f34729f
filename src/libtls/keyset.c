/* keyset.c - the keys of tickets: read, kept, and found by time or name. */
#include "libtls/keyset.h"

#include "base/base64.h"
#include "stead/error.h"

#include <jansson.h>
#include <string.h>
#include <sys/mman.h>

struct keyset {
    pthread_mutex_t lock;
    int64_t due_s;
    struct keyset_keys keys;
};

/* -- the text -- */

static bool take_bytes(const json_t *from, const char *name, uint8_t *out, size_t want)
{
    const json_t *text = json_object_get(from, name);
    uint8_t bytes[KEYSET_KEY_BYTES + 3];
    size_t chars = json_string_length(text), len = 0;
    bool good = chars == base64_size(want) &&
                base64_decode(json_string_value(text), chars, bytes, &len) && len == want;
    if (good)
        memcpy(out, bytes, want);
    explicit_bzero(bytes, sizeof bytes);
    return good;
}

static bool take_time(const json_t *from, const char *name, int64_t *out)
{
    const json_t *n = json_object_get(from, name);
    *out = json_integer_value(n);
    return json_is_integer(n) && *out > 0;
}

static bool take_key(const json_t *from, struct keyset_key *k)
{
    return take_bytes(from, "name", k->name, sizeof k->name) &&
           take_bytes(from, "cipher", k->cipher, sizeof k->cipher) &&
           take_bytes(from, "mac", k->mac, sizeof k->mac) &&
           take_time(from, "seals_from", &k->seals_from_s) &&
           take_time(from, "seals_until", &k->seals_until_s) &&
           take_time(from, "opens_until", &k->opens_until_s) &&
           k->seals_from_s < k->seals_until_s && k->seals_until_s <= k->opens_until_s;
}

/* jansson's own copies of the texts are wiped where they lie. */
static void wipe(json_t *list)
{
    static const char *const names[] = {"cipher", "mac"};
    for (size_t i = 0; i < json_array_size(list); i++) {
        for (size_t n = 0; n < 2; n++) {
            json_t *text = json_object_get(json_array_get(list, i), names[n]);
            if (json_is_string(text))
                explicit_bzero((char *)(uintptr_t)json_string_value(text),
                               json_string_length(text));
        }
    }
}

int keyset_parse(const char *text, size_t len, struct keyset_keys *out)
{
    memset(out, 0, sizeof *out);
    json_t *root =
        len <= KEYSET_TEXT_MAX ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *list = json_object_get(root, "keys");
    bool good = json_is_array(list) && json_array_size(list) > 0;
    for (size_t i = 0; good && i < json_array_size(list) && i < KEYSET_MAX; i++) {
        good = take_key(json_array_get(list, i), &out->key[i]);
        out->count++;
    }
    wipe(list);
    json_decref(root);
    if (!good)
        explicit_bzero(out, sizeof *out);
    return good ? STEAD_OK : STEAD_E_PARSE;
}

/* -- life -- */

struct keyset *keyset_new(void)
{
    void *at = mmap(NULL, sizeof(struct keyset), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    (void)madvise(at, sizeof(struct keyset), MADV_DONTDUMP);
    (void)mlock(at, sizeof(struct keyset)); /* where the limit lets it */
    struct keyset *k = at;
    pthread_mutex_init(&k->lock, NULL);
    return k;
}

void keyset_free(struct keyset *k)
{
    if (!k)
        return;
    pthread_mutex_destroy(&k->lock);
    explicit_bzero(k, sizeof *k);
    munmap(k, sizeof *k);
}

/* -- keys -- */

/* The next question: a while from now, or when the newest key's time begins. */
static void plan(struct keyset *k, int64_t now_s)
{
    k->due_s = now_s + (int64_t)KEYSET_REFRESH_S;
    for (size_t i = 0; i < k->keys.count; i++)
        if (k->keys.key[i].seals_from_s > now_s && k->keys.key[i].seals_from_s < k->due_s)
            k->due_s = k->keys.key[i].seals_from_s;
}

int keyset_take(struct keyset *k, const char *text, size_t len, int64_t now_s)
{
    struct keyset_keys fresh;
    int err = keyset_parse(text, len, &fresh);
    pthread_mutex_lock(&k->lock);
    if (!err)
        k->keys = fresh;
    plan(k, now_s);
    if (err)
        k->due_s = now_s + KEYSET_RETRY_S;
    pthread_mutex_unlock(&k->lock);
    explicit_bzero(&fresh, sizeof fresh);
    return err;
}

void keyset_failed(struct keyset *k, int64_t now_s)
{
    pthread_mutex_lock(&k->lock);
    k->due_s = now_s + KEYSET_RETRY_S;
    pthread_mutex_unlock(&k->lock);
}

/* Whatever clients show, the node is asked once a second at most. */
void keyset_hurry(struct keyset *k, int64_t now_s)
{
    pthread_mutex_lock(&k->lock);
    if (k->due_s > now_s + KEYSET_RETRY_S)
        k->due_s = now_s + KEYSET_RETRY_S;
    pthread_mutex_unlock(&k->lock);
}

/* A clock that was set back does not stop it. */
bool keyset_due(struct keyset *k, int64_t now_s)
{
    pthread_mutex_lock(&k->lock);
    bool due = now_s >= k->due_s || k->due_s - now_s > (int64_t)KEYSET_REFRESH_S;
    if (due)
        k->due_s = now_s + KEYSET_ASKING_S;
    pthread_mutex_unlock(&k->lock);
    return due;
}

static bool seals(const struct keyset_key *k, int64_t now_s)
{
    return now_s >= k->seals_from_s && now_s < k->seals_until_s;
}

bool keyset_seal(struct keyset *k, int64_t now_s, struct keyset_key *out)
{
    bool found = false;
    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < k->keys.count && !found; i++)
        if ((found = seals(&k->keys.key[i], now_s)))
            *out = k->keys.key[i];
    pthread_mutex_unlock(&k->lock);
    return found;
}

bool keyset_open(struct keyset *k, const uint8_t name[KEYSET_NAME_BYTES], int64_t now_s,
                 struct keyset_key *out, bool *current)
{
    bool found = false;
    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < k->keys.count && !found; i++) {
        const struct keyset_key *key = &k->keys.key[i];
        found = memcmp(key->name, name, KEYSET_NAME_BYTES) == 0 && now_s < key->opens_until_s;
        if (found) {
            *out = *key;
            *current = seals(key, now_s);
        }
    }
    pthread_mutex_unlock(&k->lock);
    return found;
}
