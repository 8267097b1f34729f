/* cli.h - the command line: a table of verbs, a file per verb. Exit status: 0 done, 1 it failed, 2
 * the command line or the configuration is wrong. Two printers: people and --json. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>

#define EXIT_DONE 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

#define CLI_ARGUMENTS_MAX 32 /* beside options */
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
int verb_connect(int argc, char **argv);
int verb_why(int argc, char **argv);
int verb_wait(int argc, char **argv);
int verb_session(int argc, char **argv);
int verb_tls(int argc, char **argv);
int verb_verify(int argc, char **argv);
int verb_snapshot(int argc, char **argv);
int verb_drain(int argc, char **argv);
int verb_undrain(int argc, char **argv);
int verb_upgrade(int argc, char **argv);
int verb_maint(int argc, char **argv);
int verb_inline(int argc, char **argv);
int verb_server(int argc, char **argv);
int verb_service(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_reload(int argc, char **argv);
int verb_key(int argc, char **argv);

/* Options of the verbs that talk to a node, taken out of argv by cli_options. */
struct cli_options {
    const char *config;              /* -c FILE: its admin section says where the node listens */
    const char *admin;               /* --admin unix:PATH, ADDRESS:PORT or https://HOST:PORT */
    const char *cacert, *cert, *key; /* of https; NULL: not given */
    bool json;
    bool quiet;      /* cli_admin says nothing of a node that does not answer */
    bool color;      /* standard output is a terminal, and NO_COLOR is not set */
    char where[512]; /* unix:PATH, ADDRESS:PORT or https://HOST:PORT of the node; set by
                        cli_node_options */
    int first;       /* index of the first argument that is no option */
};

/* Says what is wrong on standard error and returns false. `extra` names a verb's own options,
 * "name:" for one that takes a value, NULL at the end; their values go to values[] in the same
 * order. A name of one letter is given with one dash. Arguments that are no options are moved to
 * argv[first] and after it. */
bool cli_options(int argc, char **argv, struct cli_options *out, const char *const *extra,
                 const char **values);
/* The same for a verb whose only argument is the node: where it listens, as after --admin. Without
 * one it is found by the configuration. */
bool cli_node_options(int argc, char **argv, struct cli_options *out, const char *const *extra,
                      const char **values);
/* For a verb whose arguments are others: o->where by --admin or the configuration. False after it
 * said what is wrong. */
bool cli_find_node(struct cli_options *o);
/* False, after it said so, when something stands there that is no option. */
bool cli_no_arguments(int argc, char **argv, const struct cli_options *o);
/* Prints text and returns true when --help is the first argument. */
bool cli_wants_help(int argc, char **argv, const char *text);

/* Asks the node's admin listener. Returns the HTTP status, or 0 after it said on standard error
 * what failed and what to do. *body is malloc'ed, ended by NUL; NULL when 0 is returned. */
int cli_admin(const struct cli_options *o, const char *method, const char *path, char **body);
/* Appends NAME=VALUE to the path's query, the value escaped. False, with the path as it was, after
 * it said that there is no room: a value is never sent in part. */
bool cli_query_add(char *path, size_t cap, const char *name, const char *value);
/* Says on standard error what a node answered that did not do it. Returns EXIT_FAILED. */
int cli_refused(const char *verb, int status, const char *body);

enum paint { PAINT_NONE, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_GREEN, PAINT_YELLOW };
/* What turns a colour on (PAINT_NONE: off), "" where there are none. */
const char *cli_paint(const struct cli_options *o, enum paint p);
enum paint cli_status_paint(const char *status);

/* "3 s", "12 min", "5 h" for people. */
const char *cli_age(double seconds, char *buf, size_t cap);
/* "12.3 MiB". */
const char *cli_bytes(double bytes, char *buf, size_t cap);

#endif
