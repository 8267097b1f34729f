/* stead roster: every server of the farm as a table, as one node sees it. */
#include "cli/roster.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVER, SERVICE, STATUS, USERS, WEIGHT, GROUP, ZONE, URL, COLUMNS };
#define CELL_MAX 288

struct row {
    char cell[COLUMNS][CELL_MAX];
};

static const char help[] =
    "usage: stead roster [NODE] [--watch] [--json]\n"
    "Every server of the farm as the node sees it: name, service, status, users of capacity,\n"
    "weight, groups, zone and URLs. --json: the node's own answer.\n"
    "--watch: goes on until Ctrl-C: the table in place, or, when the output is no terminal, a "
    "line\n"
    "for each change; with --json an event a line: the whole roster, then what has changed.\n";

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text && *text ? text : "-";
}

static void join_texts(const json_t *list, char *out, size_t cap)
{
    size_t used = 0, i;
    const json_t *v;
    out[0] = '\0';
    json_array_foreach(list, i, v)
    {
        int n = snprintf(out + used, cap - used, "%s%s", used ? "," : "", json_string_value(v));
        used = n > 0 && (size_t)n < cap - used ? used + (size_t)n : cap - 1;
    }
    if (!*out)
        snprintf(out, cap, "-");
}

static void fill_row(const json_t *server, struct row *r)
{
    long long users = json_integer_value(json_object_get(server, "users"));
    long long capacity = json_integer_value(json_object_get(server, "capacity"));
    snprintf(r->cell[SERVER], CELL_MAX, "%s", text_of(server, "name"));
    snprintf(r->cell[SERVICE], CELL_MAX, "%s", text_of(server, "service"));
    snprintf(r->cell[STATUS], CELL_MAX, "%s", text_of(server, "status"));
    if (capacity)
        snprintf(r->cell[USERS], CELL_MAX, "%lld/%lld", users, capacity);
    else
        snprintf(r->cell[USERS], CELL_MAX, "%lld", users);
    snprintf(r->cell[WEIGHT], CELL_MAX, "%lld",
             (long long)json_integer_value(json_object_get(server, "weight")));
    join_texts(json_object_get(server, "groups"), r->cell[GROUP], CELL_MAX);
    snprintf(r->cell[ZONE], CELL_MAX, "%s", text_of(server, "zone"));
    join_texts(json_object_get(server, "urls"), r->cell[URL], CELL_MAX);
}

static void print_row(const struct cli_options *o, const struct row *r, const int *widths,
                      bool head, const char *end)
{
    for (int c = 0; c < COLUMNS; c++) {
        bool number = c == USERS || c == WEIGHT;
        enum paint paint = head ? PAINT_BOLD : cli_status_paint(r->cell[STATUS]);
        bool painted = head || c == STATUS;
        /* Nothing is padded behind the last column. */
        int width = c == URL ? 0 : number ? widths[c] : -widths[c];
        printf("%s%s%*s%s", c ? "  " : "", painted ? cli_paint(o, paint) : "", width, r->cell[c],
               painted ? cli_paint(o, PAINT_NONE) : "");
    }
    fputs(end, stdout);
}

void roster_table(const struct cli_options *o, const json_t *servers, size_t rows_max,
                  const char *end)
{
    static const struct row head = {
        {"SERVER", "SERVICE", "STATUS", "USERS", "WEIGHT", "GROUP", "ZONE", "URL"}};
    size_t count = json_array_size(servers);
    struct row *rows = calloc(count, sizeof(*rows));
    int widths[COLUMNS];
    if (!rows)
        return;
    for (int c = 0; c < COLUMNS; c++)
        widths[c] = (int)strlen(head.cell[c]);
    for (size_t i = 0; i < count; i++) {
        fill_row(json_array_get(servers, i), &rows[i]);
        for (int c = 0; c < COLUMNS; c++)
            if ((int)strlen(rows[i].cell[c]) > widths[c])
                widths[c] = (int)strlen(rows[i].cell[c]);
    }
    print_row(o, &head, widths, true, end);
    for (size_t i = 0; i < count && i < rows_max; i++)
        print_row(o, &rows[i], widths, false, end);
    free(rows);
}

int verb_roster(int argc, char **argv)
{
    struct cli_options o;
    char *body;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    static const char *const extra[] = {"watch", NULL};
    const char *values[1] = {NULL};
    if (!cli_node_options(argc, argv, &o, extra, values))
        return EXIT_USAGE;
    if (values[0])
        return roster_watch(&o);
    int status = cli_admin(&o, "GET", "/v1/roster", &body);
    json_t *roster = status == 200 ? json_loads(body, 0, NULL) : NULL;
    int result = EXIT_DONE;
    if (!roster)
        result = cli_refused(argv[0], status, body);
    else if (o.json)
        printf("%s\n", body);
    else if (json_array_size(json_object_get(roster, "servers")) == 0)
        printf("farm %s has no servers yet\n", text_of(roster, "farm"));
    else
        roster_table(&o, json_object_get(roster, "servers"), SIZE_MAX, "\n");
    json_decref(roster);
    free(body);
    return result;
}
