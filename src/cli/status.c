/* stead status: how a node and its sessions are, for people: first what is wrong, then the numbers.
 */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOP_TURN_WARN_NS 300000000.0

static const char help[] =
    "usage: stead status [NODE] [--json]\n"
    "How the node and its sessions are; what needs attention stands first.\n"
    "--json: the node's own answer. Exit status 1 when the node does not answer.\n";

/* What is wrong when the number is not 0. */
struct warning {
    const char *group, *name;
    const char *one, *many; /* what is said behind the number */
};

static const struct warning warnings[] = {
    {"nodes", "suspect", "node is suspect: not heard for a moment",
     "nodes are suspect: not heard for a moment"},
    {"nodes", "down", "node is down", "nodes are down"},
    {"sessions", "below_copies",
     "record has fewer copies than promised: too few nodes are up, or repair is under way",
     "records have fewer copies than promised: too few nodes are up, or repair is under way"},
    {"sessions", "orphans", "copy here waits to be claimed: its owner is down",
     "copies here wait to be claimed: their owner is down"},
    {"sessions", "doubtful", "record must be settled with other nodes before it is served",
     "records must be settled with other nodes before they are served"},
    {"sessions", "divergent", "copy differs from another that should be equal: see 'stead verify'",
     "copies differ from others that should be equal: see 'stead verify'"},
    {"sessions", "ranges_differing",
     "range of records differs from another node's and is looked into",
     "ranges of records differ from other nodes' and are looked into"},
    {"sessions", "values_lost", "value was lost in a merge after a split of the farm",
     "values were lost in merges after a split of the farm"},
    {"sessions", "full", "write was refused for lack of memory",
     "writes were refused for lack of memory"},
    {"sessions", "busy", "operation was refused by a full queue",
     "operations were refused by full queues"},
    {"keys", "store_failed",
     "time the key file could not be written: this node does not take part in a change of keys",
     "times the key file could not be written: this node does not take part in a change of keys"},
    {"tls", "certificates_expired", "TLS certificate has expired", "TLS certificates have expired"},
    {"tls", "certificates_expiring", "TLS certificate expires within 14 days",
     "TLS certificates expire within 14 days"},
    {"mesh", "dropped_auth", "frame came from somebody without this farm's key",
     "frames came from somebody without this farm's key"},
    {"mesh", "dropped_version",
     "frame came from a node of another version, which cannot be understood: see 'foreign-version' "
     "in the log",
     "frames came from a node of another version, which cannot be understood: see "
     "'foreign-version' in the log"},
    {"mesh", "pauses", "time this node did not run for a while: suspended, or a busy machine",
     "times this node did not run for a while: suspended, or a busy machine"},
};

static long long number(const json_t *status, const char *group, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(status, group), name));
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

#define COUNT_TEXT_MAX 48

/* "1 record", "2 records". */
static const char *count(long long n, const char *what, char out[COUNT_TEXT_MAX])
{
    snprintf(out, COUNT_TEXT_MAX, "%lld %s%s", n, what, n == 1 ? "" : "s");
    return out;
}

static void print_head(const struct cli_options *o, const json_t *s)
{
    char age[32];
    const char *status = text_of(s, "status"), *reason = text_of(s, "reason");
    bool ready = json_is_true(json_object_get(s, "ready"));
    printf("%s%s%s of farm %s: %s%s%s", cli_paint(o, PAINT_BOLD), text_of(s, "node"),
           cli_paint(o, PAINT_NONE), text_of(s, "farm"), cli_paint(o, cli_status_paint(status)),
           status, cli_paint(o, PAINT_NONE));
    /* The reason begins with the status in most cases. */
    size_t same = strncmp(reason, status, strlen(status)) == 0 ? strlen(status) : 0;
    printf("%s%s%s\n", ready ? ", ready for clients" : ", not ready", !ready && !same ? ": " : "",
           ready ? "" : reason + same);
    printf("stead %s, process %lld, started %s ago\n", text_of(s, "version"),
           (long long)json_integer_value(json_object_get(s, "pid")),
           cli_age(json_real_value(json_object_get(s, "uptime_seconds")), age, sizeof(age)));
}

