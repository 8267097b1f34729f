/* admin_tls.h - a node's admin listener under TLS: https://HOST:PORT. The certificate is verified,
 * for that host, by --cacert or whom the system trusts; --cert and --key say who the operator is.
 */
#ifndef CLI_ADMIN_TLS_H
#define CLI_ADMIN_TLS_H

#include "cli/cli.h"

#include <stdint.h>

#define ADMIN_TLS_WHY_MAX 200

/* Is `where` of that kind? */
bool admin_tls_is(const char *where);
/* Sends the request and reads until the node closes; *out (mem_free) has a NUL behind it. False:
 * why. */
bool admin_tls_ask(const struct cli_options *o, const char *request, size_t max,
                   uint64_t deadline_ms, char **out, size_t *len, char why[ADMIN_TLS_WHY_MAX]);

#endif
