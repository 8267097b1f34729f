/* director_test.c - a director on a loopback listener, with a client and a real server in the
 * test's hands. */
#include "role/director/director.h"

#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 4000
#define GET(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\n\r\n"

static const struct decide_service services[] = {
    {.name = "shop", .url = "http://shop.example", .policy = POLICY_LEAST_USERS, .status = 307},
};

/* The real server: takes connections, and answers each request head with that head as the body. */
struct backend {
    int listener, conns[8];
    size_t count;
    char heads[8][4096];
    size_t lens[8];
};

struct rig {
    uv_loop_t loop;
    struct store *store;
    struct director_counters counters;
    struct director *director;
    struct journal *journal;
    struct decide_server own;
    struct decide_config decide;
    struct addr at, forward;
    struct secondary_server server;
    bool tunnel;
    struct backend backend;
    char answer[65536];
    size_t answer_len;
    bool closed;
};

static uint64_t now_ms(void)
{
    return io_now_ns() / 1000000;
}

static int listen_loopback(struct addr *at)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, at));
    return fd;
}

static void backend_serve(struct backend *b, size_t i)
{
    char *head = b->heads[i], answer[8192];
    ssize_t n = recv(b->conns[i], head + b->lens[i], sizeof(b->heads[i]) - 1 - b->lens[i], 0);
    if (n == 0) {
        close(b->conns[i]);
        b->conns[i] = -1;
    }
    if (n <= 0)
        return;
    b->lens[i] += (size_t)n;
    head[b->lens[i]] = '\0';
    if (!strstr(head, "\r\n\r\n"))
        return;
    int len = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                       b->lens[i], head);
    assert_int_equal(send(b->conns[i], answer, (size_t)len, MSG_NOSIGNAL), len);
    b->lens[i] = 0;
}

static void spin(struct rig *r)
{
    struct backend *b = &r->backend;
    uv_run(&r->loop, UV_RUN_NOWAIT);
    int fd = b->listener >= 0 ? accept4(b->listener, NULL, NULL, SOCK_NONBLOCK) : -1;
    if (fd >= 0) {
        assert_true(b->count < 8);
        b->conns[b->count++] = fd;
    }
    for (size_t i = 0; i < b->count; i++)
        if (b->conns[i] >= 0)
            backend_serve(b, i);
    usleep(100);
}

#define SPIN_UNTIL(r, condition)                                                                   \
    do {                                                                                           \
        uint64_t give_up_ = now_ms() + PATIENCE_MS;                                                \
        while (!(condition)) {                                                                     \
            assert_true(now_ms() < give_up_);                                                      \
            spin(r);                                                                               \
        }                                                                                          \
    } while (0)

/* This node is a; b is another that is up, c one that is gone. */
static struct roster *make_roster(uint64_t revision, enum status b_status)
{
    static const char *const names[] = {"a", "b", "c"};
    struct roster *roster = roster_blank(3, ENTRY_SERVERS_MAX);
    assert_non_null(roster);
    roster->revision = revision;
    snprintf(roster->farm, sizeof(roster->farm), "farm");
    for (uint32_t i = 0; i < 3; i++) {
        struct roster_node *n = &roster->nodes[i];
        struct server *s = &n->entry->servers[0];
        snprintf(n->entry->name, sizeof(n->entry->name), "%s", names[i]);
        n->entry->inc = i + 1;
        n->entry->server_count = 1;
        n->self = i == 0;
        n->status = n->entry->status = i == 0 ? STATUS_UP : i == 1 ? b_status : STATUS_DOWN;
        snprintf(s->service, sizeof(s->service), "shop");
        snprintf(s->urls[0], sizeof(s->urls[0]), "http://%s.example", names[i]);
        s->url_count = 1;
        s->weight = 1;
        s->users = i * 10;
        s->healthy = true;
    }
    return roster;
}

static void set_roster(struct rig *r, uint64_t revision, enum status b_status)
{
    store_set_roster(r->store, make_roster(revision, b_status));
}

static struct store *make_store(void)
{
    struct kinds kinds;
    struct store_config c = {.shards = 1, .mailboxes = 1};
    kinds_default(&kinds);
    session_config_default(&c.session);
    c.session.kinds = &kinds;
    c.session.memory_bytes = 1 << 20;
    return store_new(&c, io_now_ns());
}

