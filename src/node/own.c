/* own.c - from sections server and agent to the parts that ask and answer. */
#include "node/own.h"

#include "base/clock.h"
#include "store/store_own.h"

#include <stdio.h>
#include <string.h>

void own_tell_store(const struct config *c, struct store *s)
{
    for (unsigned i = 0; i < c->server_count; i++) {
        const struct server_section *v = &c->servers[i];
        struct tally_config t = {.from = (enum users_from)v->users_from,
                                 .weight = v->weight,
                                 .capacity = v->capacity,
                                 .max_age_ns = v->users_max_age_ms * NS_PER_MS};
        store_own_open(s, i, v->service, &t);
    }
}

static void init_source(struct own *o, size_t i)
{
    const struct server_section *v = &o->config->servers[i];
    const char *send = v->agent_check.send;
    snprintf(o->sends[i], sizeof(o->sends[i]), "%s%s", send, *send ? "\n" : "");
    o->servers[i] = (struct agent_door_server){.service = v->service, .weight = v->weight};
    o->sources[i] = (struct users_source){.service = v->service,
                                          .kernel = v->users_from == USERS_KERNEL,
                                          .port = v->users_address,
                                          .kernel_interval_ms = v->users_interval_ms,
                                          .agent = v->agent_check.address,
                                          .agent_interval_ms = v->agent_check.interval_ms,
                                          .agent_timeout_ms = v->agent_check.timeout_ms,
                                          .agent_send = o->sends[i]};
    o->sources[i].port.port = (uint16_t)v->users_port;
}

void own_init(struct own *o, const struct config *c, struct store *s)
{
    o->config = c;
    o->store = s;
    for (size_t i = 0; i < c->server_count; i++)
        init_source(o, i);
}

static uint32_t speaks_for(const struct config *c, const struct agent_section *a)
{
    for (uint32_t i = 0; i < c->server_count; i++)
        if (c->server_count == 1 || strcmp(c->servers[i].service, a->service) == 0)
            return i;
    return AGENT_DOOR_BY_LINE;
}

static void part_closed(void *context)
{
    struct own *o = context;
    if (--o->open == 0 && o->closed)
        o->closed(o->closed_context);
}

int own_open(struct own *o, uv_loop_t *loop, const struct health *h, int *fds)
{
    const struct config *c = o->config;
    struct users_config u = {.loop = loop,
                             .store = o->store,
                             .health = h,
                             .sources = o->sources,
                             .count = c->server_count,
                             .counters = &o->counters};
    int err = users_open(&u, &o->users);
    o->open = err == STEAD_OK;
    for (size_t i = 0; !err && i < c->agent_count; i++) {
        struct agent_door_config d = {.loop = loop,
                                      .fd = fds[i],
                                      .store = o->store,
                                      .self_name = c->node.name,
                                      .servers = o->servers,
                                      .server_count = c->server_count,
                                      .server = speaks_for(c, &c->agents[i]),
                                      .counters = &o->doors_counters};
        err = agent_door_open(&d, &o->doors[i]);
        if (err)
            break;
        fds[i] = -1;
        o->open++;
    }
    if (err)
        own_close(o, NULL, NULL);
    return err;
}

void own_close(struct own *o, void (*closed)(void *context), void *context)
{
    o->closed = closed;
    o->closed_context = context;
    o->open++; /* until all are told to close */
    if (o->users)
        users_close(o->users, part_closed, o);
    o->users = NULL;
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        if (o->doors[i])
            agent_door_close(o->doors[i], part_closed, o);
        o->doors[i] = NULL;
    }
    part_closed(o);
}
