/* decide.h - what to do with a request at the public listener: one pure function.
 *
 * Every node's listener is both virtual servers at once. By the Host of a request this node is the
 * primary of a service (its common name: balance once, redirect to the chosen server's own URL),
 * the secondary before its own real server (its URL: forward), the stand-in for a server that is
 * gone (its URL: choose anew and redirect), or nothing of that (421). Paths under
 * /.well-known/stead/ are the node's own whatever the Host.
 *
 * Which scheme a page has may be a wish of the service: a request by the other one is led to the
 * same server's URL of that scheme, where it has one.
 *
 * Loops cannot form: the primary picks only servers that are up, and never one whose URL is the URL
 * that was asked for; an own pair that is out is left out at once, before the roster says so;
 * who asks for a server that is out is led to another by the node that knows, not back to a common
 * name behind which another node may not have heard yet.
 *
 * A URL stands for its scheme, host and port: a path in it is not used, the request keeps its own.
 */
#ifndef ROLE_DIRECTOR_DECIDE_H
#define ROLE_DIRECTOR_DECIDE_H

#include "base/buzhash.h"
#include "base/held.h"
#include "core/http/http.h"
#include "core/roster/pick.h"
#include "role/director/handoff.h"
#include "role/director/match.h"
#include "role/director/visit.h"
#include "role/director/warm.h"

#define DECIDE_LOCATION_MAX (HTTP_TARGET_MAX + URL_MAX_BYTES + TOKEN_TEXT_MAX + 32)
#define DECIDE_RETRY_AFTER_S 2
#define DECIDE_SERVICES_MAX 16

struct decide_service {
    const char *name;
    const char *url; /* the common URL */
    enum policy policy;
    int status; /* of a redirect: 302, 303, 307 or 308 */
    bool early; /* requests that come as early data are handled at once */
    bool json;  /* who asks for application/json before all else gets the URL in a 200 */
    const struct visit_rule *visit; /* NULL: every visit is a new one */
    size_t handoff_count;           /* cookies that are handed over to the chosen server; 0: none */
    const char *const *handoff;
    size_t forward_count; /* requests that match one are forwarded, not redirected */
    const struct match_rule *forward;
    size_t warm_count; /* records that go to the chosen server before its client does */
    const struct warm_rule *warm;
    size_t https_count, http_count; /* globs of paths that have their scheme; https goes before */
    const struct slice *https_paths, *http_paths;
};

/* One of the node's own servers, at the same place here as in the node's entry and in the store. */
struct decide_server {
    const char *service;
    size_t url_count;
    const char *urls[SERVER_URLS_MAX];
    const char *backup; /* a node's name, or "primary"; NULL = primary */
};

/* Strings and tables stay the caller's. */
struct decide_config {
    const struct decide_service *services;
    size_t service_count;
    const struct decide_server *servers;
    size_t server_count;   /* at most ENTRY_SERVERS_MAX */
    uint16_t port;         /* of the listener: a Host may name it even when no URL does */
    bool tls;              /* the listener's scheme: redirects stay within it where they can */
    struct held *held;     /* for who keeps a string of it beyond a request; NULL: it stays */
    const uint8_t *secret; /* TOKEN_KEY_BYTES of the farm; NULL when no service needs it */
    size_t older_count;    /* while the farm's key is changed: */
    const uint8_t (*older)[TOKEN_KEY_BYTES]; /* what is opened with these too */
    const struct buzhash *keys;              /* seeded from the farm's key; likewise */
    int unknown_status;                      /* for a Host that no service has; 0: 421 */
};

/* How the farm stands at this moment. */
struct decide_view {
    const struct roster *roster;
    const char *self_name;
    bool healthy[ENTRY_SERVERS_MAX]; /* own servers, by the store: newer than the roster */
    bool draining;                   /* this node takes no new clients */
    uint64_t chance;                 /* random */
    struct reserve *reserve;         /* clients on their way; NULL: nobody is */
    int64_t now_s;                   /* wall clock */
    const uint8_t *salt;             /* TOKEN_SALT_BYTES, never the same again */
};

enum decide_verdict {
    DECIDE_ROSTER,      /* answer with the roster */
    DECIDE_NOT_FOUND,   /* 404: another path of the node's own */
    DECIDE_METHOD,      /* 405: of the node's own, neither GET nor HEAD */
    DECIDE_REDIRECT,    /* 307 to location */
    DECIDE_FORWARD,     /* to own server number `server` */
    DECIDE_RELAY,       /* to the chosen server, at its `url`, which is another node's */
    DECIDE_HANDOFF,     /* a token is to be taken by it; then to location, which is without it */
    DECIDE_MISDIRECTED, /* 421 */
    DECIDE_NO_SERVER,   /* 503 with Retry-After */
    DECIDE_BAD          /* 400 */
};

struct decision {
    enum decide_verdict verdict;
    const char *why;                /* a word for the log; static */
    const char *service;            /* of the config or the roster; NULL when none is concerned */
    const char *policy;             /* its name, when the choice was made by policy; else NULL */
    struct pick_choice chosen;      /* points into the roster; node NULL = no node chosen */
    size_t server;                  /* DECIDE_FORWARD, DECIDE_HANDOFF */
    int status;                     /* DECIDE_REDIRECT, DECIDE_HANDOFF */
    bool json;                      /* DECIDE_REDIRECT: the URL in a 200 */
    const struct visit_rule *visit; /* a cookie shall name the chosen server */
    const struct decide_service *warm; /* whose records shall be at the chosen server; or NULL */
    const char *url; /* of the chosen server: RELAY, and FORWARD when it is chosen */
    char location[DECIDE_LOCATION_MAX]; /* DECIDE_REDIRECT, DECIDE_HANDOFF */
};

/* The HTTP status of an answer; 0 for DECIDE_FORWARD and DECIDE_RELAY. */
int decide_status(const struct decision *d);

void decide(const struct decide_config *c, const struct decide_view *v, const struct http_head *h,
            struct decision *out);

#endif
