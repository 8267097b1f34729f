/* inline_rules.h - the kernel's rules by which the servers' connections come to a node that stands
 * in line: iptables with TPROXY, a routing rule and a route. As commands, one a line, for an
 * operator to run, or run by the node. */
#ifndef NODE_INLINE_RULES_H
#define NODE_INLINE_RULES_H

#include "node/config.h"

#include <stdio.h>

#define INLINE_RULES_MAX 64
#define INLINE_RULE_BYTES_MAX 200

struct inline_rules {
    size_t count;
    char line[INLINE_RULES_MAX][INLINE_RULE_BYTES_MAX];
};

/* c has a section inline. What sets them, in order; or what takes them back. */
void inline_rules_make(const struct config *c, struct inline_rules *out);
void inline_rules_undo(const struct config *c, struct inline_rules *out);
/* A number by which two configurations with the same rules are known; never 0. */
uint64_t inline_rules_mark(const struct config *c);
/* Runs them as they are (no shell). STEAD_E_IO: *failed is the first that did not succeed; those
 * after it were not run. With `all`, all are run and none is told of. */
int inline_rules_run(const struct inline_rules *r, bool all, const char **failed);

#endif
