/* keys.h - the generations of a farm's key as one node knows them, and what may become of them.
 * docs/keys.md. Pure but for OpenSSL's arithmetic.
 *
 * A generation is *accepted* (what is sealed under it is opened; one of the accepted is *active*:
 * under it this node seals), then *retired* (its secret is gone; what opens values that lie,
 * `data`, is kept), then *forgotten* (only its mark is left, so that nobody brings it back). It
 * never goes back. Of two activations the one with the greater (turn, mark) holds, unless that is
 * retired. So what two nodes know is merged without a question who was first, and all that hear of
 * each other end with the same.
 *
 * Trap: whoever has the secret of an accepted generation is a member, and may do all that is here.
 */
#ifndef CORE_MESH_KEYS_H
#define CORE_MESH_KEYS_H

#include "base/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_SECRET_BYTES 32
#define KEYS_MAX 8          /* generations in any state */
#define KEYS_ACCEPTED_MAX 3 /* so many are tried at most for one sealed thing */
#define KEYS_TURN_MAX (1u << 30)
#define KEYS_TEXT_MAX 2048 /* a key file */
#define KEYS_MESSAGE_MAX 512

enum key_state { KEY_ACCEPTED, KEY_RETIRED, KEY_FORGOTTEN };

/* Values that all nodes must agree on for as long as the farm lives, so they do not change with the
 * key: made of its first generation. They hide nothing but which node keeps which record, which
 * server stands for a client's key, and the names of records in a repository. */
enum key_lasting { LASTING_PLACEMENT, LASTING_VISIT, LASTING_NAMES, LASTING_COUNT };

struct key_generation {
    uint8_t number; /* from 1; frames name it. Two may have the same, made on both sides of a cut */
    enum key_state state;
    bool quiet;                       /* came by a file, and shall not be told by the mesh */
    bool has_data;                    /* accepted, and retired ones that were accepted here */
    uint64_t mark;                    /* of the secret: what a generation is known by. Not secret */
    uint8_t secret[KEY_SECRET_BYTES]; /* of an accepted one */
    uint8_t data[KEY_SECRET_BYTES];   /* seals what lies: private fields, repositories */
};

struct keys {
    uint32_t turn;   /* of the last activation; 0: there was none */
    uint64_t active; /* mark of an accepted one */
    bool lasting_known;
    uint8_t lasting[LASTING_COUNT][KEY_SECRET_BYTES];
    size_t count;
    struct key_generation list[KEYS_MAX]; /* ascending by (number, mark) */
};

/* One accepted generation, number 1, active. */
void keys_init(struct keys *k, const uint8_t secret[KEY_SECRET_BYTES]);
void keys_wipe(struct keys *k);
uint64_t keys_mark(const uint8_t secret[KEY_SECRET_BYTES]);
const struct key_generation *keys_find(const struct keys *k, uint64_t mark); /* NULL: unknown */
const struct key_generation *keys_active(const struct keys *k);
/* By its number: the accepted one before others, of several the one with the greatest mark. */
const struct key_generation *keys_numbered(const struct keys *k, uint8_t number);
bool keys_equal(const struct keys *a, const struct keys *b);

/* What an operator asks for. All leave k as it is when they fail. */
/* EXISTS: it is known; FULL: KEYS_ACCEPTED_MAX accepted, or KEYS_MAX known. */
int keys_add(struct keys *k, const uint8_t secret[KEY_SECRET_BYTES], bool quiet, uint64_t *mark);
/* NOT_FOUND: it is not accepted; EXISTS: it is the active one; FULL: turns are used up. */
int keys_activate(struct keys *k, uint64_t mark);
/* NOT_FOUND: it is not accepted; IN_USE: it is the active one. */
int keys_retire(struct keys *k, uint64_t mark);
/* NOT_FOUND: it is not retired. */
int keys_forget(struct keys *k, uint64_t mark);

/* -- the key file: keys_file.c -- */

/* 64 hex digits alone, or what keys_write() makes. STEAD_E_PARSE, k undefined. */
int keys_read(struct keys *k, const char *text, size_t len);
/* The length; out is to be wiped. One generation that was never followed by another stays 64 hex
 * digits, which older versions read. */
size_t keys_write(const struct keys *k, char out[KEYS_TEXT_MAX]);

/* -- what nodes tell each other: keys_wire.c -- */

struct key_said {
    uint8_t number;
    enum key_state state;
    bool uses;  /* the sender has opened something of it lately */
    bool given; /* with its secret */
    uint64_t mark;
    uint8_t secret[KEY_SECRET_BYTES];
};

struct keys_said {
    uint32_t turn;
    uint64_t active;
    uint8_t lasting[LASTING_COUNT][KEY_SECRET_BYTES];
    size_t count;
    struct key_said list[KEYS_MAX];
};

const struct key_said *keys_said_find(const struct keys_said *s, uint64_t mark);
/* uses: a bit for each of the list. to: what its receiver is known to have said, and so what it
 * lacks is given; NULL: nothing is. */
void keys_encode(const struct keys *k, unsigned uses, const struct keys_said *to,
                 struct wire_writer *w);
/* The whole message or nothing; out is to be wiped. */
bool keys_decode(const uint8_t *bytes, size_t len, struct keys_said *out);
/* Takes up what is news. True when k changed. What there is no room for is left out. */
bool keys_merge(struct keys *k, const struct keys_said *s);
/* Would the sender of s learn anything from k? */
bool keys_news_for(const struct keys *k, const struct keys_said *s);

#endif
