/* sim_net.h - the network between addresses. Each ordered pair of slots is a link with its own
 * delay, loss and faults. Frames arrive as SIM_EV_FRAME; nothing is delivered to an address where
 * no process runs. */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "base/addr.h"
#include "sim.h"

struct sim_link {
    uint32_t delay_min_us, delay_max_us;
    uint32_t loss, duplicate; /* of 1000 */
    uint32_t burst_loss;      /* of 1000, while a fault lasts */
    uint32_t burst_delay_us;
    unsigned blocked;   /* faults that block it now */
    uint32_t eat_above; /* frames longer than this vanish; 0 = none */
};

/* A sent frame; copies of it on the way share it. */
struct sim_frame {
    unsigned refs;
    unsigned from;        /* slot */
    uint64_t accepted_by; /* the incarnation that took it in, 0 = none yet */
    size_t len;
    uint8_t bytes[];
};

#define SIM_OLD_FRAMES 64

struct sim_net {
    struct rng rng;
    struct sim_link links[SIM_SLOTS][SIM_SLOTS];
    struct sim_frame *old[SIM_OLD_FRAMES]; /* an attacker's store, replayed now and then */
    unsigned old_to[SIM_OLD_FRAMES];
    unsigned deaf[SIM_SLOTS],
        mute[SIM_SLOTS];  /* faults: the group is not heard, or does not hear */
    unsigned shared_loss; /* of 1000: a frame to the group that nobody gets */
    unsigned spike;       /* of 1000: frames with ten times the delay, which reorders */
    unsigned replay;      /* of 100,000 */
};

struct sim_net *sim_net_new(struct sim *s);
void sim_net_free(struct sim_net *n);

struct addr sim_net_addr(unsigned slot);
struct addr sim_net_group(void);
/* A node sends; delay_ns is the time its step took. */
void sim_net_send(struct sim *s, unsigned from, const struct addr *to, const uint8_t *bytes,
                  size_t len, uint64_t delay_ns);
void sim_frame_unref(struct sim_frame *f);
/* No fault of a link is on. */
bool sim_net_whole(const struct sim *s);
void sim_net_mend(struct sim *s);

#endif
