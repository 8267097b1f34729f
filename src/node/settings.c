/* The table of settings, and how the text of each type is parsed. What is done with the values is
 * not here. */
#include "node/settings.h"

#include "core/record/record.h"
#include "node/config.h"

#include <string.h>

#define ROW(section_, name_, type_, fallback_, min_, max_, choices_, struct_, member_, help_)      \
    {                                                                                              \
        .section = section_, .name = name_, .type = type_, .fallback = fallback_, .min = min_,     \
        .max = max_, .choices = choices_, .offset = offsetof(struct struct_, member_),             \
        .size = sizeof(((struct struct_ *)0)->member_), .help = help_                              \
    }

#define DAY_MS (24ull * 3600 * 1000)
#define GIB (1ull << 30)

const struct section sections[] = {
    {"", NULL, false, "Outside of any section."},
    {"node", "the node's name", false, "This node among the others. Required."},
    {"server", "the service it serves", true,
     "A real server beside this node. The secondary virtual server stands on the address and port "
     "of its URLs."},
    {"server.check", NULL, false, "How the real server's health is checked."},
    {"server.agent-check", NULL, false,
     "An agent beside the real server that is asked for its state, weight and users, in the text "
     "of "
     "HAProxy's agent-check."},
    {"agent", NULL, true,
     "Answers HAProxy's agent-check with the state of an own server, so that a HAProxy follows the "
     "farm."},
    {"external", "the server's name", true,
     "A server that has no node beside it: the primary redirects to it, and requests for its URLs "
     "are forwarded by whoever gets them. The same text on every node."},
    {"sessions", NULL, false, "The session store. Without this section the node keeps no records."},
    {"sessions.kind", "the kind", true,
     "Rules of one kind of session state: tls, auth, purchase, tcp, stream, app, or one of the "
     "farm's own (like). The same kinds in the same order on every node; new ones come last."},
    {"repository", NULL, false,
     "This node holds a copy of every record of the farm, or of some nodes, and keeps it on disk: "
     "docs/repository.md."},
    {"memcached", NULL, false,
     "A door for memcached's clients: session handlers that know nothing else share their state."},
    {"redis", NULL, false, "A door for clients of Redis and Valkey, likewise."},
    {"sessiond", NULL, false,
     "A door for stunnel (its option sessiond), whose TLS sessions any server's stunnel then "
     "resumes: docs/tickets.md."},
    {"tcp", "the listener's name", true,
     "A listener for services that are not HTTP (their URLs are tcp://NAME:PORT): docs/tcp.md."},
    {"inline", NULL, false,
     "This node stands in line before its servers, which keep their own addresses: "
     "docs/inline.md."},
    {"public", NULL, false, "The public HTTP listener: primary, secondary and roster."},
    {"tls", NULL, false, "What the TLS listener shows and demands: docs/tls.md."},
    {"tls.certificate", "a name for it", true,
     "A certificate. It serves the DNS names in it; clients that name none of them get the first. "
     "SIGHUP and `stead reload` read changed files again; no connection is lost."},
    {"tickets", "the set of keys", true,
     "Keys of TLS tickets for a program of this host, the same on every node with a section of "
     "that format and title, others every four hours: docs/tickets.md."},
    {"dns", NULL, false, "The name server of the farm's zone: docs/dns.md."},
    {"dns.site", "the zone of nodes", true,
     "Clients who are told servers of that zone (node: zone), as long as any of them is up."},
    {"admin", NULL, false, "Status, metrics and commands."},
    {"service", "the service's id", true,
     "What clients ask for. The same text on every node of the farm: keep it in one included "
     "file."},
};
const size_t sections_count = sizeof(sections) / sizeof(sections[0]);

