/* What the verbs have in common on the command line. */
#include "cli/cli.h"

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

static bool take_extra(int argc, char **argv, int *i, const char *const *extra, const char **values)
{
    for (size_t e = 0; extra && extra[e]; e++) {
        char name[64];
        size_t n = strlen(extra[e]);
        bool takes = n > 0 && extra[e][n - 1] == ':';
        snprintf(name, sizeof(name), "--%.*s", (int)(takes ? n - 1 : n), extra[e]);
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

bool cli_options(int argc, char **argv, struct cli_options *out, const char *const *extra,
                 const char **values)
{
    const char *value;
    *out = (struct cli_options){.config = CONFIG_DEFAULT, .admin = getenv("STEAD_ADMIN")};
    out->color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--json") == 0) {
            out->json = true;
        } else if ((value = option_value(argc, argv, &i, "-c"))) {
            out->config = value;
            out->admin = NULL;
        } else if ((value = option_value(argc, argv, &i, "--admin"))) {
            out->admin = value;
        } else if (!take_extra(argc, argv, &i, extra, values)) {
            fprintf(stderr, "stead %s: there is no option '%s'; see 'stead help %s'\n", argv[0],
                    argv[i], argv[0]);
            return false;
        }
    }
    out->first = i;
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
