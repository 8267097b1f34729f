/* stead key: the generations of the farm's key: what they are, and changing them while the farm
 * runs. */
#include "cli/cli.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: stead key list | add [--from FILE [--here]] | activate N | retire N | forget N\n"
    "                 [--force] [--json] [--admin NODE]\n"
    "The farm's key, changed while it runs; see docs/keys.md.\n"
    "list: its generations, and which of them each node has.\n"
    "add: a new generation, which all nodes get and none uses yet. --from: the key in FILE (of\n"
    "'stead keygen', readable for the node); --here: to this node alone: say it at each.\n"
    "activate: from now on every node seals with it. Not while a node that is up lacks it.\n"
    "retire: nothing is accepted under it any more. Not while a node needs it. What lies sealed\n"
    "under it is still read, until\n"
    "forget: its last trace goes.\n"
    "--force: whatever the nodes say.\n"
    "It works by a node's unix socket only.\n";

static const char *text_of(const json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));
    return text ? text : "";
}

static long long number_of(const json_t *j, const char *key)
{
    return (long long)json_integer_value(json_object_get(j, key));
}

static void print_generations(const struct cli_options *o, const json_t *keys)
{
    size_t i;
    const json_t *g;
    printf("%s%-12s%-10s%-18s%8s%8s%8s%s\n", cli_paint(o, PAINT_BOLD), "GENERATION", "STATE",
           "MARK", "NODES", "ACTIVE", "USING", cli_paint(o, PAINT_NONE));
    json_array_foreach(json_object_get(keys, "generations"), i, g)
    {
        bool active = json_is_true(json_object_get(g, "active"));
        printf("%-12lld%-10s%-18s%8lld%8lld%8lld%s\n", number_of(g, "number"),
               active ? "active" : text_of(g, "state"), text_of(g, "mark"), number_of(g, "nodes"),
               number_of(g, "nodes_active"), number_of(g, "nodes_using"),
               json_is_true(json_object_get(g, "here")) ? "  told to no other node" : "");
    }
}

static void print_nodes(const json_t *keys)
{
    size_t i, k;
    const json_t *n, *number;
    json_array_foreach(json_object_get(keys, "nodes"), i, n)
    {
        printf("%s%s: ", i ? "" : "\n", text_of(n, "name"));
        if (!json_is_true(json_object_get(n, "told"))) {
            printf("has not said yet\n");
            continue;
        }
        printf("active %lld, has", number_of(n, "active"));
        json_array_foreach(json_object_get(n, "accepted"), k, number)
        {
            printf(" %lld", (long long)json_integer_value(number));
        }
        printf("\n");
    }
}

static int list(const struct cli_options *o)
{
    char *body;
    int status = cli_admin(o, "GET", "/v1/status", &body);
    json_t *s = status == 200 ? json_loads(body, 0, NULL) : NULL;
    json_t *keys = json_object_get(s, "keys");
    int result = keys ? EXIT_DONE : cli_refused("key", status, body);
    char *text = keys && o->json ? json_dumps(keys, JSON_INDENT(2)) : NULL;
    if (text)
        puts(text);
    else if (keys) {
        print_generations(o, keys);
        print_nodes(keys);
    }
    free(text);
    json_decref(s);
    free(body);
    return result;
}

static int ask(const struct cli_options *o, const char *order, bool force)
{
    char path[8192], *body;
    snprintf(path, sizeof(path), "/v1/key?force=%d", force);
    if (!cli_query_add(path, sizeof(path), "change", order))
        return EXIT_USAGE;
    int status = cli_admin(o, "POST", path, &body);
    json_t *j = status ? json_loads(body, 0, NULL) : NULL;
    int result = EXIT_DONE;
    if (status == 409 && strcmp(text_of(j, "error"), "IN_USE") == 0) {
        fprintf(stderr, "stead key: refused: %s\n", text_of(j, "message"));
        result = EXIT_FAILED;
    } else if (status != 200) {
        result = cli_refused("key", status, body);
    } else if (o->json) {
        fputs(body, stdout);
    } else {
        printf("%s\n", text_of(j, "said"));
    }
    json_decref(j);
    free(body);
    return result;
}

/* The node reads the file itself, so that no secret passes through here. */
static bool make_order(const char *word, const char *number, const char *from, bool here,
                       char *order, size_t cap)
{
    char path[PATH_MAX];
    if (strcmp(word, "add") != 0)
        return snprintf(order, cap, "%s %s", word, number) < (int)cap;
    if (!from)
        return snprintf(order, cap, "add") < (int)cap;
    if (!realpath(from, path)) {
        fprintf(stderr, "stead key: %s: there is no such file\n", from);
        return false;
    }
    return snprintf(order, cap, "%s %s", here ? "add-here" : "add", path) < (int)cap;
}

int verb_key(int argc, char **argv)
{
    static const char *const extra[] = {"from:", "here", "force", NULL};
    static const char *const words[] = {"add", "activate", "retire", "forget"};
    const char *values[3] = {NULL};
    struct cli_options o;
    char order[PATH_MAX + 32];
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, extra, values))
        return EXIT_USAGE;
    const char *word = o.first < argc ? argv[o.first] : "";
    int given = argc - o.first - 1;
    bool listing = strcmp(word, "list") == 0, adding = strcmp(word, "add") == 0, known = listing;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        known |= strcmp(word, words[i]) == 0;
    if (!known || given != (listing || adding ? 0 : 1) || (values[0] && !adding) ||
        (values[1] && !values[0])) {
        fprintf(stderr, "stead key: list, add, activate N, retire N or forget N? see 'stead help "
                        "key'\n");
        return EXIT_USAGE;
    }
    if (!cli_find_node(&o))
        return EXIT_USAGE;
    if (listing)
        return list(&o);
    if (!make_order(word, given ? argv[o.first + 1] : "", values[0], values[1] != NULL, order,
                    sizeof(order)))
        return EXIT_USAGE;
    return ask(&o, order, values[2] != NULL);
}
