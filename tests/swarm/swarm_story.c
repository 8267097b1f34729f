/* swarm_story.c - what happens in a run, and what must come of it. */
#include "swarm.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void broken(struct swarm_result *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void broken(struct swarm_result *r, const char *format, ...)
{
    va_list args;
    if (r->broken)
        return;
    r->broken = true;
    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
}

static void add_stats(struct swim_stats *to, const struct swim_stats *s)
{
    to->probes += s->probes;
    to->probes_failed += s->probes_failed;
    to->asks += s->asks;
    to->suspicions += s->suspicions;
    to->refutations += s->refutations;
    to->downs += s->downs;
    to->returns += s->returns;
    to->pauses += s->pauses;
    to->syncs += s->syncs;
    to->news_sent += s->news_sent;
    to->news_dropped += s->news_dropped;
    to->malformed += s->malformed;
    to->dropped += s->dropped;
}

void swarm_measure(struct swarm *w, uint64_t span_ns, struct swarm_result *r)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct swim_stats s;
        if (w->nodes[i].swim == NULL)
            continue;
        swim_stats(w->nodes[i].swim, &s);
        add_stats(&r->swim, &s);
    }
    r->sum = w->sum;
    double member_seconds = (double)span_ns / 1e9 * w->count;
    r->messages_s = (double)w->sum.messages / member_seconds;
    r->bytes_s = (double)w->sum.bytes / member_seconds;
    if (r->swim.malformed > 0)
        broken(r, "%llu messages of a member were malformed to another",
               (unsigned long long)r->swim.malformed);
}

/* Least time to refute, in ms, as docs/roster.md has it. */
static unsigned refute_ms(const struct swarm_options *o)
{
    double scale = log10((double)o->nodes);
    return (unsigned)(o->timing.interval_ms * o->timing.suspicion * (scale < 1 ? 1 : scale));
}

static struct swarm *begin(const struct swarm_options *o)
{
    struct swarm *w = swarm_new(o);
    swarm_acquaint(w);
    swarm_run(w, SEC(3));
    w->sum = (struct swarm_totals){0};
    return w;
}

static void end(struct swarm *w, uint64_t span_ns, struct swarm_result *r)
{
    swarm_measure(w, span_ns, r);
    swarm_free(w);
}

static void none_false(const struct swarm *w, struct swarm_result *r)
{
    if (w->sum.false_all > 0)
        broken(r, "a well member was held down %llu times, %llu by well ones",
               (unsigned long long)w->sum.false_all, (unsigned long long)w->sum.false_healthy);
}

/* Runs until everybody agrees, in steps; the time it took, or the limit. */
static uint64_t until_agreed(struct swarm *w, uint64_t limit_ns)
{
    uint64_t from = w->now_ns, pace = MS(w->count <= 100 ? 20 : 500);
    while (w->now_ns - from < limit_ns) {
        swarm_run(w, pace);
        if (swarm_agrees(w))
            break;
    }
    return w->now_ns - from;
}

static void agrees_within(struct swarm *w, uint64_t limit_ns, struct swarm_result *r)
{
    r->all_ns = until_agreed(w, limit_ns);
    if (!swarm_agrees(w))
        broken(r, "members do not agree who lives %.1f s later", (double)limit_ns / 1e9);
}

/* Nothing happens. */
static void story_calm(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    swarm_run(w, SEC(20));
    none_false(w, r);
    if (w->opt.loss == 0 && w->sum.suspicions > 0)
        broken(r, "somebody was suspect though nothing happened");
    agrees_within(w, SEC(1), r);
    end(w, w->now_ns - SEC(103), r);
}

/* One is killed: everybody holds it down, soon. */
static void story_kill(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    unsigned victim = (unsigned)rng_below(&w->rng, w->count);
    uint64_t limit_ns = MS(refute_ms(o) + 1000), from = w->now_ns;
    w->watched = (int)victim;
    swarm_kill(w, victim);
    while (w->now_ns - from < 2 * limit_ns && swarm_seen(w, victim, SWIM_DOWN) < w->count - 1)
        swarm_run(w, MS(10));
    r->first_ns = w->sum.first_down_ns;
    r->all_ns = w->sum.last_down_ns;
    if (swarm_seen(w, victim, SWIM_DOWN) < w->count - 1 || r->all_ns > limit_ns)
        broken(r, "killed, and held down by %u of %u after %.0f ms",
               swarm_seen(w, victim, SWIM_DOWN), w->count - 1, (double)r->all_ns / 1e6);
    none_false(w, r);
    end(w, w->now_ns - from, r);
}

