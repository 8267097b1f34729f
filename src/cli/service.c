/* stead service: services are added, changed and taken away on all nodes, or one, while they run.
 */
#include "cli/change_call.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: stead service add ID name=NAME url=URL [KEY=VALUE...] [--at NODE]\n"
    "       stead service set ID KEY=VALUE... [--at NODE]\n"
    "       stead service remove ID [--at NODE]\n"
    "Changes a service on every node of the farm that is up, or on NODE alone. KEY is a setting "
    "of\n"
    "the section service: policy, redirect, affinity, rebalance, ... A service that a node has a\n"
    "server of is not removed there: 'stead server remove' first.\n"
    "What is changed is kept over restarts, and shown by 'stead config diff'. A node that was "
    "down\n"
    "has to be told again.\n"
    "It works by a node's unix socket only.\n";

static bool up(const json_t *node)
{
    const char *status = json_string_value(json_object_get(node, "status"));
    return status && strcmp(status, "down") != 0 && strcmp(status, "left") != 0;
}

/* Each node once. */
static int everywhere(const struct change_call *c, const char *line)
{
    char *body;
    int status = cli_admin(&c->options, "GET", "/v1/nodes", &body), result = EXIT_DONE;
    json_t *j = status == 200 ? json_loads(body, 0, NULL) : NULL, *node;
    size_t i;
    if (!j)
        result = cli_refused(c->verb, status, body);
    json_array_foreach(json_object_get(j, "nodes"), i, node)
    {
        const char *name = json_string_value(json_object_get(node, "name"));
        if (!name || !up(node))
            continue;
        int one = change_call_ask(c, name, line);
        result = one == EXIT_DONE ? result : one;
    }
    json_decref(j);
    free(body);
    return result;
}

int verb_service(int argc, char **argv)
{
    static const char *const words[] = {"add", "set", "remove"};
    char line[CHANGE_LINE_MAX], begin[32];
    struct change_call c;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!change_call_take(argc, argv, &c))
        return EXIT_USAGE;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(c.word, words[i]) != 0)
            continue;
        snprintf(begin, sizeof(begin), "service %s", words[i]);
        if (!change_call_line(&c, begin, 0, line, sizeof(line)))
            return EXIT_USAGE;
        return c.at ? change_call_ask(&c, c.at, line) : everywhere(&c, line);
    }
    fprintf(stderr, "stead service: there is no '%s'; see 'stead help service'\n", c.word);
    return EXIT_USAGE;
}
