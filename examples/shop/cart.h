/* cart.h - what a session holds, read from its record, and the changes that are made to it.
 *
 * Fields of the record: "item:SKU" = quantity; "txn" = the number of the purchase that is
 * being made; of the last order "order", "order_txn", "order_total"; "orders" counts them. Under
 * "billing." is what the configuration keeps private: "billing.name", ".street", ".zip", ".city",
 * which the purchase will go to, and "billing.order.name" and so on, which the last order went to.
 */
#ifndef CART_H
#define CART_H

#include "catalogue.h"
#include "node.h"

#define CART_TEXT_MAX 100 /* bytes of a name, a street, ... */
#define CART_TXN_MAX 32

struct address {
    char name[CART_TEXT_MAX + 1], street[CART_TEXT_MAX + 1];
    char zip[CART_TEXT_MAX + 1], city[CART_TEXT_MAX + 1];
};

struct order {
    char number[32]; /* "" when nothing was ordered yet */
    char txn[CART_TXN_MAX + 1];
    long total_cents;
    struct address address;
};

struct cart {
    char id[NODE_ID_MAX + 1]; /* "" : there is no session yet */
    char version[64];
    int qty[SKU_MAX + 1];    /* by sku; [0] is not used */
    char user[USER_MAX + 1]; /* of the login, a record of its own; "" : nobody is logged in */
    char txn[CART_TXN_MAX + 1];
    struct address billing; /* name "": none yet */
    struct order order;
};

/* No session, nothing in it. */
void cart_init(struct cart *c);
/* From a record of the session API. What it cannot read in it is left out; the user stays. */
void cart_from_record(struct cart *c, const json_t *record);
int cart_count(const struct cart *c);
long cart_total_cents(const struct cart *c);
/* {"server", "version", "items", "total_cents"}; NULL without memory. */
json_t *cart_json(const struct cart *c, const char *server);

/* Bodies for the session API; NULL without memory. */
/* Fields of a session that begins with this. sku 0: with an empty cart. */
json_t *cart_new_fields(int sku, int qty);
/* The thing's quantity is set; 0 takes it out. */
json_t *cart_set_change(int sku, int qty);
json_t *cart_billing_change(const struct address *to);
/* The cart becomes an order: to be done at the cart's version only, so that it is done once. */
json_t *cart_order_change(const struct cart *c, const struct address *to);

#endif
