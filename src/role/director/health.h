/* health.h - does a real server answer? Active checks of the node's own servers, on one loop of the
 * node.
 *
 * A checked server is unhealthy until its first successful check, so a node without its application
 * gets no clients. Without a check it is healthy until a forward fails, and then tried by
 * connecting once a second. Whoever fails to forward says so in the store; that counts at once, and
 * one good check takes it back. Results go to the store (store_set_healthy), changes to the log.
 */
#ifndef ROLE_DIRECTOR_HEALTH_H
#define ROLE_DIRECTOR_HEALTH_H

#include "base/addr.h"
#include "store/store.h"

#include <uv.h>

enum check_type {
    CHECK_NONE,
    CHECK_TCP,  /* a connection comes about */
    CHECK_HTTP, /* a request is answered as it shall be */
    CHECK_TLS,  /* a handshake comes about */
    CHECK_HTTPS
};

enum check_method { CHECK_GET, CHECK_HEAD, CHECK_OPTIONS };

struct health_check {
    enum check_type type;
    bool gone; /* there is no server in this place: it is not healthy */
    struct addr to;
    const char *service; /* for the log */
    const char *path;    /* HTTP: of origin-form */
    const char *host;    /* HTTP: the Host header; TLS: the name, up to its port */
    enum check_method method;
    int status_min, status_max; /* 0: 200 to 399 */
    const char *text;           /* that the answer has in it; NULL or "" */
    bool verify;                /* under TLS; ca_file NULL or "": whom the system believes */
    const char *ca_file;
    uint32_t interval_fast_ms; /* while its state may be changing; 0 = interval */
    uint32_t errors_max;       /* percent of answers of 5xx that make it suspect; 0 = none */
    uint32_t interval_ms;      /* 0 = 1 s */
    uint32_t timeout_ms;       /* for one check; 0 = 2 s */
    uint32_t rise, fall;       /* checks in a row that change the state; 0 = 1 and 2 */
};

struct health_config {
    uv_loop_t *loop;
    struct store *store;
    const struct health_check *checks; /* copied; strings must stay */
    size_t count;  /* one a server, in the store's order; at most ENTRY_SERVERS_MAX */
    bool trusting; /* what the store says has just been found, by the process that this succeeds */
};

struct health;

/* Sets the first state of every server, and checks at once. STEAD_E_NOMEM. */
int health_open(const struct health_config *c, struct health **out);
/* Other checks from now on, on the loop; strings must stay until the next set. A server whose check
 * and address are as before keeps its state. */
void health_set(struct health *h, const struct health_check *checks, size_t count);
void health_close(struct health *h, void (*closed)(void *context), void *context);

/* "200", "200-399". False: it is neither. */
bool health_status_parse(const char *text, int *min, int *max);

/* Is a check's connection to the server open now? */
bool health_checking(const struct health *h, unsigned server);

/* What the results of checks make of a server: pure. */
struct health_state {
    bool healthy;
    uint32_t rise, fall;   /* limits, not 0 */
    uint32_t good, failed; /* in a row */
};
void health_state_init(struct health_state *s, const struct health_check *c);
/* Somebody could not forward: unhealthy until one check is good. */
void health_state_doubt(struct health_state *s);
/* Is it between its two states: the last results would change it, but there were too few? */
bool health_state_changing(const struct health_state *s);
/* Returns whether the state changed. */
bool health_state_result(struct health_state *s, bool good);

#endif
