/* tcp_stick.h - where clients of a server that failed were led to instead, so that they stay there
 * as the failback rule says. One table for the workers of a node, bounded: at its limit the entry
 * that would end first makes room. Any thread. */
#ifndef ROLE_DIRECTOR_TCP_STICK_H
#define ROLE_DIRECTOR_TCP_STICK_H

#include "core/roster/entry.h"

#define TCP_STICK_MAX 16384 /* clients at once */

enum failback {
    FAILBACK_SESSION_END, /* a client stays with the backup until it had no connection for its life
                           */
    FAILBACK_NEVER,       /* as long as the backup is up */
    FAILBACK_AT_ONCE
};

struct tcp_stick;

struct tcp_stick *tcp_stick_new(void) __attribute__((warn_unused_result));
void tcp_stick_free(struct tcp_stick *s); /* takes NULL */
/* key: a hash of client and service. The node's name; false: the client is led nowhere. */
bool tcp_stick_find(struct tcp_stick *s, uint64_t key, uint64_t now_ms,
                    char node[NAME_MAX_BYTES + 1]);
/* Remembers, or renews. end_ms: when it is forgotten. */
void tcp_stick_put(struct tcp_stick *s, uint64_t key, const char *node, uint64_t now_ms,
                   uint64_t end_ms);
void tcp_stick_drop(struct tcp_stick *s, uint64_t key);
size_t tcp_stick_count(struct tcp_stick *s, uint64_t now_ms);

#endif
