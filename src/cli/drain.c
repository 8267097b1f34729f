/* stead drain, stead undrain: a node takes no new clients and hands its sessions over, or takes
 * them again. */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ASKS_PER_S 5

static const char drain_help[] =
    "usage: stead drain [NODE] [--wait]\n"
    "The node takes no new clients and hands its sessions over. Clients that are connected stay.\n"
    "--wait: says what is left each second, until it is safe to stop.\n"
    "It works by the node's unix socket only.\n";
static const char undrain_help[] = "usage: stead undrain [NODE]\n"
                                   "The node takes clients again, after `stead drain`.\n"
                                   "It works by the node's unix socket only.\n";

static int post(const struct cli_options *o, const char *verb, const char *path)
{
    char *body;
    int status = cli_admin(o, "POST", path, &body);
    int result = status == 200 ? EXIT_DONE : cli_refused(verb, status, body);
    if (result == EXIT_DONE && o->json)
        fputs(body, stdout);
    free(body);
    return result;
}

struct left {
    bool drained; /* no record is left here that another node should have */
    long long users, records;
};

/* False when the node does not say. */
static bool what_is_left(const struct cli_options *o, struct left *left)
{
    char *body;
    int answer = cli_admin(o, "GET", "/v1/status", &body);
    json_t *status = answer == 200 ? json_loads(body, 0, NULL) : NULL, *server;
    size_t i;
    *left = (struct left){.drained = json_is_true(json_object_get(status, "drained"))};
    left->records =
        json_integer_value(json_object_get(json_object_get(status, "sessions"), "handover_left"));
    json_array_foreach(json_object_get(status, "servers"), i, server)
    {
        left->users += json_integer_value(json_object_get(server, "users"));
    }
    bool told = status != NULL;
    json_decref(status);
    free(body);
    return told;
}

/* Asks often, tells once a second. */
static int wait_until_empty(const struct cli_options *o)
{
    struct left left;
    for (unsigned asked = 0;; asked++) {
        if (!what_is_left(o, &left))
            return EXIT_FAILED;
        if (left.drained && left.users == 0)
            break;
        if (asked % ASKS_PER_S == ASKS_PER_S - 1)
            fprintf(stderr, "%lld users, %lld records left\n", left.users, left.records);
        nanosleep(&(struct timespec){.tv_nsec = 1000000000l / ASKS_PER_S}, NULL);
    }
    if (!o->json)
        printf("it is safe to stop\n");
    return EXIT_DONE;
}

int verb_drain(int argc, char **argv)
{
    static const char *const extra[] = {"wait", NULL};
    const char *wait[1] = {NULL};
    struct cli_options o;
    if (cli_wants_help(argc, argv, drain_help))
        return EXIT_DONE;
    if (!cli_node_options(argc, argv, &o, extra, wait))
        return EXIT_USAGE;
    int status = post(&o, argv[0], "/v1/drain");
    return status == EXIT_DONE && wait[0] ? wait_until_empty(&o) : status;
}

int verb_undrain(int argc, char **argv)
{
    struct cli_options o;
    if (cli_wants_help(argc, argv, undrain_help))
        return EXIT_DONE;
    if (!cli_node_options(argc, argv, &o, NULL, NULL))
        return EXIT_USAGE;
    return post(&o, argv[0], "/v1/undrain");
}
