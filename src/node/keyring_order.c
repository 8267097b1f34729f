/* keyring_order.c - what an operator orders of the farm's keys, and what speaks against it. */
#include "node/keyring.h"

#include "io/io.h"
#include "stead/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of nodes, as many as there is room for. */
struct naming {
    char *text;
    size_t len, left;
    const char *why;
};

static void name_node(void *context, const char *name)
{
    struct naming *n = context;
    size_t need = strlen(name) + 2;
    if (n->len + need + 8 > KEYRING_SAYS_MAX) {
        n->left++;
        return;
    }
    n->len += (size_t)snprintf(n->text + n->len, KEYRING_SAYS_MAX - n->len, "%s%s",
                               n->left || n->len == strlen(n->why) ? " " : ", ", name);
}

static bool parse_number(const char *text, uint8_t *out)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    *out = (uint8_t)n;
    return end != text && *end == '\0' && errno == 0 && n >= 1 && n <= UINT8_MAX;
}

static int add(struct keys *keys, const char *file, bool here, char *says)
{
    uint8_t secret[KEY_SECRET_BYTES];
    struct keys read;
    uint64_t mark;
    int err = STEAD_OK;
    if (!*file) {
        io_random(secret, sizeof(secret));
    } else if ((err = keyring_load(file, &read)) != STEAD_OK) {
        snprintf(says, KEYRING_SAYS_MAX,
                 "%s: %s; it must be a file of 'stead keygen', mode 0600, of the node's own user",
                 file, stead_error_text(err));
        return err == STEAD_E_NOT_FOUND ? STEAD_E_INVAL : err;
    } else {
        memcpy(secret, keys_active(&read)->secret, sizeof(secret));
        keys_wipe(&read);
    }
    err = keys_add(keys, secret, here, &mark);
    explicit_bzero(secret, sizeof(secret));
    if (err == STEAD_E_FULL)
        snprintf(says, KEYRING_SAYS_MAX,
                 "there are too many generations: retire one, or forget one that is retired");
    else if (err)
        snprintf(says, KEYRING_SAYS_MAX, "that key is known already");
    else
        snprintf(says, KEYRING_SAYS_MAX, "generation %u is added", keys_find(keys, mark)->number);
    return err;
}

static int refuse_by(struct naming *n, char *says)
{
    if (n->left)
        snprintf(says + n->len, KEYRING_SAYS_MAX - n->len, " ...");
    return STEAD_E_IN_USE;
}

static int activate(struct keyring *k, struct keys *keys, const struct key_generation *g,
                    bool force, char *says)
{
    struct naming n = {.text = says, .why = "nodes that do not have it yet:"};
    n.len = (size_t)snprintf(says, KEYRING_SAYS_MAX, "%s", n.why);
    if (!force && farm_key_lacking(k->farm, g->mark, name_node, &n) > 0)
        return refuse_by(&n, says);
    int err = keys_activate(keys, g->mark);
    snprintf(says, KEYRING_SAYS_MAX,
             err ? "generation %u is active, or not accepted" : "generation %u is active",
             g->number);
    return err;
}

static int retire(struct keyring *k, struct keys *keys, const struct key_generation *g, bool force,
                  char *says)
{
    struct naming n = {.text = says, .why = "nodes that need it still:"};
    n.len = (size_t)snprintf(says, KEYRING_SAYS_MAX, "%s", n.why);
    if (g->mark != keys->active && !force && farm_key_needing(k->farm, g->mark, name_node, &n) > 0)
        return refuse_by(&n, says);
    int err = keys_retire(keys, g->mark);
    snprintf(says, KEYRING_SAYS_MAX,
             err == STEAD_E_IN_USE ? "generation %u is the active one: activate another first"
             : err                 ? "generation %u is retired already"
                                   : "generation %u is retired",
             g->number);
    return err;
}

static int forget(struct keys *keys, const struct key_generation *g, char *says)
{
    int err = keys_forget(keys, g->mark);
    snprintf(says, KEYRING_SAYS_MAX,
             err ? "generation %u is not retired" : "generation %u is forgotten", g->number);
    return err;
}

static const char *behind(const char *text, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(text, word, len) != 0)
        return NULL;
    return text[len] == '\0' ? text + len : text[len] == ' ' ? text + len + 1 : NULL;
}

static int change(struct keyring *k, struct keys *keys, const char *text, bool force, char *says)
{
    const char *rest;
    uint8_t number;
    if ((rest = behind(text, "add")))
        return add(keys, rest, false, says);
    if ((rest = behind(text, "add-here")) && *rest)
        return add(keys, rest, true, says);
    const char *word = strchr(text, ' ');
    if (!word || !parse_number(word + 1, &number)) {
        snprintf(says, KEYRING_SAYS_MAX, "add, activate N, retire N or forget N");
        return STEAD_E_INVAL;
    }
    const struct key_generation *g = keys_numbered(keys, number);
    if (!g) {
        snprintf(says, KEYRING_SAYS_MAX, "there is no generation %u", number);
        return STEAD_E_NOT_FOUND;
    }
    if (behind(text, "activate"))
        return activate(k, keys, g, force, says);
    if (behind(text, "retire"))
        return retire(k, keys, g, force, says);
    if (behind(text, "forget"))
        return forget(keys, g, says);
    snprintf(says, KEYRING_SAYS_MAX, "add, activate N, retire N or forget N");
    return STEAD_E_INVAL;
}

int keyring_order(struct keyring *k, const char *text, bool force, char says[KEYRING_SAYS_MAX])
{
    struct keys keys;
    farm_keys_wanted(k->farm, &keys);
    *says = '\0';
    int err = change(k, &keys, text, force, says);
    if (!err)
        farm_keys_want(k->farm, &keys);
    keys_wipe(&keys);
    return err ? err : STEAD_PENDING;
}
