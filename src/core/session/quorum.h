/* quorum.h - kinds of which two sides of a cut must never both own a record (`atomic = quorum`).
 *
 * Voters are nodes named in the configuration, the same on all. Owners and holders of such records
 * are voters; a record is kept by a majority of them, and served by its owner only while a majority
 * has confirmed it and has not counted the owner out since. What a majority has not answered was
 * not found absent, and is not claimed. docs/protocol.md, Quorum, has the argument.
 *
 * Memory is all that a voter has, so one that starts anew does not *vote*, say that it has nothing,
 * before every other voter has said since that its records have their majority without it.
 *
 * Trap: a voter that is down counts. A farm without voters serves no record of such a kind. */
#ifndef CORE_SESSION_QUORUM_H
#define CORE_SESSION_QUORUM_H

#include "core/session/item.h"
#include "core/session/message.h"
#include "core/session/view.h"

#define QUORUM_BUCKETS 1024 /* of keys, that share the ballots they were promised */

struct work;

/* No record with a lower number may be made there. */
struct promise {
    uint64_t ballot, inc;
};

struct quorum {
    uint8_t voters, self; /* configured; which of them this node is, from 1: 0 = none */
    bool votes;
    uint16_t enrolled; /* bits of the voters that have answered ENROL */
    uint64_t nonce;
    struct promise promised[QUORUM_BUCKETS];
};

/* Do these rules hold for the key? */
bool quorum_rules(const struct session *s, const struct key *key);
/* So many voters are a majority; more than there can be when none are configured. */
size_t quorum_need(const struct session *s);
/* Is a majority heard at all? */
bool quorum_in_sight(struct session *s);
/* Has a majority confirmed an owned item, and not counted this node out since? */
bool quorum_keeps(struct session *s, struct item *item);
/* Do those that stay and have that version make a majority with this node? */
bool quorum_kept(struct session *s, const struct item *item, uint64_t version);
/* Has a majority that votes answered a search or a claim? Or all voters, voting or not: then there
 * is nothing that nobody of them knows. */
bool quorum_granted(struct session *s, const struct work *w);

/* Nobody is served while no majority is in sight: those that wait for the key are told. */
void quorum_refuse(struct session *s, struct work *w);

/* The next ballot for a key that is to be made here, promised to this node. */
uint64_t quorum_ballot(struct session *s, const struct key *key);
/* Promises; else the greater one that was promised is in *ballot. */
bool quorum_promise(struct session *s, const struct key *key, uint64_t from, uint64_t *ballot);
/* May a record that `from` has just made with this term be kept here? */
bool quorum_may_make(const struct session *s, const struct key *key, uint64_t from, uint64_t term);
/* A record of this term was kept here: what is made later has a greater one. */
void quorum_saw(struct session *s, const struct key *key, const struct stamp *stamp);

/* This shard has dropped what it had: it does not vote. */
void quorum_forget(struct session *s);
void quorum_tick(struct session *s);
bool quorum_busy(const struct session *s); /* is there anything for quorum_tick() to do? */
void quorum_enrol_asked(struct session *s, uint64_t from, const struct message *m);
void quorum_enrolled(struct session *s, uint64_t from, const struct message *m);

#endif
