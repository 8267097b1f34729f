/* tls_setup.h - the TLS listener's certificates: from the configuration's rules to a door, at the
 * start and again whenever it is asked for. */
#ifndef NODE_TLS_SETUP_H
#define NODE_TLS_SETUP_H

#include "io/tls_door.h"
#include "node/config.h"

struct tls_setup {
    struct tls_counters counters;
    struct tls_door *door;          /* NULL: no TLS is configured */
    struct tls_door *admin;         /* of the admin listener; NULL: it speaks no TLS */
    char admin_ca[TLS_SETTING_MAX]; /* of operators, as at the start; "" = none */
    struct tls_context *relays;     /* to other nodes' https URLs; NULL likewise */
    atomic_uint_fast64_t reloads, reloads_failed;
};

/* Whether the files could be used, for `stead check`. */
bool tls_setup_check(const struct config *c, char error[TLS_ERROR_MAX]);
/* Reads the files. Says on standard error what is wrong: STEAD_E_CONFIG, NOMEM. */
int tls_setup_open(struct tls_setup *s, const struct config *c);
/* Session tickets are those of the whole farm: before the first connection. */
void tls_setup_share(struct tls_setup *s, const uint8_t (*secrets)[TICKET_SECRET_BYTES],
                     size_t count, uint64_t node);
/* Do the listeners' rules? */
bool tls_setup_differs(const struct config *a, const struct config *b);
void tls_setup_close(struct tls_setup *s);
/* Reads them again when any has changed, or when the rules may have (`force`). A bad file keeps
 * what there is; says in the log what was done. Slow: files. Not twice at once. */
void tls_setup_reload(struct tls_setup *s, const struct config *c, bool force);

#endif
