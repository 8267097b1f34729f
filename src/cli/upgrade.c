/* stead upgrade: the node's process hands over to a new one; this verb asks for it and watches. */
#include "cli/cli.h"
#include "stead/error.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASKS_PER_S 10
#define PATIENCE_S 120    /* longer than a node waits for its successor */
#define NO_ANSWERS_MAX 30 /* in a row: while they change over, one may be missed */
#define STATE_MAX 32

static const char help[] =
    "usage: stead upgrade [-c FILE | --admin WHERE] [--binary PATH] [--config FILE] [--json]\n"
    "Hands the running node over to a new process on the same host: the program at PATH (without "
    "it\n"
    "the file that the running one was started from, as it is now), with the configuration FILE\n"
    "(without it the same file, as it is now). Sockets, sessions and connections pass over; "
    "clients\n"
    "and the other nodes go on. If the new process cannot, the old one goes on as it was.\n"
    "Ends with 0 when the new process has taken over, 1 when it could not. It works by the node's\n"
    "unix socket only.\n";

struct watch {
    char state[STATE_MAX], why[256];
    long long pid, first_pid;
};

/* The node is another process than this one: a path must not depend on where it was started. */
static bool add_file(char *out, size_t cap, const char *name, const char *file)
{
    char whole[PATH_MAX];
    if (!file)
        return true;
    if (!realpath(file, whole)) {
        fprintf(stderr, "stead upgrade: there is no file %s\n", file);
        return false;
    }
    return cli_query_add(out, cap, name, whole);
}

static bool take(const char *body, struct watch *w)
{
    json_t *j = body ? json_loads(body, 0, NULL) : NULL;
    const char *state = json_string_value(json_object_get(j, "state"));
    const char *why = json_string_value(json_object_get(j, "why"));
    bool good = state != NULL;
    if (good) {
        snprintf(w->state, sizeof(w->state), "%s", state);
        snprintf(w->why, sizeof(w->why), "%s", why ? why : "");
        w->pid = json_integer_value(json_object_get(j, "pid"));
    }
    json_decref(j);
    return good;
}

static void tell(const struct watch *w)
{
    if (strcmp(w->state, "joining") == 0 && w->pid == w->first_pid)
        fprintf(stderr, "a new process joins\n");
    else if (strcmp(w->state, "handing") == 0 && w->pid != w->first_pid)
        fprintf(stderr, "process %lld serves; the old one hands its records over\n", w->pid);
}

static int finish(const struct watch *w, const struct cli_options *o)
{
    bool done = w->pid != w->first_pid;
    if (o->json)
        printf("{\"done\": %s, \"pid\": %lld}\n", done ? "true" : "false", w->pid);
    else if (done)
        printf("process %lld has taken over\n", w->pid);
    if (!done)
        fprintf(stderr, "stead upgrade: the old process goes on: %s\n", w->why);
    return done ? EXIT_DONE : EXIT_FAILED;
}

static bool over(const struct watch *w)
{
    bool settled = strcmp(w->state, "done") == 0 || strcmp(w->state, "idle") == 0;
    return strcmp(w->state, "failed") == 0 || (settled && w->pid != w->first_pid);
}

/* First the old process answers, later the new one: the one that accepts. */
static int watch(struct cli_options *o, struct watch *w)
{
    char last[STATE_MAX] = "";
    unsigned silent = 0;
    for (unsigned asked = 0; asked < PATIENCE_S * ASKS_PER_S && silent < NO_ANSWERS_MAX; asked++) {
        char *body;
        o->quiet = true;
        int status = cli_admin(o, "GET", "/v1/upgrade", &body);
        silent = status == 200 && take(body, w) ? 0 : silent + 1;
        free(body);
        if (silent == 0 && over(w))
            return finish(w, o);
        if (silent == 0 && strcmp(last, w->state) != 0 && !o->json)
            tell(w);
        snprintf(last, sizeof(last), "%s", w->state);
        nanosleep(&(struct timespec){.tv_nsec = 1000000000l / ASKS_PER_S}, NULL);
    }
    fprintf(stderr, "stead upgrade: %s; see the node's log\n",
            silent ? "the node does not answer any more" : "it takes too long");
    return EXIT_FAILED;
}

int verb_upgrade(int argc, char **argv)
{
    const char *value[2] = {NULL};
    static const char *const extra[] = {"binary:", "config:", NULL};
    struct cli_options o;
    struct watch w = {.state = ""};
    char path[2048] = "/v1/upgrade", *body;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, extra, value) || !cli_no_arguments(argc, argv, &o) ||
        !cli_find_node(&o))
        return EXIT_USAGE;
    if (!add_file(path, sizeof(path), "binary", value[0]) ||
        !add_file(path, sizeof(path), "config", value[1]))
        return EXIT_USAGE;
    int status = cli_admin(&o, "POST", path, &body);
    int result = EXIT_FAILED;
    if (status == 200 && take(body, &w)) {
        w.first_pid = w.pid;
        result = watch(&o, &w);
    } else {
        result = cli_refused("upgrade", status, body);
    }
    free(body);
    return result;
}
