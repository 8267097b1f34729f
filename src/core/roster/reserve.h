/* reserve.h - clients that were sent to a server and are not counted there yet: a redirect takes
 * its place in advance, so that a burst does not all go to the one server that looks emptiest.
 * Pure; of one thread.
 *
 * Each client sent counts as a user of its server until the server's own count has grown by it, or
 * for `life` at most. Other directors send clients too, and tell nobody: so what was sent from here
 * counts by a factor, the ratio of all arrivals to those sent from here, as lately seen. It begins
 * at 1 and is never below. Some who are sent never come, as crawlers that follow no redirect; they
 * shall keep nobody out: what is on the way counts by the part of those lately who did come. */
#ifndef CORE_ROSTER_RESERVE_H
#define CORE_ROSTER_RESERVE_H

#include "core/roster/entry.h"

#define RESERVE_SLOTS 8192u /* pairs of server and service; a power of two */
#define RESERVE_PROBES 16u  /* beyond it a server's clients are not reserved */
#define RESERVE_BUCKETS 8u  /* of time, in a life */
#define RESERVE_FACTOR_MAX 64.0

struct reserve;

/* life_ms > 0. NULL without memory. */
struct reserve *reserve_new(uint32_t life_ms) __attribute__((warn_unused_result));
void reserve_free(struct reserve *r); /* takes NULL */
/* The time; before anything of that time is asked or told. Never goes back. */
void reserve_turn(struct reserve *r, uint64_t now_ms);
/* A client was sent to that server of the node. */
void reserve_add(struct reserve *r, uint64_t node, const struct server *s);
/* The users that the server has as far as can be known: those counted and those on their way. */
uint32_t reserve_users(struct reserve *r, uint64_t node, const struct server *s);
double reserve_factor(const struct reserve *r);

#endif
