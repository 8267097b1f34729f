/* ask.h - orders to nodes, asked by HTTP: /v1/drain, /v1/undrain, /v1/maint, /v1/unmaint and
 * /v1/progress, /v1/change and /v1/reload, each with server=NAME or a URL of one of its servers
 * (this node without it) and force=1; change=TEXT as in node/change.h. The answer comes when the
 * node that is meant has answered; it is looked for every few ms while somebody waits. On admin's
 * thread only. */
#ifndef ROLE_ADMIN_ASK_H
#define ROLE_ADMIN_ASK_H

#include "role/admin/admin.h"

#define ASKS_MAX 16 /* that wait */

struct ask {
    struct http_request *request; /* NULL: free */
    uint64_t id;
    char server[URL_MAX_BYTES + 1];
};

struct asks {
    const struct admin_source *source;
    uv_timer_t timer;
    struct ask asks[ASKS_MAX];
};

/* The loop's handle is closed by asks_close, which answers whoever waits with 503. */
void asks_open(struct asks *a, uv_loop_t *loop, const struct admin_source *source);
void asks_close(struct asks *a);
/* Answers r, at once when it is no order that can be asked. */
void asks_take(struct asks *a, struct http_request *r, enum order_verb verb);

#endif
