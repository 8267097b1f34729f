/* listen.h - listening sockets. Every address is bound once without SO_REUSEPORT first, so that a
 * port that another process uses is an error and not a silent share; then the workers' sockets are
 * made with it. What a process has inherited (inherit.h) is taken and not made. An IPv6 socket
 * takes IPv6 only. errno is left as the system set it. */
#ifndef IO_LISTEN_H
#define IO_LISTEN_H

#include "base/addr.h"

#include <sys/types.h>

/* Fails with STEAD_E_IN_USE when somebody has the address already; else it is free (at this
 * moment). */
int listen_probe_tcp(const struct addr *a);
int listen_probe_udp(const struct addr *a);
/* Non-blocking, close-on-exec; reuseport lets every worker have its own. */
int listen_tcp(const struct addr *a, bool reuseport, int *fd);
/* The same for connections that the kernel leads here whatever address they are for (TPROXY). Needs
 * CAP_NET_ADMIN: DENIED without it. */
int listen_tcp_transparent(const struct addr *a, bool reuseport, int *fd);
int listen_udp(const struct addr *a, bool reuseport, int *fd);
/* A stream socket at path with the mode given; a stale file (nobody accepts) is replaced, a live
 * one is IN_USE. */
int listen_unix(const char *path, mode_t mode, int *fd);

#endif
