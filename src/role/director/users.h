/* users.h - finds out about the node's own real servers what others know: the kernel how many
 * connections are established, an agent whatever it says. On one loop of the node; what is found
 * goes to the store (store_own.h), where the sources meet.
 *
 * The kernel is asked on a thread of libuv's pool, and never for more than a tenth of the time. An
 * agent that cannot be reached or is not understood changes nothing: its last word stays, as in
 * HAProxy, and ages. */
#ifndef ROLE_DIRECTOR_USERS_H
#define ROLE_DIRECTOR_USERS_H

#include "role/director/agent_ask.h"
#include "role/director/health.h"

/* How one server is asked about. */
struct users_source {
    const char *service; /* for the log */
    bool kernel;
    struct addr port; /* where its connections are; family 0 = at any address */
    uint32_t kernel_interval_ms;
    struct addr agent; /* family 0 = it has none */
    uint32_t agent_interval_ms, agent_timeout_ms;
    const char *agent_send;
};

struct users_counters {
    atomic_uint_fast64_t kernel_counts, kernel_failed, kernel_capped; /* at SOCKET_DIAG_MAX */
    atomic_uint_fast64_t agent_ends[AGENT_ASK_ENDS];                  /* by enum agent_ask_end */
    atomic_uint_fast64_t agent_unknown_words;
};

struct users_config {
    uv_loop_t *loop;
    struct store *store;
    const struct health *health;        /* its connections are no users; may be NULL */
    const struct users_source *sources; /* copied; strings must stay */
    size_t count; /* one a server, in the store's order; at most ENTRY_SERVERS_MAX */
    struct users_counters *counters;
};

struct users;

/* STEAD_E_NOMEM. */
int users_open(const struct users_config *c, struct users **out);
void users_close(struct users *u, void (*closed)(void *context), void *context);

#endif
