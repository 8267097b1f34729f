/* verify.h - are the copies equal that should be? A shard compares its records with those who keep
 * them too, all the time and slowly, or all at once when it is asked to. */
#ifndef CORE_SESSION_VERIFY_H
#define CORE_SESSION_VERIFY_H

#include "core/session/message.h"
#include "core/session/session.h"

/* Copies that should be equal and differ, as found by comparing (verify.c), and not mended yet. */
struct divergence {
    struct key key;
    uint64_t peer; /* of this node and that incarnation */
};

/* Compares all that is here with all that hold the same, at once and not a little at a time:
 * begin. With `mends` what differs is mended as it is when it is found by the way. Copies up to
 * *count of what was found since. True: it goes on. */
bool session_verify(struct session *s, bool begin, bool mends, struct divergence *out,
                    size_t *count);

/* -- within core/session -- */

#define VERIFY_FOUND_MAX 32

/* verify.c: what is compared with others, and what was found. */
struct verify {
    uint64_t next_ns, cursor;
    bool haste, mends, over;
    size_t open; /* questions under way; open_ns: since the last */
    uint64_t open_ns, sweeps;
    size_t count;
    struct divergence found[VERIFY_FOUND_MAX];
};

void verify_tick(struct session *s);
void verify_begin(struct session *s, bool mends);
void verify_asked(struct session *s, uint64_t from, const struct message *m);
void verify_answered(struct session *s, uint64_t from, const struct message *m);
/* What was found of that key is mended, or void. */
void verify_forget(struct session *s, const struct key *key);

#endif
