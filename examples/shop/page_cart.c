/* page_cart.c - /cart: what is in it, and setting a thing's quantity. */
#include "page.h"

#include <string.h>

static void add_row(struct text *t, const struct cart *c, int sku)
{
    const struct product *p = catalogue_product(sku);
    text_add(t, "<li class=row>");
    page_drawing(t, p);
    text_addf(t, "<div class=what><h2>%s</h2><span class=each>", p->name);
    text_money(t, p->price_cents);
    text_add(t, " each</span></div>");
    page_stepper(t, sku, c->qty[sku], "/cart");
    text_add(t, "<span class=price>");
    text_money(t, p->price_cents * c->qty[sku]);
    text_addf(t,
              "</span><form method=post action='/cart'><input type=hidden name=sku "
              "value='%d'><button class=link name=qty value=0 aria-label='Remove %s'>Remove"
              "</button></form></li>",
              sku, p->name);
}

static void reply_cart_page(struct shop *s, struct request *r, const struct cart *c)
{
    struct text t = {0};
    page_begin(&t, s, c, "Your cart");
    if (cart_count(c) == 0) {
        text_add(&t, "<section class=panel><h1>Your cart is empty</h1><p>Nothing in it yet.</p>"
                     "<p><a class=button href='/'>See what we have</a></p></section>");
    } else {
        text_add(&t, "<h1>Your cart</h1><div class=columns><ul class=rows>");
        for (int sku = 1; sku <= SKU_MAX; sku++)
            if (c->qty[sku])
                add_row(&t, c, sku);
        text_add(&t, "</ul><aside class=panel><h2>Total</h2><p class=total>");
        text_money(&t, cart_total_cents(c));
        text_add(&t, "</p><p class=small>Taxes included, postage on us.</p><a class='button wide' "
                     "href='/checkout'>Check out</a><p><a href='/'>Keep looking</a></p></aside>"
                     "</div>");
    }
    page_end(&t);
    request_reply_page(r, 200, &t);
}

void cart_get(struct shop *s, struct request *r)
{
    struct cart c;
    struct node_answer failed;
    if (!shop_load(s, r, &c, &failed))
        shop_fail(s, r, &failed);
    else if (request_wants_json(r))
        request_reply_json(r, 200, cart_json(&c, s->server));
    else
        reply_cart_page(s, r, &c);
}

/* Sets the quantity in the shopper's session, or in a new one when there is none. */
static void set_qty(struct shop *s, struct request *r, int sku, int qty, const char *version,
                    struct node_answer *out)
{
    char sid[NODE_ID_MAX + 1];
    request_sid(r, sid, sizeof sid);
    if (sid[0]) {
        node_change(s->node, sid, version, cart_set_change(sku, qty), out);
        if (out->status != 404)
            return;
        node_answer_deinit(out);
    }
    node_create(s->node, cart_new_fields(sku, qty), out);
    if (out->status == 201)
        request_set_sid(r, json_string_value(json_object_get(out->record, "id")));
}

/* The client said which version it had seen, and the cart has changed since. */
static void reply_conflict(struct shop *s, struct request *r)
{
    struct cart c;
    struct node_answer failed;
    if (!request_wants_json(r))
        shop_error(s, r, 409, "Your cart has changed",
                   "It was changed in another window. Look at it and try again.");
    else if (!shop_load(s, r, &c, &failed))
        shop_fail(s, r, &failed);
    else
        request_reply_json(r, 409, cart_json(&c, s->server));
}

static void reply_set(struct shop *s, struct request *r, const struct node_answer *done)
{
    char back[8];
    struct cart c = {0};
    cart_from_record(&c, done->record);
    if (request_wants_json(r))
        request_reply_json(r, 200, cart_json(&c, s->server));
    else if (request_form(r, "back", back, sizeof back) && strcmp(back, "/") == 0)
        request_reply_see_other(r, "/");
    else
        request_reply_see_other(r, "/cart");
}

void cart_post(struct shop *s, struct request *r)
{
    int sku, qty;
    char version[48];
    struct node_answer answer;
    bool has_version = request_has_form(r, "version");
    if (!request_form_number(r, "sku", &sku) || sku < 1 || sku > SKU_MAX ||
        !request_form_number(r, "qty", &qty) || qty > QTY_MAX) {
        shop_error(s, r, 400, "We do not have that",
                   "The form takes sku, a number from 1 to 12, and qty, from 0 to 99.");
        return;
    }
    if (has_version && (!request_form(r, "version", version, sizeof version) ||
                        strspn(version, "0123456789.") != strlen(version))) {
        shop_error(s, r, 400, "That is no version", "Send the version that a cart came with.");
        return;
    }
    set_qty(s, r, sku, qty, has_version ? version : NULL, &answer);
    if (answer.status == 200 || answer.status == 201)
        reply_set(s, r, &answer);
    else if (answer.status == 412)
        reply_conflict(s, r);
    else
        shop_fail(s, r, &answer);
    node_answer_deinit(&answer);
}
