/* stead connect: standard input and output to the server that a client would pick. */
#include "cli/cli.h"
#include "cli/line.h"
#include "cli/pick.h"
#include "stead/client.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECONNECT = PICK_OPTION_COUNT, VERBOSE, OPTION_COUNT };
static const char *const options[] = {PICK_OPTIONS, "reconnect", "verbose", NULL};

#define BUFFER_BYTES LINE_READ_BYTES

static const char help[] =
    "usage: stead connect [OPTION...] HOST:PORT|URL\n"
    "Finds a server as 'stead pick' does, connects to it, and passes standard input to it and\n"
    "what it says to standard output, under TLS when the URL is https. Ends when the server "
    "closes\n"
    "the connection.\n\n" PICK_HELP
    "  --reconnect        when the connection is lost, find a server again; move away from one\n"
    "                     that drains or asks for it; end when input and then the server end\n"
    "  --verbose          say on standard error what happens; with --json as lines of JSON\n";

struct relay {
    struct stead_client *client;
    const char *url;
    bool reconnect, verbose, json;
    struct stead_tls_client *tls; /* NULL: not asked for by https */
    struct line line;
    int error;              /* of the last handshake */
    char out[BUFFER_BYTES]; /* of standard input, for the server */
    size_t from, to;
    bool input_ended, told_end;
};

static const char *event_name(enum stead_event_kind kind)
{
    switch (kind) {
    case STEAD_CONNECTED:
        return "connected";
    case STEAD_MOVED:
        return "moved";
    case STEAD_TROUBLE:
        return "trouble";
    case STEAD_HEARD:
        break;
    }
    return "heard";
}

static void say_json(const struct stead_event *e)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "event", event_name(e->kind), "server", e->server,
                          "url", e->url);
    if (e->kind == STEAD_TROUBLE) {
        json_object_set_new(o, "error", json_string(stead_error_name(e->error)));
        json_object_set_new(o, "wait_ms", json_integer(e->wait_ms));
    }
    json_dumpf(o, stderr, JSON_COMPACT);
    fputc('\n', stderr);
    json_decref(o);
}

static void say(const struct relay *r, const struct stead_event *e)
{
    if (!r->verbose)
        return;
    if (r->json)
        say_json(e);
    else if (e->kind == STEAD_TROUBLE)
        fprintf(stderr, "stead connect: %s: %s; again in %u ms\n", *e->server ? e->server : r->url,
                stead_error_text(e->error), e->wait_ms);
    else if (e->kind != STEAD_HEARD)
        fprintf(stderr, "stead connect: %s to %s at %s\n", event_name(e->kind), e->server, e->url);
}

static bool write_out(const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return true;
}

/* What the server says. Returns 1: more may come; 0: it has ended; -1: nobody takes our output. */
static int pass_in(struct line *line)
{
    char bytes[BUFFER_BYTES];
    ssize_t n = line_read(line, bytes, sizeof(bytes));
    if (n < 0)
        return n == -1;
    if (n > 0 && !write_out(bytes, (size_t)n))
        return -1;
    return n > 0;
}

static void pass_out(struct relay *r)
{
    r->from += line_write(&r->line, r->out + r->from, r->to - r->from);
    if (r->from == r->to)
        r->from = r->to = 0;
}

static void take_input(struct relay *r)
{
    ssize_t n = read(STDIN_FILENO, r->out, sizeof(r->out));
    if (n > 0)
        r->to = (size_t)n;
    else if (n == 0 || errno != EINTR)
        r->input_ended = true;
}

/* Events until there are none. False: it is over, with *err. */
static bool take_events(struct relay *r, int *err)
{
    struct stead_event e = {.size = sizeof(e)};
    while ((*err = stead_client_step(r->client, &e)) > 0) {
        say(r, &e);
        if (e.kind != STEAD_CONNECTED && e.kind != STEAD_MOVED)
            continue;
        /* The rest of what the older server said, as far as it is there. */
        while (e.old_fd >= 0 && r->line.shaken && pass_in(&r->line) > 0 &&
               poll(&(struct pollfd){.fd = e.old_fd, .events = POLLIN}, 1, 0) > 0)
            ;
        r->told_end = false;
        *err = line_open(&r->line, r->tls, e.url, e.fd);
        if (*err)
            return false;
    }
    return *err == 0;
}

/* The server's end of the talk has come. True: another server is looked for. */
static bool lost(struct relay *r)
{
    if (!r->reconnect || (r->input_ended && r->from == r->to))
        return false;
    line_close(&r->line);
    stead_client_lost(r->client);
    return true;
}

/* What the line's events lead to: 1: it goes on; 0: the server has ended; -1: nobody takes our
 * output. */
static int serve_line(struct relay *r, short events)
{
    if (!events)
        return 1;
    if (!r->line.shaken) {
        r->error = line_shake(&r->line);
        return r->error >= 0;
    }
    if (events & POLLOUT)
        pass_out(r);
    return events & (POLLIN | POLLHUP | POLLERR) ? pass_in(&r->line) : 1;
}

static short line_events(const struct relay *r)
{
    if (!r->line.shaken)
        return r->line.wants_write || r->error == 0 ? POLLOUT : POLLIN;
    return (short)(POLLIN | (r->from < r->to ? POLLOUT : 0));
}

static int relay(struct relay *r)
{
    int err = STEAD_OK;
    while (take_events(r, &err)) {
        bool full = r->from < r->to, there = r->line.fd >= 0 && r->line.shaken;
        if (there && r->input_ended && !full && !r->told_end) {
            line_finish(&r->line);
            r->told_end = true;
        }
        struct pollfd p[3] = {
            {.fd = stead_client_fd(r->client), .events = POLLIN},
            {.fd = r->line.fd, .events = line_events(r)},
            {.fd = there && !full && !r->input_ended ? STDIN_FILENO : -1, .events = POLLIN}};
        if (poll(p, 3, stead_client_timeout_ms(r->client)) < 0 && errno != EINTR)
            return STEAD_E_IO;
        if (p[2].revents)
            take_input(r);
        int got = serve_line(r, p[1].revents);
        if (got < 0)
            return STEAD_OK;
        if (got == 0 && !lost(r))
            return r->error < 0 ? r->error : STEAD_OK;
        if (got == 0)
            r->error = STEAD_OK;
    }
    return err;
}

int verb_connect(int argc, char **argv)
{
    struct relay r;
    const char *value[OPTION_COUNT] = {NULL};
    char url[512];
    char token[PICK_TOKEN_MAX + 1];
    struct cli_options o;
    struct stead_options so;
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    if (!cli_options(argc, argv, &o, options, value))
        return EXIT_USAGE;
    if (o.first + 1 != argc) {
        fprintf(stderr, "stead connect: to which HOST:PORT or URL? See 'stead help connect'\n");
        return EXIT_USAGE;
    }
    const char *to = argv[o.first];
    snprintf(url, sizeof(url), "%s%s", strstr(to, "://") ? "" : "http://", to);
    r = (struct relay){.url = url, .line = {.fd = -1}};
    if (!pick_options(value, url, o.cacert, token, &so, &r.tls))
        return EXIT_USAGE;
    r.reconnect = value[RECONNECT] != NULL;
    r.verbose = value[VERBOSE] != NULL;
    r.json = o.json;
    int err = stead_client_new(url, &so, &r.client);
    if (!err) {
        stead_client_hold(r.client, !r.reconnect);
        err = relay(&r);
    }
    line_close(&r.line);
    stead_client_free(r.client);
    stead_tls_client_free(r.tls);
    return err ? pick_failed("connect", to, err) : EXIT_DONE;
}
