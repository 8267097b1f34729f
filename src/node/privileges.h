/* privileges.h - what a node may do to its host once its addresses are bound. Before any thread
 * runs, since capabilities are a thread's.
 *
 * Started as root with `user`, it becomes that user, who gets the state folder and the unix
 * sockets; started as another user it stays that one. Either way it keeps only those capabilities
 * that the configuration needs while it runs: none, or CAP_NET_ADMIN and CAP_NET_RAW in line before
 * servers (children get them too). Root without `user` stays root, with all it has.
 *
 * What is read later (the configuration, certificates, records) must be readable for that user. */
#ifndef NODE_PRIVILEGES_H
#define NODE_PRIVILEGES_H

#include "node/config.h"

/* The capabilities that are kept, a bit each (linux/capability.h). */
uint64_t privileges_needed(const struct config *c);
/* files: unix sockets that the node made, `count` of them. Says on standard error what failed and
 * what to do: STEAD_E_CONFIG (no such user), DENIED, IO. */
int privileges_drop(const struct config *c, const char *const *files, size_t count);

#endif
