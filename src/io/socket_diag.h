/* socket_diag.h - how many TCP connections are established at a local port, asked of the kernel
 * (NETLINK_SOCK_DIAG). The kernel filters; what it gives is read to its end, at most
 * SOCKET_DIAG_MAX connections. It blocks for as long as the kernel walks its table of sockets (tens
 * of milliseconds with 100,000): call it on a thread that may wait. No privilege is needed; only
 * sockets of the own network namespace are seen. */
#ifndef IO_SOCKET_DIAG_H
#define IO_SOCKET_DIAG_H

#include "base/addr.h"

#define SOCKET_DIAG_MAX 100000u
#define SOCKET_DIAG_WAIT_MS 2000

struct socket_diag {
    struct addr at; /* the local port; family 0 = at any address of both families */
};

/* *out is at most SOCKET_DIAG_MAX. STEAD_E_UNSUPPORTED (the kernel has no tcp_diag), DENIED,
 * DEADLINE (no answer within SOCKET_DIAG_WAIT_MS), PARSE, IO. */
int socket_diag_count(const struct socket_diag *q, uint32_t *out);

#endif
