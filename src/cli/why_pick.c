/* stead why pick: every server of the roster, as a client judges it. */
#include "cli/cli.h"
#include "cli/why.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const options[] = {PICK_OPTIONS, NULL};

static json_t *considered_json(const struct stead_considered *s)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:b}", "name", s->name, "service",
                          s->service, "status", s->status, "verdict", s->verdict, "users",
                          (json_int_t)s->users, "weight", (json_int_t)s->weight, "capacity",
                          (json_int_t)s->capacity, "drawn", s->drawn);
    json_object_set_new(o, "load", s->load < 0 ? json_null() : json_integer(s->load));
    return o;
}

static void print_json(const struct stead_choice *c)
{
    json_t *servers = json_array();
    for (size_t i = 0; i < stead_choice_considered_count(c); i++)
        json_array_append_new(servers, considered_json(stead_choice_considered(c, i)));
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "url", stead_choice_url(c),
                            "server", stead_choice_server(c), "first", stead_choice_first(c),
                            "policy", stead_choice_policy(c), "reason", stead_choice_reason(c),
                            "revision", (json_int_t)stead_choice_revision(c), "age_ms",
                            (json_int_t)stead_choice_age_ms(c), "servers", servers);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static int width_of(const struct stead_choice *c)
{
    size_t width = 6;
    for (size_t i = 0; i < stead_choice_considered_count(c); i++) {
        size_t len = strlen(stead_choice_considered(c, i)->name);
        width = len > width ? len : width;
    }
    return (int)width;
}

static void print_server(const struct cli_options *o, const struct stead_considered *s, int width)
{
    char users[32], load[16] = "-";
    bool chosen = strcmp(s->verdict, "chosen") == 0;
    if (s->capacity)
        snprintf(users, sizeof(users), "%" PRIu32 "/%" PRIu32, s->users, s->capacity);
    else
        snprintf(users, sizeof(users), "%" PRIu32, s->users);
    if (s->load >= 0)
        snprintf(load, sizeof(load), "%d%%", (int)(s->load / 10));
    printf("%s%-*s  %-8s  %11s  %6" PRIu32 "  %4s  %s%s%s\n",
           chosen ? cli_paint(o, PAINT_BOLD) : "", width, s->name, s->status, users, s->weight,
           load, s->verdict, s->drawn && !chosen ? ", drawn" : "",
           chosen ? cli_paint(o, PAINT_NONE) : "");
}

static void print_people(const struct cli_options *o, const struct stead_choice *c)
{
    int width = width_of(c);
    if (*stead_choice_server(c))
        printf("%s: %s\n%s\n", stead_choice_server(c), stead_choice_reason(c), stead_choice_url(c));
    else
        printf("nobody: %s\n", stead_choice_reason(c));
    printf("policy %s; the roster is revision %" PRIu64 " of %s, taken %" PRIu64
           " ms before the choice\n\n",
           stead_choice_policy(c), stead_choice_revision(c), stead_choice_first(c),
           stead_choice_age_ms(c));
    printf("%-*s  %-8s  %11s  %6s  %4s  %s\n", width, "SERVER", "STATUS", "USERS", "WEIGHT", "LOAD",
           "VERDICT");
    for (size_t i = 0; i < stead_choice_considered_count(c); i++)
        print_server(o, stead_choice_considered(c, i), width);
}

int why_pick(int argc, char **argv)
{
    const char *value[PICK_OPTION_COUNT] = {NULL};
    char token[PICK_TOKEN_MAX + 1];
    struct cli_options o;
    struct stead_options so;
    struct stead_choice *choice;
    struct stead_tls_client *tls;
    if (!cli_options(argc, argv, &o, options, value))
        return EXIT_USAGE;
    if (o.first + 1 != argc) {
        fprintf(stderr, "stead why pick: which URL? See 'stead help why'\n");
        return EXIT_USAGE;
    }
    if (!pick_options(value, argv[o.first], o.cacert, token, &so, &tls))
        return EXIT_USAGE;
    int err = stead_pick_why(argv[o.first], &so, &choice);
    stead_tls_client_free(tls);
    if (!choice)
        return pick_failed("why", argv[o.first], err);
    if (o.json)
        print_json(choice);
    else
        print_people(&o, choice);
    stead_choice_free(choice);
    return err ? EXIT_FAILED : EXIT_DONE;
}
