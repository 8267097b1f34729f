/* agent.h - the text of HAProxy's agent check: one line of words, ended by CR or LF. Pure.
 *
 * Words stand between spaces, tabs or commas, in any order and case; of two of one sort the last
 * holds: up | down | stopped | fail, ready | drain | maint, "75%" of the configured weight,
 * "maxconn:100". '#' begins a description up to the line's end. stead understands more: "users:12",
 * "load:42%", "group:blue=3". Words that are not known are passed over and counted. A line with
 * other than printable ASCII is refused as a whole. */
#ifndef CORE_ROSTER_AGENT_H
#define CORE_ROSTER_AGENT_H

#include "core/roster/tally.h"

#define AGENT_LINE_MAX 1024 /* with its end */
#define AGENT_WORDS_MAX 64
#define AGENT_ANSWER_MAX 160

struct agent_word {
    struct told told; /* what is empty when no known word was there */
    unsigned unknown; /* words */
    char reason[96];  /* the description, "" when there is none */
};

/* The first line of what was read. Returns its bytes with the end (> 0), 0 when no end has come
 * yet, or below: STEAD_E_TOO_LARGE (no end within AGENT_LINE_MAX), STEAD_E_PARSE (not text, an
 * empty line, or too many words). */
int agent_parse(const char *bytes, size_t len, struct agent_word *out);

/* The line for HAProxy: the status of a server, with the percentage of its weight that holds.
 * Returns its length. */
size_t agent_print(enum status s, uint32_t percent, char out[AGENT_ANSWER_MAX]);

#endif
