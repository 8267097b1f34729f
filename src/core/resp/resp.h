/* resp.h - the protocol of Redis and Valkey clients, RESP2 and RESP3: commands in, replies out.
 * Pure: what a command does is the gate's business.
 *
 * A command is an array of bulk strings, or an inline line of words. It is read in place: its
 * arguments point into the input. Replies go into a struct resp_out, which is as long as its
 * memory: a reply that does not fit fails it as a whole, so that no half reply is ever sent. */
#ifndef CORE_RESP_H
#define CORE_RESP_H

#include "base/slice.h"

#include <stdint.h>

#define RESP_ARGS_MAX 1024
#define RESP_INLINE_MAX 4096 /* bytes of an inline command, and of a length's line */
#define RESP_BULK_MAX (1u << 20)
#define RESP_COMMAND_MAX (RESP_BULK_MAX + (256u << 10)) /* bytes of a whole command */

struct resp_command {
    size_t argc; /* 0: an empty line or array, to be passed over */
    struct slice argv[RESP_ARGS_MAX];
};

/* The bytes of the first command in the input (> 0); 0: it is not all there yet; -1: it is none,
 * and *why says so as Redis does ("Protocol error: ..."): the connection cannot go on. */
int resp_parse(const char *bytes, size_t len, struct resp_command *out, const char **why);
/* Case-insensitive. */
bool resp_is(const struct resp_command *c, size_t arg, const char *word);
/* A whole decimal integer, as clients write it. */
bool resp_int(struct slice text, int64_t *out);

struct resp_out {
    char *bytes;
    size_t len, cap;
    bool failed;   /* something did not fit */
    bool version3; /* the client said HELLO 3 */
};

void resp_out_init(struct resp_out *o, char *bytes, size_t cap, bool version3);
void resp_put_simple(struct resp_out *o, const char *text); /* +OK */
/* "ERR unknown command 'x'": a code word, then text, without line ends. */
void resp_put_error(struct resp_out *o, const char *text);
void resp_put_int(struct resp_out *o, int64_t n);
void resp_put_bulk(struct resp_out *o, const void *bytes, size_t len);
void resp_put_null(struct resp_out *o); /* nil as this version says it */
void resp_put_array(struct resp_out *o, size_t count);
/* `pairs` keys and values follow; RESP2 says it as an array of twice as many. */
void resp_put_map(struct resp_out *o, size_t pairs);

#endif
