/* news.h - inside libstead: what a node tells of the roster (docs/roster-api.md): the whole of it,
 * changes, and the wish that this client move. Pure. */
#ifndef CLIENT_NEWS_H
#define CLIENT_NEWS_H

#include "core/roster/roster.h"

#define NEWS_TARGETS_MAX 16
#define NEWS_WINDOW_UNKNOWN UINT32_MAX

enum news_kind { NEWS_NOTHING, NEWS_ROSTER, NEWS_MOVE };

struct news {
    enum news_kind kind;
    struct roster *roster; /* NEWS_ROSTER: the new one, the caller's */
    uint32_t window_ms;    /* retry_window_ms, or NEWS_WINDOW_UNKNOWN */
    uint32_t within_ms;    /* NEWS_MOVE, and the rest */
    char service[NAME_MAX_BYTES + 1];
    size_t to_count; /* more than NEWS_TARGETS_MAX: the first ones */
    char to[NEWS_TARGETS_MAX][NAME_MAX_BYTES + 1];
};

/* A whole roster. Errors of roster_parse_json(). */
int news_whole(const char *json, size_t len, struct news *out);
/* An event; old is the roster that a change changes, NULL if there is none. Events of unknown names
 * are NEWS_NOTHING. STEAD_E_PARSE (a change without a roster too), TOO_LARGE, NOMEM. */
int news_event(const char *event, const char *json, size_t len, struct roster *old,
               struct news *out);

#endif
