/* cli.h - the command line: a table of verbs, a file per verb. Exit status: 0 done, 1 it failed, 2
 * the command line or the configuration is wrong. Two printers: people and --json. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>

#define EXIT_DONE 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

#define CONFIG_DEFAULT "/etc/stead/stead.conf"

struct verb {
    const char *name;
    const char *arguments;
    const char *help;
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

int verb_run(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_keygen(int argc, char **argv);
int verb_settings(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_roster(int argc, char **argv);
int verb_pick(int argc, char **argv);
int verb_drain(int argc, char **argv);
int verb_undrain(int argc, char **argv);

/* Options of the verbs that talk to a node, taken out of argv by cli_options. */
struct cli_options {
    const char *config; /* -c FILE: its admin section says where the node listens */
    const char *admin;  /* --admin unix:PATH or ADDRESS:PORT */
    bool json;
    bool color; /* standard output is a terminal, and NO_COLOR is not set */
    int first;  /* index of the first argument that is no option */
};

/* Says what is wrong on standard error and returns false. `extra` names a verb's own options,
 * "name:" for one that takes a value, NULL at the end; their values go to values[] in the same
 * order. */
bool cli_options(int argc, char **argv, struct cli_options *out, const char *const *extra,
                 const char **values);

/* Asks the node's admin listener. Returns the HTTP status, or 0 after it said on standard error
 * what failed and what to do. *body is malloc'ed, ended by NUL. */
int cli_admin(const struct cli_options *o, const char *method, const char *path, char **body);

/* "3 s", "12 min", "5 h" for people. */
const char *cli_age(double seconds, char *buf, size_t cap);
/* "12.3 MiB". */
const char *cli_bytes(double bytes, char *buf, size_t cap);

#endif
