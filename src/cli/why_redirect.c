/* stead why redirect: what a node decided about one request, by its id. */
#include "cli/cli.h"
#include "cli/roster.h"
#include "cli/why.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ID_MAX 128

static const struct {
    const char *why, *meaning;
} reasons[] = {
    {"balanced", "by policy"},
    {"returned", "the client's cookie says that it was there before"},
    {"by-key", "the request's key leads there"},
    {"backup", "the server it asked for is out, and this is its backup"},
    {"own-server-out", "the server it asked for is out: a new choice"},
    {"server-gone", "the server it asked for is gone: a new choice"},
    {"to-https", "the page has its https URL on the same server"},
    {"to-http", "the page has its http URL on the same server"},
    {"handoff", "the token in the URL was taken, and the URL freed of it"},
    {"own-server", "it asked for this node's own server"},
    {"shared-name", "the servers share the common name"},
    {"nobody-up", "no server of the service could take it"},
    {"no-url", "the chosen server has no URL"},
    {"unknown-host", "no service and no server has that host"},
    {"other-server", "it asked for a server of another node, which is there to answer itself"},
    {"unknown-service", "it asked for a server of a service that this node does not know"},
    {"unsafe-path", "its path cannot stand in a redirect"},
    {"no-tunnel", "no connection to the server came about"},
};

static const char *meaning_of(const char *why)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i].why, why) == 0)
            return reasons[i].meaning;
    return why;
}

static const char *text(const json_t *o, const char *name)
{
    const char *value = json_string_value(json_object_get(o, name));
    return value ? value : "-";
}

static long long number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static void print_chosen(const json_t *d, const json_t *chosen)
{
    char capacity[32] = "", load[32] = "";
    if (number(chosen, "capacity") > 0)
        snprintf(capacity, sizeof(capacity), " of %lld", number(chosen, "capacity"));
    if (json_is_integer(json_object_get(chosen, "load")))
        snprintf(load, sizeof(load), ", load %lld%%", number(chosen, "load") / 10);
    const char *policy = json_string_value(json_object_get(d, "policy"));
    printf("%s was %s with %lld%s users, weight %lld%s%s%s (roster revision %lld)\n",
           text(chosen, "name"), text(chosen, "status"), number(chosen, "users"), capacity,
           number(chosen, "weight"), load, policy ? ", policy " : "", policy ? policy : "",
           number(chosen, "revision"));
}

static void print_decision(const json_t *d)
{
    char when[32];
    time_t at = (time_t)number(d, "time");
    struct tm tm;
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&at, &tm));
    const json_t *chosen = json_object_get(d, "chosen");
    printf("%s%s%s: %s (%s)\n", text(d, "verdict"), json_is_object(chosen) ? " to " : "",
           json_is_object(chosen) ? text(chosen, "name") : "", meaning_of(text(d, "why")),
           text(d, "why"));
    printf("%s %s%s from %s at %s, answered by %s", text(d, "method"), text(d, "host"),
           text(d, "path"), text(d, "client"), when, text(d, "node"));
    if (number(d, "status") > 0)
        printf(" with %lld", number(d, "status"));
    putchar('\n');
    if (json_is_object(chosen))
        print_chosen(d, chosen);
}

/* The service's servers as they are by now. */
static void print_now(const struct cli_options *o, const char *service)
{
    char *body;
    int status = cli_admin(o, "GET", "/v1/roster", &body);
    json_t *roster = status == 200 ? json_loads(body, 0, NULL) : NULL;
    json_t *all = json_object_get(roster, "servers"), *some = json_array(), *server;
    size_t i;
    json_array_foreach(all, i, server) if (strcmp(text(server, "service"), service) == 0)
        json_array_append(some, server);
    if (json_array_size(some) > 0) {
        printf("\nby now:\n");
        roster_table(o, some, SIZE_MAX, "\n");
    }
    json_decref(some);
    json_decref(roster);
    free(body);
}

static int unknown(const char *id)
{
    const char *node = strchr(id, '@');
    fprintf(stderr,
            "stead why redirect: the node does not remember %s; it keeps the last thousand or so "
            "of each worker\n",
            id);
    if (node && node[1])
        fprintf(stderr, "It was decided by %s: ask there, if you asked another one.\n", node + 1);
    return EXIT_FAILED;
}

int why_redirect(int argc, char **argv)
{
    static const char *const none[] = {NULL};
    struct cli_options o;
    char path[3 * ID_MAX + 32] = "/v1/decision", *body;
    if (!cli_options(argc, argv, &o, none, NULL))
        return EXIT_USAGE;
    if (o.first + 1 != argc || !cli_query_add(path, sizeof(path), "id", argv[o.first])) {
        fprintf(stderr, "stead why redirect: which id? See 'stead help why'\n");
        return EXIT_USAGE;
    }
    if (!cli_find_node(&o))
        return EXIT_USAGE;
    int status = cli_admin(&o, "GET", path, &body);
    json_t *d = status == 200 ? json_loads(body, 0, NULL) : NULL;
    int result = EXIT_DONE;
    if (!d && status == 404)
        result = unknown(argv[o.first]);
    else if (!d)
        result = cli_refused("why redirect", status, body);
    else if (o.json)
        printf("%s\n", body);
    else {
        print_decision(d);
        print_now(&o, text(d, "service"));
    }
    json_decref(d);
    free(body);
    return result;
}
