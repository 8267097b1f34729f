/* swarm_main.c - the command: which stories, how many members, which seeds, which planted bug. */
#include "swarm.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command {
    struct swarm_options opt;
    const char *story;
    uint64_t from, to;
    unsigned grid_seconds;
    bool expect_violation, table;
};

static void usage(FILE *to)
{
    fprintf(to, "usage: stead_swarm [--nodes N] [--seeds FROM..TO] [--story NAME] [--table]\n"
                "                   [--loss OF_1000] [--delay MIN_US..MAX_US] [--interval MS]\n"
                "                   [--without BITS] [--mutant NAME] [--expect-violation]\n"
                "                   [--trace] [--grid SECONDS]\n\n"
                "  --story NAME        one of the stories below; all of them when not named\n"
                "  --table             print what each came to: medians, the worst, sums\n"
                "  --grid SECONDS      Lifeguard's grid of starved members instead\n"
                "  --expect-violation  fail when no check bites\n\nstories:");
    for (size_t i = 0; swarm_story_name(i) != NULL; i++)
        fprintf(to, " %s", swarm_story_name(i));
    fprintf(to, "\n");
}

static bool plant(const char *name)
{
#define X(mutant)                                                                                  \
    if (strcmp(name, #mutant) == 0) {                                                              \
        mutant_planted = MUTANT_##mutant;                                                          \
        return true;                                                                               \
    }
    MUTANTS(X)
#undef X
    return false;
}

static bool range(const char *text, uint64_t *from, uint64_t *to)
{
    char *end;
    *from = *to = strtoull(text, &end, 10);
    if (strncmp(end, "..", 2) == 0)
        *to = strtoull(end + 2, &end, 10);
    return *end == '\0' && *from <= *to;
}

static bool parse(int argc, char **argv, struct command *c)
{
    static const struct option options[] = {
        {"nodes", 1, NULL, 'n'},   {"seeds", 1, NULL, 's'},  {"story", 1, NULL, 'S'},
        {"table", 0, NULL, 't'},   {"loss", 1, NULL, 'l'},   {"delay", 1, NULL, 'd'},
        {"without", 1, NULL, 'w'}, {"mutant", 1, NULL, 'm'}, {"expect-violation", 0, NULL, 'x'},
        {"trace", 0, NULL, 'T'},   {"grid", 1, NULL, 'g'},   {"interval", 1, NULL, 'i'},
        {NULL, 0, NULL, 0}};
    uint64_t low = 100, high = 500;
    int o;
    *c = (struct command){.opt = {.nodes = 10}, .from = 1, .to = 3};
    swim_timing_default(&c->opt.timing);
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool good = true;
        switch (o) {
        case 'n':
            c->opt.nodes = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            good = range(optarg, &c->from, &c->to);
            break;
        case 'S':
            c->story = optarg;
            break;
        case 't':
            c->table = true;
            break;
        case 'l':
            c->opt.loss = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'd':
            good = range(optarg, &low, &high);
            break;
        case 'w':
            c->opt.timing.without = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'm':
            good = plant(optarg);
            break;
        case 'x':
            c->expect_violation = true;
            break;
        case 'T':
            c->opt.trace = true;
            break;
        case 'g':
            c->grid_seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'i':
            c->opt.timing.interval_ms = (uint32_t)strtoul(optarg, NULL, 10);
            c->opt.timing.timeout_ms = c->opt.timing.interval_ms / 2;
            break;
        default:
            good = false;
        }
        if (!good)
            return false;
    }
    c->opt.delay_min_us = (uint32_t)low;
    c->opt.delay_max_us = (uint32_t)high;
    return optind == argc && c->opt.nodes >= 2 && c->opt.nodes < 65536;
}

/* What all runs of a story came to. */
struct tally {
    uint64_t *first_ns, *all_ns;
    unsigned runs, broken;
    double messages_s, bytes_s;
    struct swarm_totals sum;
};

static void tally_add(struct tally *t, const struct swarm_result *r)
{
    t->first_ns[t->runs] = r->first_ns;
    t->all_ns[t->runs++] = r->all_ns;
    t->broken += r->broken;
    t->messages_s += r->messages_s;
    t->bytes_s += r->bytes_s;
    t->sum.false_all += r->sum.false_all;
    t->sum.false_healthy += r->sum.false_healthy;
    t->sum.suspicions += r->sum.suspicions;
    t->sum.overflow += r->sum.overflow;
}

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median_ms(uint64_t *all, unsigned count)
{
    qsort(all, count, sizeof all[0], ascending);
    return (double)all[count / 2] / 1e6;
}

static void print_head(void)
{
    printf("%-9s %6s %5s %9s %9s %9s %6s %6s %11s %10s %9s\n", "story", "n", "runs", "first ms",
           "all ms", "worst ms", "FP", "FP-", "suspicions", "messages/s", "bytes/s");
}

static void print(const char *story, const struct command *c, struct tally *t)
{
    printf("%-9s %6u %5u %9.0f %9.0f", story, c->opt.nodes, t->runs,
           median_ms(t->first_ns, t->runs), median_ms(t->all_ns, t->runs));
    printf(" %9.0f %6" PRIu64 " %6" PRIu64 " %11" PRIu64 " %10.1f %9.0f%s\n",
           (double)t->all_ns[t->runs - 1] / 1e6, t->sum.false_all, t->sum.false_healthy,
           t->sum.suspicions, t->messages_s / t->runs, t->bytes_s / t->runs,
           t->broken > 0 ? " BROKEN" : "");
    fflush(stdout);
}

/* How many runs broke a promise. */
static unsigned run(const struct command *c, const char *story)
{
    size_t seeds = (size_t)(c->to - c->from + 1);
    struct tally t = {.first_ns = calloc(seeds, sizeof(uint64_t)),
                      .all_ns = calloc(seeds, sizeof(uint64_t))};
    for (uint64_t seed = c->from; seed <= c->to; seed++) {
        struct swarm_options o = c->opt;
        struct swarm_result r;
        o.seed = seed;
        if (!swarm_tell(story, &o, &r)) {
            fprintf(stderr, "there is no story %s\n", story);
            exit(2);
        }
        tally_add(&t, &r);
        if (r.broken)
            printf("BROKEN: %s, %u members, seed %" PRIu64 ": %s\n", story, c->opt.nodes, seed,
                   r.why);
        if (r.broken && c->expect_violation)
            break;
    }
    if (c->table)
        print(story, c, &t);
    free(t.first_ns);
    free(t.all_ns);
    return t.broken;
}

int main(int argc, char **argv)
{
    struct command c;
    unsigned violations = 0;
    if (!parse(argc, argv, &c)) {
        usage(stderr);
        return 2;
    }
    if (c.grid_seconds > 0) {
        swarm_grid(c.opt.nodes, c.grid_seconds, c.from, c.opt.timing.interval_ms);
        return 0;
    }
    if (c.table)
        print_head();
    if (c.story != NULL) {
        violations = run(&c, c.story);
    } else {
        for (size_t i = 0; swarm_story_name(i) != NULL; i++) {
            violations += run(&c, swarm_story_name(i));
            if (violations > 0 && c.expect_violation)
                break;
        }
    }
    if (c.expect_violation)
        return violations > 0 ? 0 : 1;
    return violations > 0 ? 1 : 0;
}
