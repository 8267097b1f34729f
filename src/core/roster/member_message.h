/* member_message.h - what roster messages say, and their bytes. One decoder a message; a message is
 * checked whole before anything of it is used. docs/protocol.md, Contact. */
#ifndef CORE_ROSTER_MEMBER_MESSAGE_H
#define CORE_ROSTER_MEMBER_MESSAGE_H

#include "core/roster/entry.h"

enum member_message_type {
    MESSAGE_HEARTBEAT = 1, /* fleeting */
    MESSAGE_ENTRY = 2,     /* reliable: an entry too large for a heartbeat */
    MESSAGE_LIST = 3,      /* reliable: a page of all that the sender knows */
    MESSAGE_LEAVING = 4    /* reliable: the sender has handed over and is gone */
};

/* Stamps are the sender's own clock since its start, from 1; 0 = none. */
struct heartbeat {
    uint64_t stamp;
    uint64_t echo;      /* the greatest stamp got from the receiver; 0 while it is counted out */
    uint64_t counted;   /* how often the sender counted the receiver out */
    uint64_t revision;  /* of the sender's entry */
    uint64_t confirmed; /* revision of the receiver's entry that the sender has */
    bool has_entry;
    struct entry entry; /* the sender's, when has_entry */
};

/* A node as the sender of a list sees it. */
struct list_record {
    enum status status; /* JOINING, UP, DRAINING, DOWN, LEFT */
    uint32_t age_ms;    /* for how long it has been down or left */
    struct addr addr;
    struct entry entry;
};

struct member_message {
    enum member_message_type type;
    struct heartbeat heartbeat;
    struct entry entry;         /* of MESSAGE_ENTRY */
    bool last;                  /* LIST: the last page */
    uint16_t count;             /* LIST: records in this page */
    struct wire_reader records; /* LIST: take them with member_message_get_record; they are valid */
};

#define HEARTBEAT_ENTRY_MAX 960 /* so that a heartbeat fits the smallest frame */
#define LIST_PAGE_BYTES 32768u
#define LIST_HEAD_BYTES 4u

/* entry: the sender's encoded entry, or NULL. */
void member_message_put_heartbeat(const struct heartbeat *h, const uint8_t *entry, size_t len,
                                  struct wire_writer *w);
/* False when the record does not fit: the writer is then as before, and the page is full. */
bool member_message_put_record(const struct list_record *r, struct wire_writer *w);
bool member_message_get_record(struct wire_reader *r, struct list_record *out);
/* Starts a page; member_message_list_finish writes its count and whether it is the last one. */
void member_message_list_start(struct wire_writer *w);
void member_message_list_finish(struct wire_writer *w, uint16_t count, bool last);

/* False on anything malformed; *out is then undefined. A list points into bytes. */
bool member_message_decode(const uint8_t *bytes, size_t len, struct member_message *out);

#endif
