/* shortlist.h - inside libstead: the servers of a roster that this client may go to, and for each
 * of the others why not. Pure. The roster's nodes have one server each, as roster_parse_json makes
 * them. */
#ifndef CLIENT_SHORTLIST_H
#define CLIENT_SHORTLIST_H

#include "client/allow.h"
#include "client/penalty.h"
#include "core/roster/pick.h"

enum verdict {
    VERDICT_CANDIDATE, /* pick() chooses among these */
    VERDICT_SERVICE,   /* another service */
    VERDICT_GROUP,
    VERDICT_ZONE,
    VERDICT_EXCLUDED,  /* by the caller, or it is the one to be left */
    VERDICT_NOT_NAMED, /* a move names others */
    VERDICT_URL,       /* no URL that may be followed */
    VERDICT_PENALTY,   /* failed lately */
    VERDICT_WEIGHT,    /* weight 0 */
    VERDICT_STATUS,    /* not up */
    VERDICT_FULL,
    VERDICT_SUSPECT /* would be picked if nobody were up */
};

/* "candidate", "another group", ... */
const char *verdict_text(enum verdict v);

struct wish {
    const char *service, *group, *zone; /* group, zone NULL: any */
    const char *const *exclude;
    size_t exclude_count;
    const char *leave;                      /* NULL: none */
    const char (*only)[NAME_MAX_BYTES + 1]; /* of these names; only_count 0: any */
    size_t only_count;
    enum policy policy;
    const struct allow *allow;
    const struct penalty *penalty; /* NULL: none */
    uint64_t now_ms;
};

/* The roster's only service, or NULL: none, or several. */
const char *shortlist_service(const struct roster *r);
enum verdict shortlist_judge(const struct wish *w, const struct roster_node *n);
/* The servers that the choice was made among, and those that it compared in the end. */
struct shortlist_why {
    enum verdict among;
    size_t drawn_count;
    struct pick_choice drawn[2];
};

/* Picks among the candidates; else among suspect ones; else among those with a penalty. The choice
 * points into r. why may be NULL. STEAD_E_NO_SERVER, STEAD_E_NOMEM. */
int shortlist_pick(const struct wish *w, const struct roster *r, uint64_t chance,
                   struct pick_choice *out, struct shortlist_why *why)
    __attribute__((warn_unused_result));

#endif
