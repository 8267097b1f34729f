/* repository_seal.h - records as an engine gets them: a name and bytes, of which neither tells
 * anything to who has not the farm's key.
 *
 * A name is HMAC-SHA256(names key, kind | 0 | key). The bytes are a box (core/token/box.h) whose
 * place is the name, of: 1 byte of format, the end of the record's life (64 bits, milliseconds of
 * the wall clock, 0: none), the kind's name, the record. Kinds are named, since their numbers
 * change with the configuration. The name of zeros has the time until which all that had changed is
 * there.
 */
#ifndef STORE_REPOSITORY_SEAL_H
#define STORE_REPOSITORY_SEAL_H

#include "core/record/record.h"
#include "core/session/kind.h"
#include "core/token/box_ring.h"
#include "store/engine.h"

#define REPOSITORY_KEY_BYTES 32
#define REPOSITORY_PREFIX_TEXT 16
#define REPOSITORY_SUM_BYTES 32

struct repository_keys {
    uint8_t names[REPOSITORY_KEY_BYTES];
    struct box_ring *values; /* of the farm's keys; outlives it */
};

/* A box for an engine, allocated: mem_free. */
struct sealed {
    uint8_t name[ENGINE_NAME_BYTES];
    uint8_t *bytes; /* NULL: the name is to go */
    size_t len;
    uint64_t life_ms; /* of the record; 0: no end */
};

/* False: the crypto library has no memory. */
bool repository_name(const struct repository_keys *k, const struct kinds *kinds,
                     const struct key *key, uint8_t name[ENGINE_NAME_BYTES]);
/* Digits that tell one repository of a farm from others in the same servers: out has room for
 * REPOSITORY_PREFIX_TEXT and a NUL. */
bool repository_prefix(const struct repository_keys *k, const char *name, char *out);
/* STEAD_E_NOMEM. */
int repository_seal(const struct repository_keys *k, const struct kinds *kinds,
                    const struct record *r, uint64_t end_ms, struct sealed *out);
int repository_seal_time(const struct repository_keys *k, uint64_t time_ms, struct sealed *out);
/* PARSE: of another key, damaged, or not what belongs there; UNSUPPORTED: of a kind that is none by
 * now; NOMEM. *r is the caller's. */
int repository_open(const struct repository_keys *k, const struct kinds *kinds,
                    const uint8_t name[ENGINE_NAME_BYTES], const uint8_t *bytes, size_t len,
                    struct record **r, uint64_t *end_ms);
int repository_open_time(const struct repository_keys *k, const uint8_t *bytes, size_t len,
                         uint64_t *time_ms);
/* The end of a file of boxes (snapshot.h): how many records it has, and SHA-256 of all before it.
 * Its name is of ones. */
int repository_seal_end(const struct repository_keys *k, uint64_t count,
                        const uint8_t sum[REPOSITORY_SUM_BYTES], struct sealed *out);
int repository_open_end(const struct repository_keys *k, const uint8_t *bytes, size_t len,
                        uint64_t *count, uint8_t sum[REPOSITORY_SUM_BYTES]);
bool repository_is_end(const uint8_t name[ENGINE_NAME_BYTES]);
bool repository_is_time(const uint8_t name[ENGINE_NAME_BYTES]);

#endif
