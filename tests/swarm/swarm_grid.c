/* swarm_grid.c - Lifeguard's experiment: of n members C are starved at the same time, blocked for D
 * and then running for I, again and again. How often is a well member held down (FP), and how often
 * by a well one (FP-)? With the refinements and without. */
#include "swarm.h"

#include <inttypes.h>
#include <stdio.h>

#define NONE                                                                                       \
    (SWIM_WITHOUT_HEALTH | SWIM_WITHOUT_SHRINKING | SWIM_WITHOUT_BUDDY | SWIM_WITHOUT_PAUSE |      \
     SWIM_WITHOUT_EVIDENCE)
#define LIFEGUARD (SWIM_WITHOUT_PAUSE | SWIM_WITHOUT_EVIDENCE)

static const struct {
    const char *name;
    unsigned without;
} variants[] = {
    {"SWIM", NONE},
    {"+ LHA-probe", NONE & ~(unsigned)SWIM_WITHOUT_HEALTH},
    {"+ LHA-suspicion", NONE & ~(unsigned)SWIM_WITHOUT_SHRINKING},
    {"+ buddy", NONE & ~(unsigned)SWIM_WITHOUT_BUDDY},
    {"Lifeguard", LIFEGUARD},
    {"stead", 0},
};
#define VARIANTS (sizeof variants / sizeof variants[0])

static const unsigned concurrent[] = {1, 4, 8, 16, 32};
static const unsigned blocked_ms[] = {128, 512, 2048, 8192, 16384, 32768};
static const unsigned running_ms[] = {1, 16, 256, 4096};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct cell {
    uint64_t all, healthy, messages;
};

static void cell(struct swarm_options *o, unsigned c, unsigned d, unsigned i, unsigned seconds,
                 struct cell *to)
{
    struct swarm *w = swarm_new(o);
    swarm_acquaint(w);
    swarm_run(w, SEC(3));
    for (unsigned k = 0; k < c; k++)
        w->nodes[k].sick = true;
    w->sum = (struct swarm_totals){0};
    swarm_starve(w, MS(d), MS(i), w->now_ns + SEC(seconds));
    swarm_run(w, SEC(seconds));
    to->all += w->sum.false_all;
    to->healthy += w->sum.false_healthy;
    to->messages += w->sum.messages;
    swarm_free(w);
}

void swarm_grid(unsigned nodes, unsigned seconds, uint64_t seed, uint32_t interval_ms)
{
    struct cell totals[VARIANTS] = {0};
    printf("%u members, %u s each, interval %u ms: FP (FP-) summed over I = 1, 16, 256, 4096 ms\n",
           nodes, seconds, interval_ms);
    printf("%4s %6s", "C", "D ms");
    for (size_t v = 0; v < VARIANTS; v++)
        printf(" %16s", variants[v].name);
    printf("\n");
    for (size_t c = 0; c < COUNT(concurrent) && concurrent[c] * 2 <= nodes; c++) {
        for (size_t d = 0; d < COUNT(blocked_ms); d++) {
            printf("%4u %6u", concurrent[c], blocked_ms[d]);
            for (size_t v = 0; v < VARIANTS; v++) {
                struct cell sum = {0};
                for (size_t i = 0; i < COUNT(running_ms); i++) {
                    struct swarm_options o = {
                        .nodes = nodes, .seed = seed + i, .delay_min_us = 100, .delay_max_us = 500};
                    swim_timing_default(&o.timing);
                    o.timing.interval_ms = interval_ms;
                    o.timing.timeout_ms = interval_ms / 2;
                    o.timing.without = variants[v].without;
                    cell(&o, concurrent[c], blocked_ms[d], running_ms[i], seconds, &sum);
                }
                printf(" %7" PRIu64 " (%6" PRIu64 ")", sum.all, sum.healthy);
                totals[v].all += sum.all;
                totals[v].healthy += sum.healthy;
                totals[v].messages += sum.messages;
            }
            printf("\n");
            fflush(stdout);
        }
    }
    printf("%11s", "sum");
    for (size_t v = 0; v < VARIANTS; v++)
        printf(" %7" PRIu64 " (%6" PRIu64 ")", totals[v].all, totals[v].healthy);
    printf("\n%11s", "messages");
    for (size_t v = 0; v < VARIANTS; v++)
        printf(" %16.2f", (double)totals[v].messages / (double)totals[0].messages);
    printf("\n");
}
