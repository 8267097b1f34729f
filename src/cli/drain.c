/* stead drain, undrain, maint: a server takes no new clients and hands its sessions over, or is
 * taken out, or takes clients again. The order goes to any node of the farm by way of the node that
 * is asked. */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASKS_PER_S 5
#define RATE_SPAN_S 10 /* the rate of leaving is that of so long */
#define NO_ANSWERS_MAX 3

static const char drain_help[] =
    "usage: stead drain [SERVER] [--wait] [-t SECONDS] [--force] [--json] [--admin NODE]\n"
    "The server takes no new clients and hands its sessions over. Clients that are connected stay\n"
    "until they leave; those with libstead move away by themselves. SERVER is any node of the "
    "farm,\n"
    "without it the node that is asked.\n"
    "--wait: says what is left each second, until it is safe to stop; -t: no longer than that.\n"
    "--force: also when it is the last server that is up.\n"
    "It works by a node's unix socket only.\n";
static const char undrain_help[] = "usage: stead undrain [SERVER] [--json] [--admin NODE]\n"
                                   "The server takes clients again, after `stead drain`.\n"
                                   "It works by a node's unix socket only.\n";
static const char maint_help[] =
    "usage: stead maint [SERVER] [--off] [--force] [--json] [--admin NODE]\n"
    "The server is taken out: no new clients, and its sessions are served by its backup. It stays\n"
    "out, over restarts too, until --off. SERVER is any node of the farm, without it the node "
    "that\n"
    "is asked.\n"
    "--force: also when it is the last server that is up.\n"
    "It works by a node's unix socket only.\n";

struct call {
    struct cli_options options;
    const char *verb, *server; /* server NULL: the node that is asked */
    bool force;
    double timeout_s; /* 0: none */
};

static bool take_timeout(const char *verb, const char *text, double *out)
{
    char *end = NULL;
    *out = text ? strtod(text, &end) : 0;
    if (!text || (end != text && !*end && *out > 0))
        return true;
    fprintf(stderr, "stead %s: -t takes seconds, not '%s'\n", verb, text);
    return false;
}

/* The server is an argument, the node an option. */
static bool take_call(int argc, char **argv, const char *const *extra, const char **values,
                      struct call *out)
{
    *out = (struct call){.verb = argv[0]};
    if (!cli_options(argc, argv, &out->options, extra, values))
        return false;
    if (argc - out->options.first > 1) {
        fprintf(stderr, "stead %s: one server at a time; see 'stead help %s'\n", argv[0], argv[0]);
        return false;
    }
    if (out->options.first < argc)
        out->server = argv[out->options.first];
    return cli_find_node(&out->options);
}

struct left {
    char server[64];
    bool safe;
    long long users, records;
};

static void take_left(const json_t *j, struct left *out)
{
    const char *name = json_string_value(json_object_get(j, "server"));
    snprintf(out->server, sizeof(out->server), "%s", name ? name : "?");
    out->safe = json_is_true(json_object_get(j, "safe"));
    out->users = json_integer_value(json_object_get(j, "users"));
    out->records = json_integer_value(json_object_get(j, "records"));
}

/* The exit status; *left what was answered. */
static int ask(const struct call *c, const char *method, const char *path, struct left *left)
{
    char at[512], *body;
    snprintf(at, sizeof(at), "%s?force=%d", path, c->force);
    if (c->server && !cli_query_add(at, sizeof(at), "server", c->server))
        return EXIT_USAGE;
    int status = cli_admin(&c->options, method, at, &body);
    json_t *j = status == 200 ? json_loads(body, 0, NULL) : NULL;
    int result = EXIT_DONE;
    if (status == 409) {
        fprintf(stderr,
                "stead %s: it is the last server that is up: clients would find nobody. --force "
                "does it all the same\n",
                c->verb);
        result = EXIT_FAILED;
    } else if (!j) {
        result = cli_refused(c->verb, status, body);
    } else {
        take_left(j, left);
        if (c->options.json)
            fputs(body, stdout);
    }
    json_decref(j);
    free(body);
    return result;
}

