/* session_keep.h - clients' TLS sessions in the store: the keeper (io/tls_keeper.h) of one worker's
 * listeners. A session is a record of kind tls, its key the id in hex, its value sealed for that
 * place by a key of the farm.
 *
 * One that may be used once is read and then ended by whoever made it: the end says which version
 * it is of, and counts only when that node still owned it, in its first term. A record that another
 * node has claimed, in a split or from a dead one, is not resumed by anybody. So no two nodes
 * accept it, whatever is cut off from what; the price is a full handshake.
 */
#ifndef ROLE_DIRECTOR_SESSION_KEEP_H
#define ROLE_DIRECTOR_SESSION_KEEP_H

#include "core/token/box_ring.h"
#include "io/tls_keeper.h"
#include "store/store.h"

#include <stdatomic.h>
#include <uv.h>

#define SESSION_KEEP_WAITING_MAX 1024 /* questions at once; more are answered as late */
#define SESSION_KEEP_ASK_MS 300       /* for reading, and again for ending */
#define SESSION_KEEP_PUT_MS 5000

/* May be shared by all workers. */
struct session_keep_counters {
    atomic_uint_fast64_t kept, unkept; /* sessions that began: stored, and not */
    atomic_uint_fast64_t full;         /* questions beyond SESSION_KEEP_WAITING_MAX */
};

struct session_keep_config {
    uv_loop_t *loop;
    struct store *store;
    unsigned mailbox; /* of the store, this keeper's alone */
    uint8_t kind;
    struct box_ring *keys; /* of the farm; outlives it */
    struct session_keep_counters *counters;
};

struct session_keep;

/* STEAD_E_NOMEM. Sets the mailbox's wake. */
int session_keep_open(const struct session_keep_config *c, struct session_keep **out);
const struct tls_keeper *session_keep_keeper(const struct session_keep *k);
/* Takes no more results: `closed` is called on the loop; what is asked still is answered at once.
 */
void session_keep_close(struct session_keep *k, void (*closed)(void *context), void *context);
void session_keep_free(struct session_keep *k); /* once the loop is over; takes NULL */

#endif
