/* http_handshake.c - a connection under TLS before its first request. Handshakes cost more than
 * anything else here, so few of them go on in each turn of the loop, and how many may be under way
 * is bounded: clients that do not go on give way to those that come. */
#include "io/http_internal.h"

#include <assert.h>

static void answered(void *context)
{
    conn_later(context);
}

void conn_shake_begin(struct http_conn *c)
{
    struct http_server *s = c->server;
    s->handshakes++;
    conn_set_phase(c, CONN_HANDSHAKE);
    c->stream.tls = tls_door_accept(s->config.tls, c->stream.fd);
    if (c->stream.tls && s->config.keeper)
        tls_keep_with(c->stream.tls, s->config.keeper, answered, c);
    if (c->stream.tls)
        conn_later(c);
    else
        conn_close(c);
}

void conn_shake(struct http_conn *c)
{
    conn_later(c);
}

void conn_shake_end(struct http_conn *c)
{
    assert(c->phase == CONN_HANDSHAKE && c->server->handshakes > 0);
    if (c->stream.tls)
        tls_gave_up(c->stream.tls, TLS_FAIL_CLOSED);
    c->server->handshakes--;
}

/* -- its end -- */

/* What was read with the handshake's last part makes no event. */
static void secured(struct http_conn *c)
{
    c->server->handshakes--;
    conn_set_phase(c, CONN_HEAD);
    conn_readable(c);
    if (!c->h2 && c->phase <= CONN_HEAD && !list_linked(&c->later))
        conn_watch(c, true, false);
}

static void failed(struct http_conn *c)
{
    bool plain = tls_failure(c->stream.tls) == TLS_FAIL_HTTP;
    if (!plain) {
        conn_close(c);
        return;
    }
    c->server->handshakes--;
    tls_free(c->stream.tls);
    c->stream.tls = NULL;
    conn_set_phase(c, CONN_HEAD);
    conn_fail(c, 400, "this port speaks TLS: ask with https");
}

static void step(struct http_conn *c)
{
    switch (tls_handshake(c->stream.tls)) {
    case TLS_DONE:
        secured(c);
        return;
    case TLS_FAILED:
        failed(c);
        return;
    case TLS_WAITS: /* when it asks its keeper, answered() follows */
        conn_watch(c, !tls_asks(c->stream.tls), false);
        return;
    }
}

/* -- of the server -- */

void server_shake(struct http_server *s)
{
    for (unsigned i = 0; i < HTTP_HANDSHAKES_A_TURN && !list_empty(&s->shaking); i++)
        step(list_entry(list_pop(&s->shaking), struct http_conn, later));
}

bool server_shake_room(struct http_server *s)
{
    struct list *head = &s->phases[CONN_HANDSHAKE], *at = head->next;
    if (s->handshakes <= s->config.limits.handshakes_max)
        return true;
    /* The phase's list is in order of their beginning. Those that wait for this server are its own
     * fault, and no reason to begin anew. */
    for (unsigned i = 0; i < HTTP_CROWDED_LOOKS && at != head; i++, at = at->next) {
        struct http_conn *c = list_entry(at, struct http_conn, link);
        if (list_linked(&c->later))
            continue;
        tls_gave_up(c->stream.tls, TLS_FAIL_CROWDED);
        conn_close(c);
        return true;
    }
    return false;
}
