/* mesh_relay.h - two processes of one node at one address: whoever reads a datagram that is for the
 * other incarnation passes it on, and what is for nobody yet (a hello) concerns both. */
#ifndef NODE_MESH_RELAY_H
#define NODE_MESH_RELAY_H

#include "base/addr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct mesh_loop;

struct mesh_relay {
    int fd; /* a pair of unix datagram sockets with boundaries; -1 = there is no other process */
    uv_poll_t poll;
    bool open, closing;
    atomic_uint_fast64_t passed, lost; /* datagrams */
};

/* fd is the relay's; non-blocking. Datagrams come into `m` until the other process ends. */
int mesh_relay_open(struct mesh_relay *r, struct mesh_loop *m, uv_loop_t *loop, int fd);
void mesh_relay_close(struct mesh_relay *r); /* takes one that was not opened */

/* Passes it on where it must; is it (also) for this process, of incarnation `self`? */
bool mesh_relay_mine(struct mesh_relay *r, uint64_t self, const struct addr *from,
                     const uint8_t *bytes, size_t len);

#endif
