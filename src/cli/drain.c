/* stead drain, stead undrain: a node takes no new clients and hands its sessions over, or takes
 * them again. */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool wants_help(int argc, char **argv)
{
    return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

static int post(const struct cli_options *o, const char *path)
{
    char *body = NULL;
    int status = cli_admin(o, "POST", path, &body);
    if (status && status / 100 != 2)
        fprintf(stderr, "stead: the node answers %d: %s\n", status, body);
    free(body);
    return status / 100 == 2 ? EXIT_DONE : EXIT_FAILED;
}

/* Users and records that are still here; false when the node does not say. */
static bool what_is_left(const struct cli_options *o, long long *users, long long *records)
{
    char *body = NULL;
    if (cli_admin(o, "GET", "/v1/status", &body) != 200) {
        free(body);
        return false;
    }
    json_t *status = json_loads(body, 0, NULL), *server;
    size_t i;
    *users = 0;
    *records =
        json_integer_value(json_object_get(json_object_get(status, "sessions"), "handover_left"));
    json_array_foreach(json_object_get(status, "servers"), i, server)
    {
        *users += json_integer_value(json_object_get(server, "users"));
    }
    json_decref(status);
    free(body);
    return true;
}

static int wait_until_empty(const struct cli_options *o)
{
    long long users, records;
    do {
        if (!what_is_left(o, &users, &records))
            return EXIT_FAILED;
        fprintf(stderr, "%lld users, %lld records left\n", users, records);
        if (users > 0 || records > 0)
            sleep(1);
    } while (users > 0 || records > 0);
    printf("it is safe to stop\n");
    return EXIT_DONE;
}

int verb_drain(int argc, char **argv)
{
    static const char *const extra[] = {"wait", NULL};
    const char *wait[1] = {NULL};
    struct cli_options o;
    if (wants_help(argc, argv)) {
        printf(
            "usage: stead drain [NODE] [--wait]\nThe node takes no new clients and hands its "
            "sessions over.\n--wait: says what is left each second, until it is safe to stop.\n");
        return EXIT_DONE;
    }
    if (!cli_options(argc, argv, &o, extra, wait))
        return EXIT_USAGE;
    int status = post(&o, "/v1/drain");
    return status == EXIT_DONE && wait[0] ? wait_until_empty(&o) : status;
}

int verb_undrain(int argc, char **argv)
{
    struct cli_options o;
    if (wants_help(argc, argv)) {
        printf("usage: stead undrain [NODE]\nThe node takes clients again.\n");
        return EXIT_DONE;
    }
    if (!cli_options(argc, argv, &o, NULL, NULL))
        return EXIT_USAGE;
    return post(&o, "/v1/undrain");
}
