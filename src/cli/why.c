/* stead why: the reasons of what stead does. why_pick.c: of a client's choice;
 * why_redirect.c: of a node's. */
#include "cli/why.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: stead why pick [OPTION...] URL\n"
    "Picks a server as 'stead pick' does, and says which servers were considered, with which\n"
    "counts, and why this one was chosen and the others were not.\n\n" WHY_PICK_HELP
    "  --json             all of it as JSON\n"
    "\n"
    "usage: stead why redirect [--admin WHERE | -c FILE] [--json] ID\n"
    "Says what a node decided about a request, and why. ID is the X-Request-Id of the answer, and\n"
    "id= in the access log; behind its @ stands the node to be asked.\n";

int verb_why(int argc, char **argv)
{
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (argc > 1 && strcmp(argv[1], "pick") == 0) {
        if (cli_wants_help(argc - 1, argv + 1, help))
            return EXIT_DONE;
        argv[1] = argv[0]; /* so that mistakes are told of 'stead why' */
        return why_pick(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "redirect") == 0) {
        if (cli_wants_help(argc - 1, argv + 1, help))
            return EXIT_DONE;
        argv[1] = argv[0];
        return why_redirect(argc - 1, argv + 1);
    }
    if (argc > 1 && argv[1][0] == '-')
        fprintf(stderr,
                "stead why: there is no option '%s' before what is asked for; see 'stead "
                "help why'\n",
                argv[1]);
    else
        fprintf(stderr, "stead why: why what? See 'stead help why'\n");
    return EXIT_USAGE;
}
