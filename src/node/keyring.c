/* keyring.c - the key file, and what is derived for the node's parts. Orders: keyring_order.c. */
#include "node/keyring.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/io.h"
#include "stead/error.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_NS NS_PER_S /* between two looks at what was opened with which key */
#define LOCKED_BYTES (128u << 10)
#define LOCKED_LEAST 64

void keyring_lock_memory(void)
{
    /* 2: there is such memory, but the limit of locked pages is reached; then it is not locked. */
    if (!CRYPTO_secure_malloc_initialized() &&
        CRYPTO_secure_malloc_init(LOCKED_BYTES, LOCKED_LEAST) == 0)
        log_warn("locked-memory", "why=\"there is none: keys lie in common memory\"");
}

int keyring_load(const char *path, struct keys *out)
{
    struct stat st;
    char *text;
    size_t len;
    if (stat(path, &st))
        return io_error(errno);
    if (st.st_mode & 077)
        return STEAD_E_DENIED;
    int err = io_read_file(path, KEYS_TEXT_MAX, &text, &len);
    if (err)
        return err;
    err = keys_read(out, text, len);
    explicit_bzero(text, len);
    mem_free(text);
    return err;
}

struct key_rings *key_rings_new(void)
{
    return OPENSSL_secure_zalloc(sizeof(struct key_rings));
}

void key_rings_free(struct key_rings *r)
{
    OPENSSL_secure_clear_free(r, sizeof(*r));
}

/* -- what is derived -- */

_Static_assert((int)KEYS_MAX == (int)BOX_RING_MAX, "a ring has room for every generation");

static void fill(struct keyring *k, struct box_ring *ring, enum key_use use, const char *purpose,
                 uint64_t marks[BOX_RING_MAX])
{
    uint8_t keys[KEYS_MAX][TOKEN_KEY_BYTES];
    size_t count = farm_derive_all(k->farm, use, purpose, keys, marks);
    box_ring_set(ring, (const uint8_t(*)[TOKEN_KEY_BYTES])keys, count);
    explicit_bzero(keys, sizeof(keys));
}

void keyring_derive(struct keyring *k, struct shared_keys *out)
{
    uint8_t keys[KEYS_MAX][TOKEN_KEY_BYTES];
    uint64_t marks[KEYS_MAX];
    fill(k, &k->rings->private, KEY_FOR_DATA, "private", k->marks);
    fill(k, &k->rings->repository, KEY_FOR_DATA, "repository", k->marks);
    fill(k, &k->rings->snapshot, KEY_FOR_DATA, "snapshot", k->marks);
    fill(k, &k->rings->tls, KEY_FOR_PASSING, "tls-session", k->passing_marks);
    fill(k, &k->rings->tls_set, KEY_FOR_PASSING, "tls-set", k->passing_marks);
    memset(k->used, 0, sizeof(k->used));
    memset(k->passing_used, 0, sizeof(k->passing_used));
    farm_lasting(k->farm, LASTING_VISIT, out->visit);
    size_t n = farm_derive_all(k->farm, KEY_FOR_PASSING, "token", keys, marks);
    memcpy(out->token, keys[0], sizeof(out->token));
    out->older_count = n - 1;
    for (size_t i = 1; i < n; i++)
        memcpy(out->older[i - 1], keys[i], sizeof(out->older[0]));
    (void)farm_derive_all(k->farm, KEY_FOR_PASSING, "dns-cookie", keys, marks);
    memcpy(out->dns_cookie, keys[0], sizeof(out->dns_cookie));
    explicit_bzero(keys, sizeof(keys));
}

/* What was opened with other keys than the first since the last look. */
static void look(struct keyring *k, uint64_t now_ns)
{
    for (size_t i = 1; i < BOX_RING_MAX; i++) {
        const struct key_rings *r = k->rings;
        uint64_t data = r->private.used[i] + r->repository.used[i];
        uint64_t passing = r->tls.used[i] + r->tls_set.used[i];
        /* Fields are read for as long as they lie, which must not keep their key's frames good. */
        if (passing > k->passing_used[i])
            farm_key_used(k->farm, k->passing_marks[i], now_ns);
        k->used[i] = data;
        k->passing_used[i] = passing;
    }
}

/* -- the file -- */

static void save(uv_work_t *work)
{
    struct keyring *k = work->data;
    k->error = io_write_file(k->path, k->text, k->text_len, 0600);
}

