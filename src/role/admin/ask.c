/* ask.c - orders by HTTP: the question, the wait, the answer. */
#include "role/admin/ask.h"

#include "core/http/http_query.h"
#include "stead/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS 10

/* What the node said of a change, if anything. */
static void refuse_change(struct http_request *r, int error, const char *text)
{
    int status = error == STEAD_E_NOT_FOUND                           ? 404
                 : error == STEAD_E_EXISTS || error == STEAD_E_IN_USE ? 409
                 : error == STEAD_E_IO                                ? 500
                                                                      : 422;
    http_reply_error(r, status, stead_error_name(error), text);
}

static void refuse(struct http_request *r, const struct ask *k, int error)
{
    char text[256 + URL_MAX_BYTES];
    const char *server = k->server;
    switch (error) {
    case STEAD_E_NO_SERVER:
        snprintf(text, sizeof text,
                 "%s is the last server that is up: force=1 does it all the same", server);
        http_reply_error(r, 409, "NO_SERVER", text);
        return;
    case STEAD_E_NOT_FOUND:
        snprintf(text, sizeof text, "the farm has no %s %s",
                 strchr(server, '/') ? "server with the URL" : "node", server);
        http_reply_error(r, 404, "NOT_FOUND", text);
        return;
    case STEAD_E_UNREACHABLE:
        snprintf(text, sizeof text, "%s is down", server);
        http_reply_error(r, 502, "UNREACHABLE", text);
        return;
    case STEAD_E_DEADLINE:
        snprintf(text, sizeof text, "%s does not answer; whether it heard is not known", server);
        http_reply_error(r, 504, "DEADLINE", text);
        return;
    case STEAD_E_IO:
        snprintf(text, sizeof text, "%s cannot write its state folder: a restart forgets it",
                 server);
        http_reply_error(r, 500, "IO", text);
        return;
    default:
        http_reply_error(r, 503, stead_error_name(error), stead_error_text(error));
    }
}

/* Backslashes and quotes; all else is printable. */
static void quote(const char *from, char *to, size_t cap)
{
    size_t len = 0;
    for (; *from && len + 3 < cap; from++) {
        if (*from == '"' || *from == '\\')
            to[len++] = '\\';
        to[len++] = *from;
    }
    to[len] = '\0';
}

/* A valid name has no character that JSON escapes, nor has a valid URL. */
static void reply(const struct ask *k, const struct ordered *a)
{
    char text[512 + URL_MAX_BYTES + 2 * ORDER_TEXT_MAX], said[2 * ORDER_TEXT_MAX + 4];
    if (a->error && *a->text) {
        refuse_change(k->request, a->error, a->text);
        return;
    }
    if (a->error) {
        refuse(k->request, k, a->error);
        return;
    }
    quote(a->text, said, sizeof said);
    int n = snprintf(text, sizeof text,
                     "{\"server\": \"%s\", \"status\": \"%s\", \"draining\": %s, \"maint\": %s, "
                     "\"users\": %" PRIu32 ", \"records\": %" PRIu64 ", \"drained\": %s, "
                     "\"safe\": %s, \"said\": \"%s\"}\n",
                     k->server, status_name(a->status), a->draining ? "true" : "false",
                     a->maint ? "true" : "false", a->users, a->records,
                     a->drained ? "true" : "false", ordered_safe(a) ? "true" : "false", said);
    http_reply(k->request, 200, "application/json", "Cache-Control: no-store\r\n", text, (size_t)n);
}

static void on_timer(uv_timer_t *timer)
{
    struct asks *a = timer->data;
    bool waits = false;
    for (size_t i = 0; i < ASKS_MAX; i++) {
        struct ask *k = &a->asks[i];
        struct ordered answer;
        if (!k->request)
            continue;
        if (a->source->ordered(a->source->context, k->id, &answer)) {
            reply(k, &answer);
            k->request = NULL;
        }
        waits |= k->request != NULL;
    }
    if (!waits)
        uv_timer_stop(&a->timer);
}

void asks_open(struct asks *a, uv_loop_t *loop, const struct admin_source *source)
{
    *a = (struct asks){.source = source};
    a->timer.data = a;
    uv_timer_init(loop, &a->timer); /* cannot fail */
}

void asks_close(struct asks *a)
{
    for (size_t i = 0; i < ASKS_MAX; i++)
        if (a->asks[i].request)
            http_reply_error(a->asks[i].request, 503, "CLOSED", "the node stops");
    memset(a->asks, 0, sizeof a->asks);
    uv_close((uv_handle_t *)&a->timer, NULL);
}

void asks_take(struct asks *a, struct http_request *r, enum order_verb verb)
{
    const struct http_head *h = http_request_head(r);
    struct ask k = {.request = r};
    char force[8];
    int named = http_query_find(h->query, "server", k.server, sizeof k.server);
    if (named == 0)
        snprintf(k.server, sizeof k.server, "%s", a->source->node);
    int forced = http_query_find(h->query, "force", force, sizeof force);
    bool forces = forced == 1 && strcmp(force, "1") == 0;
    char text[ORDER_TEXT_MAX + 1];
    int told = http_query_find(h->query, "change", text, sizeof text);
    if ((told == 1) != (verb == ORDER_CHANGE || verb == ORDER_KEY)) {
        http_reply_error(r, 400, "INVAL", "change=TEXT");
        return;
    }
    bool valid = entry_name_valid(k.server, strlen(k.server), false) ||
                 entry_url_valid(k.server, strlen(k.server));
    if (named < 0 || !valid || (forced != 0 && !forces && strcmp(force, "0") != 0)) {
        http_reply_error(r, 400, "INVAL", "server=NAME, force=1");
        return;
    }
    size_t i = 0;
    while (i < ASKS_MAX && a->asks[i].request)
        i++;
    k.id = i < ASKS_MAX ? a->source->order(a->source->context, k.server, verb, forces, text) : 0;
    if (k.id == 0) {
        refuse(r, &k, STEAD_E_BUSY);
        return;
    }
    a->asks[i] = k;
    uv_timer_start(&a->timer, on_timer, 0, LOOK_MS);
}
