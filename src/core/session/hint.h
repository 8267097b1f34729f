/* hint.h - where keys were found last, and which were found nowhere just now: small tables without
 * chains, so guesses that may be gone or stale. */
#ifndef CORE_SESSION_HINT_H
#define CORE_SESSION_HINT_H

#include "core/record/record.h"

#define HINTS 4096
#define HINT_ABSENTS 1024

struct session;

struct hints {
    struct {
        uint64_t hash, inc;
    } places[HINTS];
    struct {
        uint64_t hash, until_ns;
    } absents[HINT_ABSENTS];
};

/* The incarnation that had it; 0: not known. */
uint64_t hint_get(struct session *s, const struct key *key);
void hint_set(struct session *s, const struct key *key, uint64_t inc); /* 0: forget */
/* Of a kind that may be lost: nobody had it a moment ago. */
void hint_set_absent(struct session *s, const struct key *key);
bool hint_is_absent(struct session *s, const struct key *key);

#endif
