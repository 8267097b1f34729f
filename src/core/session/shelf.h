/* shelf.h - a repository's records beside its memory: what it had kept when it started, and what is
 * to be kept of what changes.
 *
 * A record that was loaded is *shelved*: it is what was known here once, by a process that is gone,
 * and its last changes may be missing. It is served to nobody and is nobody's copy. Whoever has a
 * copy in memory, or owns it, is right, and the shelved one goes. Only when all nodes that are
 * heard have none but shelved ones, and no more nodes may come back with copies than can be
 * missing, it is claimed with what those have, and is a record like any other from then on.
 *
 * Changes are noted by key, once a step, until they are asked for; who asks then fetches the record
 * as it is at that time.
 */
#ifndef CORE_SESSION_SHELF_H
#define CORE_SESSION_SHELF_H

#include "core/record/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHELF_NOTED_MAX 4096 /* keys of a shard that have changed and were not asked for */

struct kind;
struct session;
struct item;
struct work;

struct shelf {
    struct key *noted; /* NULL: this node is no repository */
    size_t noted_count;
    bool lost; /* more were changed than could be noted */
    bool open; /* something may be shelved */
    uint64_t cursor, next_ns, seen;
};

/* Are records of that kind kept? Not those that may be forgotten, nor those that a majority decides
 * about. */
bool session_keeps(const struct kind *k);
/* What the time is: before the calls below, whose lives are counted by it. */
void session_clock(struct session *s, uint64_t now_ns);
/* A record that was kept, with the rest of its life (0: it has no end); at the start, before the
 * first event, or at any later time. OK: r is the shard's. EXISTS, FULL, NOMEM, BUSY (something is
 * under way about it), CLOSED (this node leaves): still the caller's; INVAL: of no kind that is
 * kept. */
int session_shelve(struct session *s, struct record *r, uint32_t left_ms)
    __attribute__((warn_unused_result));
/* Up to max keys that have changed since they were last asked for; *lost: others have too, so all
 * are to be looked at. */
size_t session_noted(struct session *s, struct key *out, size_t max, bool *lost);
/* What is to be kept of a key. OK: *r until the next call, with the rest of its life (0: no end).
 * ABSENT: nothing, it is to go. BUSY: it is not settled, ask again later. CLOSED: this node is
 * leaving, and what it drops others have: what is kept stays. */
int session_fetch(struct session *s, const struct key *key, const struct record **r,
                  uint32_t *left_ms);
/* All keys in steps, as table_walk(): begin with *cursor 0; at its end it is 0 again. */
size_t session_keys(struct session *s, uint64_t *cursor, struct key *out, size_t max);

/* -- within the shard -- */
bool shelf_init(struct session *s);
void shelf_deinit(struct session *s);
void shelf_note(struct session *s, const struct key *key);
void shelf_tick(struct session *s);
/* This node leaves: what is shelved stays where it is kept. */
void shelf_leave(struct session *s);
bool item_is_shelved(const struct item *item);
/* Somebody has a copy that is one: this goes, unless it says that the record has ended for good.
 * False: it stays. */
bool shelf_yields(struct session *s, struct item *item);
/* The same in the middle of its claim: what waits is passed on to `to`. */
void shelf_yield_to(struct session *s, struct work *w, struct item *item, uint64_t to);
/* Everybody has answered its claim. May it go on? If not, that has been seen to. */
bool shelf_may_claim(struct session *s, struct work *w, struct item *item);

#endif
