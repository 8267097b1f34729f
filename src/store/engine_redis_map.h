/* engine_redis_map.h - who has which names in a Redis Cluster: slots (CRC16 of the name or of what
 * stands in its first braces), the map that a node tells, and the redirects with which nodes mend
 * it. https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
#ifndef STORE_ENGINE_REDIS_MAP_H
#define STORE_ENGINE_REDIS_MAP_H

#include "store/engine_redis_answer.h"

#define REDIS_SLOTS 16384
#define REDIS_PRIMARIES_MAX 128
#define REDIS_HOST_MAX 256
#define REDIS_ID_MAX 48 /* of a node or of its process: 40 digits */

struct redis_place {
    char host[REDIS_HOST_MAX]; /* a name or an address without brackets */
    uint16_t port;
};

struct redis_primary {
    struct redis_place place;
    char id[REDIS_ID_MAX]; /* "": learned from a redirect */
    unsigned replicas;
};

struct redis_map {
    size_t count;
    struct redis_primary primaries[REDIS_PRIMARIES_MAX];
    uint8_t owner[REDIS_SLOTS]; /* index + 1; 0: nobody */
};

uint16_t redis_slot(const void *name, size_t len);
bool redis_place_equal(const struct redis_place *a, const struct redis_place *b);
/* "host:port", "[address]:port", and as clusters write it "address:port" with more colons. The host
 * may be empty: the one that was asked. False: it is none. */
bool redis_place_parse(const char *text, size_t len, struct redis_place *out);

enum redis_redirect { REDIS_STAYS, REDIS_MOVED, REDIS_ASK };

/* Of an error's text: "MOVED 3999 127.0.0.1:6381", "ASK ...". STAYS: it is none, or malformed. */
enum redis_redirect redis_redirect_parse(const char *text, size_t len, uint16_t *slot,
                                         struct redis_place *place);

/* The answer to CLUSTER SLOTS or CLUSTER SHARDS; `asked` stands for hosts that it leaves out. With
 * `tls`, of two ports the one for TLS is taken.
 * STEAD_E_PARSE: it is none; FULL: more primaries than REDIS_PRIMARIES_MAX. */
int redis_map_parse(const struct redis_answer *a, const struct redis_place *asked, bool tls,
                    struct redis_map *out);
/* One server has all. */
void redis_map_single(struct redis_map *m, const struct redis_place *place, unsigned replicas);
/* The slot is there by now. STEAD_E_FULL as above. */
int redis_map_move(struct redis_map *m, uint16_t slot, const struct redis_place *to);
/* Every slot has an owner. */
bool redis_map_whole(const struct redis_map *m);
/* A primary of `before` that had slots is none any more in `now`: another took over, perhaps
 * without its last writes. */
bool redis_map_lost(const struct redis_map *before, const struct redis_map *now);

#endif
