/* ask.h - inside libstead: a call's settings checked, and the walk over first servers until one
 * gives a roster that the caller can use. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include "base/addr.h"
#include "core/http/http.h"
#include "core/roster/pick.h"
#include "stead/stead.h"

struct ask {
    struct stead_options options; /* with defaults; as large as this library knows it */
    struct http_url url;
    enum policy policy;
    struct addr dns; /* family 0: the system's resolver */
    uint64_t deadline_ms;
    char host[256], authority[272], target[256];
};

/* STEAD_E_INVAL, STEAD_E_UNSUPPORTED. url and what options point to stay the caller's. */
int ask_init(struct ask *a, const char *url, const struct stead_options *options);

/* Asks first servers until `use` is content with a roster (returns STEAD_OK) or all have failed
 * twice. `use` keeps its own reference if it needs the roster. Returns the last error. */
int ask_run(const struct ask *a,
            int (*use)(const struct ask *a, struct roster *r, const struct addr *first,
                       void *context),
            void *context);

#endif
