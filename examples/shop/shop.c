/* shop.c - the table of routes, and the answers that are no page of their own. */
#include "shop.h"

#include "page.h"

#include <string.h>

static void whoami_get(struct shop *s, struct request *r)
{
    struct cart c;
    struct node_answer failed;
    if (shop_load(s, r, &c, &failed))
        request_reply_json(r, 200,
                           json_pack("{s:s, s:s?, s:i}", "server", s->server, "user",
                                     c.user[0] ? c.user : NULL, "items", cart_count(&c)));
    else
        shop_fail(s, r, &failed);
}

/* Without its node the shop can keep no cart: it had better get no shoppers. */
static void health_get(struct shop *s, struct request *r)
{
    if (node_answers(s->node))
        request_reply_plain(r, 200, "ok\n");
    else
        request_reply_plain(r, 503, "the node does not answer\n");
}

static void style_get(struct shop *s, struct request *r)
{
    (void)s;
    request_reply_style(r);
}

static const struct {
    const char *method, *path;
    void (*answer)(struct shop *s, struct request *r);
} routes[] = {
    {"GET", "/", catalogue_get},         {"GET", "/cart", cart_get},
    {"GET", "/cart.json", cart_get},     {"POST", "/cart", cart_post},
    {"POST", "/cart.json", cart_post},   {"GET", "/login", login_get},
    {"POST", "/login", login_post},      {"POST", "/logout", logout_post},
    {"GET", "/checkout", checkout_get},  {"POST", "/checkout", checkout_post},
    {"POST", "/billing", billing_post},  {"GET", "/order", order_get},
    {"GET", "/whoami.json", whoami_get}, {"GET", "/health", health_get},
    {"GET", "/style.css", style_get},
};
#define ROUTE_COUNT (sizeof routes / sizeof *routes)

void shop_answer(struct shop *s, struct request *r)
{
    const char *method = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
    if (r->seen > REQUEST_BODY_MAX) {
        shop_error(s, r, 413, "That is too much", "A form of this shop is never that long.");
        return;
    }
    if (request_is_post(r) && request_is_cross_site(r)) {
        shop_error(s, r, 403, "From somewhere else", "Another site sent this form. We do nothing.");
        return;
    }
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (strcmp(routes[i].path, r->path) != 0)
            continue;
        r->allow = r->allow ? "GET, HEAD, POST" : routes[i].method;
        if (strcmp(routes[i].method, method) == 0) {
            routes[i].answer(s, r);
            return;
        }
    }
    if (r->allow)
        shop_error(s, r, 405, "Not like that", "This page does not take that method.");
    else
        shop_error(s, r, 404, "There is no such page", "Perhaps it moved, perhaps it never was.");
}

/* 200, also when nobody is logged in. */
static int load_user(struct shop *s, const struct request *r, char user[USER_MAX + 1])
{
    char id[NODE_ID_MAX + 1];
    user[0] = '\0';
    request_login(r, id, sizeof id);
    int status = id[0] ? node_who(s->node, id, user) : 200;
    return status == 401 ? 200 : status;
}

bool shop_load(struct shop *s, const struct request *r, struct cart *c, struct node_answer *failed)
{
    char sid[NODE_ID_MAX + 1];
    struct node_answer answer = {.status = 404};
    cart_init(c);
    request_sid(r, sid, sizeof sid);
    int status = load_user(s, r, c->user);
    if (sid[0] && status == 200)
        node_read(s->node, sid, &answer);
    if (answer.status == 200)
        cart_from_record(c, answer.record);
    if (status == 200)
        status = answer.status;
    node_answer_deinit(&answer);
    *failed = (struct node_answer){.status = status};
    return status == 200 || status == 404;
}

void shop_error(struct shop *s, struct request *r, unsigned status, const char *title,
                const char *message)
{
    if (request_wants_json(r)) {
        request_reply_json(
            r, status,
            json_pack("{s:s, s:s, s:s}", "server", s->server, "error", title, "message", message));
        return;
    }
    struct text t = {0};
    page_begin(&t, s, NULL, title);
    text_addf(&t, "<section class='panel narrow'><p class=status>%u</p><h1>", status);
    text_html(&t, title);
    text_add(&t, "</h1><p>");
    text_html(&t, message);
    text_add(&t, "</p><p><a class=button href='/'>To the shop</a> <a class='button quiet' "
                 "href='/cart'>To your cart</a></p></section>");
    page_end(&t);
    request_reply_page(r, status, &t);
}

void shop_fail(struct shop *s, struct request *r, const struct node_answer *failed)
{
    bool refused = failed->status >= 400 && failed->status < 500;
    if (refused)
        shop_error(s, r, 500, "Our fault", "The shop asked its session store for nonsense.");
    else if (failed->unknown)
        shop_error(s, r, 503, "We cannot say whether that was done",
                   "A server went away in between. Look at your cart before you repeat it; nothing "
                   "that we had confirmed is lost.");
    else
        shop_error(s, r, 503, "Your cart cannot be kept safe right now",
                   "We only say yes when a second server has your cart, and there is none within "
                   "reach. Nothing was changed. Please try again in a moment.");
}
