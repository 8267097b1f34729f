/* probe.h - one check of one server: connect, and perhaps GET a path. */
#ifndef ROLE_DIRECTOR_PROBE_H
#define ROLE_DIRECTOR_PROBE_H

#include "base/addr.h"

#include <uv.h>

#define PROBE_PATH_MAX 1024
#define PROBE_HOST_MAX 260

struct probe;

struct probe_config {
    uv_loop_t *loop;
    struct addr to;
    const char *path; /* NULL: connecting is enough; else GET it, 2xx and 3xx are good */
    const char *host; /* for the Host header; NULL: the address */
    uint32_t timeout_ms;
    /* Called once, on the loop, when the probe is over and freed; why is a word for the log. */
    void (*done)(void *context, bool good, const char *why);
    void *context;
};

/* NULL without memory. Strings are copied. */
struct probe *probe_start(const struct probe_config *c) __attribute__((warn_unused_result));
/* Ends it: done is called with false, on the loop. */
void probe_cancel(struct probe *p);

#endif
