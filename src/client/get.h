/* get.h - inside libstead: one HTTP GET on a connection of its own, without waiting. */
#ifndef CLIENT_GET_H
#define CLIENT_GET_H

#include "client/dial.h"
#include "client/reply.h"
#include "stead/stead.h"

#define GET_REQUEST_MAX 1536

struct get {
    struct dial dial;
    bool connected, shaken;
    const struct stead_secure *secure; /* NULL: plain */
    void *connection;                  /* under it */
    char host[256];
    char request[GET_REQUEST_MAX];
    size_t len, sent;
    struct reply reply;
};

/* What becomes of the body's pieces: STEAD_OK, or an error that ends it. */
typedef int get_take(void *context, const char *bytes, size_t len);

/* What is asked for. Strings stay the caller's. */
struct get_request {
    const char *authority, *target;
    const char *accept;                /* the media type */
    const char *token;                 /* to be let in with; NULL: none */
    const char *last_id;               /* of the last event; NULL or "": none */
    const struct stead_secure *secure; /* stays the caller's; NULL: plain */
    const char *host;                  /* that the other side shall be, with secure */
};

/* Of a dial that has begun, which is the get's from here on (also when this fails).
 * STEAD_E_TOO_LARGE, STEAD_E_NOMEM. */
int get_new(const struct dial *d, const struct get_request *q, struct get **out);
void get_free(struct get *g); /* takes NULL */
/* STEAD_PENDING: more is to come; STEAD_OK: that was the whole body of a 200; else an error, of the
 * status too (reply_status). Takes a bounded amount of bytes a call. */
/* What to wait for. */
int get_fd(const struct get *g, bool *writable);
int get_step(struct get *g, uint64_t now_ms, get_take *take, void *context);

#endif
