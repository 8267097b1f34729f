/* probe.h - one check of one server: connect, perhaps by TLS, and perhaps ask for a path. */
#ifndef ROLE_DIRECTOR_PROBE_H
#define ROLE_DIRECTOR_PROBE_H

#include "base/addr.h"
#include "io/tls_client.h"

#include <uv.h>

#define PROBE_PATH_MAX 1024
#define PROBE_HOST_MAX 260
#define PROBE_ANSWER_MAX 16384

struct probe;

struct probe_config {
    uv_loop_t *loop;
    struct addr to;
    const char *path;             /* NULL: connecting, or the handshake, is enough */
    const char *host;             /* for the Host header; NULL: the address */
    const char *method;           /* NULL: GET */
    int status_min, status_max;   /* of a good answer; 0: 200 to 399 */
    const char *text;             /* that must be in its first PROBE_ANSWER_MAX bytes; NULL or "" */
    struct tls_client_rules *tls; /* NULL: plain; stays until `done` */
    const char *name;             /* with TLS: the server's */
    uint32_t timeout_ms;
    /* Called once, on the loop, when the probe is over and freed; why is a word for the log. */
    void (*done)(void *context, bool good, const char *why);
    void *context;
};

/* NULL without memory. Strings are copied, but for text, which stays until `done`. */
struct probe *probe_start(const struct probe_config *c) __attribute__((warn_unused_result));
/* Ends it: done is called with false, on the loop. */
void probe_cancel(struct probe *p);

#endif
