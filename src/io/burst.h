/* burst.h - many datagrams of one socket in few system calls: sendmmsg, and UDP_SEGMENT
 * (Linux 4.18) for those of one length to one address, which the kernel then carries through its
 * stack as one. Where the kernel, the interface or the address does not take such a one, it goes
 * out as single datagrams, and no other is tried by that socket.
 *
 * What a full socket buffer does not take is lost, as it might be on the way. */
#ifndef IO_BURST_H
#define IO_BURST_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BURST_MAX 64u /* datagrams of a call */

struct burst {
    int fd;
    bool single;                                /* no segments */
    uint64_t calls, datagrams, segmented, lost; /* segmented: datagrams that went so */
};

struct burst_datagram {
    struct addr to;
    const uint8_t *bytes; /* the caller's, until burst_send returns */
    size_t len;
};

void burst_init(struct burst *b, int fd);
/* Sends n (<= BURST_MAX) in their order. */
void burst_send(struct burst *b, const struct burst_datagram d[], size_t n);

#endif
