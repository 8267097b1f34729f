/* tickets.h - ticket keys for other programs of this host (nginx, HAProxy, Apache): written to
 * their files, and told to them, whenever a period begins (core/ticket). All nodes of the farm
 * write the same. docs/tickets.md is its manual.
 *
 * On a thread of its own, since programs and files may take their time. What fails is said, and
 * tried again until it is done or another period has begun. */
#ifndef NODE_TICKETS_H
#define NODE_TICKETS_H

#include "node/hook.h"
#include "node/tickets_section.h"

#define TICKETS_LOOK_MS 1000 /* so often, whether a period has begun */
#define TICKETS_RETRY_S 10   /* after a failure */
#define TICKETS_SECRETS_MAX 2
#define TICKETS_COMMAND_MS 30000u
#define TICKETS_SOCKET_MS 5000u
#define TICKETS_ID_MAX (2 * 4 + 1) /* the first bytes of a key's name, in hexadecimal */

struct tickets_counters {
    atomic_uint_fast64_t written, taken_up; /* once for each set and period */
    atomic_uint_fast64_t failed;            /* tries, to write or to tell */
};

/* One set, for people. No key is in it. */
struct tickets_view {
    char name[NAME_MAX_BYTES + 1];
    enum ticket_format format;
    char file[CONFIG_TEXT_MAX];
    char keys[TICKET_KEYS][TICKETS_ID_MAX]; /* the next one, the one that seals, those before */
    bool written, due;                      /* due: the program has not been told yet */
    char why[HOOK_WHY_MAX];                 /* of the last failure; "" = none since */
};

struct tickets;

/* Of the farm's key, by generation: the first seals; of another one, if there is one, the newest
 * keys open, so that programs understand each other while nodes go from one to the next. */
struct tickets_secrets {
    size_t count; /* 1 or 2 */
    uint8_t of[TICKETS_SECRETS_MAX][TICKET_SECRET_BYTES];
};

/* The sections stay the caller's. STEAD_E_NOMEM, STEAD_E_IO. */
int tickets_start(const struct tickets_section *sections, size_t count,
                  const struct tickets_secrets *secrets, struct tickets_counters *counters,
                  struct tickets **out) __attribute__((warn_unused_result));
/* Others, or the same: soon all files are written with them, and the programs told. */
void tickets_renew(struct tickets *t, const struct tickets_secrets *secrets); /* takes NULL */
void tickets_stop(struct tickets *t);                                         /* takes NULL */
/* From any thread: the sets' views; returns how many there are. */
size_t tickets_look(struct tickets *t, struct tickets_view out[TICKETS_SECTIONS_MAX]);
const char *tickets_format_name(enum ticket_format f);

/* What is wrong with a section; false: nothing. */
bool tickets_mistake(const struct tickets_section *s, const char **why);

#endif
