/* stead connect: standard input and output to the server that a client would pick. */
#include "cli/cli.h"
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

#define BUFFER_BYTES 16384

static const char help[] =
    "usage: stead connect [OPTION...] HOST:PORT|URL\n"
    "Finds a server as 'stead pick' does, connects to it, and passes standard input to it and\n"
    "what it says to standard output. Ends when the server closes the connection. A server whose\n"
    "URL is https is connected to by TCP, without TLS.\n\n" PICK_HELP
    "  --reconnect        when the connection is lost, find a server again; move away from one\n"
    "                     that drains or asks for it; end when input and then the server end\n"
    "  --verbose          say on standard error what happens; with --json as lines of JSON\n";

struct relay {
    struct stead_client *client;
    const char *url;
    bool reconnect, verbose, json;
    int fd;
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
static int pass_in(int fd)
{
    char bytes[BUFFER_BYTES];
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n > 0 && !write_out(bytes, (size_t)n))
        return -1;
    return n > 0;
}

static void pass_out(struct relay *r)
{
    ssize_t n = send(r->fd, r->out + r->from, r->to - r->from, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        r->from += (size_t)n;
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
        while (e.old_fd >= 0 && pass_in(e.old_fd) > 0 &&
               poll(&(struct pollfd){.fd = e.old_fd, .events = POLLIN}, 1, 0) > 0)
            ;
        r->fd = e.fd;
        r->told_end = false;
    }
    return *err == 0;
}

/* The server's end of the talk has come. True: another server is looked for. */
static bool lost(struct relay *r)
{
    if (!r->reconnect || (r->input_ended && r->from == r->to))
        return false;
    r->fd = -1;
    stead_client_lost(r->client);
    return true;
}

static int relay(struct relay *r)
{
    int err = STEAD_OK;
    while (take_events(r, &err)) {
        bool full = r->from < r->to;
        if (r->fd >= 0 && r->input_ended && !full && !r->told_end) {
            shutdown(r->fd, SHUT_WR);
            r->told_end = true;
        }
        struct pollfd p[3] = {
            {.fd = stead_client_fd(r->client), .events = POLLIN},
            {.fd = r->fd, .events = (short)(POLLIN | (full ? POLLOUT : 0))},
            {.fd = r->fd >= 0 && !full && !r->input_ended ? STDIN_FILENO : -1, .events = POLLIN}};
        if (poll(p, 3, stead_client_timeout_ms(r->client)) < 0 && errno != EINTR)
            return STEAD_E_IO;
        if (p[2].revents)
            take_input(r);
        if (p[1].revents & POLLOUT)
            pass_out(r);
        int got = p[1].revents & (POLLIN | POLLHUP | POLLERR) ? pass_in(r->fd) : 1;
        if (got < 0 || (got == 0 && !lost(r)))
            return STEAD_OK;
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
    if (!pick_options(value, token, &so))
        return EXIT_USAGE;
    r = (struct relay){.url = url,
                       .reconnect = value[RECONNECT] != NULL,
                       .verbose = value[VERBOSE] != NULL,
                       .json = o.json,
                       .fd = -1};
    int err = stead_client_new(url, &so, &r.client);
    if (!err) {
        stead_client_hold(r.client, !r.reconnect);
        err = relay(&r);
    }
    stead_client_free(r.client);
    return err ? pick_failed("connect", to, err) : EXIT_DONE;
}
