/* tcp_setup.h - listeners for services that are not HTTP, and the one in line, from the
 * configuration: the same tables for all workers. A section server with `listen` of its own makes a
 * listener that no section tcp needs to name. */
#ifndef NODE_TCP_SETUP_H
#define NODE_TCP_SETUP_H

#include "node/config.h"
#include "role/director/tcp.h"

/* Sections, own servers, and the in-line one for each address family. */
#define TCP_LISTENERS_MAX (TCP_SECTIONS_MAX + ENTRY_SERVERS_MAX + 2)

struct tcp_listener {
    struct addr at;
    const char *what; /* for people */
    bool transparent;
    uint32_t idle_ms;
    const struct networks *proxies;
    size_t service_count;
    struct tcp_service services[TCP_SERVICES_MAX];
};

struct tcp_setup {
    size_t takeover_count;
    struct takeover_server takeovers[ENTRY_SERVERS_MAX];
    struct takeover_mark marks[ENTRY_SERVERS_MAX];
    size_t count;
    struct tcp_listener listeners[TCP_LISTENERS_MAX];
};

/* c is checked, and stays. */
void tcp_setup(struct tcp_setup *s, const struct config *c);
/* NULL, or what is wrong with all that concerns TCP; *section and *index say in which section. */
const char *tcp_setup_mistake(const struct config *c, const char **section, size_t *index);
/* NULL, or what is wrong with a tcp service's affinity. */
const char *tcp_setup_service_mistake(const struct service_section *s);

#endif