const struct setting settings[] = {
    ROW("", "farm", SETTING_NAME, NULL, 0, 0, NULL, top_section, farm,
        "The farm's name: the same on every node."),
    ROW("", "key-file", SETTING_PATH, NULL, 0, 0, NULL, top_section, key_file,
        "The farm's key, made by `stead keygen`; readable by its owner only."),
    ROW("", "state", SETTING_PATH, "/var/lib/stead", 0, 0, NULL, top_section, state,
        "The folder where the node keeps its identity and what it remembers of the farm."),
    ROW("", "log-level", SETTING_CHOICE, "info", 0, 0, "error|warn|info|debug", top_section,
        log_level, "What is logged: this level and what is graver."),
    ROW("", "workers", SETTING_NUMBER, "2", 1, 32, NULL, top_section, workers,
        "Threads for the data path: public listener, DNS and session API."),
    ROW("", "core-dumps", SETTING_BOOL, "no", 0, 0, NULL, top_section, core_dumps,
        "Whether a crash may write the process's memory, with the farm's key and all records, to "
        "disk, and a debugger of the same user may read it."),
    ROW("", "user", SETTING_NAME, "", 0, 0, NULL, top_section, user,
        "Started as root, the node becomes this user once its addresses are bound, and keeps only "
        "the capabilities that it needs (none, unless it stands in line). The state folder is "
        "given "
        "to the user; the configuration and certificates must be readable for it to be reloaded."),

    ROW("node", "address", SETTING_ADDRESS, NULL, 0, 7300, NULL, node_section, address,
        "Where other nodes reach this one (UDP)."),
    ROW("node", "join", SETTING_ADDRESSES, "", 0, 7300, NULL, node_section, join,
        "Other nodes to find the farm by; any one that lives is enough."),
    ROW("node", "multicast", SETTING_ADDRESS, "", 0, 0, NULL, node_section, multicast,
        "A multicast group (IP:PORT, as 239.1.2.3:7301) to which every node of one network says, "
        "every second and at changes, its counts; they find each other by it without `join`. "
        "Copies of a record go to several nodes by one datagram to it; to a node that does not "
        "hear it, by unicast. Everything works without it."),
    ROW("node", "bulk", SETTING_BOOL, "yes", 0, 0, NULL, node_section, bulk,
        "Many copies at once, as a joining node gets them, come and go by TCP connections between "
        "the nodes' addresses, sealed. no: this node neither listens nor connects for it, and they "
        "go by datagrams as all else, several times slower."),
    ROW("node", "groups", SETTING_NAMES, "", 0, 0, NULL, node_section, groups,
        "Groups that clients and policies can choose by."),
    ROW("node", "voters", SETTING_NAMES, "", 0, 0, NULL, node_section, voters,
        "Names of the nodes of which a majority decides about records of a kind with atomic = "
        "quorum: 3 or 5, 15 at most, the same list on all nodes. Each of them needs a section "
        "sessions. One that is down counts."),
    ROW("node", "zone", SETTING_NAME, "", 0, 0, NULL, node_section, zone, "Rack, room or site."),
    ROW("node", "join-wait", SETTING_DURATION, "3s", 0, DAY_MS, NULL, node_section, join_wait_ms,
        "A starting node that finds nobody goes on alone after this."),
    ROW("node", "probe-interval", SETTING_DURATION, "200ms", 50, 10000, NULL, node_section,
        probe_interval_ms,
        "Two other nodes are asked for a sign of life in each such interval; a node that is gone "
        "is down after some seven intervals, later in a farm of hundreds. The same on all nodes."),
    ROW("node", "leave-wait", SETTING_DURATION, "15s", 0, DAY_MS, NULL, node_section, leave_wait_ms,
        "A stopping node hands its records over for so long at most."),
    ROW("node", "upgrade-wait", SETTING_DURATION, "1h", 0, DAY_MS, NULL, node_section,
        upgrade_wait_ms,
        "In an upgrade, connections that cannot pass to the new process may go on in the old one "
        "for "
        "so long at most."),

    ROW("server", "urls", SETTING_URLS, NULL, 0, 0, NULL, server_section, urls,
        "The server's own URLs: where redirects lead."),
    ROW("server", "forward", SETTING_ADDRESS, "", 0, 0, NULL, server_section, forward,
        "The real server. Required, unless it stands in line (address)."),
    ROW("server", "listen", SETTING_ADDRESS, "", 0, 0, NULL, server_section, tcp.listen,
        "Of a service with a tcp URL: the listener before this server. One address for several "
        "servers: the name that a TLS client asks for tells which."),
    ROW("server", "address", SETTING_ADDRESS, "", 0, 0, NULL, server_section, tcp.address,
        "In line: the server's own address and port, to which its clients connect."),
    ROW("server", "proxy-protocol", SETTING_CHOICE, "none", 0, 0, "none|v1|v2", server_section,
        tcp.proxy_out,
        "Of a service with a tcp URL: the PROXY header by which the server is told the client."),
    ROW("server", "takeover", SETTING_NAME, "", 0, 0, NULL, server_section, tcp.takeover,
        "In line: the interface that is given the server's address while the server's host is "
        "gone."),
    ROW("server", "connect-timeout", SETTING_DURATION, "3s", 50, 600000, NULL, server_section,
        connect_ms, "A connection to the real server that takes longer has failed."),
    ROW("server", "answer-timeout", SETTING_DURATION, "60s", 50, DAY_MS, NULL, server_section,
        answer_ms,
        "With mode = http: the real server begins its answer within this time, or the client gets "
        "504."),
    ROW("server", "stream-timeout", SETTING_DURATION, "1h", 50, 30 * DAY_MS, NULL, server_section,
        stream_ms, "With mode = http: the longest silence amid an answer."),
    ROW("server", "keep-connections", SETTING_NUMBER, "128", 0, 10000, NULL, server_section,
        keep_connections,
        "With mode = http: connections to the real server that a worker keeps for the next "
        "requests."),
    ROW("server", "keep-time", SETTING_DURATION, "4s", 50, DAY_MS, NULL, server_section, keep_ms,
        "For how long; shorter than the real server itself keeps them."),
    ROW("server", "client-headers", SETTING_CHOICE, "both", 0, 0, "both|x-forwarded|forwarded|none",
        server_section, client_headers,
        "How the real server is told the client, the host and the scheme that it asked for: "
        "X-Forwarded-For, -Host and -Proto, Forwarded (RFC 7239), or both. What is not told is not "
        "passed on from clients either."),
    ROW("server", "traceparent", SETTING_CHOICE, "keep", 0, 0, "keep|make", server_section,
        traceparent,
        "With mode = http: the trace of a request (W3C Trace Context) is passed on as it came; "
        "make: a request without one gets one, not sampled."),
    ROW("server", "weight", SETTING_NUMBER, "100", 0, 1000000, NULL, server_section, weight,
        "Share of new clients against other servers; 0 = none. Of the pair, whatever its URL."),
    ROW("server", "capacity", SETTING_NUMBER, "0", 0, 1000000000, NULL, server_section, capacity,
        "Users; beyond it the server is full. 0 = no limit."),
    ROW("server", "slow-start", SETTING_DURATION, "0s", 0, DAY_MS, NULL, server_section,
        slow_start_ms,
        "After it has come up, its weight grows from a twentieth to all of it within this time."),
    ROW("server", "backup", SETTING_NAME, "primary", 0, 0, NULL, server_section, backup,
        "Who serves when this server cannot: a node's name, or primary = a new choice."),

    ROW("external", "service", SETTING_NAME, NULL, 0, 0, NULL, external_section, service,
        "The service it serves."),
    ROW("external", "urls", SETTING_URLS, NULL, 0, 0, NULL, external_section, urls,
        "The server's own URLs: where redirects lead."),
    ROW("external", "address", SETTING_ADDRESS, NULL, 0, 0, NULL, external_section, address,
        "Where it is checked, and where requests are forwarded."),
    ROW("external", "weight", SETTING_NUMBER, "100", 0, 1000000, NULL, external_section, weight,
        "Share of new clients against other servers; 0 = none."),
    ROW("external", "capacity", SETTING_NUMBER, "0", 0, 1000000000, NULL, external_section,
        capacity, "Users; beyond it the server is full. 0 = no limit."),
    ROW("external", "zone", SETTING_NAME, "", 0, 0, NULL, external_section, zone,
        "Rack, room or site."),
    ROW("external", "groups", SETTING_NAMES, "", 0, 0, NULL, external_section, groups,
        "Groups that clients and policies can choose by."),
    ROW("external", "check", SETTING_CHOICE, "tcp", 0, 0, "none|tcp|http", external_section,
        check.type, "none: it is always up; tcp: connects; http: GET must give 2xx or 3xx."),
    ROW("external", "check-path", SETTING_TEXT, "/", 0, 0, NULL, external_section, check.path,
        "What an http check asks for."),
    ROW("external", "check-interval", SETTING_DURATION, "1s", 50, DAY_MS, NULL, external_section,
        check.interval_ms, "Time between checks."),
    ROW("external", "check-timeout", SETTING_DURATION, "2s", 50, DAY_MS, NULL, external_section,
        check.timeout_ms, "A check that takes longer has failed."),
    ROW("external", "check-rise", SETTING_NUMBER, "1", 1, 100, NULL, external_section, check.rise,
        "Good checks in a row that make it healthy."),
    ROW("external", "check-fall", SETTING_NUMBER, "2", 1, 100, NULL, external_section, check.fall,
        "Failed checks in a row that make it suspect."),

    ROW("server", "users-from", SETTING_CHOICE, "forward", 0, 0, "forward|kernel|report|agent",
        server_section, users_from,
        "The one source of the number of users. forward: open connections through the secondary; "
        "kernel: established connections at users-port; report: the application's own report "
        "(session API); agent: the word users:N of agent-check."),
    ROW("server", "users-port", SETTING_NUMBER, "0", 0, 65535, NULL, server_section, users_port,
        "With users-from = kernel: the TCP port where users' connections end."),
    ROW("server", "users-address", SETTING_ADDRESS, "", 0, 1, NULL, server_section, users_address,
        "With users-from = kernel: only connections to this address of the host, without a port. "
        "Without it, to any."),
    ROW("server", "users-interval", SETTING_DURATION, "200ms", 50, 3600000, NULL, server_section,
        users_interval_ms,
        "With users-from = kernel: time between counts. A count that takes long makes it longer."),
    ROW("server", "users-max-age", SETTING_DURATION, "15s", 1000, DAY_MS, NULL, server_section,
        users_max_age_ms,
        "What a report, an agent or the kernel told is stale after so long: the status says so, "
        "load and a report's percentage lapse."),

    ROW("server.agent-check", "address", SETTING_ADDRESS, NULL, 0, 0, NULL, agent_check_section,
        address, "Where the agent listens (TCP)."),
    ROW("server.agent-check", "interval", SETTING_DURATION, "2s", 50, DAY_MS, NULL,
        agent_check_section, interval_ms, "Time between questions."),
    ROW("server.agent-check", "timeout", SETTING_DURATION, "2s", 50, DAY_MS, NULL,
        agent_check_section, timeout_ms, "How long one question may take."),
    ROW("server.agent-check", "send", SETTING_TEXT, "", 0, 0, NULL, agent_check_section, send,
        "A line that is sent to the agent; without it, nothing is."),

    ROW("server.check", "type", SETTING_CHOICE, "tcp", 0, 0, "none|tcp|http|tls|https",
        check_section, type,
        "none: only failed forwards tell; tcp: connects; tls: and shakes hands; http, https: asks "
        "for a path."),
    ROW("server.check", "method", SETTING_CHOICE, "GET", 0, 0, "GET|HEAD|OPTIONS", check_section,
        method, "Of an http check."),
    ROW("server.check", "host", SETTING_TEXT, "", 0, 0, NULL, check_section, host,
        "The Host that an http check asks for, and the name that a TLS handshake names (SNI); "
        "without it, that of the server's first URL."),
    ROW("server.check", "status", SETTING_TEXT, "200-399", 0, 0, NULL, check_section, status,
        "The status, or the range of them, of a good answer."),
    ROW("server.check", "text", SETTING_TEXT, "", 0, 0, NULL, check_section, text,
        "What the first 16 KiB of a good answer have in them."),
    ROW("server.check", "verify", SETTING_BOOL, "no", 0, 0, NULL, check_section, verify,
        "Under TLS: the certificate must be valid, and of the host's name."),
    ROW("server.check", "ca-file", SETTING_PATH, "", 0, 0, NULL, check_section, ca_file,
        "With verify: whose certificates are believed (PEM); without it, those the system does."),
    ROW("server.check", "interval-fast", SETTING_DURATION, "0s", 0, DAY_MS, NULL, check_section,
        interval_fast_ms,
        "Time between checks while the state may be changing: some are good and some are not, or "
        "not enough in a row. 0s = interval."),
    ROW("server.check", "errors-max", SETTING_NUMBER, "0", 0, 100, NULL, check_section, errors_max,
        "Percent of forwarded requests answered with 5xx, within an interval and of 20 at least, "
        "that make it suspect until a check is good. 0 = they do not."),
    ROW("server.check", "path", SETTING_TEXT, "/", 0, 0, NULL, check_section, path,
        "What an http check asks for."),
    ROW("server.check", "interval", SETTING_DURATION, "1s", 50, DAY_MS, NULL, check_section,
        interval_ms, "Time between checks."),
    ROW("server.check", "timeout", SETTING_DURATION, "2s", 50, DAY_MS, NULL, check_section,
        timeout_ms, "A check that takes longer has failed."),
    ROW("server.check", "rise", SETTING_NUMBER, "1", 1, 100, NULL, check_section, rise,
        "Good checks in a row that make it healthy."),
    ROW("server.check", "fall", SETTING_NUMBER, "2", 1, 100, NULL, check_section, fall,
        "Failed checks in a row that make it suspect. A failed forward does so at once."),

    ROW("sessions", "listen", SETTING_LISTEN, "unix:/run/stead/sessions.sock", 0, 0, NULL,
        sessions_section, listen,
        "The session API: a unix socket (mode 0660), or a loopback address with token-file."),
    ROW("sessions", "tls", SETTING_BOOL, "no", 0, 0, NULL, sessions_section, tls,
        "A TCP listener speaks TLS, with the certificates and rules of the section tls; then it "
        "need be no loopback address."),
    ROW("sessions", "token-file", SETTING_PATH, "", 0, 0, NULL, sessions_section, token_file,
        "A file with the token that clients of a TCP listener must send (Authorization: Bearer)."),
    ROW("sessions", "auth-cookie", SETTING_TEXT, "session", 0, 0, NULL, sessions_section,
        auth_cookie, "The cookie that has the id of a login, for web servers that ask /v1/auth."),
    ROW("sessions", "auth-login", SETTING_TEXT, "", 0, 0, NULL, sessions_section, auth_login,
        "A URL to which /v1/auth redirects whoever is not logged in, with return=URL; without it, "
        "401. Not for nginx, which takes only 401."),
    ROW("sessions", "memory", SETTING_SIZE, "256m", 8 << 20, 1024 * GIB, NULL, sessions_section,
        memory_bytes, "All records, tombstones and tables together."),
    ROW("sessions", "split-max", SETTING_DURATION, "1h", 1000, 30 * DAY_MS, NULL, sessions_section,
        split_max_ms,
        "The longest split of the network that deletions outlive. A node away longer comes back "
        "empty."),

    ROW("sessions.kind", "like", SETTING_NAME, "", 0, 0, NULL, kind_section, like,
        "Of a kind that the farm adds: the kind whose rules it has where it says none, but for "
        "private fields."),
    ROW("sessions.kind", "copies", SETTING_COUNT, "", 1, COPIES_ALL, "all|group", kind_section,
        copies,
        "Nodes that keep a record, its owner counted; all: up to 9; group: those that share a "
        "group with the owner, up to 9. They are in different zones where there are some (node: "
        "zone); the named backup of a server of the owner is always among them."),
    ROW("sessions.kind", "ack", SETTING_COUNT, "", 0, RECORD_HOLDERS_MAX, "all|yes|no",
        kind_section, ack,
        "A write is answered when so many holders beside the owner have it; all (or yes): every "
        "one that is up; 0 (or no): at once. With less than all, a read elsewhere may be older "
        "for a moment."),
    ROW("sessions.kind", "short", SETTING_CHOICE, "", 0, 0, "accept|refuse", kind_section,
        short_refuse, "A write when fewer nodes than `copies` can keep it, but one can."),
    ROW("sessions.kind", "losable", SETTING_BOOL, "", 0, 0, NULL, kind_section, losable,
        "A record that cannot be reached counts as absent instead of an error."),
    ROW("sessions.kind", "sliding", SETTING_BOOL, "", 0, 0, NULL, kind_section, sliding,
        "Reads and writes renew its life."),
    ROW("sessions.kind", "when-alone", SETTING_CHOICE, "", 0, 0, "refuse|accept", kind_section,
        when_alone, "A write when no other node can hold a copy."),
    ROW("sessions.kind", "when-full", SETTING_CHOICE, "", 0, 0, "refuse|evict", kind_section,
        when_full,
        "A write at the memory limit: refused, or the oldest ones make room (losable kinds only)."),
    ROW("sessions.kind", "deletion", SETTING_CHOICE, "", 0, 0, "final|versioned", kind_section,
        deletion, "final: an ended id never lives again; versioned: a key may be made anew."),
    ROW("sessions.kind", "atomic", SETTING_CHOICE, "", 0, 0, "available|quorum", kind_section,
        atomic,
        "available: when the network is cut, both sides go on, and their changes are merged later. "
        "quorum: no two sides ever own a record, which takes a majority of the voters (node: "
        "voters); without one its operations are refused. copies counts a majority at least, "
        "and ack is all."),
    ROW("sessions.kind", "ttl", SETTING_DURATION, "", 0, 365 * DAY_MS, NULL, kind_section, ttl_ms,
        "Its life when the request names none; 0s = no expiry."),
    ROW("sessions.kind", "private", SETTING_TEXTS, "", 0, 0, NULL, kind_section, private,
        "Names of fields, with * for any text, whose values are sealed as they arrive: only the "
        "session API shows them."),
    ROW("sessions.kind", "size", SETTING_SIZE, "", 64, RECORD_BYTES_MAX, NULL, kind_section,
        size_bytes,
        "The largest record: names and values of its fields together. A write beyond it is "
        "refused, and what was there stays."),
    ROW("sessions.kind", "memory", SETTING_SIZE, "", 0, 1024 * GIB, NULL, kind_section,
        memory_bytes, "Limit of this kind; 0 = only the common one."),

    ROW("repository", "of", SETTING_NAMES, "", 0, 0, NULL, repository_section, of,
        "Whose records it keeps: up to 4 nodes, groups of nodes, or other repositories, and then "
        "what these have. Without it, all of the farm."),
    ROW("repository", "engine", SETTING_CHOICE, "lmdb", 0, 0, "lmdb|redis", repository_section,
        engine,
        "What keeps the records: lmdb, one file of this node's; redis, servers of Redis or "
        "Valkey, single or Cluster."),
    ROW("repository", "path", SETTING_PATH, "", 0, 0, NULL, repository_section, path,
        "The file. By default `repository` in the state folder. All in it is sealed with the "
        "farm's key."),
    ROW("repository", "size-max", SETTING_SIZE, "16g", 1 << 20, 16384 * GIB, NULL,
        repository_section, size_max,
        "The file grows no larger. When it is full that is said, and what changes is in memory "
        "only."),
    ROW("repository", "age-max", SETTING_DURATION, "1h", 1000, 30 * DAY_MS, NULL,
        repository_section, age_max_ms,
        "A file that was written last so long ago is set aside at the start. Above sessions: "
        "split-max, what was deleted meanwhile may come back."),

    ROW("repository", "address", SETTING_TEXT, "", 0, 0, NULL, repository_section, address,
        "engine redis: \"HOST:PORT, HOST:PORT\", up to 16 servers that are asked first; the others "
        "of a Cluster are learned."),
    ROW("repository", "tls", SETTING_BOOL, "no", 0, 0, NULL, repository_section, tls,
        "engine redis: TLS to the servers, whose certificates must name them as `address` does, "
        "and the others of a Cluster as it tells them."),
    ROW("repository", "ca-file", SETTING_PATH, "", 0, 0, NULL, repository_section, ca_file,
        "engine redis, tls: the authorities that are trusted; by default those of the system."),
    ROW("repository", "certificate", SETTING_PATH, "", 0, 0, NULL, repository_section, certificate,
        "engine redis, tls: what this node shows to servers that ask for a certificate; PEM."),
    ROW("repository", "key", SETTING_PATH, "", 0, 0, NULL, repository_section, key,
        "engine redis, tls: the certificate's key."),
    ROW("repository", "start-wait", SETTING_DURATION, "10s", 0, 600000, NULL, repository_section,
        start_wait_ms,
        "engine redis: the node waits so long at its start for servers that are "
        "not there yet, or still load. Then it starts without what they have."),
    ROW("repository", "user", SETTING_TEXT, "", 0, 0, NULL, repository_section, user,
        "engine redis: who is logged in; without it, whom Redis takes by default."),
    ROW("repository", "password-file", SETTING_PATH, "", 0, 0, NULL, repository_section,
        password_file, "engine redis: a file (mode 0600) with the password. Read at the start."),
    ROW("repository", "prefix", SETTING_NAME, "", 0, 0, NULL, repository_section, prefix,
        "engine redis: tells this repository's records from another's of the farm in the same "
        "servers. By default the node's name; a node that takes over another's records says it."),

    ROW("memcached", "listen", SETTING_LISTEN, NULL, 0, 0, NULL, cache_section, listen,
        "Where clients come: unix:PATH (mode 0660) or an address; one that is not loopback needs a "
        "password-file."),
    ROW("memcached", "kind", SETTING_NAME, "app", 0, 0, NULL, cache_section, kind,
        "The kind of the records that keys are."),
    ROW("memcached", "prefixes", SETTING_TEXTS, "", 0, 0, NULL, cache_section, prefixes,
        "Keys that begin so are of another kind: a list of PREFIX=KIND."),
    ROW("memcached", "password-file", SETTING_PATH, "", 0, 0, NULL, cache_section, password_file,
        "A file (mode 0600) with the password that clients must give."),
    ROW("memcached", "idle", SETTING_DURATION, "0s", 0, DAY_MS, NULL, cache_section, idle_ms,
        "A client that says nothing for so long is closed; 0s = never."),
    ROW("memcached", "tls", SETTING_BOOL, "no", 0, 0, NULL, cache_section, tls,
        "Clients speak TLS, with the certificates of the section tls; not on a unix socket."),

    ROW("redis", "listen", SETTING_LISTEN, NULL, 0, 0, NULL, cache_section, listen,
        "Where clients come: unix:PATH (mode 0660) or an address; one that is not loopback needs a "
        "password-file."),
    ROW("redis", "kind", SETTING_NAME, "app", 0, 0, NULL, cache_section, kind,
        "The kind of the records that keys are."),
    ROW("redis", "prefixes", SETTING_TEXTS, "", 0, 0, NULL, cache_section, prefixes,
        "Keys that begin so are of another kind: a list of PREFIX=KIND."),
    ROW("redis", "password-file", SETTING_PATH, "", 0, 0, NULL, cache_section, password_file,
        "A file (mode 0600) with the password that clients must give."),
    ROW("redis", "idle", SETTING_DURATION, "0s", 0, DAY_MS, NULL, cache_section, idle_ms,
        "A client that says nothing for so long is closed; 0s = never."),
    ROW("redis", "tls", SETTING_BOOL, "no", 0, 0, NULL, cache_section, tls,
        "Clients speak TLS, with the certificates of the section tls; not on a unix socket."),

    ROW("sessiond", "listen", SETTING_ADDRESS, NULL, 0, 0, NULL, sessiond_section, listen,
        "A loopback address, for UDP."),
    ROW("sessiond", "kind", SETTING_NAME, "tls", 0, 0, NULL, sessiond_section, kind,
        "The kind of the records that sessions are."),

    ROW("public", "listen", SETTING_ADDRESS, NULL, 0, 0, NULL, public_section, listen,
        "Where clients come."),
    ROW("public", "listen-tls", SETTING_ADDRESS, "", 0, 0, NULL, public_section, listen_tls,
        "Where they come by https; it needs tls { certificate ... }."),
    ROW("public", "exposure", SETTING_CHOICE, "auto", 0, 0, "auto|open|coarse|authenticated",
        public_section, exposure,
        "What strangers learn from the roster: open: everything; coarse: no counts, load in "
        "quarters; authenticated: nothing without the token. auto: open on a private or loopback "
        "address, else coarse."),
    ROW("public", "token-file", SETTING_PATH, "", 0, 0, NULL, public_section, token_file,
        "A file with the token for exposure = authenticated (Authorization: Bearer)."),
    ROW("public", "cors", SETTING_TEXT, "", 0, 0, NULL, public_section, cors,
        "Origins whose web pages may read the roster, divided by spaces; * = any."),
    ROW("public", "inside", SETTING_NETWORKS, "", 0, 0, NULL, public_section, inside,
        "Networks whose clients are told inside addresses, as 10.0.0.0/8, by DNS too. Without it: "
        "private, link-local and loopback ones."),
    ROW("public", "outside", SETTING_ADDRESSES, "", 0, 0, NULL, public_section, outside,
        "Where clients from elsewhere reach this listener, when that is another address: IP:PORT, "
        "at most three. They are told these alone, in the roster and by the name server."),
    ROW("public", "unknown-host", SETTING_CHOICE, "421", 0, 0, "421|404", public_section,
        unknown_host, "The answer to a Host that no service and no server has."),
    ROW("public", "http2", SETTING_BOOL, "yes", 0, 0, NULL, public_section, http2,
        "Whether clients may speak HTTP/2: at once on a plain connection (prior knowledge), or as "
        "agreed under TLS."),
    ROW("public", "http2-streams", SETTING_NUMBER, "100", 1, 1000, NULL, public_section,
        http2_streams, "Requests that one HTTP/2 connection may have open at once."),
    ROW("public", "http2-resets", SETTING_NUMBER, "200", 10, 1000000, NULL, public_section,
        http2_resets,
        "Requests that an HTTP/2 client may take back within 10 seconds; beyond it its connection "
        "is ended."),
    ROW("public", "watchers", SETTING_NUMBER, "10000", 0, 1000000, NULL, public_section, watchers,
        "Clients that may watch the roster at once; one more gets 503."),
    ROW("public", "reserve", SETTING_DURATION, "2s", 0, 60000, NULL, public_section, reserve_ms,
        "A client that is redirected counts as a user of its server at once, until the server's "
        "own "
        "count shows it, and no longer than this; 0s = it does not."),
    ROW("public", "retry-min", SETTING_DURATION, "200ms", 0, DAY_MS, NULL, public_section,
        retry_min_ms,
        "Clients that lose their server spread their first retry over at least this time."),
    ROW("public", "retry-max", SETTING_DURATION, "30s", 0, DAY_MS, NULL, public_section,
        retry_max_ms, "And over no more than this."),
    ROW("public", "retry-joins", SETTING_NUMBER, "500", 1, 1000000, NULL, public_section,
        retry_joins,
        "Joins a second that a server takes: between the two, the time is the users of the fullest "
        "server divided by it."),

    ROW("public", "head-timeout", SETTING_DURATION, "10s", 50, DAY_MS, NULL, public_section,
        head_ms, "The head of a request comes within this time."),
    ROW("public", "body-timeout", SETTING_DURATION, "30s", 50, DAY_MS, NULL, public_section,
        body_ms, "The longest silence amid a request, and for which an answer is not taken."),
    ROW("public", "idle-timeout", SETTING_DURATION, "60s", 50, DAY_MS, NULL, public_section,
        idle_ms, "A client's connection without a request is kept for so long."),

    ROW("public", "proxy-from", SETTING_NETWORKS, "", 0, 0, NULL, public_section, proxies,
        "Load balancers before this node, which tell it the client by a PROXY header (v1 or v2). "
        "Then each connection must come from them, and with one."),

    ROW("tcp", "listen", SETTING_ADDRESS, NULL, 0, 0, NULL, tcp_section, listen,
        "Its address and port."),
    ROW("tcp", "services", SETTING_NAMES, NULL, 0, 0, NULL, tcp_section, services,
        "The services behind it. Of several, the name that a TLS client asks for tells which."),
    ROW("tcp", "proxy-from", SETTING_NETWORKS, "", 0, 0, NULL, tcp_section, proxies,
        "Networks of proxies that tell the client by a PROXY header (v1 or v2). Then each "
        "connection must come from them, and with one."),
    ROW("tcp", "idle", SETTING_DURATION, "1h", 1000, 30 * DAY_MS, NULL, tcp_section, idle_ms,
        "A connection over which nothing passes for so long is closed."),

    ROW("inline", "port", SETTING_NUMBER, "7390", 1, 65535, NULL, inline_section, port,
        "The port of the listener to which the kernel leads the servers' connections (TPROXY)."),
    ROW("inline", "mark", SETTING_NUMBER, "7390", 1, UINT32_MAX, NULL, inline_section, mark,
        "The mark of packets that stay on this host."),
    ROW("inline", "table", SETTING_NUMBER, "7390", 1, UINT32_MAX, NULL, inline_section, table,
        "The routing table for them."),
    ROW("inline", "interfaces", SETTING_NAMES, "", 0, 0, NULL, inline_section, interfaces,
        "Where clients come from; without it, from anywhere."),
    ROW("inline", "apply", SETTING_BOOL, "no", 0, 0, NULL, inline_section, apply,
        "Set the kernel's rules at the start and take them back at the end; no: an operator does, "
        "as `stead inline rules` prints them."),
    ROW("inline", "idle", SETTING_DURATION, "1h", 1000, 30 * DAY_MS, NULL, inline_section, idle_ms,
        "A connection over which nothing passes for so long is closed."),

    ROW("tls.certificate", "chain", SETTING_PATH, NULL, 0, 0, NULL, tls_certificate_section, chain,
        "The certificate, then those between it and its root (PEM)."),
    ROW("tls.certificate", "key", SETTING_PATH, "", 0, 0, NULL, tls_certificate_section, key,
        "Its key (PEM, not encrypted, mode 0600 or 0640); without it, it stands in chain's file."),
    ROW("tls.certificate", "ocsp", SETTING_PATH, "", 0, 0, NULL, tls_certificate_section, ocsp,
        "An OCSP response (DER) that is stapled for as long as it is good."),
    ROW("tls", "minimum", SETTING_CHOICE, "1.2", 0, 0, "1.2|1.3", tls_section, minimum,
        "The oldest version of TLS that is spoken."),
    ROW("tls", "ciphers", SETTING_TEXT, TLS_CIPHERS, 0, 0, NULL, tls_section, ciphers,
        "Of TLS 1.2, in OpenSSL's words."),
    ROW("tls", "groups", SETTING_TEXT, TLS_GROUPS, 0, 0, NULL, tls_section, groups,
        "Groups of the key exchange, in OpenSSL's words."),
    ROW("tls", "client", SETTING_CHOICE, "none", 0, 0, "none|optional|required", tls_section,
        client, "Whether clients are asked for a certificate; a bad one is refused in any case."),
    ROW("tls", "client-ca", SETTING_PATH, "", 0, 0, NULL, tls_section, client_ca,
        "Who signs clients' certificates (PEM)."),
    ROW("tls", "tickets", SETTING_CHOICE, "stateless", 0, 0, "stateless|single-use|off",
        tls_section, tickets,
        "How clients resume TLS sessions: by tickets that every node of the farm opens, by ids of "
        "sessions in its store (TLS 1.3: each used once), or not."),
    ROW("tls", "servers-ca", SETTING_PATH, "", 0, 0, NULL, tls_section, servers_ca,
        "Who signs the servers' own certificates (PEM), where the primary forwards to another "
        "node's https URL; without it, whom the system trusts."),
    ROW("tls", "handshakes", SETTING_NUMBER, "1000", 1, 1000000, NULL, tls_section, handshakes,
        "Handshakes under way at once, of a worker; beyond it the one that has waited longest for "
        "its client gives way."),
    ROW("tls", "handshake-time", SETTING_DURATION, "10s", 100, 3600000, NULL, tls_section,
        handshake_ms, "A handshake may take so long at most."),

    ROW("tickets", "format", SETTING_CHOICE, NULL, 0, 0, "nginx|haproxy|apache", tickets_section,
        format, "Who reads them."),
    ROW("tickets", "file", SETTING_PATH, NULL, 0, 0, NULL, tickets_section, file,
        "Where they are written (mode 0600); an absolute path. For nginx the others stand in "
        "FILE.next, FILE.1, FILE.2 and FILE.3."),
    ROW("tickets", "socket", SETTING_PATH, "", 0, 0, NULL, tickets_section, socket,
        "HAProxy's stats socket (level admin), by which it gets the keys while it runs."),
    ROW("tickets", "reload", SETTING_TEXT, "", 0, 0, NULL, tickets_section, reload,
        "A command that makes the program read the files again: words between blanks, the first "
        "an absolute path. No shell is asked. It has 30 s."),
    ROW("tickets", "pid-file", SETTING_PATH, "", 0, 0, NULL, tickets_section, pid_file,
        "Instead: the process in it gets SIGHUP (nginx) or SIGUSR1 (Apache)."),

    ROW("dns", "listen", SETTING_ADDRESSES, NULL, 0, 0, NULL, dns_section, listen,
        "Addresses for UDP and TCP, IPv4 and IPv6; up to four."),
    ROW("dns", "ttl", SETTING_NUMBER, "5", 0, 86400, NULL, dns_section, ttl_s,
        "Seconds that resolvers may keep an answer."),
    ROW("dns", "zone", SETTING_NAME, "", 0, 0, NULL, dns_section, zone,
        "The zone it answers for; without it, the parent domain of each service's name."),
    ROW("dns", "name-servers", SETTING_NAMES, "", 0, 0, NULL, dns_section, servers,
        "The zone's NS names, as at its registrar; without them ns.ZONE, whose addresses are the "
        "nodes that are up."),
    ROW("dns", "records", SETTING_PATH, "", 0, 0, NULL, dns_section, records,
        "A zone file with records of other names of the zone. SIGHUP reads it again."),
    ROW("dns", "addresses", SETTING_NUMBER, "8", 1, NAME_ADDRESSES_MAX, NULL, dns_section,
        addresses, "Servers in an answer at most."),
    ROW("dns", "order", SETTING_CHOICE, "weighted", 0, 0,
        "weighted|rotate|random|two-choices|least-users", dns_section, order,
        "Which servers stand in an answer, and first in it. weighted: by lot, in turn when all "
        "weigh the same."),
    ROW("dns", "when-none", SETTING_CHOICE, "all", 0, 0, "all|none|servfail", dns_section,
        when_none,
        "The answer when no server is up. all: full and suspect ones, or else whoever is known; "
        "none: no address."),
    ROW("dns", "client-subnet", SETTING_BOOL, "no", 0, 0, NULL, dns_section, client_subnet,
        "Believe what a resolver says of its client's network (EDNS client subnet)."),
    ROW("dns", "cookies", SETTING_BOOL, "yes", 0, 0, NULL, dns_section, cookies,
        "DNS cookies: who shows a good one is under no rate limit."),
    ROW("dns", "rate-limit", SETTING_NUMBER, "1000", 0, 1000000, NULL, dns_section, rate_limit,
        "Answers a second by UDP to one network (/24, /56), against forged addresses; 0 = no "
        "limit."),
    ROW("dns", "rate-slip", SETTING_NUMBER, "2", 0, 100, NULL, dns_section, rate_slip,
        "Above the limit every so many times the answer is \"ask by TCP\"; 0 = never."),
    ROW("dns", "rate-exempt", SETTING_NETWORKS, "", 0, 0, NULL, dns_section, rate_exempt,
        "Networks without a limit; without it, loopback."),

    ROW("dns.site", "clients", SETTING_NETWORKS, NULL, 0, 0, NULL, dns_site, clients,
        "Their networks; of several that fit the longest counts."),

    ROW("agent", "listen", SETTING_ADDRESS, NULL, 0, 0, NULL, agent_section, listen,
        "Where HAProxy asks (TCP). Whoever reaches it can read the server's state."),
    ROW("agent", "service", SETTING_NAME, "", 0, 0, NULL, agent_section, service,
        "The service of the own server it speaks for. Without it: the only one, or the one that "
        "the line sent (agent-send) names."),

    ROW("admin", "listen", SETTING_ADDRESS, "", 0, 0, NULL, admin_section, listen,
        "A loopback address for status and metrics over HTTP; commands need the socket, or "
        "client-ca."),
    ROW("admin", "tls", SETTING_BOOL, "no", 0, 0, NULL, admin_section, tls,
        "listen speaks TLS, with the certificates of the section tls."),
    ROW("admin", "client-ca", SETTING_PATH, "", 0, 0, NULL, admin_section, client_ca,
        "With tls: who signs operators' certificates (PEM). Nobody comes in without one, who has "
        "one may give orders, and listen need be no loopback address."),
    ROW("admin", "socket", SETTING_PATH, "", 0, 0, NULL, admin_section, socket,
        "The unix socket for `stead status` and commands; without it, admin.sock in the state "
        "folder."),

    ROW("service", "name", SETTING_NAME, NULL, 0, 0, NULL, service_section, name,
        "The common DNS name that leads to any server."),
    ROW("service", "url", SETTING_URL, NULL, 0, 0, NULL, service_section, url,
        "The common URL: the primary virtual server. tcp://NAME:PORT: what is spoken is not HTTP."),
    ROW("service", "policy", SETTING_CHOICE, "two-choices", 0, 0,
        "two-choices|random|weighted|least-users", service_section, policy,
        "How a server is picked."),
    ROW("service", "mode", SETTING_CHOICE, "http", 0, 0, "http|tunnel", service_section, mode,
        "How the secondary serves an http URL. http: each request by itself; tunnel: after the "
        "first, bytes pass unseen."),
    ROW("service", "name-answers", SETTING_CHOICE, "servers", 0, 0, "servers|directors|both",
        service_section, name_answers,
        "Whom the common name leads to: the servers, nodes that only direct, or both."),
    ROW("service", "name-group", SETTING_NAME, "", 0, 0, NULL, service_section, name_group,
        "The common name leads to servers of this group only."),
    ROW("service", "redirect", SETTING_CHOICE, "307", 0, 0, "302|303|307|308", service_section,
        redirect, "The status of a redirect. 307 and 308 keep the method and the body."),
    ROW("service", "affinity", SETTING_TEXT, "none", 0, 0, NULL, service_section, affinity,
        "How a client that has a server is known again, and led back to it while it lives: none, "
        "cookie or cookie:NAME (a signed one), header:NAME, query:NAME or path:N (the same key "
        "leads to the same server). Of a tcp URL: none, source (the address) or sni (the name that "
        "a "
        "TLS client asks for)."),
    ROW("service", "failback", SETTING_CHOICE, "session-end", 0, 0, "session-end|never|at-once",
        service_section, failback,
        "Of a tcp URL: when clients that were led to the backup of a server come back to it. "
        "session-end: after affinity-life without a connection; never: when the backup is gone; "
        "at-once: with their next connection."),
    ROW("service", "between", SETTING_BOOL, "no", 0, 0, NULL, service_section, between,
        "Of a tcp URL: nodes tell each other the client by a PROXY header when one forwards it to "
        "another's listener. Connections from other nodes' addresses must then have one."),
    ROW("service", "affinity-domain", SETTING_TEXT, "", 0, 0, NULL, service_section,
        affinity_domain, "The cookie's domain; without it, the host that answers."),
    ROW("service", "affinity-life", SETTING_DURATION, "1h", 1000, 365 * DAY_MS, NULL,
        service_section, affinity_life_ms, "The cookie's life, begun anew with each redirect."),
    ROW("service", "handoff", SETTING_TEXTS, "", 0, 0, NULL, service_section, handoff,
        "Cookies that are handed over to the chosen server in a sealed token, for servers whose "
        "names share no cookie domain with the common one."),
    ROW("service", "answer-json", SETTING_BOOL, "no", 0, 0, NULL, service_section, answer_json,
        "A client whose Accept begins with application/json gets the URL in a 200 instead of a "
        "redirect."),
    ROW("service", "early-data", SETTING_BOOL, "no", 0, 0, NULL, service_section, early_data,
        "GET, HEAD and OPTIONS that come as early data of TLS 1.3 (0-RTT) are handled at once, and "
        "the real server is told so (Early-Data: 1). It needs tls { tickets = single-use }."),
    ROW("service", "forward-when", SETTING_TEXTS, "", 0, 0, NULL, service_section, forward_when,
        "Requests that the primary forwards to the chosen server instead of redirecting: all, "
        "upgrade (WebSocket), method:A,B, path:GLOB, header:NAME=GLOB or user-agent:GLOB; one that "
        "matches is enough."),
    ROW("service", "warm", SETTING_TEXTS, "", 0, 0, NULL, service_section, warm,
        "Records that are sent to the chosen server before its client gets there: COOKIE=KIND or "
        "COOKIE=KIND:PREFIX, where the key is the prefix and the cookie's value."),
    ROW("service", "https-paths", SETTING_TEXTS, "", 0, 0, NULL, service_section, https_paths,
        "Paths, with * for any text, that are led to the same server's https URL when they are "
        "asked for by http."),
    ROW("service", "http-paths", SETTING_TEXTS, "", 0, 0, NULL, service_section, http_paths,
        "And paths that are led back to its http URL. https-paths go before."),
    ROW("service", "rebalance", SETTING_BOOL, "yes", 0, 0, NULL, service_section, rebalance,
        "Clients that watch the roster are asked to move until all servers are level by weight."),
    ROW("service", "rebalance-threshold", SETTING_NUMBER, "5", 1, 1000, NULL, service_section,
        rebalance_threshold,
        "Percent by which a server must be above or below its fair share before anybody is asked."),
};
const size_t settings_count = sizeof(settings) / sizeof(settings[0]);

