/* config_sessions.h - the sections about session state: its kinds, its API, and the doors for
 * clients of other protocols. */
#ifndef NODE_CONFIG_SESSIONS_H
#define NODE_CONFIG_SESSIONS_H

#include "core/session/kind.h"
#include "node/config_lists.h"

/* Only what the file sets overrules the kind's default (core/session/kind.h). */
struct kind_section {
    char like[KIND_NAME_MAX];
    uint32_t copies, ack, short_refuse, when_alone, when_full, deletion, atomic, ttl_ms;
    bool losable, sliding;
    uint64_t size_bytes, memory_bytes;
    struct strings private; /* names of fields, with * for any text */
};

struct sessions_section {
    bool present;
    char listen[CONFIG_TEXT_MAX];
    bool tls;
    char token_file[CONFIG_TEXT_MAX];
    char auth_cookie[CONFIG_TEXT_MAX], auth_login[CONFIG_TEXT_MAX];
    uint64_t memory_bytes;
    uint32_t split_max_ms;
    struct kinds kinds;
    struct strings private[KINDS_MAX]; /* by kind */
};

/* What this node keeps beyond its process. */
struct repository_section {
    bool present;
    struct strings of;          /* nodes and groups; none: all */
    uint32_t engine;            /* index into lmdb|redis */
    char path[CONFIG_TEXT_MAX]; /* "" until config_load: in the state folder */
    uint64_t size_max;
    uint32_t age_max_ms;
    /* Of redis. */
    char address[CONFIG_TEXT_MAX], user[CONFIG_TEXT_MAX], password_file[CONFIG_TEXT_MAX];
    bool tls;
    char ca_file[CONFIG_TEXT_MAX], certificate[CONFIG_TEXT_MAX], key[CONFIG_TEXT_MAX];
    uint32_t start_wait_ms;
    char prefix[NAME_MAX_BYTES + 1]; /* "" until config_load: the node's name */
};

/* A door for clients of another protocol. */
struct cache_section {
    char listen[CONFIG_TEXT_MAX]; /* "" = no such section */
    char kind[NAME_MAX_BYTES + 1];
    struct strings prefixes; /* each PREFIX=KIND */
    char password_file[CONFIG_TEXT_MAX];
    uint32_t idle_ms;
    bool tls;
};

/* A door for stunnel's session cache. */
struct sessiond_section {
    struct addr listen; /* family 0: no such section */
    char kind[NAME_MAX_BYTES + 1];
};

#endif