static void warn(const struct cli_options *o, const char *text)
{
    printf("%s! %s%s\n", cli_paint(o, PAINT_RED), text, cli_paint(o, PAINT_NONE));
}

static void warn_server(const struct cli_options *o, const json_t *v)
{
    char text[256];
    bool never = !json_is_number(json_object_get(v, "users_age_seconds"));
    snprintf(text, sizeof(text),
             "the real server of service %s does not answer, or says it is down%s%s%s: no clients",
             text_of(v, "service"), *text_of(v, "why") ? " (" : "", text_of(v, "why"),
             *text_of(v, "why") ? ")" : "");
    if (!json_is_true(json_object_get(v, "healthy")))
        warn(o, text);
    snprintf(text, sizeof(text), "the number of users of service %s is %s: its %s is silent",
             text_of(v, "service"), never ? "not known" : "old", text_of(v, "users_from"));
    if (json_is_true(json_object_get(v, "users_stale")))
        warn(o, text);
}

static void print_warnings(const struct cli_options *o, const json_t *s)
{
    char text[256];
    size_t i;
    const json_t *v;
    if (json_is_true(json_object_get(s, "alone")))
        warn(o, "this node is alone: what it keeps has no second copy");
    json_array_foreach(json_object_get(s, "servers"), i, v)
    {
        warn_server(o, v);
    }
    for (i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
        long long n = number(s, warnings[i].group, warnings[i].name);
        snprintf(text, sizeof(text), "%lld %s", n, n == 1 ? warnings[i].one : warnings[i].many);
        if (n > 0)
            warn(o, text);
    }
    double turn = (double)number(s, "mesh", "loop_turn_max_ns");
    snprintf(text, sizeof(text), "a turn of the main loop took %.0f ms: the machine is too busy",
             turn / 1e6);
    if (turn > LOOP_TURN_WARN_NS)
        warn(o, text);
}

static void print_nodes(const json_t *s)
{
    static const char *const order[] = {"up",    "joining", "full", "draining",
                                        "maint", "suspect", "down", "left"};
    const char *comma = "";
    printf("\nnodes     ");
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        long long n = number(s, "nodes", order[i]);
        if (n > 0)
            printf("%s%lld %s", comma, n, order[i]);
        comma = n > 0 ? ", " : comma;
    }
    printf("%s\n", *comma ? "" : "none known yet");
}

#define SOURCE_TEXT_MAX 80

/* Where the number of users is from, and how old it is. */
static const char *source(const json_t *server, char out[SOURCE_TEXT_MAX])
{
    static const char *const names[][2] = {{"forward", "forwarded"},
                                           {"kernel", "counted by the kernel"},
                                           {"report", "by its report"},
                                           {"agent", "by its agent"}};
    const char *from = text_of(server, "users_from"), *name = from;
    const json_t *age = json_object_get(server, "users_age_seconds");
    char ago[32];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(from, names[i][0]) == 0)
            name = names[i][1];
    if (strcmp(from, "forward") == 0)
        snprintf(out, SOURCE_TEXT_MAX, "%s", name);
    else if (!json_is_number(age))
        snprintf(out, SOURCE_TEXT_MAX, "%s: none came yet", name);
    else
        snprintf(out, SOURCE_TEXT_MAX, "%s, %s ago", name,
                 cli_age(json_number_value(age), ago, sizeof(ago)));
    return out;
}

static const char *state(const json_t *server)
{
    if (json_is_true(json_object_get(server, "maint")))
        return "in maintenance";
    if (!json_is_true(json_object_get(server, "healthy")))
        return "not healthy";
    return json_is_true(json_object_get(server, "drain")) ? "draining" : "healthy";
}

