/* agent_ask.h - one question to an agent: connect, perhaps send a text, read one line
 * (core/roster/agent.h). Whatever the agent sends, at most AGENT_LINE_MAX bytes and timeout_ms are
 * spent on it. */
#ifndef ROLE_DIRECTOR_AGENT_ASK_H
#define ROLE_DIRECTOR_AGENT_ASK_H

#include "base/addr.h"
#include "core/roster/agent.h"

#include <uv.h>

#define AGENT_SEND_MAX 256

enum agent_ask_end {
    AGENT_ASK_TOLD,
    AGENT_ASK_UNREACHABLE, /* no connection, or it was broken off */
    AGENT_ASK_TIMEOUT,     /* no whole line in time */
    AGENT_ASK_MALFORMED,   /* what came is no line of words */
    AGENT_ASK_CANCELLED,
    AGENT_ASK_ENDS
};

struct agent_ask;

struct agent_ask_config {
    uv_loop_t *loop;
    struct addr to;
    const char *send; /* copied, at most AGENT_SEND_MAX bytes of it; "" = nothing is sent */
    uint32_t timeout_ms;
    /* Called once, on the loop, when it is over and freed; w is set when it is TOLD. */
    void (*done)(void *context, enum agent_ask_end end, const struct agent_word *w);
    void *context;
};

/* A word for the log. */
const char *agent_ask_end_name(enum agent_ask_end e);
/* NULL without memory. */
struct agent_ask *agent_ask_start(const struct agent_ask_config *c)
    __attribute__((warn_unused_result));
/* Ends it: done is called with CANCELLED, on the loop. */
void agent_ask_cancel(struct agent_ask *a);

#endif