const struct setting *setting_find(const char *section, const char *name)
{
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

const struct section *section_find(const char *name)
{
    for (size_t i = 0; i < sections_count; i++)
        if (strcmp(sections[i].name, name) == 0)
            return &sections[i];
    return NULL;
}

#define NEAREST_NAME_MAX 32

/* Levenshtein distance of short words; far when either is long. */
static size_t distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), row[NEAREST_NAME_MAX + 1];
    if (la > NEAREST_NAME_MAX || lb > NEAREST_NAME_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t up = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            best = up + 1 < best ? up + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = up;
            row[j] = best;
        }
    }
    return row[lb];
}

/* The last word of "server.check" when it lies right under `parent`, else NULL. */
static const char *child_name(const char *section, const char *parent)
{
    size_t n = strlen(parent);
    if (n == 0)
        return *section && !strchr(section, '.') ? section : NULL;
    return strncmp(section, parent, n) == 0 && section[n] == '.' ? section + n + 1 : NULL;
}

const char *setting_nearest(const char *section, const char *name)
{
    const char *nearest = NULL;
    size_t least = strlen(name) / 2 + 1; /* half of it mistyped is not a slip any more */
    for (size_t i = 0; i < settings_count; i++) {
        if (strcmp(settings[i].section, section) != 0)
            continue;
        size_t d = distance(name, settings[i].name);
        if (d < least) {
            least = d;
            nearest = settings[i].name;
        }
    }
    for (size_t i = 0; i < sections_count; i++) {
        const char *child = child_name(sections[i].name, section);
        size_t d = child ? distance(name, child) : SIZE_MAX;
        if (d < least) {
            least = d;
            nearest = child;
        }
    }
    return nearest;
}

const char *setting_type_name(enum setting_type t)
{
    static const char *const names[] = {
        [SETTING_TEXT] = "text",
        [SETTING_NAME] = "name",
        [SETTING_PATH] = "path",
        [SETTING_URL] = "URL",
        [SETTING_ADDRESS] = "address",
        [SETTING_LISTEN] = "unix:PATH or address",
        [SETTING_DURATION] = "duration",
        [SETTING_SIZE] = "size",
        [SETTING_NUMBER] = "number",
        [SETTING_COUNT] = "number or word",
        [SETTING_BOOL] = "yes or no",
        [SETTING_CHOICE] = "choice",
        [SETTING_NAMES] = "list of names",
        [SETTING_TEXTS] = "list of texts",
        [SETTING_URLS] = "list of URLs",
        [SETTING_ADDRESSES] = "list of addresses",
        [SETTING_NETWORKS] = "list of networks",
    };
    return names[t];
}
