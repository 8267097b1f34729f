/* keyset.h - inside libstead-tls: the keys of tickets, as the node gave them. On pages of their
 * own, which are in no core dump and, where it is allowed, not swapped out; wiped when replaced. */
#ifndef LIBTLS_KEYSET_H
#define LIBTLS_KEYSET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYSET_NAME_BYTES 16
#define KEYSET_KEY_BYTES 32
#define KEYSET_MAX 40         /* more are left out */
#define KEYSET_TEXT_MAX 16384 /* of an answer */
#define KEYSET_REFRESH_S 600  /* asked for again so often, as the farm's key may change */
#define KEYSET_RETRY_S 1
#define KEYSET_ASKING_S 10 /* who asks has so long, until another one may */

struct keyset_key {
    uint8_t name[KEYSET_NAME_BYTES], cipher[KEYSET_KEY_BYTES], mac[KEYSET_KEY_BYTES];
    int64_t seals_from_s, seals_until_s, opens_until_s; /* since 1970 */
};

struct keyset_keys {
    size_t count;
    struct keyset_key key[KEYSET_MAX];
};

struct keyset;

struct keyset *keyset_new(void);    /* NULL: no memory */
void keyset_free(struct keyset *k); /* takes NULL */

/* Replaces them by what the node says. STEAD_E_PARSE (nothing is changed), STEAD_E_NOMEM. */
int keyset_take(struct keyset *k, const char *text, size_t len, int64_t now_s);
/* It did not say. */
void keyset_failed(struct keyset *k, int64_t now_s);
/* A key is missing that another server has: they are asked for soon. */
void keyset_hurry(struct keyset *k, int64_t now_s);
/* Is it time to ask? Then it is the caller's to do, and no other is told so meanwhile. */
bool keyset_due(struct keyset *k, int64_t now_s);
/* A copy of the key that seals now; of the one with that name, *current: it seals now. */
bool keyset_seal(struct keyset *k, int64_t now_s, struct keyset_key *out);
bool keyset_open(struct keyset *k, const uint8_t name[KEYSET_NAME_BYTES], int64_t now_s,
                 struct keyset_key *out, bool *current);

/* The text of an answer. Pure. STEAD_E_PARSE, STEAD_E_NOMEM. */
int keyset_parse(const char *text, size_t len, struct keyset_keys *out);

#endif
