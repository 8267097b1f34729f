/* tls_tickets.h - session tickets sealed and opened by the keys of core/ticket: AES-256-CBC, then
 * HMAC-SHA256 over all of it (RFC 5077, section 4). Shared by contexts and threads, counted. */
#ifndef IO_TLS_TICKETS_H
#define IO_TLS_TICKETS_H

#include "core/ticket/ticket.h"

struct tls_tickets;

/* With a secret of its own: only this object opens what it seals. NULL: no memory. */
struct tls_tickets *tls_tickets_new(void) __attribute__((warn_unused_result));
struct tls_tickets *tls_tickets_ref(struct tls_tickets *t);
void tls_tickets_unref(struct tls_tickets *t); /* takes NULL */
#define TLS_TICKET_RINGS_MAX 3
/* From now on with the farm's secrets, of which the first seals and any opens; node: this one's id.
 * count: from 1 to TLS_TICKET_RINGS_MAX. */
void tls_tickets_share(struct tls_tickets *t, const uint8_t (*secrets)[TICKET_SECRET_BYTES],
                       size_t count, uint64_t node);

/* For people; no key is in it. */
struct tls_tickets_view {
    uint64_t since_s;                     /* when the present key began to seal */
    char ids[TICKET_KEYS][TICKET_ID_MAX]; /* the next one, the one that seals, those before */
};

/* False: there are no keys, for want of memory. */
bool tls_tickets_look(struct tls_tickets *t, struct tls_tickets_view *out);

#endif
