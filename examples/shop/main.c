/* main.c - command line, listener and end of the shop.
 *
 * A thread a connection: a call to the node may take seconds while a session fails over, and in a
 * pool of threads it would hold up shoppers who have nothing to do with it. */
#include "shop.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX 1024
#define STACK_BYTES (512u * 1024)
#define IDLE_S 30
#define FINISH_MS 3000 /* for requests under way at the end */

struct server {
    struct shop shop;
    atomic_uint under_way; /* requests */
};

static struct request *begin(struct shop *s, struct MHD_Connection *connection, const char *url,
                             const char *method)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->connection = connection;
    r->method = strdup(method);
    r->path = strdup(url);
    r->domain = s->domain;
    if (r->method && r->path)
        return r;
    free((char *)r->method);
    free((char *)r->path);
    free(r);
    return NULL;
}

/* Says so before the body is sent, when the client says its length first. */
static bool announces_too_much(const struct request *r)
{
    const char *length =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Length");
    return length && strtoull(length, NULL, 10) > REQUEST_BODY_MAX;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **data)
{
    struct server *server = context;
    struct request *r = *data;
    (void)version;
    if (!r) {
        *data = r = begin(&server->shop, connection, url, method);
        if (!r)
            return MHD_NO;
        atomic_fetch_add(&server->under_way, 1);
        if (!announces_too_much(r))
            return MHD_YES;
        r->seen = REQUEST_BODY_MAX + 1;
    } else if (*upload_len) {
        size_t room = REQUEST_BODY_MAX - r->body_len;
        size_t keep = *upload_len < room ? *upload_len : room;
        memcpy(r->body + r->body_len, upload, keep);
        r->body_len += keep;
        r->seen += *upload_len;
        *upload_len = 0;
        return r->seen > REQUEST_DRAIN_MAX ? MHD_NO : MHD_YES;
    }
    r->result = MHD_NO;
    shop_answer(&server->shop, r);
    return r->result;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **data,
                         enum MHD_RequestTerminationCode code)
{
    struct server *server = context;
    struct request *r = *data;
    (void)connection;
    (void)code;
    if (!r)
        return;
    free((char *)r->method);
    free((char *)r->path);
    free(r);
    *data = NULL;
    atomic_fetch_sub(&server->under_way, 1);
}

/* "127.0.0.11:9000" */
static bool parse_address(const char *text, struct sockaddr_in *out)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return *end == '\0' && port > 0 && port <= 65535 && inet_pton(AF_INET, host, &out->sin_addr);
}

/* A name that may stand in a header and in an attribute. */
static bool is_name(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len < 64 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == len;
}

struct options {
    struct sockaddr_in listen;
    const char *socket_path, *server, *domain;
};

static bool read_options(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"listen", required_argument, NULL, 'l'},
                                          {"node", required_argument, NULL, 'n'},
                                          {"server", required_argument, NULL, 's'},
                                          {"domain", required_argument, NULL, 'd'},
                                          {0}};
    bool listens = false;
    *o = (struct options){0};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == 'l')
            listens = parse_address(optarg, &o->listen);
        else if (c == 'n' && strncmp(optarg, "unix:", 5) == 0)
            o->socket_path = optarg + 5;
        else if (c == 's' && is_name(optarg))
            o->server = optarg;
        else if (c == 'd' && is_name(optarg))
            o->domain = optarg;
        else
            return false;
    }
    return listens && o->socket_path && o->server && o->domain && optind == argc;
}

static void wait_for_end(void)
{
    sigset_t set;
    int signal;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigwait(&set, &signal);
}

/* Before any thread is made, so that all of them inherit it. */
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Requests under way get their answers; idle connections do not hold us up. */
static void finish(struct MHD_Daemon *daemon, struct server *server)
{
    const struct timespec step = {.tv_nsec = 20000000};
    MHD_quiesce_daemon(daemon); /* the descriptor it gives is closed with the process */
    for (int ms = 0; ms < FINISH_MS && atomic_load(&server->under_way); ms += 20)
        nanosleep(&step, NULL);
    MHD_stop_daemon(daemon);
}

static struct MHD_Daemon *open_listener(struct server *server, const struct sockaddr_in *at)
{
    return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                                MHD_USE_POLL | MHD_USE_ITC,
                            0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR,
                            (const struct sockaddr *)at, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
                            server, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                            MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_THREAD_STACK_SIZE,
                            (size_t)STACK_BYTES, MHD_OPTION_END);
}

int main(int argc, char **argv)
{
    struct options o;
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (help || !read_options(argc, argv, &o)) {
        fprintf(help ? stdout : stderr, "usage: shop --listen ADDRESS:PORT --node unix:PATH "
                                        "--server NAME --domain DOMAIN\n");
        return help ? 0 : 2;
    }
    block_signals();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct server server = {
        .shop = {.server = o.server, .domain = o.domain, .node = node_new(o.socket_path)}};
    if (!server.shop.node) {
        fprintf(stderr, "shop: out of memory\n");
        return 1;
    }
    struct MHD_Daemon *daemon = open_listener(&server, &o.listen);
    if (!daemon) {
        fprintf(stderr, "shop: cannot listen at the address of --listen; is another running?\n");
        node_free(server.shop.node);
        return 1;
    }
    fprintf(stderr, "shop: server %s is open\n", o.server);
    wait_for_end();
    finish(daemon, &server);
    fprintf(stderr, "shop: server %s is closed\n", o.server);
    node_free(server.shop.node);
    curl_global_cleanup();
    return 0;
}
