/* http2_calm.c - counts within a window. */
#include "io/http2_calm.h"

/* A new window keeps half of the sums, so that a burst across the border counts as one. */
static void turn(struct http2_calm *c, uint64_t now_ms)
{
    uint64_t age = now_ms - c->since_ms;
    if (age < HTTP2_CALM_WINDOW_MS)
        return;
    unsigned shift = age < 2 * HTTP2_CALM_WINDOW_MS ? 1 : 31;
    c->since_ms = now_ms;
    c->resets >>= shift;
    c->control >>= shift;
    c->useful >>= shift;
}

static void count(uint32_t *sum)
{
    *sum += *sum < UINT32_MAX;
}

bool http2_calm_reset(struct http2_calm *c, uint64_t now_ms, uint32_t resets_max)
{
    turn(c, now_ms);
    count(&c->resets);
    return c->resets <= resets_max;
}

bool http2_calm_control(struct http2_calm *c, uint64_t now_ms)
{
    turn(c, now_ms);
    count(&c->control);
    return c->control <= HTTP2_CALM_CONTROL_MAX + HTTP2_CALM_CONTROL_SHARE * (uint64_t)c->useful;
}

void http2_calm_useful(struct http2_calm *c, uint64_t now_ms)
{
    turn(c, now_ms);
    count(&c->useful);
}