/* -- waiting -- */

/* Users of the last seconds: how fast they leave. */
struct pace {
    long long users[RATE_SPAN_S + 1]; /* the newest first */
    size_t count;
};

static void pace_add(struct pace *p, long long users)
{
    memmove(p->users + 1, p->users, RATE_SPAN_S * sizeof(p->users[0]));
    p->users[0] = users;
    p->count += p->count <= RATE_SPAN_S;
}

static double pace_per_s(const struct pace *p)
{
    if (p->count < 2)
        return 0;
    return (double)(p->users[p->count - 1] - p->users[0]) / (double)(p->count - 1);
}

static void tell_progress(const struct left *l, const struct pace *p)
{
    char age[32];
    double rate = pace_per_s(p);
    fprintf(stderr, "%s: %lld users left", l->server, l->users);
    if (rate > 0 && l->users > 0)
        fprintf(stderr, ", %.1f/s, about %s to go", rate,
                cli_age((double)l->users / rate, age, sizeof(age)));
    fprintf(stderr, ", %lld records to hand over\n", l->records);
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Asks often, tells once a second. */
static int wait_until_safe(const struct call *c, struct left *left)
{
    struct call quiet = *c;
    struct pace pace = {.count = 0};
    double end = seconds_now() + c->timeout_s;
    unsigned silent = 0;
    for (unsigned asked = 0;; asked++) {
        bool tells = asked % ASKS_PER_S == 0;
        quiet.options.json = c->options.json && tells;
        /* A node may miss one question, but not several. */
        int result = ask(&quiet, "GET", "/v1/progress", left);
        silent = result == EXIT_DONE ? 0 : silent + 1;
        if (silent == NO_ANSWERS_MAX)
            return EXIT_FAILED;
        if (silent == 0 && left->safe)
            break;
        if (c->timeout_s > 0 && seconds_now() >= end) {
            fprintf(stderr, "stead %s: not safe after %g s: %lld users, %lld records left\n",
                    c->verb, c->timeout_s, left->users, left->records);
            return EXIT_FAILED;
        }
        if (tells) {
            pace_add(&pace, left->users);
            tell_progress(left, &pace);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000000l / ASKS_PER_S}, NULL);
    }
    if (!c->options.json)
        printf("it is safe to stop\n");
    else if (quiet.options.json == false)
        return ask(c, "GET", "/v1/progress", left);
    return EXIT_DONE;
}

/* -- the verbs -- */

int verb_drain(int argc, char **argv)
{
    const char *value[3] = {NULL};
    static const char *const extra[] = {"wait", "t:", "force", NULL};
    struct call c;
    struct left left = {.users = 0};
    if (cli_wants_help(argc, argv, drain_help))
        return EXIT_DONE;
    if (!take_call(argc, argv, extra, value, &c) || !take_timeout(argv[0], value[1], &c.timeout_s))
        return EXIT_USAGE;
    c.force = value[2] != NULL;
    int result = ask(&c, "POST", "/v1/drain", &left);
    return result == EXIT_DONE && value[0] ? wait_until_safe(&c, &left) : result;
}

int verb_undrain(int argc, char **argv)
{
    struct call c;
    struct left left;
    if (cli_wants_help(argc, argv, undrain_help))
        return EXIT_DONE;
    if (!take_call(argc, argv, NULL, NULL, &c))
        return EXIT_USAGE;
    return ask(&c, "POST", "/v1/undrain", &left);
}

int verb_maint(int argc, char **argv)
{
    const char *value[2] = {NULL};
    static const char *const extra[] = {"off", "force", NULL};
    struct call c;
    struct left left;
    if (cli_wants_help(argc, argv, maint_help))
        return EXIT_DONE;
    if (!take_call(argc, argv, extra, value, &c))
        return EXIT_USAGE;
    c.force = value[1] != NULL;
    return ask(&c, "POST", value[0] ? "/v1/unmaint" : "/v1/maint", &left);
}
