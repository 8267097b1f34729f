/* cache_resp.h - inside a cache's door: what the two files of Redis's commands share. */
#ifndef ROLE_GATE_CACHE_RESP_H
#define ROLE_GATE_CACHE_RESP_H

#include "role/gate/cache_internal.h"

/* Each says it and gives true: the request is answered. */
bool cache_say_error(struct cache_conn *c, const char *text);
bool cache_say_simple(struct cache_conn *c, const char *text);
bool cache_say_int(struct cache_conn *c, int64_t n);
bool cache_say_bulk(struct cache_conn *c, struct slice text);
bool cache_say_null(struct cache_conn *c);
bool cache_say_array(struct cache_conn *c, size_t count);
bool cache_say_unknown(struct cache_conn *c, const struct cache_call *call);
bool cache_say_arity(struct cache_conn *c, const struct cache_call *call);

/* Commands that are about no key, and those that a client without the password may not use. False:
 * it is none of these. */
bool cache_resp_admin(struct cache_conn *c, struct cache_call *call, bool *answered);

/* MULTI and what follows it up to EXEC. known: it is a command about keys; fits: with as many
 * arguments as it takes. False: the command is to be done now. */
bool cache_resp_multi(struct cache_conn *c, struct cache_call *call, bool known, bool fits);

#endif
