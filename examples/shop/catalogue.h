/* catalogue.h - what the shop sells: 12 things, numbered from 1. */
#ifndef CATALOGUE_H
#define CATALOGUE_H

#define SKU_MAX 12 /* the first is 1 */
#define QTY_MAX 99 /* of one thing in a cart */

struct product {
    const char *name;
    long price_cents;
    const char *text;
    const char *tint;    /* the colour behind the drawing */
    const char *drawing; /* what is inside an <svg viewBox="0 0 200 150"> */
};

/* sku must be 1 to SKU_MAX. */
const struct product *catalogue_product(int sku);

#endif
