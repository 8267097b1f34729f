/* lookup.h - inside libstead: a host's addresses without waiting for them. The question is asked by
 * a thread that ends by itself, because the system's resolver knows no other way. */
#ifndef CLIENT_LOOKUP_H
#define CLIENT_LOOKUP_H

#include "client/resolve.h"

#include <stdbool.h>

struct lookup;

/* server: as of resolve(), copied. STEAD_E_NOMEM, STEAD_E_IO. */
int lookup_new(const char *host, uint16_t port, const struct addr *server, uint32_t timeout_ms,
               struct lookup **out);
/* Readable when there is an answer. */
int lookup_fd(const struct lookup *l);
/* STEAD_PENDING, or what resolve() returned. */
int lookup_result(struct lookup *l, struct addr out[RESOLVE_MAX], size_t *count);
/* An answer that comes later is passed over. Takes NULL. */
void lookup_free(struct lookup *l);

#endif
