/* stead config: what is in effect at a node, and where it differs from its file. stead reload: the
 * file is read again. */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char config_help[] =
    "usage: stead config show|diff [NODE] [--json]\n"
    "show: the configuration that is in effect, in the form of the file, without defaults.\n"
    "diff: what operators changed while it runs, against the file ('-' the file, '+' in effect),\n"
    "and what of the file waits for a restart.\n"
    "It works by the node's own unix socket only.\n";
static const char reload_help[] =
    "usage: stead reload [SERVER] [--json] [--admin NODE]\n"
    "The node reads its configuration file again, as after SIGHUP: what changed is taken up "
    "without\n"
    "losing a connection, and what cannot be is named. SERVER is any node of the farm, without it\n"
    "the node that is asked. A file with a mistake changes nothing.\n"
    "It works by a node's unix socket only.\n";

static const char *text_of(const json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));
    return text ? text : "";
}

static void print_difference(const struct cli_options *o, const json_t *d)
{
    const char *section = text_of(d, "section"), *title = text_of(d, "title");
    const char *name = text_of(d, "name"), *was = text_of(d, "file"), *is = text_of(d, "now");
    printf("%s%s%s%s%s%s%s%s\n", cli_paint(o, PAINT_BOLD), section, *title ? " \"" : "", title,
           *title ? "\"" : "", *name && *section ? ": " : "", name, cli_paint(o, PAINT_NONE));
    if (*name || *was)
        printf("%s  - %s%s\n", cli_paint(o, PAINT_RED), was, cli_paint(o, PAINT_NONE));
    if (*name || *is)
        printf("%s  + %s%s\n", cli_paint(o, PAINT_GREEN), is, cli_paint(o, PAINT_NONE));
}

static void print_diff(const struct cli_options *o, const json_t *j)
{
    const json_t *changes = json_object_get(j, "changes"), *restart = json_object_get(j, "restart");
    const json_t *d;
    size_t i;
    json_array_foreach(changes, i, d) print_difference(o, d);
    if (json_array_size(restart) > 0)
        printf("needs a restart:\n");
    json_array_foreach(restart, i, d) print_difference(o, d);
    if (json_array_size(changes) + json_array_size(restart) == 0)
        printf("as the file says\n");
}

int verb_config(int argc, char **argv)
{
    struct cli_options o;
    char *body;
    if (cli_wants_help(argc, argv, config_help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, NULL, NULL))
        return EXIT_USAGE;
    const char *word = o.first < argc ? argv[o.first] : "";
    bool show = strcmp(word, "show") == 0;
    if (!show && strcmp(word, "diff") != 0) {
        fprintf(stderr, "stead config: show or diff? see 'stead help config'\n");
        return EXIT_USAGE;
    }
    if (argc - o.first > 2) {
        fprintf(stderr, "stead config: one node at a time; see 'stead help config'\n");
        return EXIT_USAGE;
    }
    if (argc - o.first == 2)
        o.admin = argv[o.first + 1];
    if (!cli_find_node(&o))
        return EXIT_USAGE;
    int status = cli_admin(&o, "GET", "/v1/config", &body);
    json_t *j = status == 200 ? json_loads(body, 0, NULL) : NULL;
    int result = j ? EXIT_DONE : cli_refused("config", status, body);
    if (j && o.json)
        fputs(body, stdout);
    else if (j && show)
        fputs(text_of(j, "config"), stdout);
    else if (j)
        print_diff(&o, j);
    json_decref(j);
    free(body);
    return result;
}

int verb_reload(int argc, char **argv)
{
    struct cli_options o;
    char path[1024] = "/v1/reload", *body;
    if (cli_wants_help(argc, argv, reload_help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, NULL, NULL))
        return EXIT_USAGE;
    if (argc - o.first > 1) {
        fprintf(stderr, "stead reload: one server at a time; see 'stead help reload'\n");
        return EXIT_USAGE;
    }
    if (!cli_find_node(&o))
        return EXIT_USAGE;
    if (o.first < argc && !cli_query_add(path, sizeof(path), "server", argv[o.first]))
        return EXIT_USAGE;
    int status = cli_admin(&o, "POST", path, &body);
    json_t *j = status == 200 ? json_loads(body, 0, NULL) : NULL;
    int result = j ? EXIT_DONE : cli_refused("reload", status, body);
    if (j && o.json)
        fputs(body, stdout);
    else if (j)
        printf("%s: %s\n", text_of(j, "server"), text_of(j, "said"));
    json_decref(j);
    free(body);
    return result;
}
