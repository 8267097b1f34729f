/* multicast.h - a multicast group on the network of one of this host's own addresses. Datagrams to
 * the group leave by a unicast socket, so that their source is the sender's own address; they come
 * in by a socket of their own. Never beyond that network (TTL 1). errno is left as the system set
 * it. */
#ifndef IO_MULTICAST_H
#define IO_MULTICAST_H

#include "base/addr.h"

#include <stdbool.h>

/* 224.0.0.0/4 or ff00::/8. */
bool multicast_is_group(const struct addr *a);
/* What fd, bound to `own`, sends to a group goes out by own's network, and comes back here. INVAL
 * when no interface has that address. */
int multicast_send_by(int fd, const struct addr *own);
/* A socket, non-blocking and close-on-exec, that gets what is sent to the group on own's network;
 * several processes of a host may have one each. INVAL as above, or of different families. */
int multicast_listen(const struct addr *group, const struct addr *own, int *fd);

#endif
