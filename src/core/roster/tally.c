/* tally.c - merging what is told of a server. Who tells it, and how, is others' business. */
#include "core/roster/tally.h"

#include "base/clock.h"

#include <assert.h>
#include <string.h>

#define SLOW_START_STEPS 20

const char *users_from_name(enum users_from f)
{
    static const char *const names[] = {[USERS_FORWARD] = "forward",
                                        [USERS_KERNEL] = "kernel",
                                        [USERS_REPORT] = "report",
                                        [USERS_AGENT] = "agent"};
    return names[f];
}

void tally_init(struct tally *t, const struct tally_config *c)
{
    assert(c->from <= USERS_AGENT);
    *t = (struct tally){.config = *c};
}

static void take_users(struct told *old, const struct told *w)
{
    if (w->what & TOLD_USERS)
        old->users = w->users;
    if (w->what & TOLD_GROUPS) {
        old->group_count = w->group_count;
        memcpy(old->groups, w->groups, sizeof old->groups);
        memcpy(old->group_users, w->group_users, sizeof old->group_users);
    }
}

static void merge(struct told *old, const struct told *w)
{
    take_users(old, w);
    if (w->what & TOLD_LOAD)
        old->load = w->load;
    if (w->what & TOLD_PERCENT)
        old->percent = w->percent;
    if (w->what & TOLD_CAPACITY)
        old->capacity = w->capacity;
    if (w->what & TOLD_DOWN)
        old->down = w->down;
    if (w->what & TOLD_ADMIN) {
        old->drain = w->drain;
        old->maint = w->maint;
    }
    old->what |= w->what;
}

void tally_tell(struct tally *t, enum teller by, const struct told *w, uint64_t now_ns)
{
    assert(by < TELLERS && w->group_count <= ENTRY_GROUPS_MAX);
    if (by == TELLER_REPORT)
        t->told[by] = *w;
    else
        merge(&t->told[by], w);
    t->told_ns[by] = now_ns;
    if (w->what & TOLD_USERS)
        t->users_ns[by] = now_ns;
}

void tally_forget(struct tally *t, enum teller by)
{
    assert(by < TELLERS);
    t->told[by] = (struct told){0};
    t->told_ns[by] = t->users_ns[by] = 0;
}

static uint64_t age(uint64_t then_ns, uint64_t now_ns)
{
    if (then_ns == 0)
        return TIME_NEVER;
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

uint64_t tally_age(const struct tally *t, enum teller by, uint64_t now_ns)
{
    assert(by < TELLERS);
    return age(t->told_ns[by], now_ns);
}

static void state_users(const struct tally *t, uint32_t forwarded, uint64_t now_ns,
                        struct tally_state *out)
{
    static const enum teller tellers[] = {[USERS_KERNEL] = TELLER_KERNEL,
                                          [USERS_REPORT] = TELLER_REPORT,
                                          [USERS_AGENT] = TELLER_AGENT};
    out->from = t->config.from;
    out->users = forwarded;
    if (t->config.from == USERS_FORWARD)
        return;
    enum teller by = tellers[t->config.from];
    const struct told *w = &t->told[by];
    out->users = w->users;
    out->age_ns = age(t->users_ns[by], now_ns);
    out->stale = out->age_ns > t->config.max_age_ns;
    out->groups_told = w->what & TOLD_GROUPS;
    if (!out->groups_told)
        return;
    out->group_count = w->group_count;
    memcpy(out->groups, w->groups, sizeof out->groups);
    memcpy(out->group_users, w->group_users, sizeof out->group_users);
}

/* A server that is to get some clients is not rounded down to none. */
static uint32_t part_of(uint32_t weight, uint32_t percent)
{
    uint64_t part = ((uint64_t)weight * percent + 50) / 100;
    if (part == 0 && weight > 0 && percent > 0)
        part = 1;
    return part > WEIGHT_MAX ? WEIGHT_MAX : (uint32_t)part;
}

static void state_words(const struct tally *t, uint64_t now_ns, struct tally_state *out)
{
    bool percent_told = false;
    for (int by = 0; by < TELLERS; by++) {
        const struct told *w = &t->told[by];
        bool fresh = age(t->told_ns[by], now_ns) <= t->config.max_age_ns;
        if ((w->what & TOLD_LOAD) && fresh && (out->load == LOAD_UNKNOWN || w->load > out->load))
            out->load = w->load;
        /* Of an agent it stays, as in HAProxy: it may speak of it once and never again. */
        if ((w->what & TOLD_PERCENT) && (fresh || by == TELLER_AGENT) &&
            (!percent_told || w->percent < out->percent)) {
            out->percent = w->percent;
            percent_told = true;
        }
        if (w->what & TOLD_CAPACITY)
            out->capacity = w->capacity;
        out->down |= w->down;
        out->drain |= w->drain;
        out->maint |= w->maint;
    }
}

void tally_up(struct tally *t, uint64_t now_ns)
{
    t->up_ns = now_ns;
}

/* In steps, so that the farm is not told of each millisecond. */
static uint32_t grown(const struct tally *t, uint64_t now_ns)
{
    uint64_t whole = t->config.slow_start_ns, up = age(t->up_ns, now_ns);
    if (whole == 0 || up >= whole)
        return 100;
    uint64_t step = whole / SLOW_START_STEPS;
    uint64_t done = step ? up / step + 1 : SLOW_START_STEPS;
    return (uint32_t)(done < SLOW_START_STEPS ? done * 100 / SLOW_START_STEPS : 100);
}

void tally_state(const struct tally *t, uint32_t forwarded, uint64_t now_ns,
                 struct tally_state *out)
{
    *out = (struct tally_state){.capacity = t->config.capacity,
                                .percent = 100,
                                .load = LOAD_UNKNOWN,
                                .max_age_ns = t->config.max_age_ns};
    state_users(t, forwarded, now_ns, out);
    state_words(t, now_ns, out);
    out->grown = grown(t, now_ns);
    out->weight = part_of(part_of(t->config.weight, out->percent), out->grown);
}
