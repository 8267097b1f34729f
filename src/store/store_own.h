/* store_own.h - what is told of this node's own real servers, by whoever finds it out: checks,
 * forwarding, the kernel's sockets, the application's report, an agent. Servers are numbered as in
 * the node's entry. Any thread; the mesh thread is woken when something changed that the entry
 * shows.
 */
#ifndef STORE_OWN_H
#define STORE_OWN_H

#include "base/slice.h"
#include "core/roster/tally.h"
#include "store/store.h"

/* Before the threads start. Without it a server has weight 0 and counts what is forwarded. */
void store_own_open(struct store *s, unsigned server, const char *service,
                    const struct tally_config *c);
/* At any time: other settings; what was told of the same service stays. service NULL: it was
 * removed. */
void store_own_set(struct store *s, unsigned server, const char *service,
                   const struct tally_config *c);
/* The server of that service, or -1. */
int store_own_find(struct store *s, struct slice service);
void store_own_tell(struct store *s, unsigned server, enum teller by, const struct told *w,
                    uint64_t now_ns);
void store_own_forget(struct store *s, unsigned server, enum teller by, uint64_t now_ns);
/* False: nothing was told. */
bool store_own_told(struct store *s, unsigned server, enum teller by, uint64_t now_ns,
                    struct told *out, uint64_t *age_ns);
void store_own_state(struct store *s, unsigned server, uint64_t now_ns, struct tally_state *out);
/* It has come up: its weight grows from now on, if it is to. */
void store_own_up(struct store *s, unsigned server, uint64_t now_ns);
/* Why it is not healthy, as last found: a static word, "" = by a failed forward. */
void store_own_why(struct store *s, unsigned server, const char *why);
const char *store_own_reason(const struct store *s, unsigned server);
/* A forwarded request was answered; how many there were, and how many with 5xx. */
void store_own_answered(struct store *s, unsigned server, bool error);
void store_own_answers(const struct store *s, unsigned server, uint64_t *answers, uint64_t *errors);
/* By checks and forwarding alone; store_healthy() also heeds what the server says of itself. */
bool store_own_checked(const struct store *s, unsigned server);

#endif
