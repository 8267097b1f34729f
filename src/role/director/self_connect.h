/* self_connect.h - a trap of TCP on one machine: who connects to a port of the ephemeral range
 * without a listener may be given that very port as his own, and is then connected to himself. */
#ifndef ROLE_DIRECTOR_SELF_CONNECT_H
#define ROLE_DIRECTOR_SELF_CONNECT_H

#include <stdbool.h>

/* Of a connected socket. True also when its addresses cannot be told: then it is not connected. */
bool self_connected(int fd);

#endif
