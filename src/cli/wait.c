/* stead wait: until a node takes clients, or until every copy is where it should be. For scripts
 * between restarts. */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_S 60
#define POLL_NS 100000000l

enum { READY, SYNCED, SAFE, TIMEOUT, OPTION_COUNT };
static const char *const options[] = {"ready", "synced", "safe", "t:", NULL};

static const char help[] = "usage: stead wait [--ready | --synced | --safe] [-t SECONDS] [NODE]\n"
                           "Returns when the node takes clients (--ready, the default), or when it "
                           "does, its real servers\n"
                           "answer and all its records have their copies (--synced), or when it "
                           "drains and may be stopped:\n"
                           "no users, no records left (--safe). Exit status 1 when that is not so "
                           "within SECONDS (default 60).\n"
                           "A node that does not answer yet is waited for.\n";

static bool is_ready(const struct cli_options *o, char *why, size_t cap)
{
    char *body;
    int status = cli_admin(o, "GET", "/readyz", &body);
    if (status == 0)
        snprintf(why, cap, "it does not answer");
    else if (status != 200)
        snprintf(why, cap, "%.*s", (int)strcspn(body, "\n"), body);
    free(body);
    return status == 200;
}

static bool is_synced(const struct cli_options *o, char *why, size_t cap)
{
    static const char *const must_be_none[] = {"below_copies", "orphans", "doubtful"};
    char *body;
    if (!is_ready(o, why, cap))
        return false;
    int status = cli_admin(o, "GET", "/v1/status", &body);
    json_t *s = status == 200 ? json_loads(body, 0, NULL) : NULL;
    const json_t *sessions = json_object_get(s, "sessions");
    bool synced = sessions != NULL;
    if (!synced)
        snprintf(why, cap, "it does not tell its status");
    const json_t *server;
    size_t i;
    for (i = 0; synced && i < 3; i++) {
        long long n = json_integer_value(json_object_get(sessions, must_be_none[i]));
        snprintf(why, cap, "%s is %lld", must_be_none[i], n);
        synced = n == 0;
    }
    json_array_foreach(json_object_get(s, "servers"), i, server)
    {
        if (synced && !json_is_true(json_object_get(server, "healthy"))) {
            snprintf(why, cap, "its real server does not answer");
            synced = false;
        }
    }
    json_decref(s);
    free(body);
    return synced;
}

static bool is_safe(const struct cli_options *o, char *why, size_t cap)
{
    char *body;
    int status = cli_admin(o, "GET", "/v1/progress", &body);
    json_t *p = status == 200 ? json_loads(body, 0, NULL) : NULL;
    bool safe = json_is_true(json_object_get(p, "safe"));
    if (!p)
        snprintf(why, cap, "it does not answer");
    else if (!json_is_true(json_object_get(p, "draining")))
        snprintf(why, cap, "it does not drain");
    else
        snprintf(why, cap, "%lld users, %lld records left",
                 (long long)json_integer_value(json_object_get(p, "users")),
                 (long long)json_integer_value(json_object_get(p, "records")));
    json_decref(p);
    free(body);
    return safe;
}

static bool is_so(const struct cli_options *o, const char *const *value, char *why, size_t cap)
{
    if (value[SAFE])
        return is_safe(o, why, cap);
    return value[SYNCED] ? is_synced(o, why, cap) : is_ready(o, why, cap);
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int verb_wait(int argc, char **argv)
{
    const char *value[OPTION_COUNT] = {NULL};
    struct cli_options o;
    char why[128] = "";
    double timeout = TIMEOUT_S;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_node_options(argc, argv, &o, options, value))
        return EXIT_USAGE;
    char *end = NULL;
    if (value[TIMEOUT]) {
        timeout = strtod(value[TIMEOUT], &end);
        if (*end || end == value[TIMEOUT] || !(timeout >= 0)) {
            fprintf(stderr, "stead wait: -t takes seconds, not '%s'\n", value[TIMEOUT]);
            return EXIT_USAGE;
        }
    }
    o.quiet = true;
    double until = seconds_now() + timeout;
    for (;;) {
        if (is_so(&o, value, why, sizeof(why)))
            return EXIT_DONE;
        if (seconds_now() >= until)
            break;
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
    fprintf(stderr, "stead wait: not %s after %g s: %s\n",
            value[SAFE]     ? "safe"
            : value[SYNCED] ? "synced"
                            : "ready",
            timeout, why);
    return EXIT_FAILED;
}
