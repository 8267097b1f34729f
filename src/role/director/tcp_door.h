/* tcp_door.h - a TCP listener whose connections are looked at before they go on: who the client is,
 * when a trusted proxy tells it (core/tcp/proxy_protocol.h), and which name a TLS client asks for
 * (core/tcp/client_hello.h). What is to come of a connection is for `arrived` to say.
 *
 * A door that asks for neither gives connections on as they come. One that has proxies takes
 * connections from these only, each with a header: an optional header could be forged. One loop.
 */
#ifndef ROLE_DIRECTOR_TCP_DOOR_H
#define ROLE_DIRECTOR_TCP_DOOR_H

#include "base/prefix.h"
#include "core/tcp/client_hello.h"

#include <stdatomic.h>
#include <uv.h>

/* For a header and a hello. The rest of a slow or long start is not waited for. */
#define TCP_DOOR_BYTES_MAX (CLIENT_HELLO_MAX + 1024u)

struct tcp_door;

struct tcp_door_counters {
    atomic_uint_fast64_t accepted;
    atomic_uint_fast64_t waiting;   /* for their header or hello, now */
    atomic_uint_fast64_t full;      /* closed: connections_max wait already, or no memory */
    atomic_uint_fast64_t starved;   /* times that no descriptor was left to accept with */
    atomic_uint_fast64_t untrusted; /* closed: not from a proxy's network */
    atomic_uint_fast64_t malformed; /* closed: no header, or none that can be read */
    atomic_uint_fast64_t proxied;   /* came with a header */
    atomic_uint_fast64_t slow;      /* closed: their header or hello did not come in time */
};

struct tcp_arrival {
    int fd;      /* the receiver's */
    char *bytes; /* read already, of a hello; the receiver's (mem_free); NULL: none */
    size_t len;
    struct addr client; /* as the header says, or the peer */
    struct addr at;     /* where the client came to: as the header says, or this end's address */
    struct addr peer;   /* who connected */
    const char *name;   /* of the hello; NULL: none was asked for; "": it had none, or was none */
};

struct tcp_door_config {
    uv_loop_t *loop;
    int fd;             /* listening; the door's once it is open */
    const char *what;   /* for the log */
    bool hello;         /* wait for a TLS client's hello */
    size_t proxy_count; /* 0: nobody tells of others */
    const struct prefix *proxies;
    /* NULL, or: must a connection of this peer begin with a header, though it is no proxy's? */
    bool (*expects)(void *context, const struct addr *peer);
    uint32_t wait_ms;         /* for header and hello; 0 = 5 s */
    uint32_t connections_max; /* that wait at once */
    struct tcp_door_counters *counters;
    void (*arrived)(void *context, const struct tcp_arrival *a);
    void *context;
};

/* STEAD_E_NOMEM, IO: then the descriptor is still the caller's. */
int tcp_door_open(const struct tcp_door_config *c, struct tcp_door **out);
/* No more, for another process accepts on the same socket; until it is taken back. */
void tcp_door_retire(struct tcp_door *d, bool retired);
void tcp_door_stop_accepting(struct tcp_door *d);
/* `closed` is called on the loop when nothing is left, then the door is freed. */
void tcp_door_close(struct tcp_door *d, void (*closed)(void *context), void *context);

#endif
