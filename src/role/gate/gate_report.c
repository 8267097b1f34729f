/* gate_report.c - an application's own report on its users, load and state: taken, shown, ended. It
 * never waits for another node: the roster carries it on. */
#include "role/gate/gate_internal.h"

#include "io/io.h"
#include "role/gate/gate_report_json.h"
#include "store/store_own.h"

#include <stdlib.h>
#include <string.h>

#define HEADERS "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"

/* Is each group one of this node's? Without a roster nobody knows. */
static bool groups_known(const struct gate *g, const struct told *w)
{
    struct roster *r = store_roster(g->config.store);
    const struct roster_node *self = r ? roster_find(r, g->node) : NULL;
    bool all = true;
    for (size_t i = 0; self && i < w->group_count; i++) {
        bool known = false;
        for (size_t j = 0; j < self->entry->group_count; j++)
            known |= strcmp(w->groups[i], self->entry->groups[j]) == 0;
        all &= known;
    }
    roster_unref(r);
    return all;
}

static void show(struct gate *g, struct http_request *r, unsigned server, struct slice service)
{
    char name[NAME_MAX_BYTES + 1];
    uint64_t now = io_now_ns(), age;
    struct told told;
    struct tally_state state;
    if (!store_own_told(g->config.store, server, TELLER_REPORT, now, &told, &age)) {
        gate_refuse(g, r, 404, STEAD_E_ABSENT, "no report has come yet");
        return;
    }
    store_own_state(g->config.store, server, now, &state);
    memcpy(name, service.at, service.len); /* as long as the one it was found by */
    name[service.len] = '\0';
    char *text = gate_report_json(name, &told, age, state.max_age_ns, &state);
    if (text)
        http_reply(r, 200, "application/json", HEADERS, text, strlen(text));
    else
        http_reply_error(r, 503, "NOMEM", stead_error_text(STEAD_E_NOMEM));
    free(text);
}

static void take(struct gate *g, struct http_request *r, unsigned server, struct slice service,
                 const char *body, size_t len)
{
    const char *why;
    struct told told;
    struct tally_state state;
    uint64_t now = io_now_ns();
    int err = gate_report_parse(&told, body, len, &why);
    if (err) {
        int status = err == STEAD_E_TOO_LARGE ? 413 : err == STEAD_E_NOMEM ? 503 : 400;
        gate_refuse(g, r, status, err, why);
        return;
    }
    store_own_state(g->config.store, server, now, &state);
    if (state.from == USERS_REPORT && !(told.what & TOLD_USERS)) {
        gate_refuse(g, r, 400, STEAD_E_INVAL, "this server's users-from is report: name the users");
        return;
    }
    if (!groups_known(g, &told)) {
        gate_refuse(g, r, 400, STEAD_E_INVAL, "groups names one that this node is not in");
        return;
    }
    store_own_tell(g->config.store, server, TELLER_REPORT, &told, now);
    gate_count(&g->config.counters->reports);
    show(g, r, server, service);
}

enum http_verdict gate_report_request(struct gate *g, struct http_request *r,
                                      const struct gate_route *route, const char *body, size_t len)
{
    struct slice service = route->kind;
    int server = store_own_find(g->config.store, service);
    if (server < 0) {
        gate_refuse(g, r, 404, STEAD_E_NOT_FOUND, "this node has no server of that service");
    } else if (route->verb == GATE_REPORT_SHOW) {
        show(g, r, (unsigned)server, service);
    } else if (route->verb == GATE_REPORT_END) {
        store_own_forget(g->config.store, (unsigned)server, TELLER_REPORT, io_now_ns());
        http_reply(r, 204, NULL, HEADERS, NULL, 0);
    } else if (!body) {
        return HTTP_WANT_BODY;
    } else {
        take(g, r, (unsigned)server, service, body, len);
    }
    return HTTP_ANSWERED;
}
