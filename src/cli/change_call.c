/* One change, asked of one node. */
#include "cli/change_call.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES (3 * CHANGE_LINE_MAX + 1024)

bool change_call_take(int argc, char **argv, struct change_call *out)
{
    static const char *const extra[] = {"at:", "force", NULL};
    const char *value[2] = {NULL};
    *out = (struct change_call){.verb = argv[0]};
    if (!cli_options(argc, argv, &out->options, extra, value))
        return false;
    out->at = value[0];
    out->force = value[1] != NULL;
    int first = out->options.first;
    if (argc - first < 2) {
        fprintf(stderr, "stead %s: what shall be done? see 'stead help %s'\n", argv[0], argv[0]);
        return false;
    }
    out->word = argv[first];
    out->argc = argc - first - 1;
    out->argv = argv + first + 1;
    return cli_find_node(&out->options);
}

bool change_call_line(const struct change_call *c, const char *begin, int first, char *line,
                      size_t cap)
{
    size_t len = (size_t)snprintf(line, cap, "%s", begin);
    for (int i = first; i < c->argc && len + 1 < cap; i++) {
        line[len++] = ' ';
        if (!change_escape(c->argv[i], line + len, cap - len)) {
            len = cap;
            break;
        }
        len += strlen(line + len);
    }
    if (len + 1 < cap)
        return true;
    fprintf(stderr, "stead %s: that is too long\n", c->verb);
    return false;
}

static void print(const struct change_call *c, const char *body)
{
    json_t *j = json_loads(body, 0, NULL);
    const char *server = json_string_value(json_object_get(j, "server"));
    if (c->options.json)
        fputs(body, stdout);
    else
        printf("%s: changed\n", server ? server : "?");
    json_decref(j);
}

int change_call_ask(const struct change_call *c, const char *server, const char *line)
{
    char path[PATH_MAX_BYTES], *body;
    snprintf(path, sizeof(path), "/v1/change?force=%d", c->force);
    if ((server && !cli_query_add(path, sizeof(path), "server", server)) ||
        !cli_query_add(path, sizeof(path), "change", line))
        return EXIT_USAGE;
    int status = cli_admin(&c->options, "POST", path, &body);
    int result = EXIT_DONE;
    if (status == 409 && strstr(body, "NO_SERVER")) {
        fprintf(stderr,
                "stead %s: it is the last server that is up: clients would find nobody. --force "
                "does it all the same\n",
                c->verb);
        result = EXIT_FAILED;
    } else if (status != 200) {
        result = cli_refused(c->verb, status, body);
    } else {
        print(c, body);
    }
    free(body);
    return result;
}
