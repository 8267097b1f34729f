/* stead pick: what a client of the farm does, on the command line: name -> first server -> roster
 * -> second server. */
#include "cli/cli.h"
#include "stead/stead.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DNS, SERVICE, POLICY, GROUP, ZONE, EXCLUDE, VERBOSE, OPTION_COUNT };
static const char *const options[] = {
    "dns:", "service:", "policy:", "group:", "zone:", "exclude:", "verbose", NULL};

static const char help[] =
    "usage: stead pick [OPTION...] URL\n"
    "Resolves the URL's name, asks the first server that answers for the roster, picks a server "
    "by\n"
    "policy and prints its URL. Exit status 1 when there is none.\n\n"
    "  --dns IP:PORT      the name server to ask (default: the system's resolver)\n"
    "  --policy POLICY    two-choices (default), random, weighted, least-users\n"
    "  --group G, --zone Z, --service ID   only servers of these\n"
    "  --exclude NAME     not this server\n"
    "  --verbose          also which first server answered, and who was considered\n"
    "  --json             all of it as JSON\n";

static void print_json(const struct stead_choice *c)
{
    json_t *considered = json_array();
    for (size_t i = 0; i < stead_choice_candidates(c); i++)
        json_array_append_new(considered, json_string(stead_choice_candidate(c, i)));
    json_t *all =
        json_pack("{s:s, s:s, s:s, s:o}", "url", stead_choice_url(c), "server",
                  stead_choice_server(c), "first", stead_choice_first(c), "considered", considered);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void print_choice(const struct stead_choice *c, bool verbose)
{
    printf("%s\n", stead_choice_url(c));
    if (!verbose)
        return;
    printf("server      %s\nfirst       %s\nconsidered ", stead_choice_server(c),
           stead_choice_first(c));
    for (size_t i = 0; i < stead_choice_candidates(c); i++)
        printf(" %s", stead_choice_candidate(c, i));
    putchar('\n');
}

/* What an error of stead_pick() means here, where there are no records. */
static const char *reason(int err)
{
    switch (err) {
    case STEAD_E_INVAL:
        return "not an http or https URL, or an option that is not valid; see 'stead help pick'";
    case STEAD_E_UNREACHABLE:
        return "neither the name server nor a server of that name can be reached";
    case STEAD_E_IO:
        return "the name server does not answer for that name";
    case STEAD_E_NOT_FOUND:
        return "there is no such name, or no roster of a farm behind it";
    default:
        return stead_error_text(err);
    }
}

int verb_pick(int argc, char **argv)
{
    const char *value[OPTION_COUNT] = {NULL};
    struct cli_options o;
    struct stead_options so;
    struct stead_choice *choice;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, options, value))
        return EXIT_USAGE;
    if (o.first + 1 != argc) {
        fprintf(stderr, "stead pick: which URL? See 'stead help pick'\n");
        return EXIT_USAGE;
    }
    stead_options_init(&so, sizeof(so));
    so.dns = value[DNS];
    so.service = value[SERVICE];
    so.policy = value[POLICY];
    so.group = value[GROUP];
    so.zone = value[ZONE];
    so.exclude = &value[EXCLUDE];
    so.exclude_count = value[EXCLUDE] ? 1 : 0;
    int err = stead_pick(argv[o.first], &so, &choice);
    if (err) {
        fprintf(stderr, "stead pick: %s: %s\n", argv[o.first], reason(err));
        return err == STEAD_E_INVAL ? EXIT_USAGE : EXIT_FAILED;
    }
    if (o.json)
        print_json(choice);
    else
        print_choice(choice, value[VERBOSE] != NULL);
    stead_choice_free(choice);
    return EXIT_DONE;
}
