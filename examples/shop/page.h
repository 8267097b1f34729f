/* page.h - what all pages have in common: the head, the bar with the badge, the foot. */
#ifndef PAGE_H
#define PAGE_H

#include "shop.h"

/* c may be NULL: nothing is known of the shopper. */
void page_begin(struct text *t, const struct shop *s, const struct cart *c, const char *title);
void page_end(struct text *t);
/* A drawing on its tinted ground. */
void page_drawing(struct text *t, const struct product *p);
/* Buttons that set a thing's quantity to one less and one more, and then lead to `back`. */
void page_stepper(struct text *t, int sku, int qty, const char *back);

#endif
