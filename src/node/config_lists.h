/* config_lists.h - values of settings that are lists. */
#ifndef NODE_CONFIG_LISTS_H
#define NODE_CONFIG_LISTS_H

#include "base/prefix.h"
#include "core/session/view.h"
#include "role/name/name.h"

#define CONFIG_TEXT_MAX 256
#define CONFIG_STRINGS_MAX 4
#define CONFIG_PATH_MAX 4096
#define CONFIG_JOIN_MAX 64
#define CONFIG_SERVICES_MAX 16
#define EXTERNALS_MAX 32
#define CONFIG_NETWORKS_MAX NAME_PREFIXES_MAX

struct strings {
    size_t count;
    char text[CONFIG_STRINGS_MAX][CONFIG_TEXT_MAX];
};

/* As struct strings, and longer: the table of settings knows its size. */
struct voters {
    size_t count;
    char text[QUORUM_VOTERS_MAX][CONFIG_TEXT_MAX];
};

struct addresses {
    size_t count;
    struct addr addr[CONFIG_JOIN_MAX];
};

struct networks {
    size_t count;
    struct prefix network[CONFIG_NETWORKS_MAX];
};

#endif
