/* forward.h - the secondary's data path: byte tunnels between clients and the node's own real
 * servers.
 *
 * A forwarder belongs to one loop (one thread). forward_start() connects to the real server, sends
 * the bytes that were already read from the client (the first request's head and what came after
 * it), and from then on passes bytes both ways for as long as both want. Each side may close its
 * half; a reset of one side becomes a reset of the other, after what was passed before it is
 * delivered.
 *
 * The limit of this release: after the first request the tunnel is not looked into. Later requests
 * on the same connection go to the same real server whatever their Host, and without
 * X-Forwarded-For.
 *
 * Memory: bytes pass through one buffer or a few pipes of the forwarder (flow.h); a tunnel has a
 * buffer or pipe of its own only while the receiving side does not take what was read, and then
 * nothing more is read from the sending side. An idle tunnel has its 300 bytes here, and its two
 * sockets in the kernel.
 */
#ifndef ROLE_DIRECTOR_FORWARD_H
#define ROLE_DIRECTOR_FORWARD_H

#include "base/addr.h"
#include "io/stream.h"

#include <stdatomic.h>
#include <uv.h>

struct forwarder;

struct forward_limits {
    uint32_t tunnels_max; /* at once, of two descriptors each; up to an eighth of it, at most 128,
                             goes to pipes; default 10,000 */
    uint32_t connect_ms;  /* default 3 s */
    uint32_t idle_ms;     /* without a byte either way; default 1 h */
    uint32_t linger_ms;   /* to deliver the last bytes after the other side's reset; default 2 s */
};

struct forward_counters {
    atomic_uint_fast64_t opened, open, refused, resets, timeouts, busy;
    atomic_uint_fast64_t passed; /* to another process */
    atomic_uint_fast64_t failed; /* for want of descriptors or of the kernel's memory */
    atomic_uint_fast64_t up_bytes,
        down_bytes; /* up: client to server; counted when a tunnel ends */
};

enum forward_end {
    FORWARD_CLOSED,  /* both sides have ended */
    FORWARD_REFUSED, /* no connection to the server came about */
    FORWARD_RESET,   /* one side broke off */
    FORWARD_IDLE,
    FORWARD_STOPPED, /* the forwarder was closed */
    FORWARD_PASSED,  /* it goes on in another process */
    FORWARD_ANSWERED /* a bounded answer was passed on; the client may ask again */
};

struct forward_result {
    enum forward_end end;
    struct stream
        client; /* REFUSED, ANSWERED: the client, the receiver's from now on; else empty */
    char
        *bytes; /* REFUSED: all of what was to be forwarded, the receiver's (mem_free); else NULL */
    size_t len;
    uint64_t up, down; /* bytes passed */
};

struct forward_request {
    struct stream client; /* connected, and nobody watches it */
    char *bytes;          /* from mem_alloc */
    size_t len;
    struct addr to;
    /* In line: the client's address, from which the server is connected to (IP_TRANSPARENT: needs
     * CAP_NET_ADMIN), by its own port when that is free. Family 0: none. */
    struct addr from;
    /* Called exactly once, on the loop, never from within forward_start(). */
    void (*ended)(void *context, const struct forward_result *result);
    void *context;
};

struct forwarder_config {
    uv_loop_t *loop;
    struct forward_limits limits;
    struct forward_counters *counters; /* may be shared by several forwarders */
};

void forward_limits_default(struct forward_limits *l);
const char *forward_end_name(enum forward_end e);

int forwarder_open(const struct forwarder_config *c, struct forwarder **out);
/* Takes the client and the bytes. On an error nothing is taken and `ended` is not
 * called: STEAD_E_UNREACHABLE (the server refused at once), BUSY (tunnels_max), NOMEM, IO (no
 * descriptors). */
int forward_start(struct forwarder *f, const struct forward_request *r);
/* Two connections that somebody else made, and nobody watches; with what is to be passed on first
 * (mem_free; NULL: nothing). On an error nothing is taken: STEAD_E_BUSY, NOMEM, IO. */
struct forward_join {
    struct stream client, server;
    char *up, *down;
    size_t up_len, down_len;
    /* As in a request. */
    void (*ended)(void *context, const struct forward_result *result);
    void *context;
};
int forward_join(struct forwarder *f, const struct forward_join *j);
size_t forwarder_tunnels(const struct forwarder *f);

/* One direction of a tunnel between processes. */
struct forward_half {
    char *pending; /* read, and not passed on yet */
    uint32_t len;
    uint64_t bytes; /* passed on so far */
    bool eof, shut; /* the sender has ended its half; and the receiver was told */
    bool bounded;   /* down: an answer of which `left` bytes are still to be read */
    uint64_t left;
};

/* A running tunnel of two plain sockets, on its way from one process to another on the same host;
 * or the rest of an answer to a client that is not read meanwhile: down is bounded and never says
 * an end (shut), up has ended and said so. */
struct forward_share {
    int client, server;
    uint32_t idle_ms; /* since its last byte */
    struct forward_half up, down;
};

/* True: another process has the sockets now. */
typedef bool forward_give(void *context, const struct forward_share *s, void *of);

/* Offers running tunnels, at most `max` of them, the newest first, with their owners' context (of).
 * One that is given ends here (FORWARD_PASSED), and nobody at its ends learns of it; when one is
 * not taken the rest stays, too. Tunnels that are connecting, break off, or have a side under TLS
 * are not offered. */
void forwarder_export(struct forwarder *f, unsigned max, forward_give *give, void *context);
/* The other process's part. Takes the sockets, and what is pending (mem_alloc). On an error nothing
 * is taken: STEAD_E_BUSY, NOMEM, IO. */
int forwarder_import(struct forwarder *f, const struct forward_share *s,
                     void (*ended)(void *context, const struct forward_result *result),
                     void *context);

/* Ends all tunnels; `closed` is called on the loop when nothing is left, then the forwarder is
 * freed. */
void forwarder_close(struct forwarder *f, void (*closed)(void *context), void *context);

#endif
