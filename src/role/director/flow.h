/* flow.h - the data path of the forwarder: bytes of one connected socket to another, one direction.
 *
 * Small pieces are copied through one buffer of the forwarder. When a sender fills that buffer, the
 * flow goes over to splice(2), when both sides are plain: the pages pass through a pipe and are not
 * copied. A flow holds memory only while the receiver does not take what was read: then a buffer or
 * a pipe, and nothing more is read. Pipes are few and go round; a flow that gets none copies. Who
 * is watched and when a connection ends is forward.h's.
 */
#ifndef ROLE_DIRECTOR_FLOW_H
#define ROLE_DIRECTOR_FLOW_H

#include "io/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_BUFFER_BYTES 65536u
#define FLOW_PIPE_BYTES (256u << 10) /* asked for; the kernel may give less */
#define FLOW_PIPES_MAX 128u          /* of one forwarder, with two descriptors each */

struct flow_pipe {
    int read, write;
};

/* What the flows of one forwarder share. */
struct flow_means {
    unsigned pipes_max, pipes_open, pipes_free;
    bool no_splice; /* the kernel said so */
    struct flow_pipe free[FLOW_PIPES_MAX];
    char buffer[FLOW_BUFFER_BYTES];
};

struct flow {
    struct stream *from, *to; /* the owner's */
    char *pending;            /* read, not taken yet: [off, len); from mem_alloc */
    uint32_t off, len;
    uint32_t piped; /* bytes in the pipe */
    bool eof;       /* `from` has ended its half */
    bool shut;      /* and `to` was told; set before: it is never told */
    bool bulk;      /* the sender fills buffers */
    bool unread;    /* flow_pump() left something, or may have: an edge will not tell */
    bool bounded;   /* at most `left` bytes are read; both sides plain */
    uint64_t left;
    struct flow_pipe pipe; /* with piped > 0 */
    uint64_t bytes;        /* that `to` took */
};

enum flow_end { FLOW_OPEN, FLOW_FROM_BROKE, FLOW_TO_BROKE };

/* pipes_max: at most FLOW_PIPES_MAX. */
void flow_means_init(struct flow_means *m, unsigned pipes_max);
/* Closes the free pipes; no flow may have one. */
void flow_means_deinit(struct flow_means *m);

/* Reads and passes on until nothing more is there, something waits, or others should have their
 * turn. `to` learns of the end when all before it was taken. */
enum flow_end flow_pump(struct flow *w, struct flow_means *m);
/* Passes on what its owner has read, or made, behind what waits; what is not taken is kept. False:
 * `to` broke off, or no memory. */
bool flow_give(struct flow *w, const struct iovec *iov, size_t count);
/* Keeps it for flow_flush(). False: no memory. */
bool flow_hold(struct flow *w, const struct iovec *iov, size_t count);
/* Passes on what waits. False: `to` broke off. */
bool flow_flush(struct flow *w, struct flow_means *m);
/* Does something wait for `to`? Then flow_pump() does nothing. */
bool flow_waits(const struct flow *w);
/* That, or the end that `to` could not be told yet: flow_flush() when it takes something. */
bool flow_wants(const struct flow *w);
/* What waits in a pipe waits in memory then, before what waited there. False: no memory, and all is
 * as it was. */
bool flow_gather(struct flow *w, struct flow_means *m);
/* Gives up what waits. */
void flow_drop(struct flow *w, struct flow_means *m);

#endif
