/* roster.h - inside of cli: what `stead roster` and its --watch share. */
#ifndef CLI_ROSTER_H
#define CLI_ROSTER_H

#include "cli/cli.h"

#include <jansson.h>

/* The servers as an aligned table with a head, at most rows_max of them; each line ends with `end`.
 */
void roster_table(const struct cli_options *o, const json_t *servers, size_t rows_max,
                  const char *end);
/* Asks again and again until it is interrupted: a table in place on a terminal, else a line for
 * each change, with --json an event a line. Fails when the node does not answer at first. */
int roster_watch(const struct cli_options *o);

#endif
