/* stead roster --watch: the roster as it changes. It is asked for again and again by way of the
 * administrator's socket, so it needs no public listener and is told everything. */
#include "cli/roster.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define ASK_MS 500
#define LINES_DEFAULT 24
#define LINES_AROUND 4 /* head, title, what is left out, cursor */

struct view {
    const struct cli_options *options;
    json_t *roster; /* as it was shown last */
    json_t *index;  /* its servers by name and service; borrowed from roster */
    bool terminal, silent;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static long long number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static const char *time_text(char out[16])
{
    struct tm tm;
    time_t now = time(NULL);
    localtime_r(&now, &tm);
    strftime(out, 16, "%H:%M:%S", &tm);
    return out;
}

/* -- what has changed -- */

static void make_key(const json_t *server, char out[160])
{
    snprintf(out, 160, "%s/%s", text_of(server, "name"), text_of(server, "service"));
}

static json_t *index_of(const json_t *roster)
{
    json_t *index = json_object(), *server;
    size_t i;
    char key[160];
    json_array_foreach(json_object_get(roster, "servers"), i, server)
    {
        make_key(server, key);
        json_object_set(index, key, server);
    }
    return index;
}

/* The servers of `in` that `before` has not, or that are another there. */
static json_t *changed_servers(json_t *now, const json_t *before)
{
    json_t *list = json_array(), *server;
    const char *key;
    json_object_foreach(now, key, server)
    {
        if (!json_equal(server, json_object_get(before, key)))
            json_array_append(list, server);
    }
    return list;
}

static json_t *gone_servers(json_t *before, const json_t *now)
{
    json_t *list = json_array(), *server;
    const char *key;
    json_object_foreach(before, key, server)
    {
        if (!json_object_get(now, key))
            json_array_append_new(list, json_pack("{s:s, s:s}", "name", text_of(server, "name"),
                                                  "service", text_of(server, "service")));
    }
    return list;
}

/* -- printers -- */

static void print_event(const char *event, json_t *o)
{
    json_object_set_new(o, "event", json_string(event));
    char *text = json_dumps(o, JSON_COMPACT);
    if (text)
        puts(text);
    free(text);
}

static void print_events(const struct view *v, json_t *roster, json_t *index)
{
    if (!v->roster) {
        json_t *copy = json_copy(roster);
        print_event("roster", copy);
        json_decref(copy);
        return;
    }
    json_t *change =
        json_pack("{s:I, s:o, s:o}", "revision", number_of(roster, "revision"), "servers",
                  changed_servers(index, v->index), "gone", gone_servers(v->index, index));
    if (json_array_size(json_object_get(change, "servers")) +
            json_array_size(json_object_get(change, "gone")) >
        0)
        print_event("change", change);
    json_decref(change);
}

/* One server as it is now, and what it was. */
static void print_change(const json_t *now, const json_t *was)
{
    char at[16];
    const char *status = text_of(now, "status"), *before = text_of(was, "status");
    printf("%s %s %s %s", time_text(at), text_of(now, "name"), text_of(now, "service"), status);
    if (was && strcmp(status, before) != 0)
        printf(" (was %s)", before);
    printf(" users=%lld weight=%lld\n", number_of(now, "users"), number_of(now, "weight"));
}

static bool worth_a_line(const json_t *now, const json_t *was)
{
    return !was || strcmp(text_of(now, "status"), text_of(was, "status")) != 0 ||
           number_of(now, "users") != number_of(was, "users") ||
           number_of(now, "weight") != number_of(was, "weight");
}

static void print_lines(const struct view *v, json_t *index)
{
    json_t *list = changed_servers(index, v->index), *server;
    size_t i;
    char key[160], at[16];
    json_array_foreach(list, i, server)
    {
        make_key(server, key);
        const json_t *was = json_object_get(v->index, key);
        if (worth_a_line(server, was))
            print_change(server, was);
    }
    json_decref(list);
    list = gone_servers(v->index, index);
    json_array_foreach(list, i, server) printf("%s %s %s gone\n", time_text(at),
                                               text_of(server, "name"), text_of(server, "service"));
    json_decref(list);
}

static size_t terminal_lines(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > LINES_AROUND)
        return size.ws_row;
    return LINES_DEFAULT;
}

/* In place: each line is wiped to its end, and what is below the last one. */
static void print_screen(const struct view *v, const json_t *roster)
{
    static const char end[] = "\033[K\n";
    const json_t *servers = json_object_get(roster, "servers");
    const json_t *server;
    size_t i, up = 0, count = json_array_size(servers), rows = terminal_lines() - LINES_AROUND;
    long long users = 0;
    char at[16];
    json_array_foreach(servers, i, server)
    {
        up += strcmp(text_of(server, "status"), "up") == 0;
        users += number_of(server, "users");
    }
    printf("\033[H%sfarm %s%s  %zu of %zu up  %lld users  %s%s%s",
           cli_paint(v->options, PAINT_BOLD), text_of(roster, "farm"),
           cli_paint(v->options, PAINT_NONE), up, count, users, time_text(at),
           v->silent ? "  the node does not answer" : "", end);
    roster_table(v->options, servers, rows, end);
    if (count > rows)
        printf("and %zu more%s", count - rows, end);
    fputs("\033[J", stdout);
}

/* -- the loop -- */

static void show(struct view *v, json_t *roster)
{
    json_t *index = index_of(roster);
    if (v->options->json)
        print_events(v, roster, index);
    else if (v->terminal)
        print_screen(v, roster);
    else
        print_lines(v, index);
    json_decref(v->index);
    json_decref(v->roster);
    v->index = index;
    v->roster = json_incref(roster);
}

/* Said once, until it answers again. */
static void show_silence(struct view *v, bool silent)
{
    char at[16];
    if (v->silent == silent)
        return;
    v->silent = silent;
    if (v->terminal && !v->options->json)
        print_screen(v, v->roster);
    else
        fprintf(stderr, "%s the node at %s %s\n", time_text(at), v->options->where,
                silent ? "does not answer; it is asked again" : "answers again");
}

static json_t *ask(const struct cli_options *o, int *status, char **body)
{
    *status = cli_admin(o, "GET", "/v1/roster", body);
    return *status == 200 ? json_loads(*body, 0, NULL) : NULL;
}

static void catch_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

int roster_watch(const struct cli_options *o)
{
    struct cli_options quiet = *o;
    struct view v = {.options = o, .terminal = isatty(STDOUT_FILENO)};
    bool in_place = v.terminal && !o->json;
    int status;
    char *body = NULL;
    json_t *roster = ask(o, &status, &body);
    if (!roster) {
        int result = cli_refused("roster", status, body ? body : "");
        free(body);
        return result;
    }
    quiet.quiet = true;
    catch_signals();
    if (in_place)
        fputs("\033[2J\033[?7l", stdout); /* long lines are cut, not wrapped */
    while (!interrupted) {
        if (roster)
            show(&v, roster);
        json_decref(roster);
        free(body);
        roster = NULL;
        body = NULL;
        if (fflush(stdout) != 0)
            break;
        nanosleep(&(struct timespec){.tv_nsec = ASK_MS * 1000000l}, NULL);
        if (interrupted)
            break;
        roster = ask(&quiet, &status, &body);
        if (!interrupted)
            show_silence(&v, roster == NULL);
    }
    json_decref(roster);
    free(body);
    if (in_place)
        fputs("\033[?7h\n", stdout);
    json_decref(v.index);
    json_decref(v.roster);
    return EXIT_DONE;
}
