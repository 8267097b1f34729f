/* tls_door.h - the present context of TLS listeners, which a reload puts another in place of while
 * they run: connections keep the one that they began with.
 *
 * Thread-safe. The keys of session tickets are the door's, so that clients resume their sessions
 * after a reload; and when they come of the farm's secret, at any node of it.
 */
#ifndef IO_TLS_DOOR_H
#define IO_TLS_DOOR_H

#include "io/tls_context.h"

struct tls_door;

/* What a load did. */
enum tls_loaded {
    TLS_LOADED,    /* there is a new context */
    TLS_UNCHANGED, /* no file is another than before */
    TLS_KEPT       /* the old one goes on: `error` says why. Without an old one, there is none */
};

/* Counters may be NULL; they outlive the door and its connections. NULL: no memory. */
struct tls_door *tls_door_new(struct tls_counters *counters);
void tls_door_free(struct tls_door *d); /* takes NULL; connections may go on */
/* Tickets are those of the whole farm from now on; node: this one's id. */
void tls_door_share(struct tls_door *d, const uint8_t (*secrets)[TICKET_SECRET_BYTES], size_t count,
                    uint64_t node);
/* The keys of its tickets; false: there are none. */
bool tls_door_tickets(struct tls_door *d, struct tls_tickets_view *out);
/* r->tickets and r->counters are the door's matter. `force`: the rules may be others, so that
 * unchanged files mean nothing. Slow (files): not on a worker's thread. One at a time. */
enum tls_loaded tls_door_load(struct tls_door *d, const struct tls_rules *r, bool force,
                              char error[TLS_ERROR_MAX]);
/* A reference to the present context; NULL before the first was loaded. */
struct tls_context *tls_door_context(struct tls_door *d);
/* A connection under it; NULL: no memory, or nothing is loaded. */
struct tls *tls_door_accept(struct tls_door *d, int fd);

#endif
