/* net.h - inside libstead: blocking sockets with a deadline. Times are ms of CLOCK_MONOTONIC. */
#ifndef CLIENT_NET_H
#define CLIENT_NET_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

uint64_t net_now_ms(void);
void net_random(void *out, size_t len);
/* Waits; no longer than until the deadline. */
void net_sleep(uint32_t ms, uint64_t deadline_ms);

/* A connected TCP or UDP socket. All: STEAD_E_DEADLINE, UNREACHABLE, CLOSED, NOMEM, IO. */
int net_connect(int type, const struct addr *to, uint64_t deadline_ms, int *fd);
int net_send(int fd, const void *bytes, size_t len, uint64_t deadline_ms);
/* At least one byte, or *got = 0 at the stream's end; of a datagram socket one datagram. */
int net_receive(int fd, void *bytes, size_t cap, uint64_t deadline_ms, size_t *got);
/* The same without waiting: STEAD_PENDING where it is to be tried again when the descriptor is
 * writable (begin, finish, send) or readable (receive). *got = 0: the stream's end. */
int net_begin_connect(const struct addr *to, int *fd);
int net_finish_connect(int fd);
int net_try_send(int fd, const void *bytes, size_t len, size_t *sent);
int net_try_receive(int fd, void *bytes, size_t cap, size_t *got);
bool net_from_sockaddr(const struct sockaddr *sa, struct addr *out);

#endif
