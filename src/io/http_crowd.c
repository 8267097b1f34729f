/* http_crowd.c - who gives way when a door has as many connections as it may: those that others
 * hold open, and say nothing, must not keep out who comes to ask. */
#include "io/http_internal.h"

/* In this order, after so long: a head follows its connection at once, a handshake takes turns. The
 * shorter, the more can come in a second before one who is at work is refused. */
static const struct {
    enum conn_phase phase;
    uint32_t ms;
} order[] = {{CONN_LINGER, 50},     {CONN_HEAD, 50},  {CONN_IDLE, 50},
             {CONN_HANDSHAKE, 500}, {CONN_BODY, 250}, {CONN_WRITE, 1000}};

static bool has_waited(struct http_server *s, const struct http_conn *c, uint32_t ms)
{
    uint32_t limit = server_phase_ms(s, (enum conn_phase)c->phase);
    uint64_t now = uv_now(s->config.loop), left = c->deadline_ms > now ? c->deadline_ms - now : 0;
    return limit && left + ms <= limit && !c->running && !list_linked(&c->later);
}

bool server_room(struct http_server *s)
{
    if (s->connections < s->config.limits.connections_max)
        return true;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        struct list *head = &s->phases[order[i].phase];
        struct http_conn *oldest = list_entry(head->next, struct http_conn, link);
        if (list_empty(head) || !has_waited(s, oldest, order[i].ms))
            continue;
        if (oldest->phase == CONN_HANDSHAKE)
            tls_gave_up(oldest->stream.tls, TLS_FAIL_CROWDED);
        http_count(&s->config.counters->crowded);
        conn_close(oldest);
        return true;
    }
    return false;
}
