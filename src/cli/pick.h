/* pick.h - what the verbs that act as clients have in common: pick, connect, why. */
#ifndef CLI_PICK_H
#define CLI_PICK_H

#include "stead/tls.h"

#include <stdbool.h>

/* Their options, first in each verb's list; values in the same order. */
#define PICK_OPTIONS                                                                               \
    "dns:", "service:", "policy:", "group:", "zone:", "exclude:", "allow:", "token-file:"
enum {
    PICK_DNS,
    PICK_SERVICE,
    PICK_POLICY,
    PICK_GROUP,
    PICK_ZONE,
    PICK_EXCLUDE,
    PICK_ALLOW,
    PICK_TOKEN,
    PICK_OPTION_COUNT
};
#define PICK_HELP                                                                                  \
    "  --dns IP:PORT      the name server to ask (default: the system's resolver)\n"               \
    "  --policy POLICY    two-choices (default), random, weighted, least-users\n"                  \
    "  --group G, --zone Z, --service ID   only servers of these\n"                                \
    "  --exclude NAME     not this server\n"                                                       \
    "  --allow SUFFIX     only servers whose host is under this domain (default: the parent\n"     \
    "                     domain of the URL's host; '*': any)\n"                                   \
    "  --token-file FILE  what a farm wants to see that tells its roster not to everybody\n"       \
    "  --cacert FILE      whom to trust, with https (default: whom the system does)\n"

#define PICK_TOKEN_MAX 256

/* values[] and token must live as long as the options; *tls, NULL unless the URL is https, too:
 * free it then. False after it said what is wrong. */
bool pick_options(const char **values, const char *url, const char *cacert,
                  char token[PICK_TOKEN_MAX + 1], struct stead_options *out,
                  struct stead_tls_client **tls);
/* Says on standard error what failed; returns the exit status. */
int pick_failed(const char *verb, const char *url, int err);

#endif
