/* upgrade_wire.h - what a process and its successor say to each other over their socket (unix,
 * SOCK_SEQPACKET): one message a packet, the type first, integers big-endian. */
#ifndef NODE_UPGRADE_WIRE_H
#define NODE_UPGRADE_WIRE_H

#include "core/roster/entry.h"

#include <sys/types.h>

#define UPGRADE_VERSION 3
#define UPGRADE_MESSAGE_MAX (ENTRY_BYTES_MAX + 64)
#define UPGRADE_FDS_MAX 3 /* descriptors of one packet */

enum upgrade_type {
    UPGRADE_HELLO = 1,  /* elder, before it starts the other: who it is */
    UPGRADE_BORN,       /* successor: its incarnation */
    UPGRADE_READY,      /* successor: it is synced, and could be up */
    UPGRADE_GO,         /* elder: be so */
    UPGRADE_TAKEN,      /* successor: it serves */
    UPGRADE_CONNECTION, /* elder: worker_hand.h, with its descriptors */
    UPGRADE_LEFT        /* elder: it has handed its records over, and left the farm */
};

struct upgrade_hello {
    bool draining;
    uint64_t rules;     /* of the kernel that it has set: inline_rules_mark(); 0: none */
    struct entry entry; /* the elder's */
};

struct upgrade_message {
    enum upgrade_type type;
    uint64_t inc;               /* BORN */
    struct upgrade_hello hello; /* HELLO */
    struct wire_reader rest;    /* CONNECTION: points into the packet */
};

void upgrade_encode_hello(const struct upgrade_hello *h, struct wire_writer *w);
void upgrade_encode_born(uint64_t inc, struct wire_writer *w);
/* False: malformed, or of another version. */
bool upgrade_decode(const void *bytes, size_t len, struct upgrade_message *out);

struct upgrade_fds {
    unsigned count;
    int fd[UPGRADE_FDS_MAX];
};

void upgrade_fds_close(struct upgrade_fds *f);

/* Sends a packet, with descriptors (NULL: none), which stay the caller's as well. Any thread.
 * False: it cannot be sent now, or nobody is there. */
bool upgrade_send(int to, const void *bytes, size_t len, const struct upgrade_fds *fds);
/* The length; 0 nobody is there any more; -1 nothing for now. The descriptors are the caller's;
 * there are none when some of them could not be received. */
ssize_t upgrade_receive(int from, void *bytes, size_t max, struct upgrade_fds *fds);

#endif