static void open_director(struct rig *r, uint32_t tunnels_max)
{
    struct director_config c = {.loop = &r->loop,
                                .store = r->store,
                                .self_name = "a",
                                .decide = &r->decide,
                                .servers = &r->server,
                                .journal = r->journal,
                                .counters = &r->counters};
    http_limits_default(&c.http);
    forward_limits_default(&c.forward);
    exchange_limits_default(&c.exchange);
    secondary_server_default(&r->server, &r->forward);
    r->server.tunnel = r->tunnel;
    c.forward.tunnels_max = tunnels_max;
    c.fd = listen_loopback(&r->at);
    r->decide.port = r->at.port;
    assert_int_equal(director_open(&c, &r->director), STEAD_OK);
}

static int setup(void **state)
{
    static struct rig rig;
    struct rig *r = &rig;
    memset(r, 0, sizeof(*r));
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->store = make_store();
    assert_non_null(r->store);
    r->journal = journal_new();
    assert_non_null(r->journal);
    store_set_healthy(r->store, 0, true);
    set_roster(r, 7, STATUS_UP);
    r->own = (struct decide_server){"shop", 1, {"http://a.example"}, "primary"};
    r->decide = (struct decide_config){
        .services = services, .service_count = 1, .servers = &r->own, .server_count = 1};
    r->backend.listener = listen_loopback(&r->forward);
    open_director(r, 100);
    *state = r;
    return 0;
}

static void on_closed(void *context)
{
    struct rig *r = context;
    r->closed = true;
}

static void stop_backend(struct rig *r)
{
    close(r->backend.listener);
    r->backend.listener = -1;
}

static void close_director(struct rig *r)
{
    r->closed = false;
    director_close(r->director, on_closed, r);
    SPIN_UNTIL(r, r->closed);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    close_director(r);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    assert_int_equal(store_users(r->store, 0), 0);
    store_free(r->store);
    journal_free(r->journal);
    if (r->backend.listener >= 0)
        stop_backend(r);
    for (size_t i = 0; i < r->backend.count; i++)
        if (r->backend.conns[i] >= 0)
            close(r->backend.conns[i]);
    return 0;
}

/* -- the client -- */

static int dial(struct rig *r)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(&r->at, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    int e = connect(fd, (struct sockaddr *)&sa, len);
    assert_true(e == 0 || errno == EINPROGRESS);
    return fd;
}

static bool answered(struct rig *r, int fd, bool head_only)
{
    struct http_response_head h;
    const char *why;
    ssize_t n = recv(fd, r->answer + r->answer_len, sizeof(r->answer) - 1 - r->answer_len, 0);
    if (n > 0)
        r->answer_len += (size_t)n;
    r->answer[r->answer_len] = '\0';
    int head = http_parse_response(r->answer, r->answer_len, &h, &why);
    assert_true(head >= 0);
    return head > 0 && (head_only || h.status == 304 ||
                        r->answer_len >= (size_t)head + (h.has_length ? h.length : 0));
}

/* Sends a request and waits for the whole answer, in r->answer. Returns its status. */
static int request(struct rig *r, int fd, const char *text)
{
    struct http_response_head h;
    const char *why;
    r->answer_len = 0;
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    SPIN_UNTIL(r, answered(r, fd, strncmp(text, "HEAD", 4) == 0));
    assert_true(http_parse_response(r->answer, r->answer_len, &h, &why) > 0);
    return h.status;
}

static int ask(struct rig *r, const char *text)
{
    int fd = dial(r);
    int status = request(r, fd, text);
    close(fd);
    return status;
}

static void assert_answer_has(struct rig *r, const char *text)
{
    if (!strstr(r->answer, text))
        fail_msg("no \"%s\" in:\n%s", text, r->answer);
}

static void assert_answer_lacks(struct rig *r, const char *text)
{
    if (strstr(r->answer, text))
        fail_msg("\"%s\" in:\n%s", text, r->answer);
}

