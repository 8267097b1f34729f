/* stead snapshot: a node's sessions into a file, or out of it; this verb asks for it and watches.
 */
#include "cli/cli.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_NS 100000000l
#define PATIENCE_POLLS 36000 /* an hour */

static const char help[] =
    "usage: stead snapshot save|load FILE [-c CONFIG | --admin WHERE] [--json]\n"
    "save: the sessions that the running node holds go into FILE, sealed with the farm's key: at "
    "a\n"
    "repository, all of the farm. It appears when it is whole. A file that is no snapshot is not\n"
    "replaced.\n"
    "load: what is in FILE and what no node of the farm has in memory comes back. FILE is read as "
    "a\n"
    "whole first; one that is damaged or of another farm is refused, and changes nothing.\n"
    "The node itself reads and writes FILE, so it needs the rights. It works by the node's unix\n"
    "socket only. Exit status 1 when it failed.\n";

/* The node is another process than this one: a path must not depend on where it was started. */
static bool add_file(char *out, size_t cap, const char *file)
{
    char whole[PATH_MAX], folder[PATH_MAX];
    if (*file == '/')
        return cli_query_add(out, cap, "file", file);
    if (!realpath(".", folder) ||
        snprintf(whole, sizeof(whole), "%s/%s", folder, file) >= (int)sizeof(whole)) {
        fprintf(stderr, "stead snapshot: the path is too long\n");
        return false;
    }
    return cli_query_add(out, cap, "file", whole);
}

/* What the node says in the end; NULL after it was said what is wrong. */
static json_t *watch(const struct cli_options *o, int status, char *body)
{
    for (int i = 0; i < PATIENCE_POLLS; i++) {
        json_t *j = status == 200 ? json_loads(body, 0, NULL) : NULL;
        if (!j && status != 0)
            cli_refused("snapshot", status, body);
        free(body);
        if (!j || !json_is_true(json_object_get(j, "running")))
            return j;
        json_decref(j);
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
        status = cli_admin(o, "GET", "/v1/snapshot", &body);
    }
    free(body);
    fprintf(stderr, "stead snapshot: it takes too long; see the node's log\n");
    return NULL;
}

static long long number(const json_t *j, const char *name)
{
    return json_integer_value(json_object_get(j, name));
}

static void show(const json_t *j, bool load)
{
    char size[32], age[32];
    if (!load) {
        printf("%lld records saved, %s\n", number(j, "records"),
               cli_bytes((double)number(j, "bytes"), size, sizeof(size)));
        if (number(j, "skipped") > 0)
            printf("%lld were being changed all the time, and are not in it\n",
                   number(j, "skipped"));
        return;
    }
    double seconds = difftime(time(NULL), (time_t)(number(j, "time_ms") / 1000));
    printf("%lld records loaded, as they were %s ago\n", number(j, "records"),
           cli_age(seconds > 0 ? seconds : 0, age, sizeof(age)));
    printf(
        "%lld not: the node has them; %lld: their life is over; %lld: no such kind, or no room\n",
        number(j, "skipped"), number(j, "over"), number(j, "refused"));
}

static int finish(const struct cli_options *o, const json_t *j, const char *file, bool load)
{
    const char *error = json_string_value(json_object_get(j, "error"));
    const char *why = json_string_value(json_object_get(j, "why"));
    bool failed = error && *error;
    if (o->json) {
        json_dumpf(j, stdout, JSON_INDENT(2));
        printf("\n");
    } else if (!failed) {
        show(j, load);
    }
    if (failed)
        fprintf(stderr, "stead snapshot: %s: %s\n", file, why && *why ? why : error);
    return failed ? EXIT_FAILED : EXIT_DONE;
}

int verb_snapshot(int argc, char **argv)
{
    struct cli_options o;
    char path[2 * PATH_MAX] = "/v1/snapshot", *body;
    static const char *const none[] = {NULL};
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, none, NULL))
        return EXIT_USAGE;
    const char *what = argc - o.first == 2 ? argv[o.first] : "";
    if (strcmp(what, "save") != 0 && strcmp(what, "load") != 0) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    const char *file = argv[o.first + 1];
    if (!cli_find_node(&o) || !cli_query_add(path, sizeof(path), "what", what) ||
        !add_file(path, sizeof(path), file))
        return EXIT_USAGE;
    int status = cli_admin(&o, "POST", path, &body);
    json_t *j = watch(&o, status, body);
    if (!j)
        return EXIT_FAILED;
    int result = finish(&o, j, file, strcmp(what, "load") == 0);
    json_decref(j);
    return result;
}
