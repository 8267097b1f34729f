/* retry_window.h - over how long clients spread their first retry when they lose their server.
 *
 *     window = users of the fullest server / joins that a server takes a second
 *
 * rounded up to three binary digits (so that it does not change with every user), and held between
 * min and max. When all users of the farm come back at once, each server gets on average no more
 * than its own count over the window: `joins_per_s`; that a second brings it twice as many has a
 * chance below 1e-9 from 60 joins a second on (Poisson). Servers that are down or have left do not
 * count: their users are elsewhere by now. */
#ifndef CORE_ROSTER_RETRY_WINDOW_H
#define CORE_ROSTER_RETRY_WINDOW_H

#include "core/roster/roster.h"

struct retry_limits {
    uint32_t min_ms, max_ms;
    uint32_t joins_per_s; /* of one server; 0: the window is min_ms */
};

#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 30000
#define RETRY_JOINS_PER_S 500

/* In ms. service NULL: over all. */
uint32_t retry_window(const struct roster *r, const char *service, const struct retry_limits *l);

#endif
