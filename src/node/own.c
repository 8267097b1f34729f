/* own.c - from sections server and agent to the parts that ask and answer. */
#include "node/own.h"

#include "base/clock.h"
#include "base/mem.h"
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
                                 .slow_start_ns = v->slow_start_ms * NS_PER_MS,
                                 .max_age_ns = v->users_max_age_ms * NS_PER_MS};
        store_own_set(s, i, v->gone ? NULL : v->service, &t);
    }
}

void own_init(struct own *o, struct store *s)
{
    o->store = s;
}

static void part_closed(void *context)
{
    struct own *o = context;
    if (--o->open > 0 || !o->closed)
        return;
    live_unref(o->live);
    o->live = NULL;
    o->closed(o->closed_context);
}

/* -- who is asked -- */

static void fill_source(struct own_asking *a, size_t i)
{
    const struct server_section *v = &a->live->config.servers[i];
    const char *send = v->agent_check.send;
    snprintf(a->sends[i], sizeof(a->sends[i]), "%s%s", send, *send ? "\n" : "");
    a->sources[i] = (struct users_source){.service = v->service,
                                          .kernel = v->users_from == USERS_KERNEL && !v->gone,
                                          .port = v->users_address,
                                          .kernel_interval_ms = v->users_interval_ms,
                                          .agent_interval_ms = v->agent_check.interval_ms,
                                          .agent_timeout_ms = v->agent_check.timeout_ms,
                                          .agent_send = a->sends[i]};
    a->sources[i].port.port = (uint16_t)v->users_port;
    if (!v->gone)
        a->sources[i].agent = v->agent_check.address;
}

static void asking_ended(void *context)
{
    struct own_asking *a = context;
    struct own *o = a->own;
    live_unref(a->live);
    mem_free(a);
    part_closed(o);
}

static int start_asking(struct own *o, struct live *live)
{
    struct own_asking *a = mem_alloc(sizeof(*a));
    if (!a)
        return STEAD_E_NOMEM;
    a->own = o;
    a->live = live_ref(live);
    for (size_t i = 0; i < live->config.server_count; i++)
        fill_source(a, i);
    struct users_config u = {.loop = o->loop,
                             .store = o->store,
                             .health = o->health,
                             .sources = a->sources,
                             .count = live->config.server_count,
                             .counters = &o->counters};
    int err = users_open(&u, &a->users);
    if (err) {
        live_unref(a->live);
        mem_free(a);
        return err;
    }
    o->asking = a;
    o->open++;
    return STEAD_OK;
}

static void stop_asking(struct own_asking *a)
{
    if (a)
        users_close(a->users, asking_ended, a);
}

/* -- who asks -- */

/* No line names a server of this service. */
#define NO_SERVICE " "

static void fill_doors(struct own *o, struct live *live)
{
    struct live *old = o->live;
    o->live = live_ref(live);
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        const struct server_section *v = &live->config.servers[i];
        bool there = i < live->config.server_count && !v->gone;
        o->servers[i] = (struct agent_door_server){.service = there ? v->service : NO_SERVICE,
                                                   .weight = v->weight};
    }
    live_unref(old);
}

static uint32_t speaks_for(const struct config *c, const struct agent_section *a)
{
    for (uint32_t i = 0; i < c->server_count; i++)
        if (c->server_count == 1 || strcmp(c->servers[i].service, a->service) == 0)
            return i;
    return AGENT_DOOR_BY_LINE;
}

static int open_doors(struct own *o, const struct config *c, int *fds)
{
    int err = STEAD_OK;
    for (size_t i = 0; !err && i < c->agent_count; i++) {
        struct agent_door_config d = {.loop = o->loop,
                                      .fd = fds[i],
                                      .store = o->store,
                                      .self_name = c->node.name,
                                      .servers = o->servers,
                                      .server_count = ENTRY_SERVERS_MAX,
                                      .server = speaks_for(c, &c->agents[i]),
                                      .counters = &o->doors_counters};
        err = agent_door_open(&d, &o->doors[i]);
        if (err)
            break;
        fds[i] = -1;
        o->open++;
    }
    return err;
}

int own_open(struct own *o, uv_loop_t *loop, struct live *live, const struct health *h, int *fds)
{
    o->loop = loop;
    o->health = h;
    o->open = 0;
    fill_doors(o, live);
    int err = start_asking(o, live);
    if (!err)
        err = open_doors(o, &o->live->config, fds);
    if (err)
        own_close(o, NULL, NULL);
    return err;
}

void own_set(struct own *o, struct live *live)
{
    struct own_asking *old = o->asking;
    fill_doors(o, live);
    if (start_asking(o, live) == STEAD_OK)
        stop_asking(old);
}

static void nothing(void *context)
{
    (void)context;
}

void own_close(struct own *o, void (*closed)(void *context), void *context)
{
    o->closed = closed ? closed : nothing;
    o->closed_context = context;
    o->open++; /* until all are told to close */
    stop_asking(o->asking);
    o->asking = NULL;
    for (size_t i = 0; i < ENTRY_SERVERS_MAX; i++) {
        if (o->doors[i])
            agent_door_close(o->doors[i], part_closed, o);
        o->doors[i] = NULL;
    }
    part_closed(o);
}
