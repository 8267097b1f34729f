/* stead server: servers of a service are added, changed and taken away while the farm runs. */
#include "cli/change_call.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: stead server add SERVICE URL... [KEY=VALUE...] [--at NODE]\n"
    "       stead server set SERVICE|URL KEY=VALUE... [--at NODE]\n"
    "       stead server weight URL|NODE[/SERVICE] WEIGHT\n"
    "       stead server remove SERVICE|URL [URL...] [--at NODE] [--force]\n"
    "Changes a pair of virtual and real server while it runs, at any node of the farm: the node "
    "of\n"
    "the URL, or --at NODE, or else the node that is asked. No connection is cut.\n"
    "add: a new pair (it needs forward=ADDRESS:PORT), or further URLs of the one that is there.\n"
    "set: KEY is a setting of the section server: weight, capacity, backup, forward, users-from,\n"
    "check.type, check.interval, ...; whatever the URL, it is set for the pair.\n"
    "remove: unbinds the URLs that are named behind SERVICE; with the last of them, or when none "
    "is\n"
    "named, the pair goes. Its URLs then lead back to the service.\n"
    "--force: also when it is the last server that is up.\n"
    "What is changed is kept over restarts, and shown by 'stead config diff'.\n"
    "It works by a node's unix socket only.\n";

static bool is_url(const char *word)
{
    const char *scheme = strstr(word, "://"), *equals = strchr(word, '=');
    return scheme && (!equals || equals > scheme);
}

/* The first URL tells which node is meant, unless --at does. */
static const char *node_of(const struct change_call *c)
{
    for (int i = 0; !c->at && i < c->argc; i++)
        if (is_url(c->argv[i]))
            return c->argv[i];
    return c->at;
}

static int add(const struct change_call *c)
{
    char line[CHANGE_LINE_MAX];
    if (!change_call_line(c, "server add", 0, line, sizeof(line)))
        return EXIT_USAGE;
    return change_call_ask(c, c->at, line);
}

/* URLs behind the service only say where it is. */
static int set(const struct change_call *c)
{
    char line[CHANGE_LINE_MAX];
    struct change_call plain = *c;
    char *words[CLI_ARGUMENTS_MAX];
    plain.argv = words;
    plain.argc = 0;
    for (int i = 0; i < c->argc; i++)
        if (i == 0 || !is_url(c->argv[i]))
            words[plain.argc++] = c->argv[i];
    if (!change_call_line(&plain, "server set", 0, line, sizeof(line)))
        return EXIT_USAGE;
    return change_call_ask(c, node_of(c), line);
}

/* remove URL takes the pair; remove SERVICE URL unbinds the URL. */
static int take_away(const struct change_call *c)
{
    char line[CHANGE_LINE_MAX];
    if (!change_call_line(c, "server remove", 0, line, sizeof(line)))
        return EXIT_USAGE;
    return change_call_ask(c, node_of(c), line);
}

static int weigh(const struct change_call *c)
{
    char line[CHANGE_LINE_MAX], begin[CHANGE_LINE_MAX / 2], node[256], server[512] = "-";
    if (c->argc != 2) {
        fprintf(stderr, "stead server: weight takes a URL or a node, and a number\n");
        return EXIT_USAGE;
    }
    snprintf(node, sizeof(node), "%s", c->argv[0]);
    char *slash = is_url(node) ? NULL : strchr(node, '/');
    if (slash)
        *slash = '\0';
    const char *named = is_url(node) ? node : slash ? slash + 1 : "-";
    if (!change_escape(named, server, sizeof(server)))
        return EXIT_USAGE;
    snprintf(begin, sizeof(begin), "server set %s", server);
    char weight[64], *words[] = {weight};
    snprintf(weight, sizeof(weight), "weight=%.32s", c->argv[1]);
    struct change_call one = *c;
    one.argc = 1;
    one.argv = words;
    if (!change_call_line(&one, begin, 0, line, sizeof(line)))
        return EXIT_USAGE;
    return change_call_ask(c, c->at ? c->at : node, line);
}

int verb_server(int argc, char **argv)
{
    struct change_call c;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!change_call_take(argc, argv, &c))
        return EXIT_USAGE;
    if (strcmp(c.word, "add") == 0)
        return add(&c);
    if (strcmp(c.word, "set") == 0)
        return set(&c);
    if (strcmp(c.word, "weight") == 0)
        return weigh(&c);
    if (strcmp(c.word, "remove") == 0)
        return take_away(&c);
    fprintf(stderr, "stead server: there is no '%s'; see 'stead help server'\n", c.word);
    return EXIT_USAGE;
}
