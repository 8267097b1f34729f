/* item.h - a record at rest (table.h) in the eyes of the engine: whose it is, who keeps copies.
 *
 * Trap: item_remove() and item_room_make(), which evicts, free items; item_disown() ends the
 * state.
 */
#ifndef CORE_SESSION_ITEM_H
#define CORE_SESSION_ITEM_H

#include "core/session/session.h"
#include "core/session/table.h"

struct work;

enum item_role { ROLE_NONE, ROLE_OWNER, ROLE_HOLDER };

/* A copy's `generation`: the owner's count-outs when it confirmed it, and 1; or one of these. */
#define GENERATION_NONE 0ull         /* whom it names owner may be none: everybody is asked */
#define GENERATION_UNSURE UINT64_MAX /* the owner is to say what becomes of it */
#define GENERATION_OUTDATED                                                                        \
    (UINT64_MAX - 1) /* it knows: there is no room here for what is newer                          \
                      */

/* Kept by a process that is gone: shelf.h */
#define GENERATION_SHELVED (UINT64_MAX - 2)

struct item *item_insert(struct session *s, struct record *r, enum item_role role);
void item_own(struct session *s, struct item *item); /* becomes owner */
void item_disown(struct session *s, struct item *item);
/* As item_disown, and its holders are told: another node owns it. */
void item_step_down(struct session *s, struct item *item);
void item_remove(struct session *s, struct item *item);
void item_unqueue(struct session *s, struct item *item);
/* Who owns it, as far as this node knows; 0 = nobody it knows. */
uint64_t item_owner(struct session *s, const struct item *item);
/* Merges a copy into an item; sides too large together: the greater stamp's stays. STEAD_E_NOMEM:
 * nothing was merged, and what the copy had may be nowhere else. */
int item_merge(struct session *s, struct item *item, const struct record *r, bool *changed,
               unsigned *lost) __attribute__((warn_unused_result));
bool item_has_room(const struct session *s, uint8_t kind, size_t bytes); /* without eviction */
bool item_room_make(struct session *s, uint8_t kind,
                    size_t bytes); /* false: the limit is reached */

/* -- owned -- */
struct copy *item_copy(const struct item *item, uint64_t inc); /* NULL: no copy there */
size_t item_holders(const struct item *item);                  /* copies that stay */
/* May it be served? If not, *wait says that a holder's lease has run out, which mends itself. */
bool item_confident(struct session *s, struct item *item, bool *wait);
/* A peer that may hold it, has room, and does not yet: is there one? */
bool item_has_candidate(struct session *s, const struct item *item);
/* The owner counts on that peer's copy no more. */
void item_forget_copy(struct item *item, uint64_t inc);
/* Who is to keep copies from now on; those that are to drop theirs go into w. Did they change? */
bool item_choose_holders(struct session *s, struct item *item, struct work *w);
/* That peer keeps a copy too, as a guest beyond those that placement chose; one guest at a time.
 * UNREACHABLE: it may not hold any; FULL. The round to come brings it the record. */
int item_add_guest(struct session *s, struct item *item, uint64_t inc);
/* A copy made in a contact that was broken since is as good as none. */
void item_void_broken(struct session *s, struct item *item);
bool item_needs_repair(struct session *s, struct item *item);
/* Was it over a while ago, by what is known here? Renewals are told with a delay. */
bool item_ran_out(const struct session *s, const struct item *item);
uint32_t item_left_ms(const struct session *s,
                      const struct item *item); /* of its life; 0 = no end */

#endif
