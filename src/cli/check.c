/* stead check, stead settings, stead keygen: what needs no running node. */
#include "cli/cli.h"
#include "node/config.h"
#include "node/names.h"
#include "node/settings.h"
#include "node/state.h"
#include "node/tls_setup.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>

int verb_check(int argc, char **argv)
{
    struct cli_options o;
    struct config config;
    if (cli_wants_help(argc, argv,
                       "usage: stead check [-c FILE]\nReads the configuration and says "
                       "every mistake with file and line. Exit status 2 if there is any.\n"))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, NULL, NULL) || !cli_no_arguments(argc, argv, &o))
        return EXIT_USAGE;
    if (config_load(o.config, &config, stderr))
        return EXIT_USAGE;
    char error[CONFIG_TEXT_MAX + 128];
    if (!names_check(&config, error, sizeof(error))) {
        fprintf(stderr, "%s\n", error);
        return EXIT_USAGE;
    }
    char tls_error[TLS_ERROR_MAX];
    if (!tls_setup_check(&config, tls_error)) {
        fprintf(stderr, "tls: %s\n", tls_error);
        return EXIT_USAGE;
    }
    printf("%s: node %s of farm %s is well configured\n", o.config, config.node.name,
           config.top.farm);
    return EXIT_DONE;
}

int verb_keygen(int argc, char **argv)
{
    if (cli_wants_help(argc, argv,
                       "usage: stead keygen FILE\nMakes a new key for a farm, mode 0600. "
                       "Copy it to every node of the farm.\n"))
        return EXIT_DONE;
    if (argc != 2) {
        fprintf(stderr, "stead keygen: which file? See 'stead help keygen'\n");
        return EXIT_USAGE;
    }
    int err = key_make(argv[1]);
    if (err) {
        fprintf(stderr, "stead keygen: %s: %s\n", argv[1], stead_error_text(err));
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static void print_setting(const struct setting *s)
{
    printf("    %-14s %s", s->name, setting_type_name(s->type));
    if (s->choices)
        printf(" %s", s->choices);
    if (!s->fallback)
        printf(", required");
    else if (*s->fallback)
        printf(", default %s", s->fallback);
    printf("\n                   %s\n", s->help);
}

static void print_setting_man(const struct setting *s)
{
    printf(".TP\n.B %s\n(%s", s->name, setting_type_name(s->type));
    if (s->choices)
        printf(": %s", s->choices);
    if (s->type == SETTING_NUMBER)
        printf(" from %llu to %llu", (unsigned long long)s->min, (unsigned long long)s->max);
    printf("%s%s) %s\n", s->fallback ? (*s->fallback ? ", default " : "") : ", required",
           s->fallback ? s->fallback : "", s->help);
}

int verb_settings(int argc, char **argv)
{
    static const char *const extra[] = {"man", NULL};
    const char *man[1] = {NULL};
    struct cli_options o;
    if (cli_wants_help(argc, argv,
                       "usage: stead settings [--man]\nPrints every setting that a configuration "
                       "may have. --man prints the same as source of stead.conf(5).\n"))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, extra, man) || !cli_no_arguments(argc, argv, &o))
        return EXIT_USAGE;
    for (size_t i = 0; i < sections_count; i++) {
        const struct section *sec = &sections[i];
        const char *title = sec->title ? sec->title : "";
        if (man[0])
            printf(".SS %s%s%s%s\n%s\n", *sec->name ? sec->name : "top level",
                   *title ? " \\(dq" : "", title, *title ? "\\(dq" : "", sec->help);
        else
            printf("%s%s%s%s\n    %s\n", *sec->name ? sec->name : "(top level)",
                   *title ? " \"" : "", title, *title ? "\"" : "", sec->help);
        for (size_t j = 0; j < settings_count; j++)
            if (strcmp(settings[j].section, sec->name) == 0)
                (man[0] ? print_setting_man : print_setting)(&settings[j]);
        if (!man[0])
            putchar('\n');
    }
    return EXIT_DONE;
}
