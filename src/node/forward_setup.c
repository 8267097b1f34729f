/* forward_setup.c - from sections to the secondary's structs. */
#include "node/forward_setup.h"

#include "role/director/forwarded.h"

#include <string.h>

static bool is_tunnel(const struct config *c, const char *service)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].id, service) == 0)
            return c->services[i].mode != 0;
    return false;
}

void forward_setup(struct secondary_server servers[ENTRY_SERVERS_MAX], const struct config *c)
{
    static const uint8_t omits[] = {[HEADERS_BOTH] = 0,
                                    [HEADERS_X_FORWARDED] = FORWARDED_NO_RFC7239,
                                    [HEADERS_FORWARDED] = FORWARDED_NO_X,
                                    [HEADERS_NONE] = FORWARDED_NO_X | FORWARDED_NO_RFC7239};
    for (size_t i = 0; i < c->server_count; i++) {
        const struct server_section *from = &c->servers[i];
        servers[i] =
            (struct secondary_server){.exchange = {.upstream = {.to = from->forward,
                                                                .kept_max = from->keep_connections,
                                                                .kept_ms = from->keep_ms},
                                                   .connect_ms = from->connect_ms,
                                                   .answer_ms = from->answer_ms,
                                                   .stream_ms = from->stream_ms,
                                                   .omits = omits[from->client_headers],
                                                   .make_trace = from->traceparent != 0},
                                      .tunnel = is_tunnel(c, from->service)};
    }
}

void forward_setup_limits(const struct config *c, struct director_config *out)
{
    const struct public_section *p = &c->public;
    out->reserve_ms = p->reserve_ms;
    out->http.head_ms = p->head_ms;
    out->http.body_ms = out->exchange.body_ms = p->body_ms;
    out->http.idle_ms = out->exchange.idle_ms = p->idle_ms;
}
