/* sim_main.c - the command: which seeds, which planted bug, what is printed. */
#include "sim.h"

#include "sim_mutants.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct command {
    struct sim_options opt;
    uint64_t from, to;
    bool expect_violation, twice, to_given;
    const char *list; /* a file of regressions */
    const struct sim_mutant *mutant;
};

struct totals {
    uint64_t runs, violations;
    struct sim_summary sum;
};

static void usage(FILE *to)
{
    fprintf(to, "usage: stead_sim [--seed N | --seeds FROM..TO | --list FILE] [--nodes N]\n"
                "                 [--scenario NAME] [--mutant NAME] [--expect-violation]\n"
                "                 [--multicast] [--twice] [--trace] [--key KEY] [--without "
                "CHECKER] [--quiet]\n\n"
                "  --multicast         with a multicast group, in any scenario\n"
                "  --twice             run each seed twice and compare the stories\n"
                "  --list FILE         lines of: seed [scenario|- [nodes]]   # why\n"
                "  --mutant NAME       plant a bug; without seeds, those of its row in the table\n"
                "  --expect-violation  fail when no checker bites\n"
                "  --trace, --key KEY  tell the story; of all keys or of one\n\nscenarios:");
    for (int i = 0; i < SCENARIO_COUNT; i++)
        fprintf(to, " %s", sim_scenario_name((enum sim_scenario)i));
    fprintf(to, "\nmutants:");
    for (size_t i = 0; i < sim_mutant_count; i++)
        fprintf(to, " %s", sim_mutants[i].name);
    fprintf(to, "\n");
}

static void sum_add(struct sim_summary *to, const struct sim_summary *from)
{
    to->ops += from->ops;
    to->acked += from->acked;
    to->reads += from->reads;
    to->refused += from->refused;
    to->maybe += from->maybe;
    to->frames += from->frames;
    to->bytes += from->bytes;
    to->kills += from->kills;
    to->terms += from->terms;
    to->pauses += from->pauses;
    to->partitions += from->partitions;
    to->starts += from->starts;
    to->clones += from->clones;
    to->upgrades += from->upgrades;
    to->group_copies += from->group_copies;
    to->group_repairs += from->group_repairs;
    to->group_late += from->group_late;
    to->rotations += from->rotations;
    to->claims += from->claims;
    to->merges += from->merges;
    to->values_lost += from->values_lost;
    to->virtual_ns += from->virtual_ns;
}

static void sum_print(const char *what, const struct sim_summary *s)
{
    printf("%s: virtual=%.0fs ops=%" PRIu64 " acked=%" PRIu64 " reads=%" PRIu64 " refused=%" PRIu64
           " open=%" PRIu64 " kills=%" PRIu64 " terms=%" PRIu64 " pauses=%" PRIu64 " cuts=%" PRIu64
           " starts=%" PRIu64 " clones=%" PRIu64 " upgrades=%" PRIu64 " claims=%" PRIu64
           " merges=%" PRIu64 " values-lost=%" PRIu64 " frames=%" PRIu64 " MB=%.1f",
           what, (double)s->virtual_ns / 1e9, s->ops, s->acked, s->reads, s->refused, s->maybe,
           s->kills, s->terms, s->pauses, s->partitions, s->starts, s->clones, s->upgrades,
           s->claims, s->merges, s->values_lost, s->frames, (double)s->bytes / 1e6);
    if (s->group_copies > 0)
        printf(" group: copies=%" PRIu64 " asked-for=%" PRIu64 " late=%" PRIu64, s->group_copies,
               s->group_repairs, s->group_late);
    if (s->rotations > 0)
        printf(" keys=%" PRIu64, s->rotations);
    printf("\n");
}

static void run_seed(const struct command *c, const struct sim_options *opt, struct totals *t)
{
    struct sim_summary sum, again;
    sim_run(opt, &sum);
    t->runs++;
    t->violations += sum.violated;
    sum_add(&t->sum, &sum);
    if (c->twice) {
        sim_run(opt, &again);
        if (again.hash != sum.hash) {
            printf("violation: seed=%" PRIu64 " checker=\"determinism\" two runs differ: "
                   "%016" PRIx64 " and %016" PRIx64 "\n",
                   opt->seed, sum.hash, again.hash);
            t->violations++;
        }
    }
    if (!opt->quiet && (c->from == c->to || c->twice)) {
        char what[64];
        snprintf(what, sizeof what, "seed %" PRIu64 " hash %016" PRIx64, opt->seed, sum.hash);
        sum_print(what, &sum);
    }
}