static void print_servers(const json_t *s)
{
    char users[COUNT_TEXT_MAX], from[SOURCE_TEXT_MAX];
    size_t i;
    const json_t *v;
    json_array_foreach(json_object_get(s, "servers"), i, v)
    {
        long long capacity = json_integer_value(json_object_get(v, "capacity"));
        printf("%-10s%s: %s, %s", i ? "" : "server", text_of(v, "service"), state(v),
               count(json_integer_value(json_object_get(v, "users")), "user", users));
        if (capacity)
            printf(" of %lld", capacity);
        printf(" (%s), weight %lld", source(v, from),
               (long long)json_integer_value(json_object_get(v, "weight")));
        long long percent = json_integer_value(json_object_get(v, "weight_percent"));
        if (percent != 100)
            printf(" (%lld%%)", percent);
        if (json_is_number(json_object_get(v, "load")))
            printf(", load %.0f%%", json_number_value(json_object_get(v, "load")) * 100);
        printf(", %s\n", json_string_value(json_array_get(json_object_get(v, "urls"), 0)));
    }
}

static void print_kind(const json_t *kind)
{
    char bytes[32], limit[32], records[COUNT_TEXT_MAX];
    long long most = json_integer_value(json_object_get(kind, "memory_limit_bytes"));
    printf("          %-9s%s, %s", text_of(kind, "name"),
           count(json_integer_value(json_object_get(kind, "records")), "record", records),
           cli_bytes((double)json_integer_value(json_object_get(kind, "memory_bytes")), bytes,
                     sizeof(bytes)));
    if (most)
        printf(" of %s", cli_bytes((double)most, limit, sizeof(limit)));
    const json_t *copies = json_object_get(kind, "copies");
    long long each = json_integer_value(copies);
    if (json_is_string(copies))
        printf(", at %s\n",
               strcmp(json_string_value(copies), "all") == 0 ? "all nodes" : "its group");
    else
        printf(", %lld %s each\n", each, each == 1 ? "copy" : "copies");
}

/* While its portion comes: how far those are who send it, and how fast it was so far. */
static void print_joining(const json_t *s)
{
    char records[COUNT_TEXT_MAX], nodes[COUNT_TEXT_MAX];
    double up = json_real_value(json_object_get(s, "uptime_seconds"));
    long long taken = number(s, "sessions", "bulk_taken");
    if (strcmp(text_of(s, "status"), "joining") != 0 || number(s, "sessions", "sync_peers") == 0)
        return;
    printf("joining   %lld %% from %s: %s, %.0f/s\n", number(s, "sessions", "sync_percent"),
           count(number(s, "sessions", "sync_peers"), "node", nodes),
           count(taken, "record", records), up > 0 ? (double)taken / up : 0);
}

static void print_sessions(const json_t *s)
{
    char bytes[32], records[COUNT_TEXT_MAX];
    long long copies = number(s, "sessions", "copies");
    size_t i;
    const json_t *v;
    print_joining(s);
    printf("sessions  %s: %lld owned, %lld %s for others; %s; %lld waiting\n",
           count(number(s, "sessions", "records"), "record", records),
           number(s, "sessions", "owned"), copies, copies == 1 ? "copy" : "copies",
           cli_bytes((double)number(s, "sessions", "memory_bytes"), bytes, sizeof(bytes)),
           number(s, "sessions", "waiting"));
    json_array_foreach(json_object_get(s, "kinds"), i, v)
    {
        if (json_integer_value(json_object_get(v, "records")))
            print_kind(v);
    }
}

#define LAG_WARN_MS 60000

static void warn_repository(const struct cli_options *o, const json_t *s)
{
    if (!json_object_get(s, "repository"))
        return;
    if (number(s, "repository", "up") == 0)
        warn(o, "the repository takes nothing: see 'repository' in the log; sessions are in memory "
                "only");
    else if (number(s, "repository", "lag_ms") > LAG_WARN_MS)
        warn(o, "the repository is more than a minute behind");
}

static void print_repository(const json_t *s)
{
    char bytes[32], lag[32], records[COUNT_TEXT_MAX];
    long long file = number(s, "repository", "file_bytes");
    if (!json_object_get(s, "repository"))
        return;
    printf("repository %s", count(number(s, "repository", "records"), "record", records));
    if (file)
        printf(", %s", cli_bytes((double)file, bytes, sizeof(bytes)));
    printf("; has all that is older than %s; %lld waiting\n",
           cli_age((double)number(s, "repository", "lag_ms") / 1000.0, lag, sizeof(lag)),
           number(s, "repository", "waiting"));
}

