/* http_retire.c - a server whose listener and clients pass to another process: it accepts no more,
 * and gives connections away between two requests. What cannot be given ends here, in order. */
#include "io/http2.h"
#include "io/http_internal.h"

#include <unistd.h>

static bool givable(const struct http_conn *c)
{
    return !c->h2 && !c->stream.tls && !c->pending_len && !c->out && !c->request && !c->running &&
           c->stream.fd >= 0;
}

static void wind_up(struct http_server *s, enum conn_phase phase)
{
    struct list *next;
    for (struct list *at = s->phases[phase].next; at != &s->phases[phase]; at = next) {
        struct http_conn *c = list_entry(at, struct http_conn, link);
        next = at->next;
        if (c->h2 && phase == CONN_STREAMS)
            http2_stop(c);
        else if (c->h2)
            http2_expire(c);
    }
}

void http_server_retire(struct http_server *s, bool retired)
{
    if (!s->accepting || s->retired == retired)
        return;
    s->retired = retired;
    s->accept_at_ms = 0;
    if (!retired) {
        server_listen(s);
        return;
    }
    uv_poll_stop(&s->listener);
    wind_up(s, CONN_STREAMS);
    wind_up(s, CONN_IDLE);
    server_bury(s);
}

static bool give_phase(struct http_server *s, enum conn_phase phase, http_give *give, void *context)
{
    struct list *next;
    for (struct list *at = s->phases[phase].next; at != &s->phases[phase]; at = next) {
        struct http_conn *c = list_entry(at, struct http_conn, link);
        next = at->next;
        if (!givable(c))
            continue;
        if (!give(context, c->stream.fd, &c->peer))
            return false;
        /* Closing would not take it out of the poller: the other process has it too. */
        poller_forget(s->poller, &c->item);
        close(c->stream.fd);
        c->stream = (struct stream){.fd = -1};
        conn_close(c);
    }
    return true;
}

void http_server_give(struct http_server *s, http_give *give, void *context)
{
    if (s->retired && give_phase(s, CONN_IDLE, give, context))
        give_phase(s, CONN_HEAD, give, context);
    server_bury(s);
}
