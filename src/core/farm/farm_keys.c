/* farm_keys.c - the farm's keys among its parts: messages by the mesh, what is in effect to the
 * seal, and under which generation each peer is sealed to. What may become of them is
 * core/mesh/keys.c's. */
#include "core/farm/farm_internal.h"

#include "stead/error.h"

#include <assert.h>
#include <string.h>

#include <openssl/crypto.h>

#define KEY_TOLD_NS (10 * NS_PER_S) /* between two notices of keys that are not accepted */

bool farm_keys_make(struct farm *f)
{
    f->keys = keys_talk_new(seal_keys(f->seal));
    return f->keys != NULL;
}

void farm_keys_met(struct farm *f, uint64_t inc)
{
    keys_talk_met(f->keys, inc, mesh_mark(f->mesh, inc));
    f->unflushed = true;
}

void farm_keys_gone(struct farm *f, uint64_t inc)
{
    keys_talk_gone(f->keys, inc);
}

static void seal_to(struct farm *f, uint64_t inc)
{
    mesh_set_mark(f->mesh, inc, keys_talk_mark(f->keys, inc));
}

void farm_keys_message(struct farm *f, uint64_t inc, const uint8_t *bytes, size_t len)
{
    if (!keys_talk_message(f->keys, inc, bytes, len))
        return;
    seal_to(f, inc);
    f->unflushed = true;
}

void farm_keys_foreign(struct farm *f, const struct mesh_output *o, uint64_t now_ns,
                       struct farm_actions *out)
{
    enum seal_unopened why = (enum seal_unopened)o->bytes[0];
    if ((why != SEAL_RETIRED && why != SEAL_UNKNOWN) || now_ns < f->key_told_ns)
        return;
    f->key_told_ns = now_ns + KEY_TOLD_NS;
    farm_notice_add(out, &(struct farm_notice){.what = why == SEAL_RETIRED ? MEMBER_KEY_RETIRED
                                                                           : MEMBER_KEY_UNKNOWN,
                                               .addr = o->addr,
                                               .key = o->bytes[1]});
}

void farm_keys_heard(struct farm *f, uint64_t now_ns)
{
    uint64_t mark = mesh_take_used(f->mesh);
    if (mark != 0)
        keys_talk_used(f->keys, mark, now_ns);
}

static void take_effect(struct farm *f)
{
    f->keys_behind = seal_set_keys(f->seal, keys_talk_now(f->keys)) != STEAD_OK;
    size_t count = membership_contacts(f->members, f->contacts, MEMBERS_MAX);
    for (size_t i = 0; i < count; i++)
        seal_to(f, f->contacts[i].inc);
}

void farm_keys_send(struct farm *f, uint64_t now_ns)
{
    uint8_t bytes[KEYS_MESSAGE_MAX];
    uint64_t inc;
    size_t len;
    if (f->keys_behind)
        take_effect(f);
    while (keys_talk_next(f->keys, now_ns, &inc, bytes, &len)) {
        if (mesh_send(f->mesh, inc, CHANNEL_KEYS, true, bytes, len, now_ns) != STEAD_OK)
            keys_talk_unsent(f->keys, inc, now_ns);
        OPENSSL_cleanse(bytes, len);
        f->unflushed = true;
    }
}

/* -- the caller's -- */

const struct keys *farm_keys(const struct farm *f)
{
    return keys_talk_now(f->keys);
}

const struct keys_talk *farm_keys_talk(const struct farm *f)
{
    return f->keys;
}

void farm_keys_wanted(const struct farm *f, struct keys *out)
{
    keys_talk_wanted(f->keys, out);
}

void farm_keys_want(struct farm *f, const struct keys *k)
{
    keys_talk_want(f->keys, k);
}

bool farm_keys_store(struct farm *f, uint64_t now_ns, struct keys *out)
{
    return keys_talk_store(f->keys, now_ns, out);
}

