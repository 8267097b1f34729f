/* cull.h - ending all records of a kind whose field has a value: all sessions of a user. Every node
 * that keeps records looks through what it owns, and through copies whose owner it does not hear,
 * and ends what it finds as any operation would. Each of its shards says when it is done.
 *
 * What is made or moves from one node to another meanwhile may be missed: who must be sure asks
 * again until nothing was ended. */
#ifndef CORE_SESSION_CULL_H
#define CORE_SESSION_CULL_H

#include "core/session/session.h"

#define CULLS_MAX 8                 /* under way in a shard; another is not begun */
#define CULL_VALUE_MAX 256          /* bytes */
#define CULL_WAIT_NS 30000000000ull /* a node that has not answered by then is not waited for */
#define CULL_SILENT_MAX 16          /* nodes that are named */

struct cull_wish {
    uint8_t kind;
    uint8_t name_len;
    uint16_t value_len;
    uint8_t name[FIELD_NAME_MAX];
    uint8_t value[CULL_VALUE_MAX];
};

/* False when name or value are too long, or there is no name. */
bool cull_wish_set(struct cull_wish *w, uint8_t kind, const void *name, size_t name_len,
                   const void *value, size_t value_len);

/* How it stands: in the shard, and, where others were asked, at their shards. */
struct cull_state {
    bool running;
    uint64_t ended, failed;
    size_t silent_count; /* nodes that have not answered, or not all of their shards */
    uint64_t silent[CULL_SILENT_MAX];
};

/* Begins with what is here; `farm`: and asks all others that are heard, for which one shard of a
 * node is enough. A number for session_cull_state(), which ends one asked for before; 0: too many,
 * or no memory. Step the shard soon. */
uint64_t session_cull(struct session *s, const struct cull_wish *w, bool farm, uint64_t now_ns,
                      struct session_actions *out);
/* False: there is none of that number any more. */
bool session_cull_state(struct session *s, uint64_t number, struct cull_state *out);

/* -- within core/session -- */

struct cull_asked_peer {
    uint64_t inc, shards; /* that have answered */
    bool done;
};

struct cull {
    uint64_t number; /* 0: free */
    struct cull_wish wish;
    uint64_t asker, token; /* asker 0: this node */
    uint64_t cursor, until_ns;
    bool walked, done;
    size_t open; /* ends under way */
    uint64_t ended, failed;
    size_t asked_count;
    struct cull_asked_peer *asked;
};

struct message;
void cull_tick(struct session *s);
void cull_ended(struct session *s, uint64_t number, int status);
void cull_asked(struct session *s, uint64_t from, const struct message *m);
void cull_answered(struct session *s, uint64_t from, const struct message *m);
void cull_free(struct cull *c);

#endif
