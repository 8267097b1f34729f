/* stead verify: are the copies equal that should be? Names those that are not, and has them
 * mended. */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POLL_NS 100000000l
#define PATIENCE_POLLS 3000 /* five minutes */

enum { REPAIR, OPTION_COUNT };
static const char *const options[] = {"repair", NULL};

static const char help[] =
    "usage: stead verify [--repair] [--json] [NODE]\n"
    "Compares every record of a node with the nodes that keep it too, and names those that\n"
    "differ: kind, key, and the other node. --repair: they are merged, and the merge is kept by\n"
    "all. A node does that by itself too, all the time and slowly. It needs the node's unix\n"
    "socket. Exit status 1 when something differs and was not mended.\n";

/* The node's answer once it has compared all; NULL after it was said what is wrong. */
static json_t *compare(const struct cli_options *o, bool repair)
{
    char *body;
    int status = cli_admin(o, "POST", repair ? "/v1/verify?repair=1" : "/v1/verify", &body);
    for (int i = 0; i < PATIENCE_POLLS; i++) {
        json_t *j = status == 200 ? json_loads(body, 0, NULL) : NULL;
        if (!j && status != 0)
            cli_refused("verify", status, body);
        free(body);
        if (!j || json_is_false(json_object_get(j, "running")))
            return j;
        json_decref(j);
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
        status = cli_admin(o, "GET", "/v1/verify", &body);
    }
    free(body);
    fprintf(stderr, "stead verify: the node is still comparing; ask again later\n");
    return NULL;
}

static void show(const struct cli_options *o, const json_t *j)
{
    const json_t *d, *differing = json_object_get(j, "differing");
    size_t i;
    json_array_foreach(differing, i, d)
    {
        printf("%-10s %s%-40s%s differs at %s\n", json_string_value(json_object_get(d, "kind")),
               cli_paint(o, PAINT_YELLOW), json_string_value(json_object_get(d, "key")),
               cli_paint(o, PAINT_NONE), json_string_value(json_object_get(d, "node")));
    }
    long long more = json_integer_value(json_object_get(j, "more"));
    if (more > 0)
        printf("and %lld more\n", more);
}

static int finish(const struct cli_options *o, const json_t *first, const json_t *last, bool repair)
{
    size_t found = json_array_size(json_object_get(first, "differing"));
    size_t left = last ? json_array_size(json_object_get(last, "differing")) : found;
    if (o->json)
        json_dumpf(last ? last : first, stdout, JSON_INDENT(2));
    else
        show(o, first);
    if (o->json)
        printf("\n");
    else if (found == 0)
        printf("all %lld records that were compared are equal\n",
               (long long)json_integer_value(json_object_get(first, "compared")));
    else if (repair)
        printf("%zu of %zu mended\n", left < found ? found - left : 0, found);
    return left == 0 ? EXIT_DONE : EXIT_FAILED;
}

int verb_verify(int argc, char **argv)
{
    const char *value[OPTION_COUNT] = {NULL};
    struct cli_options o;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_node_options(argc, argv, &o, options, value))
        return EXIT_USAGE;
    json_t *first = compare(&o, false), *last = NULL;
    if (!first)
        return EXIT_FAILED;
    bool repair = value[REPAIR] && json_array_size(json_object_get(first, "differing")) > 0;
    /* Mended when it is found again, and equal when it is looked at once more. */
    if (repair) {
        json_decref(compare(&o, true));
        last = compare(&o, false);
    }
    int status = finish(&o, first, last, repair);
    json_decref(first);
    json_decref(last);
    return status;
}
