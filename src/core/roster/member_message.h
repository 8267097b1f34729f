/* member_message.h - what membership itself says between nodes, and its bytes; SWIM's messages have
 * their own (swim_message.h), told apart by the first byte. A message is checked whole before
 * anything of it is used. docs/protocol.md, Contact. */
#ifndef CORE_ROSTER_MEMBER_MESSAGE_H
#define CORE_ROSTER_MEMBER_MESSAGE_H

#include "base/wire.h"

enum member_message_type {
    MESSAGE_HEARTBEAT = 1, /* fleeting */
    MESSAGE_LEAVING = 4    /* reliable: the sender has handed over and is gone */
};

/* Stamps are the sender's own clock since its start, from 1; 0 = none. */
struct heartbeat {
    uint64_t stamp;
    uint64_t echo;     /* the greatest stamp got from the receiver; 0 while it is counted out */
    uint64_t saw;      /* the same at all times: it gives no lease */
    uint64_t counted;  /* how often the sender counted the receiver out */
    uint64_t revision; /* of the sender's entry */
};

struct member_message {
    enum member_message_type type;
    struct heartbeat heartbeat;
};

#define HEARTBEAT_BYTES 41u

void member_message_put_heartbeat(const struct heartbeat *h, struct wire_writer *w);
/* False on anything malformed; *out is then undefined. */
bool member_message_decode(const uint8_t *bytes, size_t len, struct member_message *out);

#endif
