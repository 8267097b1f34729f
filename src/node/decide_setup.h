/* decide_setup.h - what the director decides by, from the configuration and the farm's key: the
 * same tables for all workers. */
#ifndef NODE_DECIDE_SETUP_H
#define NODE_DECIDE_SETUP_H

#include "node/config.h"
#include "role/director/decide.h"

#define DECIDE_OLDER_MAX 2 /* keys of generations that are accepted beside the active one */

struct decide_setup {
    struct decide_config config, secure; /* of the plain listener, and of the TLS one */
    struct decide_service services[CONFIG_SERVICES_MAX];
    struct decide_server servers[ENTRY_SERVERS_MAX];
    struct visit_rule visits[CONFIG_SERVICES_MAX];
    const char *handoffs[CONFIG_SERVICES_MAX][HANDOFF_COOKIES_MAX];
    struct match_rule forwards[CONFIG_SERVICES_MAX][CONFIG_STRINGS_MAX];
    struct warm_rule warms[CONFIG_SERVICES_MAX][CONFIG_STRINGS_MAX];
    struct slice https_paths[CONFIG_SERVICES_MAX][CONFIG_STRINGS_MAX];
    struct slice http_paths[CONFIG_SERVICES_MAX][CONFIG_STRINGS_MAX];
    uint8_t secret[TOKEN_KEY_BYTES];
    uint8_t older[DECIDE_OLDER_MAX][TOKEN_KEY_BYTES];
    struct buzhash keys;
};

/* token_key and visit_key are derived from the farm's key, so that all nodes agree. c stays. */
void decide_setup(struct decide_setup *s, const struct config *c,
                  const uint8_t token_key[TOKEN_KEY_BYTES], const uint8_t visit_key[32]);
/* Keys of other generations: what was sealed with them is opened too. */
void decide_setup_older(struct decide_setup *s, const uint8_t (*keys)[TOKEN_KEY_BYTES],
                        size_t count);
/* NULL, or what is wrong with a service's rules. */
const char *decide_setup_mistake(const struct service_section *s, const struct kinds *kinds);
/* Does any service hand clients over? */
bool decide_setup_hands_over(const struct config *c);

#endif
