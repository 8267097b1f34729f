/* resolve.h - inside libstead: a host's addresses, from a given name server or from the system. */
#ifndef CLIENT_RESOLVE_H
#define CLIENT_RESOLVE_H

#include "base/addr.h"

#include <stddef.h>
#include <stdint.h>

#define RESOLVE_MAX 16

/* The host's addresses with the port given, in no order. An address as host is its own answer.
 * server NULL: the system's resolver. STEAD_E_NOT_FOUND: no such name, or no addresses. */
int resolve(const char *host, uint16_t port, const struct addr *server, uint32_t timeout_ms,
            uint64_t deadline_ms, struct addr out[RESOLVE_MAX], size_t *count);

#endif
