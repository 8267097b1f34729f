/* tls_keys.c - the generations of ticket keys, of one node or of several side by side. */
#include "cli/tls_keys.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEALS 1 /* its place in the list; the next one's is before it */

static json_int_t number(const json_t *j, const char *name)
{
    return json_integer_value(json_object_get(j, name));
}

static const char *text(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s ? s : "";
}

static void print_key(const json_t *key, json_int_t now_s)
{
    char age[32], left[32];
    json_int_t at = number(key, "seals_at"), until = number(key, "opens_until");
    const char *state = text(key, "state");
    cli_age((double)(at > now_s ? at - now_s : now_s - at), age, sizeof(age));
    cli_age((double)(until > now_s ? until - now_s : 0), left, sizeof(left));
    printf("  %s  %-5s  %s %s, opens for %s\n", text(key, "id"), state,
           at > now_s                    ? "seals in"
           : strcmp(state, "seals") == 0 ? "since"
                                         : "first used before",
           age, left);
}

static void print_node(const char *node, const json_t *tickets)
{
    char left[32];
    size_t i;
    const json_t *key, *keys = json_object_get(tickets, "keys");
    const char *mode = text(tickets, "mode");
    if (!tickets)
        printf("%s: no TLS listener\n", node);
    else if (json_array_size(keys) == 0)
        printf("%s: %s: %s\n", node, mode,
               strcmp(mode, "off") == 0 ? "no session is resumed"
                                        : "sessions lie in the farm's store, no ticket has a key");
    else
        printf("%s: next rotation in %s\n", node,
               cli_age((double)number(tickets, "rotates_in_seconds"), left, sizeof(left)));
    json_array_foreach(keys, i, key)
    {
        print_key(key, number(tickets, "now"));
    }
}

/* What seals there, and how tickets are made at all. */
static bool same(const json_t *a, const json_t *b)
{
    const json_t *x = json_array_get(json_object_get(a, "keys"), SEALS);
    const json_t *y = json_array_get(json_object_get(b, "keys"), SEALS);
    return !a || !b ||
           (strcmp(text(a, "mode"), text(b, "mode")) == 0 &&
            strcmp(text(x, "id"), text(y, "id")) == 0);
}

/* NULL after it said what failed. */
static json_t *ask(struct cli_options *o)
{
    char *body;
    int status = cli_admin(o, "GET", "/v1/status", &body);
    json_t *j = status == 200 ? json_loads(body, 0, NULL) : NULL;
    if (!j)
        (void)cli_refused("tls keys", status, body);
    free(body);
    return j;
}

int tls_keys(int argc, char **argv, struct cli_options *o, int first)
{
    json_t *list = json_array(), *one = NULL;
    int status = EXIT_DONE;
    bool alike = true;
    for (int i = first; i < argc || i == first; i++) {
        if (i < argc)
            snprintf(o->where, sizeof(o->where), "%s", argv[i]);
        json_t *j = ask(o);
        if (!j) {
            status = EXIT_FAILED;
            continue;
        }
        const json_t *tickets = json_object_get(json_object_get(j, "tls"), "tickets");
        alike = alike && same(one, tickets);
        if (!one)
            one = json_incref(json_object_get(json_object_get(j, "tls"), "tickets"));
        if (!o->json)
            print_node(text(j, "node"), tickets);
        json_array_append_new(list,
                              json_pack("{s:s, s:O*}", "node", text(j, "node"), "tickets",
                                        json_object_get(json_object_get(j, "tls"), "tickets")));
        json_decref(j);
    }
    if (o->json) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (!alike) {
        printf("they do not open each other's tickets: look at clocks, `tls { tickets }` and "
               "`stead key`\n");
    }
    json_decref(one);
    json_decref(list);
    return alike ? status : EXIT_FAILED;
}
