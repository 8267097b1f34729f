/* change_call.h - what `stead server` and `stead service` have in common: a change is asked of one
 * node, by way of the node that is called. */
#ifndef CLI_CHANGE_CALL_H
#define CLI_CHANGE_CALL_H

#include "cli/cli.h"
#include "node/change.h"

struct change_call {
    struct cli_options options;
    const char *verb; /* "server", "service" */
    const char *at;   /* --at NODE; NULL */
    bool force;
    int argc;
    char **argv; /* behind the verb's own word: add, remove, ... */
    const char *word;
};

/* Takes options and the word. False after it said what is wrong. */
bool change_call_take(int argc, char **argv, struct change_call *out);
/* A line of change.h from its first words and those of argv from `first` on. False: too long. */
bool change_call_line(const struct change_call *c, const char *begin, int first, char *line,
                      size_t cap);
/* Asks `server` (a node's name or a URL; NULL: the node that is called). Returns the exit status;
 * prints the answer. */
int change_call_ask(const struct change_call *c, const char *server, const char *line);

#endif
