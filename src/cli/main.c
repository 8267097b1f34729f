/* The entry: finds the verb in the table and runs it. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static int verb_help(int argc, char **argv);
static int verb_version(int argc, char **argv);

static const struct verb verbs[] = {
    {"run", "[-c FILE]", "run the node that FILE describes, in the foreground", verb_run},
    {"check", "[-c FILE]", "check a configuration and say what is wrong with it", verb_check},
    {"status", "[NODE]", "how a node and its sessions are", verb_status},
    {"roster", "[NODE] [--watch]", "every server of the farm, with its users", verb_roster},
    {"wait", "[--synced] [-t SECONDS] [NODE]", "until a node takes clients", verb_wait},
    {"pick", "URL", "pick a server as a client does, and print its URL", verb_pick},
    {"connect", "HOST:PORT|URL", "standard input and output to the server that is picked",
     verb_connect},
    {"why", "pick URL", "why a client picks the server that it picks", verb_why},
    {"session", "end --user NAME", "end all sessions of a user, at all nodes", verb_session},
    {"verify", "[--repair] [NODE]", "are the copies of sessions equal? names those that are not",
     verb_verify},
    {"snapshot", "save|load FILE", "a node's sessions into a file, or out of it, while it runs",
     verb_snapshot},
    {"tls", "test HOST:PORT... | keys", "TLS sessions: go on anywhere? keys of tickets", verb_tls},
    {"drain", "[SERVER] [--wait]", "send it no new clients, and hand its sessions over",
     verb_drain},
    {"upgrade", "[--binary PATH]", "hand the node over to a new process; clients go on",
     verb_upgrade},
    {"undrain", "[SERVER]", "take clients again", verb_undrain},
    {"maint", "[SERVER] [--off]", "take a server out: its backup serves its clients", verb_maint},
    {"inline", "rules [--undo]", "the kernel's rules for a node in line before its servers",
     verb_inline},
    {"server", "add|set|weight|remove ...", "change servers while the farm runs", verb_server},
    {"service", "add|set|remove ID ...", "change services while the farm runs", verb_service},
    {"config", "show|diff [NODE]", "what is in effect, and how it differs from the file",
     verb_config},
    {"reload", "[SERVER]", "read the configuration file again", verb_reload},
    {"key", "list|add|activate|retire ...", "change the farm's key while it runs", verb_key},
    {"keygen", "FILE", "make a farm's key", verb_keygen},
    {"settings", "", "every setting of the configuration, with its default", verb_settings},
    {"version", "", "the version of this program", verb_version},
    {"help", "[VERB]", "this, or what a verb takes", verb_help},
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void print_help(FILE *to)
{
    fprintf(to, "stead: sessions that outlive their server\n\nusage: stead VERB [OPTION...]\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        char call[64];
        snprintf(call, sizeof(call), "%s %s", verbs[i].name, verbs[i].arguments);
        fprintf(to, "  %-36s %s\n", call, verbs[i].help);
    }
    fprintf(
        to,
        "\nNODE: unix:PATH, ADDRESS:PORT or https://HOST:PORT of its admin listener; without it "
        "$STEAD_ADMIN,\nor what the configuration says: -c FILE (default %s)\n"
        "more: stead help VERB, man stead, man stead.conf\n",
        CONFIG_DEFAULT);
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int verb_help(int argc, char **argv)
{
    bool named = argc > 1 && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0;
    const struct verb *v = named ? find_verb(argv[1]) : NULL;
    if (named && !v) {
        fprintf(stderr, "stead: there is no verb '%s'; see 'stead help'\n", argv[1]);
        return EXIT_USAGE;
    }
    if (!v) {
        print_help(stdout);
        return EXIT_DONE;
    }
    char *help[] = {(char *)v->name, (char *)"--help", NULL};
    if (v->run != verb_help && v->run != verb_version)
        return v->run(2, help);
    printf("usage: stead %s%s%s\n%s\n", v->name, *v->arguments ? " " : "", v->arguments, v->help);
    return EXIT_DONE;
}

static int verb_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("stead %s\n", STEAD_VERSION);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        name = "help";
    else if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0)
        name = "version";
    const struct verb *v = find_verb(name);
    if (!v) {
        fprintf(stderr, "stead: there is no verb '%s'; see 'stead help'\n", name);
        return EXIT_USAGE;
    }
    return v->run(argc - 1, argv + 1);
}
