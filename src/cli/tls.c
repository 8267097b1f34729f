/* stead tls: which keys its tickets have (tls_keys.c); and do TLS sessions that began at one server
 * go on at the others? */
#include "cli/cli.h"
#include "cli/tls_keys.h"
#include "cli/tls_try.h"

#include "base/mem.h"
#include "io/io.h"

#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME, VERSION, TIMEOUT, OPTION_COUNT };
static const char *const options[] = {"name:", "version:", "timeout:", NULL};

#define SERVERS_MAX 32
#define PORT_DEFAULT "443"
#define TIMEOUT_MS 5000
#define TIMEOUT_MAX_S 600

static const char help[] =
    "usage: stead tls test [OPTION...] HOST:PORT...\n"
    "Begins a TLS session at every server and resumes it there and at each of the others, by TLS\n"
    "1.2 and 1.3, and says where that does not work, and why. A host with several addresses is\n"
    "several servers. They need not be stead's. Certificates are not verified. Exit status 0 when\n"
    "every session was resumed everywhere.\n"
    "  --name NAME        the name to ask for (SNI); without it, each HOST that is no address\n"
    "  --version 1.2|1.3  only this one\n"
    "  --timeout SECONDS  for a connection or handshake (default 5)\n"
    "  --json\n" TLS_KEYS_HELP;

struct server {
    struct addr addr;
    char text[ADDR_TEXT_MAX];
    const char *name;
};

struct test {
    struct cli_options options;
    struct server servers[SERVERS_MAX];
    size_t count;
    const char *name; /* for all; NULL */
    int only;         /* this version; 0: both */
    uint32_t timeout_ms;
    char hosts[SERVERS_MAX][256];
};

/* What became of one session from one server at one. */
struct outcome {
    bool done, resumed, ticket, broken;
    unsigned long life_s; /* of the ticket, as the server says; 0: it does not */
    char why[256];
};

struct score {
    size_t within, across, tried_within, tried_across;
};

/* -- the servers -- */

static bool add_server(struct test *t, const struct sockaddr *sa, const char *name)
{
    struct server *s = &t->servers[t->count];
    if (t->count == SERVERS_MAX) {
        fprintf(stderr, "stead tls test: there are more than %d servers\n", SERVERS_MAX);
        return false;
    }
    if (!io_from_sockaddr(sa, &s->addr))
        return true;
    for (size_t i = 0; i < t->count; i++)
        if (addr_equal(&t->servers[i].addr, &s->addr))
            return true;
    addr_format(&s->addr, s->text);
    s->name = name;
    t->count++;
    return true;
}

/* "[::1]:443", "www.shop.test:443", "www.shop.test". False after it said what is wrong. */
static bool add_host(struct test *t, const char *text, char host[256])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    const char *colon = strrchr(text, ':'), *end = strrchr(text, ']');
    const char *port = colon && (!end || colon > end) ? colon + 1 : NULL;
    size_t len = port ? (size_t)(colon - text) : strlen(text);
    if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    snprintf(host, 256, "%.*s", (int)(len < 255 ? len : 255), text);
    int e = getaddrinfo(host, port ? port : PORT_DEFAULT, &hints, &list);
    if (e) {
        fprintf(stderr, "stead tls test: %s: %s\n", text, gai_strerror(e));
        return false;
    }
    struct addr ip;
    bool good = true, literal = addr_parse(host, 1, &ip) || strchr(host, ':');
    for (struct addrinfo *i = list; i && good; i = i->ai_next)
        good = add_server(t, i->ai_addr, t->name ? t->name : literal ? "" : host);
    freeaddrinfo(list);
    return good;
}

/* -- one pair -- */

static const char *why_full(const struct outcome *o, bool across)
{
    if (o->ticket)
        return across ? "it does not open the other's tickets: they have different keys, or rules"
                      : "it does not open its own tickets: several processes with different keys?";
    return across ? "it does not know the other's session ids: each keeps its own"
                  : "it does not know its own session ids";
}

static void try_pair(const struct test *t, int version, size_t from, size_t to, struct outcome *out)
{
    struct tls_tried first, second;
    struct tls_try a = {&t->servers[from].addr, t->servers[from].name, version, t->timeout_ms,
                        NULL};
    *out = (struct outcome){.why = ""};
    tls_try(&a, &first);
    if (!first.done) {
        out->broken = true;
        snprintf(out->why, sizeof(out->why), "at the first: %s", first.why);
        return;
    }
    if (!first.session) {
        out->done = true;
        snprintf(out->why, sizeof(out->why), "the first gave no session: resumption is off there");
        return;
    }
    out->ticket = SSL_SESSION_has_ticket(first.session);
    out->life_s = SSL_SESSION_get_ticket_lifetime_hint(first.session);
    struct tls_try b = {&t->servers[to].addr, t->servers[from].name, version, t->timeout_ms,
                        first.session};
    tls_try(&b, &second);
    out->done = second.done;
    out->broken = !second.done;
    out->resumed = second.resumed;
    if (!second.done)
        snprintf(out->why, sizeof(out->why), "with an old session: %s", second.why);
    else if (!second.resumed)
        snprintf(out->why, sizeof(out->why), "%s", why_full(out, from != to));
    SSL_SESSION_free(first.session);
    SSL_SESSION_free(second.session);
}

/* -- printing -- */

static const char *result_name(const struct outcome *o)
{
    return o->broken ? "failed" : o->resumed ? "resumed" : "full";
}

