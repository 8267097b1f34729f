/* call.h - inside libstead: a client that is waited for. */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include "client/client_internal.h"

#define CALL_ROUNDS 2 /* when all first servers failed, the name is asked once again */

/* Until the goal is reached, or cannot be; *client is set when there is one at all, and the caller
 * frees it. */
int call_run(const char *url, const struct stead_options *options, enum ladder_goal goal,
             unsigned rounds, struct stead_client **client);

/* The choice that the client's ladder made; err STEAD_E_NO_SERVER: that it could not make. */
int call_choice(struct stead_client *c, int err, struct stead_choice **out);

#endif
