/* page_catalogue.c - GET /: the things, each with its button. */
#include "page.h"

static void add_product(struct text *t, const struct cart *c, int sku)
{
    const struct product *p = catalogue_product(sku);
    text_addf(t, "<li class=card id='p%d'>", sku);
    page_drawing(t, p);
    text_addf(t, "<div class=about><h2>%s</h2><p>%s</p><div class=buy><span class=price>", p->name,
              p->text);
    text_money(t, p->price_cents);
    text_add(t, "</span>");
    if (c && c->qty[sku])
        page_stepper(t, sku, c->qty[sku], "/");
    else
        text_addf(t,
                  "<form method=post action='/cart'><input type=hidden name=sku value='%d'><input "
                  "type=hidden name=back value='/'><button class=add name=qty value=1 "
                  "aria-label='Add %s to the cart'%s>Add to cart</button></form>",
                  sku, p->name, c ? "" : " disabled");
    text_add(t, "</div></div></li>");
}

void catalogue_get(struct shop *s, struct request *r)
{
    struct cart c;
    struct node_answer failed;
    struct text t = {0};
    /* The things can be shown even when the cart cannot be read. */
    bool readable = shop_load(s, r, &c, &failed);
    const struct cart *shown = readable ? &c : NULL;
    page_begin(&t, s, shown, "Things that last");
    if (!readable)
        text_add(&t, "<p class=notice>Your cart cannot be read at this moment. It is not lost: "
                     "another server is taking it over. <a href='/'>Look again</a>.</p>");
    text_add(&t, "<section class=hero><h1>Things that last.</h1><p>Twelve of them, made to be kept "
                 "for a long time by people who do.</p></section><ul class=grid>");
    for (int sku = 1; sku <= SKU_MAX; sku++)
        add_product(&t, shown, sku);
    text_add(&t, "</ul>");
    page_end(&t);
    request_reply_page(r, 200, &t);
}
