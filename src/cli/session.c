/* stead session end: all sessions of a user, everywhere. */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_NS 50000000l
#define PATIENCE_POLLS 1200 /* a minute */
#define PASSES_MAX 5        /* what moves from node to node meanwhile is found by the next */

enum { USER, KIND, FIELD, OPTION_COUNT };
static const char *const options[] = {"user:", "kind:", "field:", NULL};

static const char help[] =
    "usage: stead session end --user NAME [--kind KIND] [--field FIELD] [--json] [--admin WHERE | "
    "-c FILE]\n"
    "Ends all sessions of a user at all nodes of the farm: the records of kind auth (or KIND) "
    "whose\n"
    "field \"user\" (or FIELD) is NAME. It needs the node's unix socket. Exit status 1 when a node "
    "did\n"
    "not answer, or a session could not be ended: ask again.\n";

struct outcome {
    long long ended, failed;
    json_t *silent;
};

/* One pass over the farm. False after it was said what is wrong. */
static bool pass(const struct cli_options *o, const char *path, struct outcome *out)
{
    char *body;
    int status = cli_admin(o, "POST", path, &body);
    for (int i = 0; i < PATIENCE_POLLS; i++) {
        json_t *j = status == 200 ? json_loads(body, 0, NULL) : NULL;
        if (!j && status != 0)
            cli_refused("session", status, body);
        free(body);
        if (!j)
            return false;
        bool over = json_is_false(json_object_get(j, "running"));
        if (over) {
            out->ended = json_integer_value(json_object_get(j, "ended"));
            out->failed = json_integer_value(json_object_get(j, "failed"));
            out->silent = json_incref(json_object_get(j, "silent"));
        }
        json_decref(j);
        if (over)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
        status = cli_admin(o, "GET", "/v1/session-end", &body);
    }
    free(body);
    fprintf(stderr, "stead session: it takes too long; ask again\n");
    return false;
}

static int tell(const struct cli_options *o, const struct outcome *r)
{
    const json_t *name;
    size_t i;
    bool whole = r->failed == 0 && json_array_size(r->silent) == 0;
    if (o->json) {
        json_t *j = json_pack("{s:I, s:I, s:O}", "ended", (json_int_t)r->ended, "failed",
                              (json_int_t)r->failed, "silent", r->silent);
        json_dumpf(j, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(j);
        return whole ? EXIT_DONE : EXIT_FAILED;
    }
    printf("%lld session%s ended\n", r->ended, r->ended == 1 ? "" : "s");
    if (r->failed > 0)
        fprintf(stderr, "stead session: %lld could not be ended: ask again\n", r->failed);
    json_array_foreach(r->silent, i, name)
        fprintf(stderr, "stead session: %s did not answer: ask again\n", json_string_value(name));
    return whole ? EXIT_DONE : EXIT_FAILED;
}

int verb_session(int argc, char **argv)
{
    const char *value[OPTION_COUNT] = {NULL};
    struct cli_options o;
    struct outcome all = {0}, one = {0};
    char path[2048] = "/v1/session-end";
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, options, value))
        return EXIT_USAGE;
    if (argc - o.first != 1 || strcmp(argv[o.first], "end") != 0 || !value[USER]) {
        fprintf(stderr, "stead session: what is to be done? see 'stead help session'\n");
        return EXIT_USAGE;
    }
    if (!cli_find_node(&o))
        return EXIT_USAGE;
    if (!cli_query_add(path, sizeof path, "user", value[USER]) ||
        !cli_query_add(path, sizeof path, "kind", value[KIND] ? value[KIND] : "auth") ||
        !cli_query_add(path, sizeof path, "field", value[FIELD] ? value[FIELD] : "user"))
        return EXIT_USAGE;
    for (int i = 0; i < PASSES_MAX; i++) {
        json_decref(one.silent);
        one.silent = NULL;
        if (!pass(&o, path, &one))
            return EXIT_FAILED;
        all.ended += one.ended;
        all.failed = one.failed;
        all.silent = one.silent;
        if (one.ended == 0)
            break;
    }
    int status = tell(&o, &all);
    json_decref(one.silent);
    return status;
}
