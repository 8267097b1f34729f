/* dial.c - from a name to a connected socket. */
#include "client/dial.h"

#include "client/net.h"
#include "stead/error.h"

#include <unistd.h>

int dial_host(struct dial *d, const char *host, uint16_t port, const struct addr *server,
              uint32_t timeout_ms)
{
    *d = (struct dial){.fd = -1, .timeout_ms = timeout_ms, .until_ms = UINT64_MAX};
    return lookup_new(host, port, server, timeout_ms, &d->lookup);
}

void dial_addr(struct dial *d, const struct addr *to, uint32_t timeout_ms)
{
    *d = (struct dial){.fd = -1, .timeout_ms = timeout_ms, .count = 1};
    d->list[0] = *to;
}

static void hang_up(struct dial *d, int err)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    d->error = err;
}

static int next_address(struct dial *d, uint64_t now_ms)
{
    while (d->at < d->count) {
        d->until_ms = now_ms + d->timeout_ms;
        d->tries++;
        int err = net_begin_connect(&d->list[d->at++], &d->fd);
        if (err >= 0)
            return err;
        d->error = err;
    }
    return d->error;
}

int dial_step(struct dial *d, uint64_t now_ms)
{
    if (d->lookup) {
        int err = lookup_result(d->lookup, d->list, &d->count);
        if (err == STEAD_PENDING)
            return err;
        lookup_free(d->lookup);
        d->lookup = NULL;
        d->error = err ? err : STEAD_E_NOT_FOUND;
        if (err)
            return err;
    }
    if (d->fd >= 0) {
        int err = net_finish_connect(d->fd);
        if (err == STEAD_PENDING && now_ms >= d->until_ms)
            err = STEAD_E_DEADLINE;
        if (err >= 0)
            return err;
        hang_up(d, err);
    }
    return next_address(d, now_ms);
}

int dial_fd(const struct dial *d, bool *writable)
{
    *writable = !d->lookup;
    return d->lookup ? lookup_fd(d->lookup) : d->fd;
}

void dial_deinit(struct dial *d)
{
    lookup_free(d->lookup);
    d->lookup = NULL;
    hang_up(d, 0);
}