/* A count changes: everybody knows. */
static void story_news(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    uint64_t limit_ns = MS(o->nodes <= 10 ? 300 : o->nodes <= 100 ? 600 : 2000);
    swarm_run(w, MS(rng_below(&w->rng, 1000)));
    unsigned who = (unsigned)rng_below(&w->rng, w->count);
    swarm_set_users(w, who, 50);
    swarm_run(w, MS(20));
    uint64_t from = w->now_ns;
    swarm_set_users(w, who, 100); /* before the first one is told everywhere */
    while (w->now_ns - from < 10 * limit_ns &&
           (w->nodes[who].told->servers[0].users != 100 || swarm_known(w, who) < w->count - 1))
        swarm_run(w, MS(1));
    r->all_ns = w->now_ns - from;
    if (r->all_ns > limit_ns)
        broken(r, "a count was known to all after %.0f ms", (double)r->all_ns / 1e6);
    none_false(w, r);
    end(w, w->now_ns - from, r);
}

/* Some stand still once, for less than a second: nobody holds them down. */
static void story_nap(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    unsigned count = o->nodes < 8 ? 1 : o->nodes / 8;
    for (unsigned i = 0; i < count; i++)
        w->nodes[rng_below(&w->rng, w->count)].sick = true;
    swarm_run(w, MS(rng_below(&w->rng, 400)));
    swarm_starve(w, MS(980), 0, w->now_ns + MS(1));
    swarm_run(w, SEC(8));
    none_false(w, r);
    if (w->sum.downs_nap > 0)
        broken(r, "one that stood still for 980 ms was held down %llu times",
               (unsigned long long)w->sum.downs_nap);
    agrees_within(w, SEC(2), r);
    end(w, w->now_ns - SEC(103), r);
}

/* One after the other stands still for a while: who sleeps while its suspicions of another sleeper
 * run out must not believe them when it wakes up. */
static void story_shifts(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    /* Each has three seconds or more between its naps. */
    unsigned pace_ms = 3500 / w->count < 200 ? 200 : 3500 / w->count;
    for (unsigned turn = 0; turn < 40; turn++) {
        unsigned who = turn % w->count;
        w->nodes[who].sick = true;
        swarm_starve(w, MS(500 + rng_below(&w->rng, 480)), 0, w->now_ns + MS(1));
        swarm_run(w, MS(pace_ms + rng_below(&w->rng, 300)));
        w->nodes[who].sick = false;
    }
    swarm_run(w, SEC(5));
    if (w->sum.false_all + w->sum.downs_nap > 0)
        broken(r, "ones that stood still for less than a second were held down %llu times",
               (unsigned long long)(w->sum.false_all + w->sum.downs_nap));
    agrees_within(w, SEC(2), r);
    end(w, w->now_ns - SEC(103), r);
}

/* Some stand still for long, wake up, and would like to tell others that these are down. */
static void story_sleepers(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    unsigned count = o->nodes < 8 ? 1 : o->nodes / 4;
    for (unsigned i = 0; i < count; i++)
        w->nodes[i].sick = true;
    swarm_run(w, MS(rng_below(&w->rng, 400)));
    swarm_starve(w, MS(700 + rng_below(&w->rng, 12000)), MS(1 + rng_below(&w->rng, 2000)),
                 w->now_ns + SEC(20));
    swarm_run(w, SEC(30));
    none_false(w, r);
    agrees_within(w, SEC(30), r);
    end(w, w->now_ns - SEC(103), r);
}

/* Some get the processor now and then for a moment only. */
static void story_starved(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    unsigned count = o->nodes < 8 ? 1 : o->nodes / 4;
    for (unsigned i = 0; i < count; i++)
        w->nodes[i].sick = true;
    swarm_starve(w, MS(64 + rng_below(&w->rng, 900)), MS(1 + rng_below(&w->rng, 16)),
                 w->now_ns + SEC(20));
    swarm_run(w, SEC(25));
    if (w->sum.false_healthy > 0)
        broken(r, "well members held well ones down %llu times",
               (unsigned long long)w->sum.false_healthy);
    agrees_within(w, SEC(30), r);
    end(w, w->now_ns - SEC(103), r);
}

/* One message in ten is lost. */
static void story_loss(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm_options lossy = *o;
    lossy.loss = 100;
    struct swarm *w = begin(&lossy);
    swarm_run(w, SEC(40));
    none_false(w, r);
    agrees_within(w, SEC(15), r);
    end(w, w->now_ns - SEC(103), r);
}

