/* config.h - a node's configuration, parsed and checked. The file's form is libConfuse's; what may
 * be in it is the table in settings.c. */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include "core/roster/entry.h"
#include "core/roster/pick.h"
#include "node/config_sessions.h"
#include "node/config_tcp.h"
#include "node/tickets_section.h"
#include "node/tls_section.h"
#include "role/director/health.h"
#include "role/director/roster_answer.h"

#include <stdio.h>

struct node_section {
    char name[NAME_MAX_BYTES + 1];
    struct addr address;
    struct addresses join;
    struct addr multicast; /* family 0: none */
    bool bulk;
    struct strings groups;
    struct voters voters;
    char zone[NAME_MAX_BYTES + 1];
    uint32_t join_wait_ms, leave_wait_ms, upgrade_wait_ms, probe_interval_ms;
};

struct check_section {
    uint32_t type; /* enum check_type of role/director/health.h */
    char path[CONFIG_TEXT_MAX];
    uint32_t interval_ms, timeout_ms, rise, fall;
    uint32_t method; /* enum check_method of role/director/health.h */
    char host[CONFIG_TEXT_MAX], status[16], text[CONFIG_TEXT_MAX], ca_file[CONFIG_TEXT_MAX];
    bool verify;
    uint32_t interval_fast_ms, errors_max;
};

struct agent_check_section {
    struct addr address; /* family 0: no such section */
    uint32_t interval_ms, timeout_ms;
    char send[CONFIG_TEXT_MAX]; /* a line's end is added */
};

/* A server without a node beside it. */
struct external_section {
    char name[NAME_MAX_BYTES + 1];
    char service[NAME_MAX_BYTES + 1];
    struct strings urls;
    struct addr address;
    uint32_t weight, capacity;
    char zone[NAME_MAX_BYTES + 1];
    struct strings groups;
    struct check_section check;
};

/* Answers agent checks. */
struct agent_section {
    struct addr listen;
    char service[NAME_MAX_BYTES + 1]; /* "" = by the line that is sent, or the only one */
};

enum client_headers { HEADERS_BOTH, HEADERS_X_FORWARDED, HEADERS_FORWARDED, HEADERS_NONE };

struct server_section {
    char service[NAME_MAX_BYTES + 1];
    struct strings urls;
    struct addr forward;
    uint32_t weight, capacity;
    char backup[NAME_MAX_BYTES + 1];
    struct check_section check;
    uint32_t users_from; /* enum users_from */
    uint32_t users_port; /* 0 = not said */
    struct addr users_address;
    uint32_t users_interval_ms, users_max_age_ms, slow_start_ms;
    struct agent_check_section agent_check;
    struct server_tcp tcp;
    uint32_t connect_ms, answer_ms, stream_ms, keep_connections, keep_ms;
    uint32_t client_headers; /* enum client_headers */
    uint32_t traceparent;    /* 1: make */
    bool gone; /* it was removed while the node runs: its place is kept for who is still there */
};

enum name_answers { ANSWER_SERVERS, ANSWER_DIRECTORS, ANSWER_BOTH };

struct service_section {
    char id[NAME_MAX_BYTES + 1];
    char name[CONFIG_TEXT_MAX];
    char url[CONFIG_TEXT_MAX];
    uint32_t policy;       /* enum policy */
    uint32_t mode;         /* 1: tunnel */
    uint32_t name_answers; /* enum name_answers */
    char name_group[NAME_MAX_BYTES + 1];
    bool rebalance;
    uint32_t rebalance_threshold; /* percent */
    uint32_t redirect;            /* index into 302, 303, 307, 308 */
    bool answer_json, early_data;
    char affinity[CONFIG_TEXT_MAX], affinity_domain[CONFIG_TEXT_MAX];
    uint32_t affinity_life_ms;
    struct strings handoff; /* names of cookies */
    uint32_t failback;      /* enum failback */
    bool between;
    struct strings forward_when, https_paths, http_paths;
    struct strings warm; /* each COOKIE=KIND[:PREFIX] */
};

enum exposure { EXPOSURE_AUTO, EXPOSURE_OPEN, EXPOSURE_COARSE, EXPOSURE_AUTHENTICATED };

struct public_section {
    struct addr listen;     /* family 0: no such section */
    struct addr listen_tls; /* family 0: none */
    uint32_t exposure;      /* enum exposure; after config_load never AUTO */
    char token_file[CONFIG_TEXT_MAX];
    char cors[CONFIG_TEXT_MAX];
    struct networks inside, proxies;
    struct addresses outside; /* at most ENTRY_ADDRESSES_MAX */
    uint32_t unknown_host;    /* index into 421, 404 */
    bool http2;
    uint32_t http2_streams, http2_resets;
    uint32_t watchers;
    uint32_t retry_min_ms, retry_max_ms, retry_joins, reserve_ms;
    uint32_t head_ms, body_ms, idle_ms;
};

struct dns_site {
    char zone[NAME_MAX_BYTES + 1];
    struct networks clients;
};

struct dns_section {
    struct addresses listen; /* none: no such section */
    uint32_t ttl_s;
    char zone[CONFIG_TEXT_MAX]; /* "" = the parent domain of each service's name */
    struct strings servers;
    char records[CONFIG_TEXT_MAX];
    uint32_t addresses;
    uint32_t order;     /* enum name_order */
    uint32_t when_none; /* enum name_nobody */
    bool client_subnet, cookies;
    uint32_t rate_limit, rate_slip;
    struct networks rate_exempt; /* none: loopback */
    size_t site_count;
    struct dns_site sites[NAME_SITES_MAX];
};

struct admin_section {
    struct addr listen; /* family 0: unix socket only */
    bool tls;
    char client_ca[TLS_SETTING_MAX]; /* of operators; with tls. "" = nobody gives orders there */
    char socket[CONFIG_TEXT_MAX];
};

/* The settings outside of sections. */
struct top_section {
    char farm[NAME_MAX_BYTES + 1];
    char key_file[CONFIG_TEXT_MAX];
    char state[CONFIG_TEXT_MAX];
    uint32_t log_level; /* enum log_level */
    uint32_t workers;
    bool core_dumps;
    char user[NAME_MAX_BYTES + 1];
};

struct config {
    char path[CONFIG_PATH_MAX]; /* of the file */
    struct top_section top;
    struct node_section node;
    size_t server_count;
    struct server_section servers[ENTRY_SERVERS_MAX];
    struct sessions_section sessions;
    struct repository_section repository;
    struct cache_section memcached, redis;
    struct sessiond_section sessiond;
    struct public_section public;
    struct tls_section tls;
    size_t tickets_count;
    struct tickets_section tickets[TICKETS_SECTIONS_MAX];
    struct dns_section dns;
    struct admin_section admin;
    size_t agent_count;
    struct agent_section agents[ENTRY_SERVERS_MAX];
    size_t external_count;
    struct external_section externals[EXTERNALS_MAX];
    size_t tcp_count;
    struct tcp_section tcp[TCP_SECTIONS_MAX];
    struct inline_section in_line;
    size_t service_count;
    struct service_section services[CONFIG_SERVICES_MAX];
};

/* Reads and checks a file. STEAD_E_CONFIG: every mistake was written to `errors`, one line each as
 * FILE:LINE: what, and the nearest valid name. */
int config_load(const char *path, struct config *out, FILE *errors);
/* The rules of a kind as the settings of sessions.kind; COUNT_WORD: of one that is a number or a
 * word, the i-th of those. config_place.c */
#define COUNT_WORD(i) (UINT32_MAX - (i))
void config_kind_rules(const struct sessions_section *s, size_t index, struct kind_section *out);

#endif
