/* page_checkout.c - the address, the purchase, and the order that comes of it.
 *
 * The purchase is one change of the session, made only at the version that was read: the cart
 * becomes an order and its transaction number is used up. Sent twice, at whichever servers, it
 * happens once: the second finds the order. The address may be kept before (POST /billing), and the
 * payment made at another server: it is the same purchase, with the same number. */
#include "page.h"

#include <stddef.h>
#include <string.h>

#define TRIES_MAX 5

static const struct {
    const char *name, *label, *complete;
    size_t at;
} fields[] = {
    {"name", "Name", "name", offsetof(struct address, name)},
    {"street", "Street and number", "street-address", offsetof(struct address, street)},
    {"zip", "Postcode", "postal-code", offsetof(struct address, zip)},
    {"city", "Town", "address-level2", offsetof(struct address, city)},
};
#define FIELD_COUNT (sizeof fields / sizeof *fields)

/* A script may leave all of it out (*any is false then) and gets an order to the address that was
 * kept, or to none; a half one is a mistake. */
static bool read_address(const struct request *r, struct address *to, bool *any)
{
    bool whole = true;
    *any = false;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        char *value = (char *)to + fields[i].at;
        bool good = request_form(r, fields[i].name, value, CART_TEXT_MAX + 1) &&
                    strspn(value, " ") < strlen(value);
        whole = whole && good;
        *any = *any || request_has_form(r, fields[i].name);
    }
    return whole;
}

static void add_summary(struct text *t, const struct cart *c)
{
    text_add(t, "<aside class=panel><h2>You buy</h2><ul class=summary>");
    for (int sku = 1; sku <= SKU_MAX; sku++) {
        if (!c->qty[sku])
            continue;
        text_addf(t, "<li><span>%d × %s</span><span>", c->qty[sku], catalogue_product(sku)->name);
        text_money(t, c->qty[sku] * catalogue_product(sku)->price_cents);
        text_add(t, "</span></li>");
    }
    text_add(t, "</ul><p class=total>");
    text_money(t, cart_total_cents(c));
    text_add(t, "</p><p><a href='/cart'>Change the cart</a></p></aside>");
}

static void reply_form(struct shop *s, struct request *r, const struct cart *c, unsigned status,
                       const struct address *to, const char *wrong)
{
    struct text t = {0};
    page_begin(&t, s, c, "Check out");
    text_add(&t, "<h1>Check out</h1><div class=columns><section class=panel><h2>Where to?</h2>");
    if (wrong)
        text_addf(&t, "<p class=wrong role=alert>%s</p>", wrong);
    text_add(&t, "<form class=fields method=post action='/checkout'><input type=hidden name=txn "
                 "value='");
    text_html(&t, c->txn);
    text_add(&t, "'>");
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        text_addf(&t, "<label>%s<input name=%s maxlength=%d autocomplete=%s required value='",
                  fields[i].label, fields[i].name, CART_TEXT_MAX, fields[i].complete);
        text_html(&t, (const char *)to + fields[i].at);
        text_add(&t, "'></label>");
    }
    text_add(&t, "<button class='button wide'>Buy now</button><p class=small>Pressed twice, or "
                 "again after a failure, it is charged once.</p><button class='button quiet' "
                 "formaction='/billing'>Keep the address, buy later</button></form></section>");
    add_summary(&t, c);
    text_add(&t, "</div>");
    page_end(&t);
    request_reply_page(r, status, &t);
}

void checkout_get(struct shop *s, struct request *r)
{
    struct cart c;
    struct node_answer failed;
    if (!shop_load(s, r, &c, &failed)) {
        shop_fail(s, r, &failed);
    } else if (cart_count(&c) == 0) {
        request_reply_see_other(r, "/cart");
    } else {
        struct address to = c.billing.name[0] ? c.billing : c.order.address; /* as the last time */
        if (!to.name[0])
            strcpy(to.name, c.user);
        reply_form(s, r, &c, 200, &to, NULL);
    }
}

static json_t *order_json(const struct shop *s, const struct cart *c)
{
    return json_pack("{s:s, s:s, s:I}", "server", s->server, "order", c->order.number,
                     "total_cents", (json_int_t)c->order.total_cents);
}

static void reply_ordered(struct shop *s, struct request *r, const struct cart *c)
{
    if (request_wants_json(r))
        request_reply_json(r, 200, order_json(s, c));
    else
        request_reply_see_other(r, "/order");
}

/* Has this very purchase been made already? Without a number in the form: the last one, when there
 * is nothing to buy. */
