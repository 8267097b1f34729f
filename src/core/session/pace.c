/* What is under way without a client, counted; and when the lines are looked at for more. */
#include "core/session/session_internal.h"

#define FLIGHT_BYTES_MAX (2u << 20)

bool pace_room(const struct session *s)
{
    return s->flight_count < s->config.flight_max && s->flight_bytes < FLIGHT_BYTES_MAX &&
           s->work_count < s->config.waiting_max;
}

void pace_begin(struct session *s, struct work *w, const struct item *item)
{
    w->held++;
    w->in_flight = true;
    w->flight_token = w->token;
    w->flight_bytes = item->record->memory_bytes;
    s->flight_count++;
    s->flight_bytes += w->flight_bytes;
}

void pace_end(struct session *s, struct work *w)
{
    if (!w->in_flight)
        return;
    w->in_flight = false;
    s->flight_count--;
    s->flight_bytes -= w->flight_bytes;
}

void pace_begun(struct session *s, struct work *w)
{
    s->flight_begun += w->token != w->flight_token;
    if (w->phase == WORK_IDLE)
        pace_end(s, w);
    w->held--;
    work_release(s, w);
}

static void go_on(struct session *s)
{
    uint64_t before = s->flight_begun;
    repair_go(s);
    leave_go(s);
    s->flight_rests = s->flight_begun == before && pace_room(s);
}

void pace_tick(struct session *s)
{
    s->offer_budget = OFFER_BUDGET;
    go_on(s);
}

/* A look at the lines pays when there is room for some. When nothing that was looked at could be
 * begun, only time helps. */
void pace_step(struct session *s)
{
    uint32_t max = s->config.flight_max;
    if (!s->flight_rests && s->flight_count <= max - max / 8)
        go_on(s);
}
