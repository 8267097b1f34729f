/* bulk.h - the thread that carries messages which are very many (copies of whole portions) over
 * TCP, sealed, many to a frame, between the addresses where nodes speak to each other.
 *
 * Who has messages for a node connects to it. As long as there is no connection to it (none can be
 * made, another key, another version), messages go with the rest, by datagrams: slower, and as
 * safe. Neither the main thread nor a worker takes part; a shard is locked once for all that a
 * frame has for it.
 */
#ifndef NODE_BULK_H
#define NODE_BULK_H

#include "core/mesh/bulk_seal.h"
#include "store/store.h"

#include <stdatomic.h>

#define BULK_LINKS_MAX 64 /* connections at once; further nodes are served by datagrams */

struct bulk_counters {
    atomic_uint_fast64_t in, out;  /* messages */
    atomic_uint_fast64_t returned; /* that went by datagrams: there was no connection */
    atomic_uint_fast64_t links;    /* open now */
    atomic_uint_fast64_t made;     /* since the start */
    atomic_uint_fast64_t refused;  /* connections whose other side did not prove itself, or more
                                      than BULK_LINKS_MAX */
};

struct bulk_config {
    struct store *store;
    int listen_fd; /* taken over; -1: nobody can connect here */
    uint64_t inc;
    uint8_t secret[BULK_SECRET_BYTES];
    struct bulk_counters *counters;
};

struct bulk;

/* STEAD_E_NOMEM, STEAD_E_IO; then the descriptor is closed too. */
int bulk_start(const struct bulk_config *c, struct bulk **out) __attribute__((warn_unused_result));
/* Another secret: connections are made anew under it; what is on its way goes by datagrams. Any
 * thread. Takes NULL. */
void bulk_rekey(struct bulk *b, const uint8_t secret[BULK_SECRET_BYTES]);
void bulk_stop(struct bulk *b); /* takes NULL */

#endif
