/* change.h - a change of the running configuration, as one line of text: what an operator says by
 * `stead server` and `stead service`, what an order carries, and what the state folder keeps. Pure.
 *
 *   server add SERVICE URL... [KEY=VALUE...]    a new pair, or further URLs of the one that is
 * there server set SERVER KEY=VALUE... server remove SERVER [URL...]               these URLs;
 * without any, or with the last, the pair service add ID KEY=VALUE... service set ID KEY=VALUE...
 *   service remove ID
 *
 * Words are divided by one space; other bytes than letters, digits and -._:/=,[]@ may be %XX. KEY
 * is a setting of the section (server: also check.KEY and agent-check.KEY), the elements of a list
 * are divided by commas. SERVER is the pair's service, one of its URLs, or - for the only one.
 *
 * What was changed is kept as the difference of two configurations, so it never grows beyond what
 * they can hold, and a change that is undone leaves no trace. */
#ifndef NODE_CHANGE_H
#define NODE_CHANGE_H

#include "node/config.h"

#define CHANGE_LINE_MAX 2048
#define CHANGE_WHY_MAX 320
#define CHANGE_WORDS_MAX 32
#define CHANGE_TEXT_MAX (64u << 10) /* all lines of a difference */

/* What a line is about, for who must know before it is carried out. */
struct change_about {
    bool removes_server;
    char service[NAME_MAX_BYTES + 1]; /* of the server */
};

/* Carries a line out on *c. busy: places of removed servers (bit i: servers[i]) whose clients are
 * still there, which a new server does not get. STEAD_E_INVAL, NOT_FOUND, EXISTS, FULL: *c is as
 * before, and `why` says what is wrong. about may be NULL. */
int change_apply(struct config *c, const char *line, unsigned busy, struct change_about *about,
                 char *why, size_t cap);
/* The lines that make `to` out of `from`, each ended by a newline. Returns their length, -1 when
 * they do not fit. */
long change_lines(const struct config *from, const struct config *to, char *out, size_t cap);
/* One word as a line has it. False: it does not fit. */
bool change_escape(const char *word, char *out, size_t cap);

#endif