static void print_pair(const struct test *t, int version, size_t from, size_t to,
                       const struct outcome *o, int width)
{
    char life[32], how[64] = "";
    enum paint color = o->broken ? PAINT_RED : o->resumed ? PAINT_GREEN : PAINT_YELLOW;
    if (o->resumed)
        snprintf(how, sizeof(how), "by %s%s%s", o->ticket ? "ticket" : "session id",
                 o->life_s ? ", good for " : "",
                 o->life_s ? cli_age((double)o->life_s, life, sizeof(life)) : "");
    printf("TLS %s  %-*s -> %-*s  %s%-8s%s%s%s\n", version == TLS1_2_VERSION ? "1.2" : "1.3", width,
           t->servers[from].text, width, t->servers[to].text, cli_paint(&t->options, color),
           result_name(o), cli_paint(&t->options, PAINT_NONE), how, o->why);
}

static json_t *pair_json(const struct test *t, int version, size_t from, size_t to,
                         const struct outcome *o)
{
    const char *how = !o->resumed ? "" : o->ticket ? "ticket" : "id";
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "version",
                     version == TLS1_2_VERSION ? "1.2" : "1.3", "from", t->servers[from].text, "to",
                     t->servers[to].text, "result", result_name(o), "how", how,
                     "ticket_life_seconds", (json_int_t)o->life_s, "why", o->why);
}

static void print_score(const struct score *s, json_t *tries, bool json)
{
    if (json) {
        json_t *j =
            json_pack("{s:I, s:I, s:I, s:I, s:O}", "within", (json_int_t)s->within, "tried_within",
                      (json_int_t)s->tried_within, "across", (json_int_t)s->across, "tried_across",
                      (json_int_t)s->tried_across, "tries", tries);
        json_dumpf(j, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(j);
        return;
    }
    printf("resumed where they began: %zu of %zu", s->within, s->tried_within);
    if (s->tried_across)
        printf("; at other servers: %zu of %zu", s->across, s->tried_across);
    putchar('\n');
}

/* -- the verb -- */

static int run_test(const struct test *t)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct score s = {0, 0, 0, 0};
    int width = 0;
    json_t *tries = json_array();
    for (size_t i = 0; i < t->count; i++)
        width = (int)strlen(t->servers[i].text) > width ? (int)strlen(t->servers[i].text) : width;
    for (size_t k = 0; k < 2 * t->count * t->count; k++) {
        int version = versions[k / (t->count * t->count)];
        size_t from = k / t->count % t->count, to = k % t->count;
        struct outcome o;
        if (t->only && t->only != version)
            continue;
        try_pair(t, version, from, to, &o);
        *(from == to ? &s.tried_within : &s.tried_across) += 1;
        *(from == to ? &s.within : &s.across) += o.resumed;
        if (t->options.json)
            json_array_append_new(tries, pair_json(t, version, from, to, &o));
        else
            print_pair(t, version, from, to, &o, width);
    }
    print_score(&s, tries, t->options.json);
    json_decref(tries);
    return s.within == s.tried_within && s.across == s.tried_across ? EXIT_DONE : EXIT_FAILED;
}

static bool take_values(struct test *t, const char *const *values)
{
    const char *v = values[VERSION];
    char *end = NULL;
    unsigned long s = values[TIMEOUT] ? strtoul(values[TIMEOUT], &end, 10) : 0;
    t->name = values[NAME];
    t->timeout_ms = values[TIMEOUT] ? (uint32_t)s * 1000 : TIMEOUT_MS;
    t->only = !v ? 0 : strcmp(v, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    if (v && strcmp(v, "1.2") != 0 && strcmp(v, "1.3") != 0) {
        fprintf(stderr, "stead tls test: --version is 1.2 or 1.3\n");
        return false;
    }
    if (values[TIMEOUT] && (*end || s == 0 || s > TIMEOUT_MAX_S)) {
        fprintf(stderr, "stead tls test: --timeout: 1 to %d seconds\n", TIMEOUT_MAX_S);
        return false;
    }
    return true;
}

int verb_tls(int argc, char **argv)
{
    const char *values[OPTION_COUNT] = {NULL};
    if (cli_wants_help(argc, argv, help))
        return EXIT_DONE;
    struct test *t = mem_alloc(sizeof(*t));
    if (!t)
        return EXIT_FAILED;
    int status = EXIT_USAGE;
    bool good = cli_options(argc, argv, &t->options, options, values);
    int first = t->options.first;
    if (good && first < argc && strcmp(argv[first], "keys") == 0) {
        good = argc - first > 1 || cli_find_node(&t->options);
        status = good ? tls_keys(argc, argv, &t->options, first + 1) : EXIT_USAGE;
        mem_free(t);
        return status;
    }
    if (good && (first >= argc || strcmp(argv[first], "test") != 0 || argc - first < 2)) {
        fprintf(stderr,
                "stead tls: 'keys', or 'test' and one HOST:PORT or more; see 'stead help tls'\n");
        good = false;
    }
    if (good && argc - first - 1 > SERVERS_MAX) {
        fprintf(stderr, "stead tls test: there are more than %d servers\n", SERVERS_MAX);
        good = false;
    }
    good = good && take_values(t, values);
    if (good)
        status = EXIT_FAILED;
    for (int i = first + 1; good && i < argc; i++)
        good = add_host(t, argv[i], t->hosts[i - first - 1]);
    if (good)
        status = run_test(t);
    mem_free(t);
    return status;
}
