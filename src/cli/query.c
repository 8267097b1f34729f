/* Parameters of what a node is asked. */
#include "cli/cli.h"
#include "core/http/http_query.h"

#include <stdio.h>
#include <string.h>

bool cli_query_add(char *path, size_t cap, const char *name, const char *value)
{
    size_t len = strlen(path);
    int n = snprintf(path + len, cap - len, "%c%s=", strchr(path, '?') ? '&' : '?', name);
    size_t end = len + (size_t)n;
    if (end < cap && http_percent_encode((struct slice){value, strlen(value)}, path, cap, &end))
        return true;
    path[len] = '\0';
    fprintf(stderr, "stead: what is given as %s is too long\n", name);
    return false;
}
