/* inherit.h - descriptors that a process leaves to its successor on the same host, which it starts
 * itself: sockets that listen or receive keep their queues, so nobody who comes meanwhile is
 * refused.
 *
 * The successor finds them at fixed numbers, and how many sockets there are in the environment
 * (INHERIT_VARIABLE). listen.c looks here before it binds anything, so whoever opens an address
 * need not know. What nobody has asked for by the end of the start is closed. */
#ifndef IO_INHERIT_H
#define IO_INHERIT_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>

#define INHERIT_VARIABLE "STEAD_SUCCESSOR"
#define INHERIT_SOCKETS_MAX 512

enum inherit_place {
    INHERIT_CONTROL = 3, /* to the one that started this process */
    INHERIT_RELAY,       /* datagrams that were read by the wrong one of the two */
    INHERIT_LOCK,        /* on the state directory */
    INHERIT_SOCKETS      /* and so on */
};

/* -- the successor; before it has threads -- */

/* Was this process started as one? */
bool inherit_any(void);
/* The descriptor at that place, the caller's from now on, close-on-exec; -1 when there is none. */
int inherit_take(enum inherit_place at);
/* Likewise a socket of that type bound to the address, or a listening one at that path. */
int inherit_socket(const struct addr *a, int type);
int inherit_unix(const char *path);
/* Is there such a socket still? */
bool inherit_has(const struct addr *a, int type);
/* The lock, if it is one on that file. */
int inherit_lock(const char *path);
/* Closes what was not taken. Afterwards this is a process as any other. */
void inherit_end(void);

/* -- its elder -- */

/* All sockets of this process that listen, or are bound and receive datagrams from anybody. */
size_t inherit_gather(int *fds, size_t max);
/* Starts binary with these arguments and descriptors (sockets among them by inherit_gather). The
 * process id, or an error. */
int inherit_spawn(const char *binary, char *const *argv, int control, int relay, int lock,
                  int *pid);

#endif
