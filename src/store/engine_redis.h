/* engine_redis.h - a repository's records in Redis or Valkey, single or Cluster: an engine that its
 * users already run, for farms that outgrow one file.
 *
 * Names are stead:PREFIX:NAME, the name in base64; what is in a record is sealed before it comes
 * here. One process at a time writes under a prefix: it holds stead:PREFIX:lock, which goes 5 s
 * after its holder's end. That is advice, no fence: a process that was stopped for longer may write
 * once more.
 *
 * What put() promises: each change by itself is with its primary, and with one replica of it if
 * there is one (WAIT; counted as unsure when none says so in time). Whether it is on a disk is
 * Redis' own setting. When a primary is replaced, emptied, or comes back as another process, what
 * it had taken may be gone: the next call says STEAD_E_IO, and everything is to be put again.
 *
 * Errors beyond those of engine.h: DENIED (the password), IN_USE (another repository writes under
 * this prefix), FULL (maxmemory), IO for all that may pass. stats->why has the words.
 */
#ifndef STORE_ENGINE_REDIS_H
#define STORE_ENGINE_REDIS_H

#include "store/engine_redis_map.h"

#define REDIS_SEEDS_MAX 16
#define REDIS_PREFIX_MAX 32

/* Lives with the opener, over many engines; only the calling thread touches it. */
struct engine_redis_stats {
    uint64_t connections;                        /* made */
    uint64_t redirects;                          /* MOVED and ASK followed */
    uint64_t maps;                               /* times that the cluster's map was read */
    uint64_t lost;                               /* a primary was replaced or began anew */
    uint64_t unsure;                             /* batches that no replica has confirmed in time */
    struct redis_place learned[REDIS_SEEDS_MAX]; /* of a Cluster: asked when no address answers */
    size_t learned_count;
    char token[24]; /* of the lock: made by the first open, kept for the next ones */
    char why[96];   /* of the last error, as the server said it: not to be trusted */
};

struct engine_redis_config {
    const char *addresses;       /* "host:port, host:port": asked first, up to REDIS_SEEDS_MAX */
    const char *prefix;          /* letters and digits; copied */
    const char *user, *password; /* NULL: none; copied, and wiped at the end */
    bool tls;                    /* of servers that are who they say: */
    const char *ca_file, *certificate,
        *key; /* NULL, "": what the system trusts; nothing is shown */
    struct engine_redis_stats *stats;
};

/* INVAL: an address or the prefix is none. Waits for servers, at most some seconds for each, and
 * for the lock of a process that has ended. */
int engine_redis_open(const struct engine_redis_config *c, struct engine **out);
/* For settings: is it as `addresses` is to be? */
bool engine_redis_addresses(const char *text);

#endif
