/* pick.h - choose a server from a roster by policy: one implementation for DNS, director and
 * client. Pure: chance comes in as a number. */
#ifndef CORE_ROSTER_PICK_H
#define CORE_ROSTER_PICK_H

#include "core/roster/reserve.h"
#include "core/roster/roster.h"

enum policy {
    POLICY_TWO_CHOICES, /* of two drawn by weight the one with clearly less load, by a tenth and
                           more (Mitzenmacher 2001); default */
    POLICY_RANDOM,
    POLICY_WEIGHTED,   /* random in proportion to weight */
    POLICY_LEAST_USERS /* fewest users by weight; ties by chance */
};

bool policy_parse(const char *text, enum policy *out);
const char *policy_name(enum policy p);

struct pick_filter {
    const char *service;
    const char *group;          /* NULL = any */
    const char *zone;           /* NULL = any */
    const char *const *exclude; /* names of nodes not to pick */
    size_t exclude_count;
    struct reserve *reserve; /* who is on his way counts as a user; NULL = nobody is */
};

struct pick_choice {
    const struct roster_node *node;
    const struct server *server;
};

/* A server that is up and has weight; when none is and `last_resort`, a suspect one. False: nobody.
 * The choice points into r. */
bool pick(const struct roster *r, const struct pick_filter *f, enum policy p, bool last_resort,
          uint64_t chance, struct pick_choice *out);
/* The server for a key, by a hash of it that is equal on all nodes: the same one for as long as it
 * can be picked, in proportion to weight. One that comes takes its share of the keys from the
 * others, one that goes (or is full) gives its own to all, and no other key moves: weighted
 * rendezvous hashing (Thaler and Ravishankar 1998; Schindelhauer and Schomaker 2005). */
bool pick_by_key(const struct roster *r, const struct pick_filter *f, uint64_t key_hash,
                 struct pick_choice *out);
/* What pick() with the same arguments compared in the end: two servers, or the chosen one alone
 * when the policy does not compare two. Returns how many; 0: nobody. */
size_t pick_drawn(const struct roster *r, const struct pick_filter *f, enum policy p,
                  bool last_resort, uint64_t chance, struct pick_choice out[2]);
/* All servers that pick() could choose, in roster order; returns how many (up to max). */
size_t pick_candidates(const struct roster *r, const struct pick_filter *f, bool last_resort,
                       struct pick_choice *out, size_t max);

#endif