/* A split, and its end: both sides hold each other down, and then nobody does. */
static void story_split(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    for (unsigned i = 0; i < w->count; i++)
        w->nodes[i].side = (i * 3 / w->count) % 2;
    w->split = true;
    swarm_run(w, MS(2 * refute_ms(o)) + SEC(14));
    unsigned held = swarm_seen(w, 0, SWIM_DOWN);
    if (held == 0)
        broken(r, "nobody beyond a split is held down");
    w->split = false;
    agrees_within(w, SEC(30), r);
    end(w, w->now_ns - SEC(103), r);
}

/* One hears nothing any more, but speaks: it is held down, and cannot pull others with it. */
static void story_deaf(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    w->nodes[0].deaf = true;
    w->nodes[0].sick = true;
    uint64_t from = w->now_ns;
    while (w->now_ns - from < SEC(15) && swarm_seen(w, 0, SWIM_DOWN) < w->count - 1)
        swarm_run(w, MS(50));
    r->all_ns = w->now_ns - from;
    if (swarm_seen(w, 0, SWIM_DOWN) < w->count - 1)
        broken(r, "a deaf member is held down by %u of %u", swarm_seen(w, 0, SWIM_DOWN),
               w->count - 1);
    swarm_run(w, SEC(15));
    if (w->sum.false_healthy > 0)
        broken(r, "a deaf member had well ones held down %llu times",
               (unsigned long long)w->sum.false_healthy);
    w->nodes[0].deaf = false;
    agrees_within(w, SEC(30), r);
    end(w, w->now_ns - SEC(103), r);
}

/* A farm comes up from nothing but one contact. */
static void story_boot(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = swarm_new(o);
    swarm_start(w, 0, -1);
    for (unsigned i = 1; i < w->count; i++) {
        swarm_run(w, MS(rng_below(&w->rng, 20)));
        swarm_start(w, i, (int)rng_below(&w->rng, i));
    }
    agrees_within(w, SEC(30), r);
    none_false(w, r);
    end(w, w->now_ns - SEC(100), r);
}

/* All are killed and started anew within seconds, as when a site gets its power back. */
static void story_restart(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    for (unsigned i = 0; i < w->count; i++)
        swarm_kill(w, i);
    swarm_run(w, SEC(1));
    swarm_start(w, 0, -1);
    for (unsigned i = 1; i < w->count; i++)
        swarm_start(w, i, (int)rng_below(&w->rng, i));
    agrees_within(w, SEC(60), r);
    none_false(w, r);
    end(w, w->now_ns - SEC(103), r);
}

/* One after the other leaves, or is killed, and comes again. */
static void story_churn(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    unsigned turns = w->count < 10 ? w->count : 10;
    for (unsigned i = 0; i < turns; i++) {
        if (i % 2 == 0)
            swarm_leave(w, i);
        else
            swarm_kill(w, i);
        swarm_run(w, MS(300 + rng_below(&w->rng, 3000)));
        swarm_start(w, i, (int)((i + 1) % w->count));
        swarm_run(w, MS(500));
    }
    agrees_within(w, SEC(30), r);
    none_false(w, r);
    end(w, w->now_ns - SEC(103), r);
}

/* Everybody's counts change all the time: what they cost, and that they come to rest. */
static void story_busy(const struct swarm_options *o, struct swarm_result *r)
{
    struct swarm *w = begin(o);
    for (unsigned t = 0; t < 100; t++) {
        for (unsigned i = 0; i < w->count; i++)
            swarm_set_users(w, i, (uint32_t)rng_below(&w->rng, 1000));
        swarm_run(w, MS(100));
    }
    swarm_measure(w, w->now_ns - SEC(103), r);
    none_false(w, r);
    if (w->sum.suspicions > 0)
        broken(r, "somebody was suspect though nothing happened");
    agrees_within(w, SEC(30), r);
    swarm_free(w);
}

static const struct {
    const char *name;
    void (*tell)(const struct swarm_options *o, struct swarm_result *r);
} stories[] = {
    {"calm", story_calm},       {"kill", story_kill},     {"news", story_news},
    {"nap", story_nap},         {"shifts", story_shifts}, {"sleepers", story_sleepers},
    {"starved", story_starved}, {"loss", story_loss},     {"split", story_split},
    {"deaf", story_deaf},       {"boot", story_boot},     {"restart", story_restart},
    {"churn", story_churn},     {"busy", story_busy},
};

#define STORIES (sizeof stories / sizeof stories[0])

const char *swarm_story_name(size_t i)
{
    return i < STORIES ? stories[i].name : NULL;
}

bool swarm_tell(const char *story, const struct swarm_options *opt, struct swarm_result *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < STORIES; i++) {
        if (strcmp(stories[i].name, story) != 0)
            continue;
        stories[i].tell(opt, out);
        return true;
    }
    return false;
}