static void drop_text(struct keyring *k)
{
    if (k->text)
        explicit_bzero(k->text, KEYS_TEXT_MAX);
    mem_free(k->text);
    k->text = NULL;
}

static void settle(struct keyring *k, int error)
{
    k->saving = false;
    drop_text(k);
    if (error && error != k->said_error)
        log_error("key-file",
                  "file=%s error=%s why=\"new keys are not taken up until it can be "
                  "written\"",
                  k->path, stead_error_name(error));
    k->said_error = error;
    bool changed = farm_keys_stored(k->farm, error == STEAD_OK, io_now_ns());
    if (changed) {
        const struct keys *now = farm_keys(k->farm);
        log_info("keys", "active=%u known=%zu turn=%u", keys_active(now)->number, now->count,
                 now->turn);
        k->changed(k->context);
    }
    k->stored(k->context, error);
}

static void on_saved(uv_work_t *work, int status)
{
    struct keyring *k = work->data;
    settle(k, status ? STEAD_E_IO : k->error);
}

void keyring_turn(struct keyring *k, uint64_t now_ns)
{
    struct keys keys;
    if (now_ns >= k->looked_ns + LOOK_NS) {
        k->looked_ns = now_ns;
        look(k, now_ns);
    }
    if (k->saving || !farm_keys_store(k->farm, now_ns, &keys))
        return;
    k->saving = true;
    k->text = mem_alloc(KEYS_TEXT_MAX);
    k->text_len = k->text ? keys_write(&keys, k->text) : 0;
    keys_wipe(&keys);
    k->work.data = k;
    if (!k->text)
        settle(k, STEAD_E_NOMEM);
    else if (uv_queue_work(k->loop, &k->work, save, on_saved))
        settle(k, STEAD_E_IO);
}

static void show_node(const struct keyring *k, const struct farm_key_peer *p,
                      struct keyring_view *out)
{
    unsigned accepted = 0;
    uint8_t active = 0;
    bool told = false;
    for (size_t i = 0; i < out->count; i++) {
        struct keys_peer said;
        keys_talk_peer(farm_keys_talk(k->farm), p->inc, out->list[i].mark, &said);
        told = said.told;
        active = said.active_number;
        accepted |= (unsigned)said.has << i;
        out->list[i].nodes_with += said.has;
        out->list[i].nodes_active += said.active;
        out->list[i].nodes_using += said.uses;
    }
    out->nodes_silent += !told;
    if (out->node_count == KEYRING_NODES_MAX)
        return;
    memcpy(out->nodes[out->node_count].name, p->name, sizeof(p->name));
    out->nodes[out->node_count].told = told;
    out->nodes[out->node_count].active = active;
    out->nodes[out->node_count++].accepted = accepted;
}

void keyring_show(struct keyring *k, struct keyring_view *out)
{
    const struct keys *now = farm_keys(k->farm);
    uint64_t now_ns = io_now_ns();
    struct farm_key_peer p;
    struct keys_stats stats;
    if (now_ns < k->shown_ns + LOOK_NS / 4)
        return;
    k->shown_ns = now_ns;
    keys_talk_stats(farm_keys_talk(k->farm), &stats);
    *out = (struct keyring_view){.turn = now->turn,
                                 .in = stats.in,
                                 .out = stats.out,
                                 .malformed = stats.malformed,
                                 .changes = stats.changes,
                                 .store_failed = stats.store_failed,
                                 .count = now->count};
    for (size_t i = 0; i < now->count; i++) {
        const struct key_generation *g = &now->list[i];
        bool accepted = g->state == KEY_ACCEPTED, active = g->mark == now->active;
        bool uses = keys_talk_uses(farm_keys_talk(k->farm), g->mark);
        out->list[i].number = g->number;
        out->list[i].state = g->state;
        out->list[i].active = active;
        out->list[i].uses = uses;
        out->list[i].quiet = g->quiet;
        out->list[i].mark = g->mark;
        out->list[i].nodes_with = accepted;
        out->list[i].nodes_active = active;
        out->list[i].nodes_using = uses;
    }
    for (size_t at = 0; farm_key_peers(k->farm, &at, &p);)
        show_node(k, &p, out);
}

void keyring_close(struct keyring *k)
{
    drop_text(k);
}