static void print_mesh(const json_t *s)
{
    char in[32], out[32], parts[COUNT_TEXT_MAX];
    long long again = number(s, "mesh", "retransmits");
    printf("mesh      %s in, %s out; %s sent again\n",
           cli_bytes((double)number(s, "mesh", "bytes_in"), in, sizeof(in)),
           cli_bytes((double)number(s, "mesh", "bytes_out"), out, sizeof(out)),
           count(again, "part", parts));
}

static void print_multicast(const struct cli_options *o, const json_t *s)
{
    const json_t *m = json_object_get(s, "multicast");
    char text[160];
    if (!json_is_object(m))
        return;
    long long reached = number(s, "multicast", "reached"), peers = number(s, "multicast", "peers");
    bool silent = json_is_true(json_object_get(m, "silent"));
    snprintf(text, sizeof(text), "%s%s: %lld of %lld nodes hear this one%s", text_of(m, "group"),
             silent ? ", silent" : "", reached, peers,
             reached < peers ? "; copies go to the others by unicast" : "");
    printf("multicast %s%s%s\n", reached < peers || silent ? cli_paint(o, PAINT_RED) : "", text,
           reached < peers || silent ? cli_paint(o, PAINT_NONE) : "");
}

static const char *first_in(const json_t *keys, const char *state)
{
    size_t i;
    const json_t *key;
    json_array_foreach(keys, i, key)
    {
        if (strcmp(text_of(key, "state"), state) == 0)
            return text_of(key, "id");
    }
    return "";
}

static void print_tickets(const json_t *s)
{
    size_t i;
    const json_t *v;
    json_array_foreach(json_object_get(s, "tickets"), i, v)
    {
        const json_t *keys = json_object_get(v, "keys");
        const char *why = text_of(v, "why");
        printf("%-10s%s (%s): key %s seals, then %s; %s%s%s\n", i ? "" : "tickets",
               text_of(v, "set"), text_of(v, "format"), first_in(keys, "seals"),
               first_in(keys, "next"),
               !json_is_true(json_object_get(v, "written")) ? "not written"
               : json_is_true(json_object_get(v, "due"))    ? "not told to the program yet"
                                                            : "in use",
               *why ? ": " : "", why);
    }
}

/* Nothing while there is one key, which all have. */
static void print_keys(const json_t *s)
{
    const json_t *keys = json_object_get(s, "keys"), *g;
    size_t i;
    if (json_array_size(json_object_get(keys, "generations")) < 2)
        return;
    printf("keys      generation %lld is active here\n", number(s, "keys", "active"));
    json_array_foreach(json_object_get(keys, "generations"), i, g)
    {
        if (strcmp(text_of(g, "state"), "accepted") == 0)
            printf("          generation %lld: %lld nodes have it, %lld seal with it\n",
                   (long long)json_integer_value(json_object_get(g, "number")),
                   (long long)json_integer_value(json_object_get(g, "nodes")),
                   (long long)json_integer_value(json_object_get(g, "nodes_active")));
    }
}

int verb_status(int argc, char **argv)
{
    struct cli_options o;
    char *body;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_node_options(argc, argv, &o, NULL, NULL))
        return EXIT_USAGE;
    int status = cli_admin(&o, "GET", "/v1/status", &body);
    json_t *s = status == 200 ? json_loads(body, 0, NULL) : NULL;
    int result = EXIT_DONE;
    if (!s) {
        result = cli_refused(argv[0], status, body);
    } else if (o.json) {
        printf("%s\n", body);
    } else {
        print_head(&o, s);
        print_warnings(&o, s);
        warn_repository(&o, s);
        print_nodes(s);
        print_servers(s);
        print_sessions(s);
        print_repository(s);
        print_mesh(s);
        print_multicast(&o, s);
        print_tickets(s);
        print_keys(s);
    }
    json_decref(s);
    free(body);
    return result;
}
