/* tls_keys.h - `stead tls keys`: which keys seal and open the tickets of nodes' TLS listeners. */
#ifndef CLI_TLS_KEYS_H
#define CLI_TLS_KEYS_H

#include "cli/cli.h"

#define TLS_KEYS_HELP                                                                              \
    "       stead tls keys [OPTION...] [NODE...]\n"                                                \
    "The keys of the tickets by which clients resume TLS sessions: which one seals, since when,\n" \
    "until when the older ones open, and when the next one's turn is. Their names only: they "     \
    "stand\n"                                                                                      \
    "in front of the tickets. NODE is where a node's admin listener is, as after --admin; of\n"    \
    "several nodes it is told whether they have the same. Exit status 1 when they have not.\n"

/* argv[first] is the first NODE. */
int tls_keys(int argc, char **argv, struct cli_options *o, int first);

#endif
