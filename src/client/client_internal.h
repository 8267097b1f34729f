/* client_internal.h - the object behind stead/client.h: the ladder, and the sockets that do what it
 * says. client.c: life and events; client_job.c: one job and one watch. */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include "client/get.h"
#include "client/ladder.h"
#include "client/sse.h"
#include "client/terms.h"
#include "stead/client.h"

#define CLIENT_SILENCE_MS 45000 /* of a watch: three of its keepalives */

/* A place in the epoll set. */
struct slot {
    int fd;
    uint32_t events;
    unsigned tries;
};

struct stead_client {
    struct terms terms;
    struct ladder ladder;
    int epoll;
    struct slot job_slot, watch_slot;

    uint32_t job; /* number of the job that is under way, by its kind: */
    struct lookup *lookup;
    struct get *ask;
    struct dial dial; /* of the connection to a server */
    bool dialling;
    uint64_t job_until_ms;
    struct sse_buffer body; /* of the roster that is asked for */

    struct get *watch;
    struct sse sse;
    unsigned watch_number;
    char watch_id[SSE_ID_MAX + 1]; /* of the ladder's roster, when a watch gave it */
    uint64_t watch_until_ms;
    uint64_t watch_lines; /* at the last sign of life */

    int fd, old_fd;
    int ended; /* STEAD_OK: it goes on; STEAD_PENDING: the goal is reached; else the error */
    char server[NAME_MAX_BYTES + 1], url[URL_MAX_BYTES + 16]; /* of the last event */
};

int client_new(const char *url, const struct stead_options *options, enum ladder_goal goal,
               unsigned rounds, struct stead_client **out);

void client_begin(struct stead_client *c, const struct ladder_action *a, uint64_t now_ms);
void client_cancel(struct stead_client *c);
void client_watch(struct stead_client *c, const struct ladder_action *a, uint64_t now_ms);
void client_unwatch(struct stead_client *c);
/* Goes on with what is under way; true when the ladder has heard of something. */
bool client_work(struct stead_client *c, uint64_t now_ms);
uint64_t client_work_due(const struct stead_client *c);
void client_sync(struct stead_client *c);

#endif