static void run_range(const struct command *c, struct totals *t)
{
    struct sim_options opt = c->opt;
    for (uint64_t seed = c->from; seed <= c->to; seed++) {
        opt.seed = seed;
        run_seed(c, &opt, t);
        if (c->expect_violation && t->violations > 0)
            break;
    }
}

static int run_list(const struct command *c, struct totals *t)
{
    FILE *f = fopen(c->list, "r");
    if (!f) {
        perror(c->list);
        return -1;
    }
    char line[256];
    while (fgets(line, sizeof line, f)) {
        struct sim_options opt = c->opt;
        char scenario[32] = "-";
        line[strcspn(line, "#\n")] = '\0';
        if (sscanf(line, "%" SCNu64 " %31s %u", &opt.seed, scenario, &opt.nodes) < 1)
            continue;
        opt.scenario = sim_scenario_find(scenario);
        run_seed(c, &opt, t);
    }
    fclose(f);
    return 0;
}

static bool parse_range(const char *text, uint64_t *from, uint64_t *to)
{
    char *end;
    *from = *to = strtoull(text, &end, 10);
    if (strncmp(end, "..", 2) == 0)
        *to = strtoull(end + 2, &end, 10);
    return end != text && *end == '\0' && *from <= *to;
}

static bool parse_option(struct command *c, int option, const char *value)
{
    switch (option) {
    case 's':
        c->to_given = true;
        return parse_range(value, &c->from, &c->to);
    case 'n':
        c->opt.nodes = (unsigned)strtoul(value, NULL, 10);
        return c->opt.nodes >= 1 && c->opt.nodes < SIM_SLOTS;
    case 'c':
        c->opt.scenario = sim_scenario_find(value);
        return c->opt.scenario >= 0;
    case 'm':
        c->mutant = sim_mutant_find(value);
        return c->mutant != NULL;
    case 'x':
        c->expect_violation = true;
        return true;
    case '2':
        c->twice = true;
        return true;
    case 'l':
        c->list = value;
        return true;
    case 't':
        c->opt.trace = true;
        return true;
    case 'k':
        c->opt.trace = true;
        c->opt.trace_key = value;
        return true;
    case 'w':
        c->opt.without = value;
        return true;
    case 'q':
        c->opt.quiet = true;
        return true;
    case 'g':
        c->opt.multicast = true;
        return true;
    default:
        return false;
    }
}

static bool parse(struct command *c, int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"seeds", required_argument, NULL, 's'},
                                            {"nodes", required_argument, NULL, 'n'},
                                            {"scenario", required_argument, NULL, 'c'},
                                            {"mutant", required_argument, NULL, 'm'},
                                            {"expect-violation", no_argument, NULL, 'x'},
                                            {"twice", no_argument, NULL, '2'},
                                            {"list", required_argument, NULL, 'l'},
                                            {"trace", no_argument, NULL, 't'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"multicast", no_argument, NULL, 'g'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"without", required_argument, NULL, 'w'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            usage(stdout);
            exit(0);
        }
        if (!parse_option(c, option, optarg))
            return false;
    }
    if (c->mutant) {
        c->opt.mutant = c->mutant->mutant;
        if (c->opt.scenario < 0)
            c->opt.scenario = c->mutant->scenario;
        if (!c->to_given) {
            c->from = 1;
            c->to = c->mutant->seeds;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct command c = {.opt = {.scenario = -1}, .from = 1, .to = 1};
    struct totals t = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!parse(&c, argc, argv)) {
        usage(stderr);
        return 2;
    }
    if (c.list && run_list(&c, &t) < 0)
        return 2;
    if (!c.list)
        run_range(&c, &t);
    char what[64];
    snprintf(what, sizeof what, "%" PRIu64 " runs, %" PRIu64 " violations", t.runs, t.violations);
    sum_print(what, &t.sum);
    return (t.violations > 0) == c.expect_violation ? 0 : 1;
}