static bool is_done(const struct cart *c, const char *txn)
{
    if (!c->order.number[0])
        return false;
    return txn[0] ? strcmp(txn, c->order.txn) == 0 : cart_count(c) == 0;
}

static void reply_address(struct shop *s, struct request *r, const struct cart *c,
                          const struct address *to)
{
    if (request_wants_json(r))
        shop_error(s, r, 400, "The address is not whole",
                   "The form takes name, street, zip and city, of 1 to 100 bytes each.");
    else
        reply_form(s, r, c, 400, to, "Please fill in every line.");
}

void billing_post(struct shop *s, struct request *r)
{
    struct address to;
    struct cart c;
    struct node_answer answer;
    bool any;
    if (!shop_load(s, r, &c, &answer)) {
        shop_fail(s, r, &answer);
        return;
    }
    if (cart_count(&c) == 0) {
        shop_error(s, r, 409, "There is nothing to buy", "Your cart is empty.");
        return;
    }
    if (!read_address(r, &to, &any)) {
        reply_address(s, r, &c, &to);
        return;
    }
    node_change(s->node, c.id, NULL, cart_billing_change(&to), &answer);
    if (answer.status != 200)
        shop_fail(s, r, &answer);
    else if (request_wants_json(r))
        request_reply_json(r, 200, json_pack("{s:s, s:s}", "server", s->server, "txn", c.txn));
    else
        request_reply_see_other(r, "/checkout");
    node_answer_deinit(&answer);
}

/* One try. True: it was answered; false: the cart has changed meanwhile. given NULL: to the address
 * that was kept. */
static bool try_purchase(struct shop *s, struct request *r, const char *txn,
                         const struct address *given, bool address_whole)
{
    struct cart c;
    struct node_answer answer;
    bool changed = false;
    if (!shop_load(s, r, &c, &answer)) {
        shop_fail(s, r, &answer);
    } else if (is_done(&c, txn)) {
        reply_ordered(s, r, &c);
    } else if (cart_count(&c) == 0) {
        shop_error(s, r, 409, "There is nothing to buy", "Your cart is empty.");
    } else if (txn[0] && strcmp(txn, c.txn) != 0) {
        shop_error(s, r, 409, "This form is out of date",
                   "Its purchase was made long ago, or in another window. Open the checkout anew.");
    } else if (!address_whole) {
        reply_address(s, r, &c, given ? given : &c.billing);
    } else {
        node_change(s->node, c.id, c.version, cart_order_change(&c, given ? given : &c.billing),
                    &answer);
        if (answer.status == 200) {
            cart_from_record(&c, answer.record);
            reply_ordered(s, r, &c);
        } else if (answer.status != 412) {
            shop_fail(s, r, &answer);
        }
        changed = answer.status == 412;
        node_answer_deinit(&answer);
    }
    return !changed;
}

void checkout_post(struct shop *s, struct request *r)
{
    struct address to;
    char txn[CART_TXN_MAX + 1];
    bool any, whole = read_address(r, &to, &any);
    if (!any && request_wants_json(r))
        whole = true;
    request_form(r, "txn", txn, sizeof txn); /* "" when it is not there */
    for (int i = 0; i < TRIES_MAX; i++)
        if (try_purchase(s, r, txn, any ? &to : NULL, whole))
            return;
    shop_error(s, r, 409, "Your cart keeps changing", "Look at it and try again.");
}

void order_get(struct shop *s, struct request *r)
{
    struct cart c;
    struct node_answer failed;
    if (!shop_load(s, r, &c, &failed)) {
        shop_fail(s, r, &failed);
        return;
    }
    if (!c.order.number[0]) {
        shop_error(s, r, 404, "No order yet", "You have not ordered anything in this session.");
        return;
    }
    if (request_wants_json(r)) {
        request_reply_json(r, 200, order_json(s, &c));
        return;
    }
    struct text t = {0};
    page_begin(&t, s, &c, "Thank you");
    text_add(&t, "<section class='panel narrow thanks'><h1>Thank you</h1><p>Your order has the "
                 "number</p><p class=number>");
    text_html(&t, c.order.number);
    text_add(&t, "</p><p>It comes to <b>");
    text_money(&t, c.order.total_cents);
    text_add(&t, "</b>, charged once, and goes to</p><address>");
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        text_html(&t, (const char *)&c.order.address + fields[i].at);
        text_add(&t, fields[i].at == offsetof(struct address, zip) ? " " : "<br>");
    }
    text_add(&t, "</address><p><a class=button href='/'>Back to the shop</a></p></section>");
    page_end(&t);
    request_reply_page(r, 200, &t);
}
