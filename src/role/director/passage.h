/* passage.h - a running tunnel that passes from one process to its successor on the same host, with
 * what its owner knows of it: as a message, and as descriptors beside it.
 *
 * Bytes that were read and not passed on yet lie in a file without a name (memfd), those of the
 * client first, as they may be more than a packet takes. */
#ifndef ROLE_DIRECTOR_PASSAGE_H
#define ROLE_DIRECTOR_PASSAGE_H

#include "base/wire.h"
#include "core/roster/entry.h"
#include "role/director/forward.h"

/* Pending, each way: what one read, or one pipe, may hold, and a request's head with it. */
#define PASSAGE_PENDING_MAX (1u << 20)
#define PASSAGE_BYTES_MAX 256u /* of a message */

enum passage_descriptor { PASSAGE_CLIENT, PASSAGE_SERVER, PASSAGE_PENDING, PASSAGE_DESCRIPTORS };

struct passage {
    struct forward_share tunnel;
    struct addr peer;                 /* the client */
    char service[NAME_MAX_BYTES + 1]; /* that it is of; "": of no own server here */
    /* Of a service that is not HTTP. */
    bool counted;                 /* as a user of the own server */
    char led[NAME_MAX_BYTES + 1]; /* the node it was led to instead; "": to none */
    uint64_t key;
};

/* True: another process has its sockets now. */
typedef bool passage_give(void *context, const struct passage *p);

/* Without descriptors and pending bytes. */
void passage_encode(const struct passage *p, struct wire_writer *w);
/* False: malformed. Reads to the end of r. */
bool passage_decode(struct wire_reader *r, struct passage *out);
/* Does something wait in it, either way? Then there is a third descriptor. */
bool passage_waits(const struct passage *p);
/* Writes what waits to *fd; -1 when nothing does. STEAD_E_IO. */
int passage_save(const struct passage *p, int *fd);
/* Reads it (mem_alloc), as much as the message says. STEAD_E_PARSE: less is there; NOMEM; then
 * nothing is kept. */
int passage_load(struct passage *p, int fd);
void passage_drop(struct passage *p); /* what was loaded */

#endif
