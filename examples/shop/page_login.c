/* page_login.c - logging in and out. A login is a record of its own, of kind auth, so that web
 * servers can ask the node for it too. Who logs in gets a new session id besides, so that an id
 * that somebody else may have seen or planted is worth nothing. */
#include "page.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *user, *password;
} accounts[] = {{"ann", "ann"}, {"bob", "bob"}};

static bool is_account(const char *user, const char *password)
{
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++)
        if (strcmp(accounts[i].user, user) == 0 && strcmp(accounts[i].password, password) == 0)
            return true;
    return false;
}

static void reply_form(struct shop *s, struct request *r, const struct cart *c, unsigned status,
                       const char *user, const char *wrong)
{
    struct text t = {0};
    page_begin(&t, s, c, "Log in");
    text_add(&t, "<section class='panel narrow'><h1>Log in</h1>");
    if (wrong)
        text_addf(&t, "<p class=wrong role=alert>%s</p>", wrong);
    text_add(&t, "<form class=fields method=post action='/login'><label>Name<input name=user "
                 "maxlength=31 autocomplete=username required value='");
    text_html(&t, user);
    text_add(&t, "'></label><label>Password<input name=password type=password maxlength=63 "
                 "autocomplete=current-password required></label><button class='button "
                 "wide'>Log in</button></form><p class=small>Accounts to try: <b>ann</b> with "
                 "password <b>ann</b>, <b>bob</b> with password <b>bob</b>. Your cart stays with "
                 "you.</p></section>");
    page_end(&t);
    request_reply_page(r, status, &t);
}

static json_t *who_json(const struct shop *s, const struct cart *c)
{
    return json_pack("{s:s, s:s}", "server", s->server, "user", c->user);
}

void login_get(struct shop *s, struct request *r)
{
    struct cart c;
    struct node_answer failed;
    if (!shop_load(s, r, &c, &failed))
        shop_fail(s, r, &failed);
    else
        reply_form(s, r, &c, 200, c.user, NULL);
}

/* The session under a new id, or a new session. True: *out is of that. */
static bool renew(struct shop *s, struct request *r, struct node_answer *out)
{
    char sid[NODE_ID_MAX + 1];
    request_sid(r, sid, sizeof sid);
    bool gone = !sid[0];
    if (!gone) {
        node_renew(s->node, sid, out);
        gone = out->status == 404;
    }
    if (gone) {
        node_answer_deinit(out);
        node_create(s->node, cart_new_fields(0, 0), out);
    }
    return out->status == 200 || out->status == 201;
}

/* The login that was there before is of no use any more; if it cannot be ended now, its time will.
 */
static void forget_login(struct shop *s, const struct request *r)
{
    char id[NODE_ID_MAX + 1];
    struct node_answer ended = {0};
    request_login(r, id, sizeof id);
    if (id[0])
        node_log_out(s->node, id, &ended);
    node_answer_deinit(&ended);
}

static void log_in(struct shop *s, struct request *r, const char *user)
{
    struct node_answer renewed = {0}, login = {0};
    struct cart c = {0};
    if (!renew(s, r, &renewed)) {
        shop_fail(s, r, &renewed);
        node_answer_deinit(&renewed);
        return;
    }
    cart_from_record(&c, renewed.record);
    node_answer_deinit(&renewed);
    /* From here on the new id is the shopper's, whatever comes next. */
    request_set_sid(r, c.id);
    node_log_in(s->node, user, &login);
    const char *id = json_string_value(json_object_get(login.record, "id"));
    if (login.status != 201 || !id || !node_id_valid(id)) {
        shop_fail(s, r, &login);
        node_answer_deinit(&login);
        return;
    }
    forget_login(s, r);
    request_set_login(r, id);
    snprintf(c.user, sizeof c.user, "%s", user);
    if (request_wants_json(r))
        request_reply_json(r, 200, who_json(s, &c));
    else
        request_reply_see_other(r, cart_count(&c) ? "/cart" : "/");
    node_answer_deinit(&login);
}

void login_post(struct shop *s, struct request *r)
{
    char user[USER_MAX + 1], password[64];
    if (request_form(r, "user", user, sizeof user) &&
        request_form(r, "password", password, sizeof password) && is_account(user, password)) {
        log_in(s, r, user);
        return;
    }
    static const char wrong[] = "That name and password do not belong together.";
    struct cart c;
    struct node_answer failed;
    if (request_wants_json(r))
        shop_error(s, r, 403, "Not logged in", wrong);
    else
        reply_form(s, r, shop_load(s, r, &c, &failed) ? &c : NULL, 403, user, wrong);
}

static bool is_ended(const struct node_answer *a)
{
    return a->status == 204 || a->status == 404;
}

/* The login first: whatever comes after, nobody is logged in at any server. */
void logout_post(struct shop *s, struct request *r)
{
    char sid[NODE_ID_MAX + 1], login[NODE_ID_MAX + 1];
    struct node_answer ended = {.status = 204};
    request_sid(r, sid, sizeof sid);
    request_login(r, login, sizeof login);
    if (login[0])
        node_log_out(s->node, login, &ended);
    if (is_ended(&ended)) {
        request_set_login(r, "");
        node_answer_deinit(&ended);
        ended.status = 204;
        if (sid[0])
            node_end(s->node, sid, &ended);
    }
    if (!is_ended(&ended)) {
        shop_fail(s, r, &ended);
    } else {
        request_set_sid(r, "");
        if (request_wants_json(r))
            request_reply_json(r, 200, json_pack("{s:s, s:n}", "server", s->server, "user"));
        else
            request_reply_see_other(r, "/");
    }
    node_answer_deinit(&ended);
}
