/* agent_door.h - answers HAProxy's agent checks: a connection gets the state of an own server as
 * one line (core/roster/agent.h), so that an existing HAProxy follows what the farm knows.
 *
 * A door speaks for one server, or for the one whose service is named by the line that is sent
 * (agent-send). It tells what the roster says, so all see the same. Whoever sends no line, or one
 * that names no service here, is closed without an answer, which changes nothing in HAProxy. */
#ifndef ROLE_DIRECTOR_AGENT_DOOR_H
#define ROLE_DIRECTOR_AGENT_DOOR_H

#include "store/store.h"

#include <uv.h>

#define AGENT_DOOR_CONNECTIONS_MAX 16
#define AGENT_DOOR_WAIT_MS 500    /* for a line without an end */
#define AGENT_DOOR_LINGER_MS 2000 /* for the asker to close */
#define AGENT_DOOR_BY_LINE UINT32_MAX

struct agent_door_server {
    const char *service;
    uint32_t weight; /* as configured: what percentages are of */
};

struct agent_door_counters {
    atomic_uint_fast64_t answered, refused, unknown; /* refused: too many at once */
};

struct agent_door_config {
    uv_loop_t *loop;
    int fd; /* listening; the door's once it is open */
    struct store *store;
    const char *self_name;
    const struct agent_door_server *servers; /* stay until it is closed */
    size_t server_count;
    uint32_t server; /* which it speaks for, or AGENT_DOOR_BY_LINE */
    struct agent_door_counters *counters;
};

struct agent_door;

/* STEAD_E_NOMEM, IO. */
int agent_door_open(const struct agent_door_config *c, struct agent_door **out);
void agent_door_close(struct agent_door *d, void (*closed)(void *context), void *context);

#endif
