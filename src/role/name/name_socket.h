/* name_socket.h - inside role/name: a name server's transports. TCP is on the worker's loop. Each
 * UDP socket has a thread of its own that sleeps in recvmmsg(): in an event loop, the kernel would
 * tell the loop of every datagram, which costs more than all that is done here; and nobody's query
 * waits for what else the worker does. */
#ifndef ROLE_NAME_SOCKET_H
#define ROLE_NAME_SOCKET_H

#include "base/list.h"
#include "role/name/name_answer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#define NAME_UDP_BATCH 64
#define NAME_UDP_BYTES                                                                             \
    1600 /* of a message's buffer: a longer query is dropped; an odd number of cache lines, so     \
            that messages do not crowd a few sets of the cache */
#define NAME_CONTROL_BYTES 64 /* the address that a datagram came to */

/* What one thread answers with. */
struct name_face {
    const struct name_config *config;
    struct name_book *book;
    struct name_stats *stats;
    struct name_view *view; /* NULL before there is a roster */
    uint64_t looked_ms;     /* at the book; 0 = never */
    uint64_t chance;
};

void name_face_init(struct name_face *f, const struct name_config *config, struct name_book *book,
                    struct name_stats *stats);
void name_face_deinit(struct name_face *f);
/* The view at hand, not older than NAME_LOOK_MS; NULL before there is one. */
const struct name_view *name_face_view(struct name_face *f, uint64_t now_ms);

/* Datagrams of one system call; each is answered in its own buffer. */
struct name_batch {
    struct mmsghdr messages[NAME_UDP_BATCH];
    struct iovec vectors[NAME_UDP_BATCH];
    struct sockaddr_in6 peers[NAME_UDP_BATCH]; /* or sockaddr_in */
    _Alignas(size_t) uint8_t control[NAME_UDP_BATCH][NAME_CONTROL_BYTES];
    _Alignas(64) uint8_t bytes[NAME_UDP_BATCH][NAME_UDP_BYTES];
};

struct name_udp {
    pthread_t thread;
    bool running, wildcard; /* wildcard: an answer must say from which address it leaves */
    atomic_bool stop;
    int fd;
    struct name_face face;
    struct dns_limit limit;
    struct name_batch batch;
};

struct name_tcp {
    uv_tcp_t listener;
    struct name *name;
    bool open;
};

struct name {
    uv_loop_t *loop;
    unsigned handles; /* not closed yet */
    bool closing;
    void (*closed)(void *context);
    void *context;
    struct name_udp *udp[NAME_LISTENERS_MAX]; /* NULL = none */
    struct name_tcp tcp[NAME_LISTENERS_MAX];
    size_t listeners;
    struct name_face face; /* of the loop, for TCP */
    uv_timer_t sweep;
    bool sweep_open, waiting; /* waiting: a connection that there was no memory for */
    struct list connections;  /* the one that has been idle longest is first */
    size_t connection_count;
    uint8_t stream[2 + DNS_TCP_MAX]; /* a query by TCP and its answer */
};

/* Takes the descriptor, and closes it when it fails. */
int name_udp_open(struct name_udp **out, int fd, const struct name_face *like,
                  struct name_stats *stats);
void name_udp_close(struct name_udp *u); /* waits for the thread; takes NULL */
/* Takes the descriptor, and closes it when it fails or later. */
int name_tcp_open(struct name *n, struct name_tcp *t, int fd);
void name_tcp_close(struct name *n);
/* A handle of the name server or of a connection is gone; frees the name server with the last one.
 */
void name_handle_closed(struct name *n);

#endif
