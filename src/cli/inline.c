/* stead inline rules: what an operator sets before a node stands in line. */
#include "cli/cli.h"
#include "node/inline_rules.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: stead inline rules [-c FILE] [--undo]\n"
    "Prints the commands that lead the servers' connections to a node that stands in line before\n"
    "them (section inline), or with --undo those that take them back. Run them as root:\n"
    "stead inline rules | sh -e\n";

int verb_inline(int argc, char **argv)
{
    static const char *const extra[] = {"undo", NULL};
    struct cli_options o;
    struct config config;
    struct inline_rules rules;
    const char *undo[1] = {NULL};
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, extra, undo))
        return EXIT_USAGE;
    if (argc != o.first + 1 || strcmp(argv[o.first], "rules") != 0) {
        fprintf(stderr, "stead inline: it takes 'rules'; see 'stead help inline'\n");
        return EXIT_USAGE;
    }
    if (config_load(o.config, &config, stderr))
        return EXIT_USAGE;
    if (!config.in_line.present) {
        fprintf(stderr, "stead inline: %s has no section inline\n", o.config);
        return EXIT_FAILED;
    }
    if (undo[0])
        inline_rules_undo(&config, &rules);
    else
        inline_rules_make(&config, &rules);
    for (size_t i = 0; i < rules.count; i++)
        printf("%s\n", rules.line[i]);
    return EXIT_DONE;
}
