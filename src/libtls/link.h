/* link.h - inside libstead-tls: questions to the node on this host, on connections that are kept.
 * Any thread; a call is one thread's. A child of fork() gets connections of its own. */
#ifndef LIBTLS_LINK_H
#define LIBTLS_LINK_H

#include "stead/session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#define LINK_IDLE_MAX 32    /* connections that are kept */
#define LINK_SENT_MAX 64    /* requests whose answers nobody waits for */
#define LINK_QUIET_MS 1000u /* a node that did not answer in time is not asked for so long */

struct link {
    char *where, *token;
    uint32_t deadline_ms;
    pthread_mutex_t lock;
    pid_t owner;
    struct stead_sessions *idle[LINK_IDLE_MAX];
    size_t idle_count;
    struct {
        struct stead_sessions *node;
        bool counts;
    } sent[LINK_SENT_MAX];
    size_t sent_count;
    uint64_t quiet_until_ms;
    bool lost;
    void (*tell)(void *context, bool lost);
    void *context;
    atomic_uint_fast64_t kept, unkept; /* of what was sent */
};

struct link_call {
    struct stead_sessions *node; /* NULL: none has begun */
    uint64_t until_ms;
};

/* STEAD_E_NOMEM, STEAD_E_INVAL. */
int link_init(struct link *l, const char *where, const char *token, uint32_t deadline_ms);
void link_deinit(struct link *l);

/* STEAD_E_UNREACHABLE while the node is quiet, STEAD_E_NOMEM, STEAD_E_INVAL. */
int link_begin(struct link *l, struct link_call *c, const struct stead_ask *ask);
/* As stead_sessions_answer(); the body lives until the call is begun anew or ended. */
int link_step(struct link *l, struct link_call *c, int *status, const char **body, size_t *len);
/* The same, waiting. */
int link_wait(struct link *l, struct link_call *c, int *status, const char **body, size_t *len);
/* Whatever became of it. */
void link_end(struct link *l, struct link_call *c);
/* Waits for what the call waits for. */
void link_poll(const struct link_call *c);
/* To be told what became of a call that was made on c->node itself. */
void link_told(struct link *l, int err);
bool link_is_lost(struct link *l);

/* Asks, and does not wait for the answer. counts: in kept and unkept. */
void link_send(struct link *l, const struct stead_ask *ask, bool counts);
/* Counts what has been answered meanwhile. */
void link_settle(struct link *l);
uint64_t link_now_ms(void);

#endif
