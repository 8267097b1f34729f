/* shop.h - the shop: which page answers what. It keeps nothing of its own between two requests;
 * what a shopper has is in the session, and the session is in the node. */
#ifndef SHOP_H
#define SHOP_H

#include "cart.h"
#include "request.h"

struct shop {
    const char *server; /* its name: s1, s2, ... */
    const char *domain; /* that all servers' names lie in: the cookie's */
    struct node *node;
};

/* Answers one whole request, from any thread. */
void shop_answer(struct shop *s, struct request *r);

/* Reads the shopper's login and session. False: one cannot be read at present; *failed is the
 * node's answer. No cookie, or one whose session is gone, is an empty cart, or nobody. */
bool shop_load(struct shop *s, const struct request *r, struct cart *c, struct node_answer *failed);
/* The honest answer when a call of the node failed. */
void shop_fail(struct shop *s, struct request *r, const struct node_answer *failed);
/* A page or JSON with a sentence. */
void shop_error(struct shop *s, struct request *r, unsigned status, const char *title,
                const char *message);

/* Handlers, one a route; in the file of their page. */
void catalogue_get(struct shop *s, struct request *r);
void cart_get(struct shop *s, struct request *r);
void cart_post(struct shop *s, struct request *r);
void login_get(struct shop *s, struct request *r);
void login_post(struct shop *s, struct request *r);
void logout_post(struct shop *s, struct request *r);
void checkout_get(struct shop *s, struct request *r);
void checkout_post(struct shop *s, struct request *r);
void billing_post(struct shop *s, struct request *r);
void order_get(struct shop *s, struct request *r);

#endif
