/* What the verbs have in common on the command line. */
#include "cli/cli.h"
#include "node/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The value of option argv[*i] when it is called `name`: after '=' or the next argument. */
static const char *option_value(int argc, char **argv, int *i, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0)
        return NULL;
    if (argv[*i][n] == '=')
        return argv[*i] + n + 1;
    if (argv[*i][n] != '\0')
        return NULL;
    if (*i + 1 >= argc)
        return "";
    return argv[++*i];
}

static void extra_name(const char *extra, size_t len, char *out, size_t cap)
{
    snprintf(out, cap, "%s%.*s", len == 1 ? "-" : "--", (int)len, extra);
}

static bool take_extra(int argc, char **argv, int *i, const char *const *extra, const char **values)
{
    for (size_t e = 0; extra && extra[e]; e++) {
        char name[64];
        size_t n = strlen(extra[e]);
        bool takes = n > 0 && extra[e][n - 1] == ':';
        extra_name(extra[e], takes ? n - 1 : n, name, sizeof(name));
        if (!takes && strcmp(argv[*i], name) == 0) {
            values[e] = "yes";
            return true;
        }
        const char *value = takes ? option_value(argc, argv, i, name) : NULL;
        if (value) {
            values[e] = value;
            return true;
        }
    }
    return false;
}

/* One option, which begins at argv[*i]; *i is left at its last word. */
static bool take_option(int argc, char **argv, int *i, struct cli_options *out,
                        const char *const *extra, const char **values)
{
    const char *value;
    if (strcmp(argv[*i], "--json") == 0) {
        out->json = true;
    } else if ((value = option_value(argc, argv, i, "-c"))) {
        out->config = value;
        out->admin = NULL;
    } else if ((value = option_value(argc, argv, i, "--admin"))) {
        out->admin = value;
    } else if ((value = option_value(argc, argv, i, "--cacert"))) {
        out->cacert = value;
    } else if ((value = option_value(argc, argv, i, "--cert"))) {
        out->cert = value;
    } else if ((value = option_value(argc, argv, i, "--key"))) {
        out->key = value;
    } else if (!take_extra(argc, argv, i, extra, values)) {
        fprintf(stderr, "stead %s: there is no option '%s'; see 'stead help %s'\n", argv[0],
                argv[*i], argv[0]);
        return false;
    }
    return true;
}

/* Moves what is no option to the end, in its order, so that options may stand anywhere. */
bool cli_options(int argc, char **argv, struct cli_options *out, const char *const *extra,
                 const char **values)
{
    char *plain[CLI_ARGUMENTS_MAX];
    int count = 0, i = 1;
    *out = (struct cli_options){.config = CONFIG_DEFAULT,
                                .admin = getenv("STEAD_ADMIN"),
                                .cacert = getenv("STEAD_CACERT"),
                                .cert = getenv("STEAD_CERT"),
                                .key = getenv("STEAD_KEY")};
    out->color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    bool ended = false;
    for (; i < argc; i++) {
        bool option = !ended && argv[i][0] == '-' && argv[i][1];
        if (option && strcmp(argv[i], "--") == 0) {
            ended = true;
        } else if (option) {
            if (!take_option(argc, argv, &i, out, extra, values))
                return false;
        } else if (count < CLI_ARGUMENTS_MAX) {
            plain[count++] = argv[i];
        } else {
            fprintf(stderr, "stead %s: too many arguments\n", argv[0]);
            return false;
        }
    }
    out->first = argc - count;
    for (i = 0; i < count; i++)
        argv[out->first + i] = plain[i];
    return true;
}

/* Where the configuration says; false after it said what is wrong. */
bool cli_find_node(struct cli_options *o)
{
    static struct config config;
    if (!o->admin && config_load(o->config, &config, stderr)) {
        fprintf(stderr, "stead: name the node by unix:PATH, ADDRESS:PORT or https://HOST:PORT, or "
                        "its configuration "
                        "by -c FILE\n");
        return false;
    }
    if (o->admin)
        snprintf(o->where, sizeof(o->where), "%s", o->admin);
    else
        snprintf(o->where, sizeof(o->where), "unix:%s", config.admin.socket);
    return true;
}

bool cli_node_options(int argc, char **argv, struct cli_options *out, const char *const *extra,
                      const char **values)
{
    if (!cli_options(argc, argv, out, extra, values))
        return false;
    if (argc - out->first > 1) {
        fprintf(stderr, "stead %s: one node at a time; see 'stead help %s'\n", argv[0], argv[0]);
        return false;
    }
    if (out->first < argc)
        out->admin = argv[out->first];
    return cli_find_node(out);
}

bool cli_no_arguments(int argc, char **argv, const struct cli_options *o)
{
    if (o->first == argc)
        return true;
    fprintf(stderr, "stead %s: what is '%s'? See 'stead help %s'\n", argv[0], argv[o->first],
            argv[0]);
    return false;
}

bool cli_wants_help(int argc, char **argv, const char *text)
{
    if (argc < 2 || (strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0))
        return false;
    fputs(text, stdout);
    return true;
}

const char *cli_age(double seconds, char *buf, size_t cap)
{
    if (seconds < 120)
        snprintf(buf, cap, "%.0f s", seconds);
    else if (seconds < 7200)
        snprintf(buf, cap, "%.0f min", seconds / 60);
    else if (seconds < 172800)
        snprintf(buf, cap, "%.0f h", seconds / 3600);
    else
        snprintf(buf, cap, "%.0f d", seconds / 86400);
    return buf;
}

const char *cli_bytes(double bytes, char *buf, size_t cap)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buf, cap, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return buf;
}

const char *cli_paint(const struct cli_options *o, enum paint p)
{
    static const char *const codes[] = {
        [PAINT_NONE] = "\033[0m", [PAINT_BOLD] = "\033[1m",   [PAINT_DIM] = "\033[2m",
        [PAINT_RED] = "\033[31m", [PAINT_GREEN] = "\033[32m", [PAINT_YELLOW] = "\033[33m"};
    return o->color ? codes[p] : "";
}

enum paint cli_status_paint(const char *status)
{
    if (strcmp(status, "up") == 0)
        return PAINT_GREEN;
    if (strcmp(status, "suspect") == 0 || strcmp(status, "down") == 0)
        return PAINT_RED;
    return strcmp(status, "left") == 0 ? PAINT_DIM : PAINT_YELLOW;
}
