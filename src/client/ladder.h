/* ladder.h - inside libstead: the way of one client, from the farm's name to a server, and from
 * server to server, as a pure state machine: events and the time go in, actions come out.
 *
 *     name -> first server -> roster -> pick -> connect -> (fails: again, once) -> (fails: penalty)
 *       ^                                                                              |
 *       '------------------------------------------------------------------------------'
 *
 * After each event the caller takes actions with ladder_next() until there are none, does them, and
 * comes back with their outcome. One job (resolve, ask, connect) is under way at a time; its number
 * comes back with the outcome, and an outcome with another number is passed over. Beside it one
 * watch may be open. Times are ms of any clock that does not go back. Chance comes from the seed.
 *
 * Strings in the configuration stay the caller's, and live as long as the ladder. */
#ifndef CLIENT_LADDER_H
#define CLIENT_LADDER_H

#include "base/addr.h"
#include "base/rng.h"
#include "client/news.h"
#include "client/shortlist.h"

#define LADDER_ADDRESSES_MAX 16
#define LADDER_ACTIONS_MAX 8
#define LADDER_STABLE_MS 5000 /* a connection that lived so long was a good one */
#define LADDER_WINDOW_MS 1000 /* when the farm says nothing of its retry window */
#define LADDER_WINDOW_MAX_MS 300000

enum ladder_goal {
    LADDER_TO_ROSTER, /* done with a roster */
    LADDER_TO_PICK,   /* done with a choice */
    LADDER_TO_SERVER, /* done with a connection */
    LADDER_TO_STAY    /* never done: keeps a connection, hears the roster, moves */
};

struct ladder_config {
    enum ladder_goal goal;
    const char *service, *group, *zone; /* NULL: the only one, any, any */
    const char *const *exclude;
    size_t exclude_count;
    enum policy policy;
    struct allow allow;
    unsigned retries; /* of a server, before it gets a penalty */
    unsigned rounds;  /* from the name on, before it has failed; 0: without end */
    uint32_t retry_base_ms, retry_max_ms, penalty_ms;
    uint64_t deadline_ms; /* of the first connection; 0: none */
};

enum ladder_act {
    LADDER_RESOLVE, /* the farm's name -> ladder_names() */
    LADDER_ASK,     /* the first server at `to` for its roster -> ladder_roster() */
    LADDER_CONNECT, /* to `server` by its `url` -> ladder_connected() */
    LADDER_CANCEL,  /* the job that is under way */
    LADDER_WATCH,   /* hear the roster: at the server's node, or (at_name) at any first server */
    LADDER_UNWATCH,
    LADDER_UP,      /* the connection is the application's */
    LADDER_MOVED,   /* the same, and the older one is of no more use */
    LADDER_HEARD,   /* another roster */
    LADDER_TROUBLE, /* something failed (error, server if it was one); goes on in wait_ms */
    LADDER_DONE,    /* the goal is reached; ladder->roster, chosen */
    LADDER_FAILED   /* it is not, for good: error */
};

struct ladder_action {
    enum ladder_act act;
    uint32_t job;
    struct addr to;
    const char *server, *url; /* valid until the next event */
    bool at_name;
    int error;
    uint32_t wait_ms;
};

/* A server as it was picked. */
struct ladder_server {
    char name[NAME_MAX_BYTES + 1];
    char url[URL_MAX_BYTES + 16]; /* scheme and authority */
};

enum ladder_state {
    LADDER_IDLE,
    LADDER_WAIT_NAME, /* until at_ms, then resolve */
    LADDER_RESOLVING,
    LADDER_ASKING,
    LADDER_WAIT_SERVER, /* until at_ms, then connect to next */
    LADDER_CONNECTING,
    LADDER_WAIT_MOVE, /* until at_ms, then pick another and connect */
    LADDER_SETTLED,
    LADDER_ENDED
};

struct ladder {
    struct ladder_config config;
    struct rng rng;
    enum ladder_state state;
    uint64_t at_ms;
    char service[NAME_MAX_BYTES + 1]; /* once it is known */
    struct roster *roster;            /* the newest; NULL before the first */
    uint64_t heard_ms;                /* when it came */
    uint32_t window_ms;
    struct penalty penalty;
    struct addr first; /* that gave the roster last; family 0: a watch did */

    struct addr addresses[LADDER_ADDRESSES_MAX];
    size_t address_count, address_at;
    uint32_t job;
    int error; /* the last one */
    unsigned round, strikes;

    bool up;      /* the application has a connection, to `on` */
    bool leaving; /* that server wants to be rid of its clients */
    bool held;    /* the application does not want to be moved now */
    bool asked;   /* the wait is for a move that a node asked for */
    uint64_t up_ms;
    struct ladder_server on, next;
    struct pick_choice chosen; /* points into roster; LADDER_TO_PICK */
    uint64_t chance;           /* that it was chosen with */
    size_t to_count;
    char to[NEWS_TARGETS_MAX][NAME_MAX_BYTES + 1];

    bool watching;
    unsigned watch_failures;
    uint64_t watch_at_ms; /* 0: none to come */

    struct ladder_action actions[LADDER_ACTIONS_MAX];
    size_t action_at, action_count;
};

void ladder_init(struct ladder *l, const struct ladder_config *c, uint64_t seed);
void ladder_deinit(struct ladder *l); /* takes a zeroed one */
void ladder_start(struct ladder *l, uint64_t now_ms);
bool ladder_next(struct ladder *l, struct ladder_action *out);
/* When ladder_tick() is due; UINT64_MAX: not until an event comes. */
uint64_t ladder_due(const struct ladder *l);
void ladder_tick(struct ladder *l, uint64_t now_ms);

/* Outcomes of jobs. */
void ladder_names(struct ladder *l, uint32_t job, int err, const struct addr *list, size_t count,
                  uint64_t now_ms);
/* The roster is the ladder's from here on. window_ms as in struct news. */
void ladder_roster(struct ladder *l, uint32_t job, int err, struct roster *r, uint32_t window_ms,
                   uint64_t now_ms);
void ladder_connected(struct ladder *l, uint32_t job, int err, uint64_t now_ms);

/* What the watch brings; its roster is the ladder's from here on. */
void ladder_news(struct ladder *l, struct news *n, uint64_t now_ms);
void ladder_watch_ended(struct ladder *l, int err, uint64_t now_ms);

/* What the application says: its connection is lost; it is not to be moved now, or may be again. */
void ladder_lost(struct ladder *l, uint64_t now_ms);
void ladder_hold(struct ladder *l, bool hold, uint64_t now_ms);

/* What it wishes at the moment, to judge servers by; points into l. */
struct wish ladder_wish(const struct ladder *l, uint64_t now_ms);

#endif
