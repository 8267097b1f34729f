/* worker_tcp.c - a worker's listeners for services that are not HTTP, and the one in line. */
#include "node/worker.h"

#include <stdio.h>
#include <unistd.h>

/* They share with the public listener what a worker may have of connections. */
static uint32_t part_of(uint32_t all, size_t listeners)
{
    uint32_t part = all / (uint32_t)(listeners + 1);
    return part ? part : 1;
}

static void hand_to_director(void *context, int fd, const struct addr *peer, bool tls)
{
    struct worker *w = context;
    struct director *d = tls ? w->secure : w->director;
    if (d)
        director_accepted(d, fd, peer);
    else
        close(fd);
}

static int open_one(struct worker *w, const struct tcp_listener *l, int *fd, struct tcp **out)
{
    struct shared *s = w->shared;
    size_t count = s->tcp->count;
    struct tcp_config c = {.loop = &w->loop,
                           .fd = *fd,
                           .store = s->store,
                           .self_name = s->config->node.name,
                           .what = l->what,
                           .services = l->services,
                           .service_count = l->service_count,
                           .keys = &s->first->decide.keys,
                           .stick = s->tcp_stick,
                           .proxy_count = l->proxies->count,
                           .proxies = l->proxies->network,
                           .transparent = l->transparent,
                           .waiting_max = part_of(s->descriptors.public, count),
                           .counters = &s->tcp_counters,
                           .hand = hand_to_director,
                           .context = w};
    forward_limits_default(&c.forward);
    c.forward.tunnels_max = part_of(s->descriptors.tunnels, count);
    c.forward.idle_ms = l->idle_ms;
    int err = tcp_open(&c, out);
    if (err == STEAD_OK)
        *fd = -1;
    w->open_parts += err == STEAD_OK;
    return err;
}

static int open_takeover(struct worker *w)
{
    struct shared *s = w->shared;
    if (w->index != 0 || s->tcp->takeover_count == 0)
        return STEAD_OK;
    const struct takeover_config c = {.loop = &w->loop,
                                      .store = s->store,
                                      .servers = s->tcp->takeovers,
                                      .count = s->tcp->takeover_count,
                                      .succeeds = s->succeeds,
                                      .counters = &s->takeover_counters};
    int err = takeover_open(&c, &w->takeover);
    w->open_parts += err == STEAD_OK;
    if (err)
        fprintf(stderr,
                "stead: server: takeover: %s; the interface must be there, and the node needs "
                "CAP_NET_ADMIN and CAP_NET_RAW\n",
                stead_error_text(err));
    return err;
}

int worker_tcp_open(struct worker *w, struct worker_sockets *sockets)
{
    const struct tcp_setup *t = w->shared->tcp;
    int err = STEAD_OK;
    for (size_t i = 0; !err && i < t->count; i++)
        err = open_one(w, &t->listeners[i], &sockets->tcp[i], &w->tcp[i]);
    return err ? err : open_takeover(w);
}

void worker_tcp_close(struct worker *w, void (*closed)(void *context))
{
    for (size_t i = 0; i < TCP_LISTENERS_MAX; i++)
        if (w->tcp[i])
            tcp_close(w->tcp[i], closed, w);
}
