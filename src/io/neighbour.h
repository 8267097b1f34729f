/* neighbour.h - an address on a link: whether a host there has it, telling its neighbours that this
 * host has it now, and taking it (ARP of RFC 826 and 5227; neighbour discovery of RFC 4861).
 *
 * Asking and telling need CAP_NET_RAW, taking CAP_NET_ADMIN. Who answers is believed: whoever is on
 * a link can answer for any address of it. */
#ifndef IO_NEIGHBOUR_H
#define IO_NEIGHBOUR_H

#include "base/addr.h"

#define NEIGHBOUR_INTERFACE_MAX 15

struct neighbour {
    int fd;
    int index; /* of the interface */
    uint8_t mac[6];
    uint8_t other[6]; /* of the host that was heard last; zero: none was */
    struct addr addr;
};

/* STEAD_E_NOT_FOUND: no such interface, or it has no MAC; DENIED, IO. Then fd is -1. */
int neighbour_open(const char *interface, const struct addr *a, struct neighbour *out);
void neighbour_close(struct neighbour *n); /* takes one that is not open */
/* Asks who has the address; whoever has answers soon: neighbour_heard(). */
void neighbour_ask(struct neighbour *n);
/* Tells all neighbours that this host has it. */
void neighbour_tell(struct neighbour *n);
/* Tells them that the host that was heard last has it; nothing when none was. */
void neighbour_tell_other(struct neighbour *n);
/* Has another host answered, or told of itself, since the last call? */
bool neighbour_heard(struct neighbour *n);
/* Gives the interface the address, or takes it away. As it is already: STEAD_OK. DENIED, IO. */
int neighbour_take(const struct neighbour *n);
int neighbour_release(const struct neighbour *n);
/* Has the interface the address, as neighbour_take() gives it? */
bool neighbour_held(const struct neighbour *n);

#endif
