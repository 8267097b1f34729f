/* stead pick: libstead's choice of a server, as a command. */
#include "cli/pick.h"

#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { VERBOSE = PICK_OPTION_COUNT, OPTION_COUNT };
static const char *const options[] = {PICK_OPTIONS, "verbose", NULL};

static const char help[] =
    "usage: stead pick [OPTION...] URL\n"
    "Resolves the URL's name, asks the first server that answers for the roster, picks a server "
    "by\n"
    "policy and prints its URL. Exit status 1 when there is none; 'stead why pick' says "
    "why.\n\n" PICK_HELP
    "  --verbose          also which first server answered, and who was considered\n"
    "  --json             all of it as JSON\n";

/* The first word of the file. */
static bool read_token(const char *path, char token[PICK_TOKEN_MAX + 1])
{
    FILE *f = fopen(path, "r");
    size_t len = f ? fread(token, 1, PICK_TOKEN_MAX, f) : 0;
    if (f)
        fclose(f);
    token[len] = '\0';
    token[strcspn(token, " \t\r\n")] = '\0';
    if (!*token)
        fprintf(stderr, "stead: %s: no token can be read there\n", path);
    return *token;
}

static bool make_tls(const char *cacert, struct stead_options *out, struct stead_tls_client **tls)
{
    const struct stead_tls_client_options o = {.size = sizeof(o), .ca_file = cacert};
    int err = stead_tls_client_new(&o, tls);
    if (err)
        fprintf(stderr, "stead: %s: %s\n", cacert ? cacert : "certificates of the system",
                err == STEAD_E_IO ? "no certificates can be read there" : stead_error_text(err));
    else
        out->secure = stead_tls_client_secure(*tls);
    return !err;
}

bool pick_options(const char **values, const char *url, const char *cacert,
                  char token[PICK_TOKEN_MAX + 1], struct stead_options *out,
                  struct stead_tls_client **tls)
{
    *tls = NULL;
    stead_options_init(out, sizeof(*out));
    out->dns = values[PICK_DNS];
    out->service = values[PICK_SERVICE];
    out->policy = values[PICK_POLICY];
    out->group = values[PICK_GROUP];
    out->zone = values[PICK_ZONE];
    out->allow = values[PICK_ALLOW];
    out->exclude = &values[PICK_EXCLUDE];
    out->exclude_count = values[PICK_EXCLUDE] ? 1 : 0;
    if (values[PICK_TOKEN]) {
        out->token = token;
        if (!read_token(values[PICK_TOKEN], token))
            return false;
    }
    return strncmp(url, "https://", 8) != 0 || make_tls(cacert, out, tls);
}

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

/* What an error of libstead means here, where there are no records. */
static const char *reason(int err)
{
    switch (err) {
    case STEAD_E_INVAL:
        return "not an http or https URL, or an option that is not valid";
    case STEAD_E_UNSUPPORTED:
        return "what answers there is no roster of a farm";
    case STEAD_E_UNREACHABLE:
        return "neither the name server nor a server of that name can be reached";
    case STEAD_E_IO:
        return "the name server does not answer for that name";
    case STEAD_E_NOT_FOUND:
        return "there is no such name, or no roster of a farm behind it";
    case STEAD_E_NO_SERVER:
        return "no server can take a client; 'stead why pick' says why of each";
    case STEAD_E_DENIED:
        return "its certificate is not good or of another name (--cacert), or the farm tells its "
               "roster only to who has its token (--token-file)";
    default:
        return stead_error_text(err);
    }
}

int pick_failed(const char *verb, const char *url, int err)
{
    fprintf(stderr, "stead %s: %s: %s\n", verb, url, reason(err));
    if (err == STEAD_E_INVAL)
        fprintf(stderr, "see 'stead help %s'\n", verb);
    return err == STEAD_E_INVAL ? EXIT_USAGE : EXIT_FAILED;
}

int verb_pick(int argc, char **argv)
{
    const char *value[OPTION_COUNT] = {NULL};
    char token[PICK_TOKEN_MAX + 1];
    struct cli_options o;
    struct stead_options so;
    struct stead_choice *choice;
    struct stead_tls_client *tls;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, options, value))
        return EXIT_USAGE;
    if (o.first + 1 != argc) {
        fprintf(stderr, "stead pick: which URL? See 'stead help pick'\n");
        return EXIT_USAGE;
    }
    if (!pick_options(value, argv[o.first], o.cacert, token, &so, &tls))
        return EXIT_USAGE;
    int err = stead_pick(argv[o.first], &so, &choice);
    stead_tls_client_free(tls);
    if (err)
        return pick_failed("pick", argv[o.first], err);
    if (o.json)
        print_json(choice);
    else
        print_choice(choice, value[VERBOSE] != NULL);
    stead_choice_free(choice);
    return EXIT_DONE;
}
