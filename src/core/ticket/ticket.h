/* ticket.h - the keys that seal clients' TLS sessions (tickets: RFC 5077; RFC 8446, section 4.6.1),
 * the same at every node of a farm without a word between them.
 *
 * Time is cut into periods. A period's keys are HMAC-SHA256(secret, "stead ticket 1" | use |
 * period), use being name, cipher or mac. The present one's seal; those of the periods before it
 * that a ticket may still come from open, and so does the next one's: clocks may differ by a
 * period. Whoever has the secret can make the keys of every period, past ones too.
 *
 * A key's name stands in the clear in front of a ticket: 12 bytes of the key, and 4 of the node
 * that sealed, so that it is known at which node a session began. Not thread-safe. */
#ifndef CORE_TICKET_H
#define CORE_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TICKET_SECRET_BYTES 32
#define TICKET_KEY_NAME_BYTES 12
#define TICKET_NODE_BYTES 4
#define TICKET_NAME_BYTES (TICKET_KEY_NAME_BYTES + TICKET_NODE_BYTES)
#define TICKET_KEY_BYTES 32

#define TICKET_LIFE_S (8u * 3600)
#define TICKET_PERIOD_S (4u * 3600)
/* What was sealed at a period's end is opened until its life is over, and one period longer by a
 * clock that is ahead. */
#define TICKET_PAST (TICKET_LIFE_S / TICKET_PERIOD_S + 1)
#define TICKET_KEYS (1 + 1 + TICKET_PAST) /* the next one, the present one, and those before */

struct ticket_key {
    uint8_t name[TICKET_KEY_NAME_BYTES];
    uint8_t cipher[TICKET_KEY_BYTES], mac[TICKET_KEY_BYTES];
};

struct ticket_ring {
    uint8_t secret[TICKET_SECRET_BYTES];
    uint8_t node[TICKET_NODE_BYTES];
    uint64_t period;
    bool made; /* the keys are those of `period` */
    struct ticket_key keys[TICKET_KEYS];
    uint8_t joined[TICKET_NODE_BYTES]; /* of the other ring */
    bool is_joined;
};

/* Who a name that is to be opened is of. */
struct ticket_origin {
    bool current; /* the key that seals now; else a new ticket is due */
    bool own;     /* sealed by this node */
};

/* secret: of the whole farm. node: of this node alone, any number. */
void ticket_ring_init(struct ticket_ring *r, const uint8_t secret[TICKET_SECRET_BYTES],
                      uint64_t node);
void ticket_ring_deinit(struct ticket_ring *r); /* wipes it */
/* Before each use. now_s: wall clock. False: the crypto library has no memory, there are no keys.
 */
bool ticket_ring_turn(struct ticket_ring *r, uint64_t now_s);
/* While the farm's key is changed: the present key of another ring that has turned takes the place
 * behind the present one, and the key before it the last one; of its own ring the two oldest go.
 * So who seals with either is understood. After each turn. */
void ticket_ring_join(struct ticket_ring *r, const struct ticket_ring *other);

/* What seals now, and the name for it. */
const struct ticket_key *ticket_ring_seal(const struct ticket_ring *r,
                                          uint8_t name[TICKET_NAME_BYTES]);
/* NULL: no node seals with it now, or has done so for a ticket's life. */
const struct ticket_key *ticket_ring_open(const struct ticket_ring *r,
                                          const uint8_t name[TICKET_NAME_BYTES],
                                          struct ticket_origin *origin);

/* The name that stands before tickets of key `index`: 0 the next one, 1 the one that seals, then
 * those before. After a turn. */
void ticket_ring_name(const struct ticket_ring *r, size_t index, uint8_t out[TICKET_NAME_BYTES]);

#define TICKET_ID_MAX (2 * 4 + 1)

/* The first bytes of a key's name in hexadecimal, as they stand in front of its tickets: for
 * people. index 0: the next one, 1: the one that seals, then those before. After a turn. */
void ticket_ring_id(const struct ticket_ring *r, size_t index, char out[TICKET_ID_MAX]);

#endif