bool farm_keys_stored(struct farm *f, bool good, uint64_t now_ns)
{
    bool changed = keys_talk_stored(f->keys, good, now_ns);
    if (changed)
        take_effect(f);
    f->unflushed = true;
    return changed;
}

void farm_key_used(struct farm *f, uint64_t mark, uint64_t now_ns)
{
    if (mark != keys_talk_now(f->keys)->active)
        keys_talk_used(f->keys, mark, now_ns);
}

void farm_lasting(const struct farm *f, enum key_lasting which, uint8_t out[32])
{
    memcpy(out, keys_talk_now(f->keys)->lasting[which], KEY_SECRET_BYTES);
}

/* The active one first: it seals. */
size_t farm_derive_all(const struct farm *f, enum key_use use, const char *purpose,
                       uint8_t out[KEYS_MAX][32], uint64_t marks[KEYS_MAX])
{
    const struct keys *k = keys_talk_now(f->keys);
    size_t n = 0;
    for (int first = 1; first >= 0; first--) {
        for (size_t i = 0; i < k->count; i++) {
            const struct key_generation *g = &k->list[i];
            bool fits = use == KEY_FOR_DATA ? g->has_data : g->state == KEY_ACCEPTED;
            if (!fits || (g->mark == k->active) != (first == 1))
                continue;
            marks[n] = g->mark;
            seal_derive_from(f->seal, use == KEY_FOR_DATA ? g->data : g->secret, purpose, out[n++]);
        }
    }
    return n;
}

/* -- what speaks against a change -- */

/* Its process runs again under another incarnation. */
static bool came_back(const struct farm *f, size_t count, const struct member_contact *c)
{
    for (size_t i = 0; i < count; i++) {
        const struct member_contact *other = &f->contacts[i];
        if (other->node == c->node && other->inc != c->inc && other->status != STATUS_DOWN &&
            other->status != STATUS_LEFT)
            return true;
    }
    return false;
}

bool farm_key_peers(struct farm *f, size_t *at, struct farm_key_peer *out)
{
    if (*at == 0)
        f->contact_count = membership_contacts(f->members, f->contacts, MEMBERS_MAX);
    while (*at < f->contact_count) {
        const struct member_contact *c = &f->contacts[(*at)++];
        if (c->status == STATUS_DOWN || c->status == STATUS_LEFT)
            continue;
        out->inc = c->inc;
        memcpy(out->name, c->name, strlen(c->name) + 1);
        return true;
    }
    return false;
}

size_t farm_key_lacking(struct farm *f, uint64_t mark,
                        void (*name)(void *context, const char *name), void *context)
{
    size_t count = membership_contacts(f->members, f->contacts, MEMBERS_MAX), lacking = 0;
    for (size_t i = 0; i < count; i++) {
        const struct member_contact *c = &f->contacts[i];
        struct keys_peer p;
        if (c->status == STATUS_DOWN || c->status == STATUS_LEFT)
            continue;
        keys_talk_peer(f->keys, c->inc, mark, &p);
        if (p.has)
            continue;
        lacking++;
        name(context, c->name);
    }
    return lacking;
}

size_t farm_key_needing(struct farm *f, uint64_t mark,
                        void (*name)(void *context, const char *name), void *context)
{
    size_t count = membership_contacts(f->members, f->contacts, MEMBERS_MAX), needing = 0;
    uint64_t active = keys_talk_now(f->keys)->active;
    if (keys_talk_uses(f->keys, mark)) {
        needing++;
        name(context, membership_self(f->members)->name);
    }
    for (size_t i = 0; i < count; i++) {
        const struct member_contact *c = &f->contacts[i];
        struct keys_peer old, fresh;
        bool down = c->status == STATUS_DOWN;
        if (c->status == STATUS_LEFT || (down && came_back(f, count, c)))
            continue;
        keys_talk_peer(f->keys, c->inc, mark, &old);
        keys_talk_peer(f->keys, c->inc, active, &fresh);
        if (fresh.has && (down || (!old.active && !old.uses)))
            continue;
        needing++;
        name(context, c->name);
    }
    return needing;
}
