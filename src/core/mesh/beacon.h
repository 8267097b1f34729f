/* beacon.h - the part of a mesh that speaks to a multicast group and listens to it. Inside of this
 * folder; what others may ask for is in mesh.h. */
#ifndef CORE_MESH_BEACON_H
#define CORE_MESH_BEACON_H

#include "core/mesh/mesh.h"
#include "core/mesh/unit.h"

#define BEACON_FRAME_MAX (FRAME_OVERHEAD + 3u + MESH_BEACON_MAX)
#define BEACON_GREETED_MAX 64u /* slots of the rate limit for greetings by address */

/* What is said to the group, and whether it is heard. */
struct beacon {
    size_t len;
    uint8_t counts[MESH_BEACON_MAX];
    bool changed, silent;
    uint64_t beat_ns; /* the next one, if nothing changes */
    uint64_t sent_ns;
    uint64_t own_top; /* greatest counter of an own one that came back */
    unsigned unheard; /* beats since anything came from the group */
    struct {
        struct addr addr;
        uint64_t next_ns;
    } greeted[BEACON_GREETED_MAX];
};

/* An own one has come back. */
bool beacon_own(struct mesh *m, const struct frame_header *h, const uint8_t *body, size_t len,
                struct mesh_actions *out);
void beacon_in(struct mesh *m, const struct addr *from, const struct frame_header *h,
               const struct unit *u, struct mesh_actions *out);
/* Sends what is due, and lowers the deadline to when the next one is. */
void beacon_flush(struct mesh *m, uint64_t now_ns, struct mesh_actions *out);

#endif
