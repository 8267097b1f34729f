/* secondary.h - the secondary virtual server: clients of the own real servers, and of those of
 * other nodes to which the primary forwards.
 *
 * In front of a server of mode http each request is carried by itself (exchange.h); before each
 * further one of a connection `again` decides anew. In front of one of mode tunnel, and after a
 * switch of protocols, bytes pass both ways for as long as both like (forward.h). A client is one
 * user of the own server to which its last request went, for as long as it stays connected here.
 */
#ifndef ROLE_DIRECTOR_SECONDARY_H
#define ROLE_DIRECTOR_SECONDARY_H

#include "io/http_server.h"
#include "role/director/decide.h"
#include "role/director/exchange.h"
#include "role/director/forward.h"
#include "role/director/mark.h"
#include "role/director/passage.h"
#include "store/store.h"

/* How an own server is spoken to. */
struct secondary_server {
    struct exchange_server exchange; /* its address too */
    bool tunnel;                     /* mode = tunnel */
};

struct secondary_config {
    uv_loop_t *loop;
    struct store *store;
    const char *self_name;
    const struct decide_config *decide;
    const struct secondary_server *servers; /* as many as decide->servers */
    struct tls_context *tls;       /* to other nodes' https URLs; NULL: nothing is relayed there */
    struct forward_limits forward; /* tunnels_max: of tunnels and exchanges together */
    struct exchange_limits exchange; /* clients_max is not used */
    struct forward_counters *forward_counters;
    struct exchange_counters *exchange_counters;
    /* Decides on a further request of a connection. False: it is for the HTTP server. */
    bool (*again)(void *context, const struct http_head *h, const struct addr *peer,
                  struct decision *out);
    /* A connection that is not, or no more, forwarded, with what was read of it. */
    void (*back)(void *context, struct stream client, char *bytes, size_t len,
                 const struct addr *peer);
    /* No connection to the server came about; bytes: the head of the request. server: an own one
     * that is to blame, else SIZE_MAX. */
    void (*failed)(void *context, size_t server, struct stream client, const struct addr *peer,
                   const char *bytes, size_t len);
    void *context;
};

struct secondary;

/* A server that is spoken to as the defaults say. */
void secondary_server_default(struct secondary_server *s, const struct addr *to);

/* STEAD_E_NOMEM, IO. */
int secondary_open(const struct secondary_config *c, struct secondary **out);
/* n: FORWARD or RELAY. The request is answered, or its connection taken. */
void secondary_forward(struct secondary *s, struct http_request *r, const struct decision *n,
                       const struct mark *mark);
/* The tables that the configuration points to have changed in their places, on the loop. */
void secondary_renew(struct secondary *s);
/* As exchanger_retire(). */
void secondary_retire(struct secondary *s, bool retired);
/* Clients that are between two requests go back to the HTTP server. */
void secondary_return(struct secondary *s);
/* Idle clients are closed, others after their present request; tunnels go on. */
void secondary_stop(struct secondary *s);
/* Running tunnels, and rests of long answers, at most `max` of each, pass to another process: as
 * forwarder_export(). */
void secondary_export(struct secondary *s, unsigned max, passage_give *give, void *context);
/* As forwarder_import(). Its client is a user of the own server of that service, if there is one.
 */
int secondary_import(struct secondary *s, const struct passage *p);
/* Clients. */
size_t secondary_clients(const struct secondary *s);
/* Ends all; `closed` is called on the loop when nothing is left, then s is freed. */
void secondary_close(struct secondary *s, void (*closed)(void *context), void *context);

#endif
