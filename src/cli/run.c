/* stead run: the daemon, in the foreground. */
#include "cli/cli.h"
#include "node/node.h"

#include <stdio.h>

int verb_run(int argc, char **argv)
{
    static struct config config; /* lives as long as the node */
    struct cli_options o;
    if (cli_wants_help(argc, argv,
                       "usage: stead run [-c FILE]\n"
                       "Runs the node that FILE describes (default " CONFIG_DEFAULT "),\n"
                       "in the foreground, until SIGTERM or SIGINT.\n"))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, NULL, NULL) || !cli_no_arguments(argc, argv, &o))
        return EXIT_USAGE;
    if (config_load(o.config, &config, stderr))
        return EXIT_USAGE;
    return node_run(&config) ? EXIT_FAILED : EXIT_DONE;
}
