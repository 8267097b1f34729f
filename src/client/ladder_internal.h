/* ladder_internal.h - what the parts of the ladder call of each other: ladder.c (events and time),
 * ladder_climb.c (from the name to a server), ladder_stay.c (on a server: watch and moves). */
#ifndef CLIENT_LADDER_INTERNAL_H
#define CLIENT_LADDER_INTERNAL_H

#include "client/ladder.h"
#include "stead/error.h"

struct ladder_action *ladder_add(struct ladder *l, enum ladder_act act);
void ladder_fail(struct ladder *l, int err);
/* Full jitter: anything from 0 to base * 2^n, at most max. */
uint32_t ladder_backoff(struct ladder *l, unsigned n);
uint64_t ladder_spread(struct ladder *l, uint32_t window_ms);
void ladder_take_roster(struct ladder *l, struct roster *r, uint32_t window_ms, uint64_t now_ms);

void ladder_resolve(struct ladder *l);
/* Picks the next server: into l->next, l->chosen. STEAD_E_NO_SERVER, STEAD_E_INVAL (which
 * service?), STEAD_E_NOMEM. */
int ladder_choose(struct ladder *l, uint64_t now_ms);
void ladder_connect(struct ladder *l);
/* A way up has failed with err: the name is asked again in a while, or there is an end. */
void ladder_round_over(struct ladder *l, int err, uint64_t now_ms);

void ladder_settle(struct ladder *l, uint64_t now_ms);
void ladder_review(struct ladder *l, uint64_t now_ms);
void ladder_move_due(struct ladder *l, uint64_t now_ms);
void ladder_move_failed(struct ladder *l, uint64_t now_ms);
void ladder_watch_due(struct ladder *l, uint64_t now_ms);
void ladder_unwatch(struct ladder *l);

#endif
