/* fetch.h - inside libstead: one HTTP GET on a connection of its own. */
#ifndef CLIENT_FETCH_H
#define CLIENT_FETCH_H

#include "base/addr.h"

#include <stddef.h>
#include <stdint.h>

/* The body of a 200, at most max bytes, freed with mem_free. STEAD_E_NOT_FOUND (404),
 * STEAD_E_NO_SERVER (503), STEAD_E_UNSUPPORTED (any other status), STEAD_E_PARSE, TOO_LARGE,
 * CLOSED, and those of net.h. */
int fetch(const struct addr *to, const char *authority, const char *target, size_t max,
          uint64_t deadline_ms, char **body, size_t *len);

#endif
