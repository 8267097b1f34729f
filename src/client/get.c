/* get.c - the request out, the answer in. */
#include "client/get.h"

#include "base/mem.h"
#include "client/net.h"
#include "core/roster/roster.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define READ_BYTES 16384
#define READS_A_STEP 16 /* the caller has other things to do as well */

static bool write_request(struct get *g, const struct get_request *q)
{
    bool resume = q->last_id && *q->last_id;
    int n =
        snprintf(g->request, sizeof g->request,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: libstead/" STEAD_VERSION "\r\n"
                 "Accept: %s\r\n%s%s%s%s%s%sConnection: close\r\n\r\n",
                 q->target, q->authority, q->accept, q->token ? "Authorization: Bearer " : "",
                 q->token ? q->token : "", q->token ? "\r\n" : "", resume ? "Last-Event-ID: " : "",
                 resume ? q->last_id : "", resume ? "\r\n" : "");
    g->len = n < 0 ? 0 : (size_t)n;
    return n > 0 && g->len < sizeof g->request;
}

int get_new(const struct dial *d, const struct get_request *q, struct get **out)
{
    struct get *g = mem_alloc(sizeof *g);
    if (!g) {
        struct dial lost = *d;
        dial_deinit(&lost);
        return STEAD_E_NOMEM;
    }
    g->dial = *d;
    g->secure = q->secure;
    if (q->secure && strlen(q->host) < sizeof g->host)
        memcpy(g->host, q->host, strlen(q->host) + 1);
    if (!write_request(g, q)) {
        get_free(g);
        return STEAD_E_TOO_LARGE;
    }
    *out = g;
    return STEAD_OK;
}

void get_free(struct get *g)
{
    if (!g)
        return;
    if (g->connection)
        g->secure->end(g->connection);
    dial_deinit(&g->dial);
    mem_free(g);
}

/* -- the connection -- */

static int reach(struct get *g, uint64_t now_ms)
{
    int err = g->connected ? STEAD_OK : dial_step(&g->dial, now_ms);
    if (err)
        return err;
    g->connected = true;
    if (!g->secure || g->shaken)
        return STEAD_OK;
    if (!g->connection)
        err = g->secure->begin(g->secure->context, g->dial.fd, g->host, &g->connection);
    if (!err)
        err = g->secure->shake(g->connection);
    g->shaken = err == STEAD_OK;
    return err;
}

static int try_send(struct get *g, const char *bytes, size_t len, size_t *sent)
{
    *sent = 0;
    return g->secure ? g->secure->send(g->connection, bytes, len, sent)
                     : net_try_send(g->dial.fd, bytes, len, sent);
}

static int try_receive(struct get *g, char *bytes, size_t cap, size_t *got)
{
    *got = 0;
    return g->secure ? g->secure->receive(g->connection, bytes, cap, got)
                     : net_try_receive(g->dial.fd, bytes, cap, got);
}

int get_fd(const struct get *g, bool *writable)
{
    int fd = dial_fd(&g->dial, writable);
    if (g->connection)
        *writable = g->secure->wants_write(g->connection);
    else if (g->connected)
        *writable = g->sent < g->len;
    return fd;
}

/* -- request and answer -- */

static int take_bytes(struct get *g, const char *bytes, size_t len, get_take *take, void *context)
{
    struct slice in = {bytes, len}, data;
    for (;;) {
        int got = reply_feed(&g->reply, &in, &data);
        if (got < 0)
            return got;
        int err = g->reply.has_head ? reply_status(&g->reply) : STEAD_OK;
        if (!err && g->reply.has_length && g->reply.left > ROSTER_JSON_BYTES_MAX)
            err = STEAD_E_TOO_LARGE;
        if (!err && data.len)
            err = take(context, data.at, data.len);
        if (err || got == 2)
            return err;
        if (got == 0)
            return STEAD_PENDING;
    }
}

static int receive(struct get *g, get_take *take, void *context)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < READS_A_STEP; i++) {
        size_t got;
        int err = try_receive(g, bytes, sizeof bytes, &got);
        if (err)
            return err;
        if (got == 0)
            return reply_end(&g->reply);
        err = take_bytes(g, bytes, got, take, context);
        if (err != STEAD_PENDING)
            return err;
    }
    return STEAD_PENDING;
}

int get_step(struct get *g, uint64_t now_ms, get_take *take, void *context)
{
    int err = reach(g, now_ms);
    if (err)
        return err;
    while (g->sent < g->len) {
        size_t sent;
        err = try_send(g, g->request + g->sent, g->len - g->sent, &sent);
        if (err)
            return err;
        g->sent += sent;
    }
    return receive(g, take, context);
}
