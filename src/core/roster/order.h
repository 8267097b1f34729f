/* order.h - what an operator tells one node of the farm to do, by way of another: ORDER goes to the
 * node, ORDERED comes back with what became of it and how the node stands. docs/protocol.md,
 * Orders.
 *
 * An order sets a state and may be carried out twice. It travels on a channel of its own of the
 * mesh, reliably; whoever waits for the answer gives up at a deadline of his own. */
#ifndef CORE_ROSTER_ORDER_H
#define CORE_ROSTER_ORDER_H

#include "core/roster/roster.h"

#define ORDERS_MAX 32 /* that wait for their answer at one node */
#define ORDER_TEXT_MAX 2047
#define ORDER_BYTES_MAX (34 + ORDER_TEXT_MAX)
#define ORDER_PATIENCE_MS 3000

enum order_verb {
    ORDER_TELL,  /* only how it stands */
    ORDER_DRAIN, /* no new clients, records are handed over */
    ORDER_UNDRAIN,
    ORDER_MAINT, /* taken out: its clients are served by the backup */
    ORDER_UNMAINT,
    ORDER_CHANGE, /* its configuration, as the text says (node/change.h) */
    ORDER_RELOAD, /* it reads its configuration file again */
    ORDER_KEY     /* the farm's keys, as the text says (node/keyring.h) */
};

struct order {
    uint64_t token;
    enum order_verb verb;
    bool force;                    /* also when it is the last server that is up */
    char text[ORDER_TEXT_MAX + 1]; /* of CHANGE and KEY; "" in all others */
};

/* How the node stands. */
struct ordered {
    uint64_t token;
    int error;          /* of the order: 0 or a stead_error; the rest is true all the same */
    enum status status; /* as it says of itself */
    bool draining, maint;
    bool drained; /* it leaves, and no record is left that others should have */
    uint32_t users;
    uint64_t records;              /* to be handed over */
    char text[ORDER_TEXT_MAX + 1]; /* of CHANGE, RELOAD, KEY: what became of it, or what is wrong */
};

/* No user, and no record that only this node has. */
static inline bool ordered_safe(const struct ordered *o)
{
    return o->drained && o->users == 0;
}

void order_encode(const struct order *o, struct wire_writer *w);
void ordered_encode(const struct ordered *o, struct wire_writer *w);

enum order_message { ORDER_MALFORMED, ORDER_ASKED, ORDER_ANSWERED };
/* One of the two is filled in, by what comes back. */
enum order_message order_decode(const uint8_t *bytes, size_t len, struct order *order,
                                struct ordered *ordered);

/* Would a service have no server left without this node? The service's name then; NULL: none. A
 * service whose server here takes no clients anyway does not count. */
const char *order_last(const struct roster *r);
/* The same of one service. */
bool order_last_of(const struct roster *r, const char *service);

/* Orders that wait. Zeroed = empty. */
struct orders {
    uint64_t serial;
    struct {
        uint64_t token, inc, until_ms; /* token 0: free */
    } waits[ORDERS_MAX];
};

/* A token for an order to inc; 0: too many wait. */
uint64_t orders_open(struct orders *o, uint64_t inc, uint64_t now_ms);
/* An answer came from inc: true when somebody waits for it, who then waits no longer. */
bool orders_close(struct orders *o, uint64_t inc, uint64_t token);
/* The token of one that has waited too long, and waits no longer; 0: none. */
uint64_t orders_expire(struct orders *o, uint64_t now_ms);

#endif