static const char *answer_body(struct rig *r)
{
    const char *end = strstr(r->answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

/* -- tests -- */

static void test_primary_redirects(void **state)
{
    struct rig *r = *state;
    assert_int_equal(ask(r, GET("/cart?x=1", "shop.example")), 307);
    assert_answer_has(r, "\r\nLocation: http://a.example/cart?x=1\r\n");
    assert_answer_has(r, "\r\nCache-Control: no-store\r\n");
    assert_int_equal(
        ask(r, "POST /buy HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\n\r\nabc"), 307);
    assert_int_equal(ask(r, GET("//evil.example/", "shop.example")), 307);
    assert_answer_has(r, "\r\nLocation: http://a.example//evil.example/\r\n");
    assert_int_equal(ask(r, GET("/", "nobody.example")), 421);
    assert_int_equal(ask(r, GET("/", "b.example")), 421);
    assert_int_equal(ask(r, GET("/p", "c.example")), 307);
    assert_answer_has(r, "\r\nLocation: http://a.example/p\r\n");
    assert_int_equal(r->counters.verdicts[DECIDE_REDIRECT], 4);
    assert_int_equal(r->counters.verdicts[DECIDE_MISDIRECTED], 2);
    assert_int_equal(r->backend.count, 0);
}

/* Mode tunnel: later requests are not looked into. */
static void test_a_tunnel_is_the_whole_connection(void **state)
{
    struct rig *r = *state;
    r->tunnel = true;
    close_director(r);
    open_director(r, 100);
    int fd = dial(r);
    assert_int_equal(request(r, fd, "GET /p HTTP/1.1\r\nHost: a.example\r\nConnection: x\r\n\r\n"),
                     200);
    assert_answer_has(r, "\r\nConnection: x\r\nX-Forwarded-For: 127.0.0.1\r\n");
    assert_answer_lacks(r, "\r\nVia:");
    assert_int_equal(store_users(r->store, 0), 1);
    assert_int_equal(request(r, fd, GET("/second", "b.example")), 200);
    assert_answer_has(r, GET("/second", "b.example"));
    close(fd);
    SPIN_UNTIL(r, store_users(r->store, 0) == 0);
    assert_int_equal(r->backend.count, 1);
    assert_int_equal(r->counters.forward.opened, 1);
}

static void test_secondary_forwards_each_request(void **state)
{
    struct rig *r = *state;
    int fd = dial(r);
    assert_int_equal(
        request(r, fd, "GET /p?q HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"),
        200);
    assert_answer_has(
        r, "GET /p?q HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 10.0.0.1, 127.0.0.1\r\n");
    assert_answer_has(r, "\r\nForwarded: for=127.0.0.1;host=\"a.example\";proto=http\r\n");
    assert_int_equal(store_users(r->store, 0), 1);
    assert_int_equal(director_tunnels(r->director), 1);
    assert_int_equal(request(r, fd, GET("/second", "a.example")), 200);
    assert_answer_has(r, "GET /second HTTP/1.1\r\nHost: a.example\r\n");
    assert_answer_has(r, "\r\nX-Forwarded-For: 127.0.0.1\r\n");
    /* The same connection: for the primary, for the node itself, and for the server again. */
    assert_int_equal(request(r, fd, GET("/x", "shop.example")), 307);
    assert_int_equal(store_users(r->store, 0), 0);
    assert_int_equal(request(r, fd, GET("/.well-known/stead/roster", "a.example")), 200);
    assert_int_equal(request(r, fd, GET("/third", "a.example")), 200);
    assert_int_equal(store_users(r->store, 0), 1);
    /* Taken out by an operator while it is connected. */
    store_set_maint(r->store, true);
    assert_int_equal(request(r, fd, GET("/y", "a.example")), 307);
    store_set_maint(r->store, false);
    close(fd);
    SPIN_UNTIL(r, store_users(r->store, 0) == 0);
    assert_int_equal(r->backend.count, 1);
    assert_int_equal(r->counters.exchange.upstream.connects, 1);
    assert_int_equal(r->counters.exchange.answers[2], 3);
    assert_int_equal(r->counters.verdicts[DECIDE_FORWARD], 3);
    assert_int_equal(r->counters.verdicts[DECIDE_REDIRECT], 2);
}

/* Clients that do not follow redirects: the primary forwards them, to the other node's listener. */
static void test_the_primary_forwards_to_another_node(void **state)
{
    static const struct match_rule all = {.by = MATCH_ALL};
    struct rig *r = *state;
    struct decide_service service = services[0];
    service.forward = &all;
    service.forward_count = 1;
    struct decide_config decide = r->decide;
    decide.services = &service;
    director_set(r->director, &decide, &r->server);
    struct roster *roster = make_roster(8, STATUS_UP);
    struct entry *b = roster->nodes[1].entry;
    b->public = r->forward; /* the test's server stands for that node */
    b->public.port = 1;
    snprintf(b->servers[0].urls[0], sizeof(b->servers[0].urls[0]), "http://b.example:%u",
             r->forward.port);
    store_set_roster(r->store, roster);
    store_set_healthy(r->store, 0, false);
    int fd = dial(r);
    for (int i = 0; i < 2; i++) {
        char host[64];
        assert_int_equal(request(r, fd, GET("/p", "shop.example")), 200);
        snprintf(host, sizeof(host), "\r\nHost: b.example:%u\r\n", r->forward.port);
        assert_answer_has(r, host);
        assert_answer_has(r, "\r\nX-Forwarded-Host: shop.example\r\n");
    }
    assert_int_equal(store_users(r->store, 0), 0); /* that node counts them */
    assert_int_equal(r->counters.verdicts[DECIDE_RELAY], 2);
    assert_int_equal(r->counters.exchange.upstream.connects, 1);
    /* A node that is not there. */
    stop_backend(r);
    close(r->backend.conns[0]);
    r->backend.conns[0] = -1;
    assert_int_equal(request(r, fd, GET("/", "shop.example")), 503);
    close(fd);
    director_set(r->director, &r->decide, &r->server);
}

static void test_what_follows_the_head_goes_along(void **state)
{
    struct rig *r = *state;
    assert_int_equal(ask(r, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello"),
                     200);
    assert_string_equal(r->answer + r->answer_len - 9, "\r\n\r\nhello");
}

static void test_server_down_redirects_and_marks_the_pair_first(void **state)
{
    struct rig *r = *state;
    stop_backend(r);
    assert_int_equal(ask(r, GET("/p?q", "a.example")), 307);
    assert_answer_has(r, "\r\nLocation: http://b.example/p?q\r\n");
    assert_answer_has(r, "\r\nConnection: close\r\n");
    assert_answer_has(r, "\r\nDate: ");
    assert_false(store_healthy(r->store, 0));
    assert_int_equal(store_users(r->store, 0), 0);
    /* The primary on this node sends nobody here any more, and the next visitor is not tried. */
    assert_int_equal(ask(r, GET("/p?q", "shop.example")), 307);
    assert_answer_has(r, "\r\nLocation: http://b.example/p?q\r\n");
    assert_int_equal(ask(r, GET("/", "a.example")), 307);
    assert_int_equal(r->counters.exchange.upstream.refused, 1);
}

static void test_server_down_with_a_request_body_and_head(void **state)
{
    struct rig *r = *state;
    static char big[40000];
    stop_backend(r);
    int n = snprintf(big, sizeof(big),
                     "POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 39000\r\n\r\n");
    memset(big + n, 'x', 39000);
    int fd = dial(r);
    assert_int_equal(request(r, fd, big), 307);
    SPIN_UNTIL(r, recv(fd, big, sizeof(big), 0) == 0); /* an orderly end, no reset */
    close(fd);
    store_set_healthy(r->store, 0, true);
    assert_int_equal(ask(r, "HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 307);
    assert_string_equal(answer_body(r), "");
}

static void test_server_down_goes_to_its_named_backup(void **state)
{
    struct rig *r = *state;
    r->own.backup = "b";
    stop_backend(r);
    assert_int_equal(ask(r, GET("/p", "a.example")), 307);
    assert_answer_has(r, "\r\nLocation: http://b.example/p\r\n");
}

static void test_nobody_up_is_said(void **state)
{
    struct rig *r = *state;
    stop_backend(r);
    set_roster(r, 8, STATUS_SUSPECT);
    assert_int_equal(ask(r, GET("/", "a.example")), 503);
    assert_answer_has(r, "\r\nRetry-After: 2\r\n");
    assert_int_equal(ask(r, GET("/", "shop.example")), 503);
    assert_answer_has(r, "\r\nRetry-After: 2\r\n");
}

static void test_too_many_tunnels(void **state)
{
    struct rig *r = *state;
    close_director(r);
    open_director(r, 1);
    int fd = dial(r);
    assert_int_equal(request(r, fd, GET("/", "a.example")), 200);
    assert_int_equal(ask(r, GET("/", "a.example")), 503);
    assert_answer_has(r, "\r\nRetry-After: 2\r\n");
    assert_true(store_healthy(r->store, 0)); /* the server is not to blame */
    assert_int_equal(store_users(r->store, 0), 1);
    close(fd);
}

static void test_roster(void **state)
{
    struct rig *r = *state;
    char etag[64], conditional[256], first[8192];
    assert_int_equal(ask(r, GET("/.well-known/stead/roster", "whoever")), 200);
    assert_answer_has(r, "\r\nContent-Type: application/json\r\n");
    assert_answer_lacks(r, "Access-Control");
    struct roster *parsed = NULL;
    const char *body = answer_body(r);
    assert_int_equal(roster_parse_json(body, strlen(body), &parsed), STEAD_OK);
    assert_int_equal(parsed->count, 3);
    roster_unref(parsed);
    snprintf(first, sizeof(first), "%s", body);
    const char *tag = strstr(r->answer, "\r\nETag: ");
    assert_non_null(tag);
    assert_int_equal(sscanf(tag, "\r\nETag: %63s", etag), 1);
    snprintf(
        conditional, sizeof(conditional),
        "GET /.well-known/stead/roster HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"z\", W/%s\r\n\r\n",
        etag);
    assert_int_equal(ask(r, conditional), 304);
    assert_string_equal(answer_body(r), "");
    assert_int_equal(r->counters.roster.not_modified, 1);
    set_roster(r, 8, STATUS_DOWN);
    assert_int_equal(ask(r, conditional), 200);
    assert_string_not_equal(answer_body(r), first);
}

static void test_roster_of_a_service(void **state)
{
    struct rig *r = *state;
    assert_int_equal(ask(r, GET("/.well-known/stead/roster?x=y&service=%73hop", "x")), 200);
    assert_answer_has(r, "a.example");
    assert_int_equal(ask(r, GET("/.well-known/stead/roster?service=other&service=shop", "x")), 200);
    assert_answer_lacks(r, "a.example");
    assert_int_equal(ask(r, GET("/.well-known/stead/roster?myservice=other", "x")), 200);
    assert_answer_has(r, "a.example");
    static const char *const bad[] = {
        "",
        "%",
        "%4",
        "%0a",
        "%zz",
        "a%00",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "GET /.well-known/stead/roster?service=%s HTTP/1.1\r\nHost: x\r\n\r\n", bad[i]);
        assert_int_equal(ask(r, text), 400);
    }
    assert_int_equal(ask(r, GET("/.well-known/stead/other", "x")), 404);
    assert_int_equal(ask(r, "DELETE /.well-known/stead/roster HTTP/1.1\r\nHost: x\r\n\r\n"), 405);
    assert_answer_has(r, "\r\nAllow: GET, HEAD, OPTIONS\r\n");
}

static void test_before_the_first_roster(void **state)
{
    struct rig *r = *state;
    store_set_roster(r->store, NULL);
    assert_int_equal(ask(r, GET("/", "shop.example")), 503);
}

static void test_lack_of_memory_is_answered(void **state)
{
    struct rig *r = *state;
    for (unsigned n = 1; n < 12; n++) {
        int fd = dial(r);
        const char *text = GET("/", "a.example");
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
        mem_fail_after(n);
        r->answer_len = 0;
        ssize_t got = -1;
        SPIN_UNTIL(r, (got = recv(fd, r->answer, sizeof(r->answer), 0)) >= 0 || errno != EAGAIN);
        mem_fail_after(0);
        /* An answer of the server, a 503, or the end of the connection: never silence. */
        if (got > 0)
            assert_true(memcmp(r->answer, "HTTP/1.1 200", 12) == 0 ||
                        memcmp(r->answer, "HTTP/1.1 503", 12) == 0);
        close(fd);
        SPIN_UNTIL(r, store_users(r->store, 0) == 0);
        for (size_t i = 0; i < r->backend.count; i++)
            if (r->backend.conns[i] >= 0)
                close(r->backend.conns[i]);
        r->backend.count = 0;
        memset(r->backend.lens, 0, sizeof(r->backend.lens));
    }
}

static void test_closing_with_clients(void **state)
{
    struct rig *r = *state;
    int fd = dial(r);
    assert_int_equal(request(r, fd, GET("/", "a.example")), 200);
    int idle = dial(r);
    spin(r);
    int busy = dial(r);
    const char *text = GET("/still", "a.example");
    assert_int_equal(send(busy, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    SPIN_UNTIL(r, store_users(r->store, 0) == 2);
    director_stop_accepting(r->director);
    r->answer_len = 0;
    SPIN_UNTIL(r, answered(r, busy, false));
    assert_answer_has(r, "\r\nConnection: close\r\n");
    SPIN_UNTIL(r, recv(fd, r->answer, sizeof(r->answer), 0) == 0);
    close_director(r);
    close(busy);
    assert_int_equal(store_users(r->store, 0), 0);
    close(fd);
    close(idle);
    open_director(r, 1);
}

static void test_a_redirect_is_found_again(void **state)
{
    struct rig *r = *state;
    struct journal_entry e;
    ask(r, "GET /cart?secret=1 HTTP/1.1\r\nHost: shop.example\r\nX-Request-Id: order-7\r\n"
           "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n");
    assert_non_null(strstr(r->answer, "\r\nX-Request-Id: order-7\r\n"));
    assert_non_null(strstr(r->answer, "\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert_null(strstr(r->answer, "00f067aa0ba902b7"));
    assert_true(journal_find(r->journal, "order-7", &e));
    assert_string_equal(e.verdict, "redirect");
    assert_string_equal(e.path, "/cart");
    assert_string_equal(e.server, "a");
    assert_int_equal(e.status, 307);
    assert_int_equal(e.revision, 7);
    char *json = journal_json(&e, "a");
    assert_non_null(strstr(json, "\"why\": \"balanced\""));
    free(json);
    assert_false(journal_find(r->journal, "order-8", &e));
    ask(r, "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Request-Id: a b\r\n\r\n");
    char *made = strstr(r->answer, "\r\nX-Request-Id: ");
    assert_non_null(made);
    made += strlen("\r\nX-Request-Id: ");
    made[strcspn(made, "\r")] = '\0';
    assert_string_equal(made + 16, "@a");
    assert_true(journal_find(r->journal, made, &e));
}

static void test_opening_without_memory_leaves_the_descriptor(void **state)
{
    struct rig *r = *state;
    struct addr at;
    struct director *none = NULL;
    struct director_config c = {.loop = &r->loop,
                                .fd = listen_loopback(&at),
                                .store = r->store,
                                .self_name = "a",
                                .decide = &r->decide,
                                .servers = &r->server,
                                .journal = r->journal,
                                .counters = &r->counters};
    for (unsigned n = 1; n <= 5; n++) {
        mem_fail_after(n);
        assert_int_equal(director_open(&c, &none), STEAD_E_NOMEM);
        mem_fail_after(0);
        assert_null(none);
    }
    assert_int_equal(close(c.fd), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_primary_redirects),
        T(test_secondary_forwards_each_request),
        T(test_a_tunnel_is_the_whole_connection),
        T(test_the_primary_forwards_to_another_node),
        T(test_what_follows_the_head_goes_along),
        T(test_server_down_redirects_and_marks_the_pair_first),
        T(test_server_down_with_a_request_body_and_head),
        T(test_server_down_goes_to_its_named_backup),
        T(test_nobody_up_is_said),
        T(test_too_many_tunnels),
        T(test_roster),
        T(test_roster_of_a_service),
        T(test_before_the_first_roster),
        T(test_lack_of_memory_is_answered),
        T(test_closing_with_clients),
        T(test_a_redirect_is_found_again),
        T(test_opening_without_memory_leaves_the_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
