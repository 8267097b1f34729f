/* stead run: the daemon, in the foreground. */
#include "cli/cli.h"
#include "node/node.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

int verb_run(int argc, char **argv)
{
    static struct config config; /* lives as long as the node */
    struct cli_options o;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        printf("usage: stead run [-c FILE]\nRuns the node that FILE describes (default %s), in the "
               "foreground, until SIGTERM or SIGINT.\n",
               CONFIG_DEFAULT);
        return EXIT_DONE;
    }
    if (!cli_options(argc, argv, &o, NULL, NULL))
        return EXIT_USAGE;
    if (config_load(o.config, &config, stderr))
        return EXIT_USAGE;
    return node_run(&config) ? EXIT_FAILED : EXIT_DONE;
}
