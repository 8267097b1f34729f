/* roster_answer_test.c - the roster's answers behind an HTTP server on loopback. */
#include "role/director/roster_answer.h"

#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 4000
#define PATH "/.well-known/stead/roster"
#define ASK(method, query, headers) method " " PATH query " HTTP/1.1\r\nHost: x\r\n" headers "\r\n"
#define GET(query) ASK("GET", query, "")

static const struct decide_service services[] = {
    {.name = "shop", .url = "http://shop.example", .policy = POLICY_LEAST_USERS, .status = 307},
};
static const struct decide_config decide_config = {.services = services, .service_count = 1};

struct rig {
    uv_loop_t loop;
    struct store *store;
    struct http_counters http;
    struct roster_counters counters;
    struct roster_answers *answers;
    struct http_server *server;
    struct addr at;
    char text[65536];
    size_t len;
    int closed;
};

static struct rig rig;

static void set_roster(uint64_t revision, uint32_t users)
{
    static const char *const names[] = {"a", "b"};
    struct roster *r = roster_blank(2, 2);
    assert_non_null(r);
    r->revision = revision;
    snprintf(r->farm, sizeof r->farm, "farm");
    for (size_t i = 0; i < 2; i++) {
        struct entry *e = r->nodes[i].entry;
        r->nodes[i].status = STATUS_UP;
        snprintf(e->name, sizeof e->name, "%s", names[i]);
        e->inc = 0x10 + i;
        e->public = (struct addr){.family = 4, .port = 80, .ip = {10, 0, 0, (uint8_t)i}};
        e->address_count = 1;
        e->addresses[0].network = NETWORK_OUTSIDE;
        e->addresses[0].addr = (struct addr){.family = 4, .port = 80, .ip = {192, 0, 2, 1}};
        e->server_count = 2;
        for (size_t j = 0; j < 2; j++) {
            snprintf(e->servers[j].service, NAME_MAX_BYTES, j ? "chat" : "shop");
            e->servers[j].users = users;
            e->servers[j].capacity = 100;
            e->servers[j].load = LOAD_UNKNOWN;
            e->servers[j].weight = 1;
            e->servers[j].healthy = true;
        }
    }
    store_set_roster(rig.store, r);
}

static enum http_verdict on_request(void *context, struct http_request *r, const char *body,
                                    size_t body_len)
{
    (void)context;
    (void)body;
    (void)body_len;
    struct roster *roster = store_roster(rig.store);
    roster_answer(rig.answers, r, roster);
    roster_unref(roster);
    return HTTP_ANSWERED;
}

static int listen_loopback(struct addr *at)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, at));
    return fd;
}

static void open_rig(const struct roster_rules *rules)
{
    struct kinds kinds;
    struct store_config s = {.shards = 1, .mailboxes = 1};
    memset(&rig, 0, sizeof rig);
    assert_int_equal(uv_loop_init(&rig.loop), 0);
    kinds_default(&kinds);
    session_config_default(&s.session);
    s.session.kinds = &kinds;
    s.session.memory_bytes = 1 << 20;
    rig.store = store_new(&s, io_now_ns());
    assert_non_null(rig.store);
    set_roster(7, 40);
    const struct roster_answers_config c = {.loop = &rig.loop,
                                            .store = rig.store,
                                            .decide = &decide_config,
                                            .self_name = "a",
                                            .rules = *rules,
                                            .counters = &rig.counters};
    assert_int_equal(roster_answers_open(&c, &rig.answers), STEAD_OK);
    struct http_server_config h = {
        .loop = &rig.loop, .counters = &rig.http, .handle = on_request, .door = "test"};
    http_limits_default(&h.limits);
    h.fd = listen_loopback(&rig.at);
    assert_int_equal(http_server_open(&h, &rig.server), STEAD_OK);
}

static void on_closed(void *context)
{
    (void)context;
    rig.closed++;
}

static void close_rig(void)
{
    http_server_close(rig.server, on_closed, NULL);
    roster_answers_close(rig.answers, on_closed, NULL);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    assert_int_equal(rig.closed, 2);
    assert_int_equal(uv_loop_close(&rig.loop), 0);
    store_free(rig.store);
}

static int dial(void)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(&rig.at, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_true(connect(fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS);
    return fd;
}

static bool complete(const char *method)
{
    struct http_response_head h;
    const char *why;
    int head = http_parse_response(rig.text, rig.len, &h, &why);
    assert_true(head >= 0);
    bool bare = strcmp(method, "HEAD") == 0 || h.status == 304 || h.status == 204;
    return head > 0 && (bare || rig.len >= (size_t)head + (h.has_length ? h.length : 1));
}

/* Sends a request; the answer, or of a watch what came first, is in rig.text. Returns its status.
 */
static int request(int fd, const char *text)
{
    struct http_response_head h;
    const char *why;
    char method[8] = "";
    sscanf(text, "%7s", method);
    rig.len = 0;
    rig.text[0] = '\0';
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    for (uint64_t end = io_now_ns() + PATIENCE_MS * 1000000ull; !complete(method);) {
        assert_true(io_now_ns() < end);
        uv_run(&rig.loop, UV_RUN_NOWAIT);
        ssize_t n = recv(fd, rig.text + rig.len, sizeof rig.text - 1 - rig.len, 0);
        rig.len += n > 0 ? (size_t)n : 0;
        rig.text[rig.len] = '\0';
        usleep(100);
    }
    assert_true(http_parse_response(rig.text, rig.len, &h, &why) > 0);
    return h.status;
}

static int ask(const char *text)
{
    int fd = dial();
    int status = request(fd, text);
    close(fd);
    return status;
}

static void has(const char *text)
{
    if (!strstr(rig.text, text))
        fail_msg("no \"%s\" in:\n%s", text, rig.text);
}

static void lacks(const char *text)
{
    if (strstr(rig.text, text))
        fail_msg("\"%s\" in:\n%s", text, rig.text);
}

static struct roster_rules open_rules(void)
{
    struct roster_rules rules = {.exposure = ROSTER_OPEN,
                                 .retry = {200, 30000, 500},
                                 .watchers_max = 2,
                                 .watchers_here = 2,
                                 .inside_count = 1};
    assert_true(prefix_parse("127.0.0.0/8", &rules.inside[0]));
    return rules;
}

/* -- tests -- */

static void test_forms_are_kept(void **state)
{
    (void)state;
    struct roster_rules rules = open_rules();
    open_rig(&rules);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(GET("")), 200);
        has("\r\nContent-Type: application/json\r\n");
        has("\r\nETag: \"10-7\"\r\n");
        has("\r\nVary: Accept, Origin\r\n");
        has("\"address\":\"10.0.0.0:80\"");
        assert_int_equal(ask(GET("?service=shop&format=text")), 200);
        has("\r\nContent-Type: text/plain; charset=utf-8\r\n");
        has("\r\n\r\na\tshop\tup\t40\t100\t");
        has("\nb\tshop\tup\t");
        lacks("chat");
    }
    assert_int_equal(rig.counters.rendered, 2);
    assert_int_equal(ask(ASK("HEAD", "", "")), 200);
    assert_int_equal(rig.counters.rendered, 2);
    set_roster(8, 41);
    assert_int_equal(ask(GET("")), 200);
    has("\r\nETag: \"10-8\"\r\n");
    has("\"users\":41");
    assert_int_equal(rig.counters.rendered, 3);
    assert_int_equal(ask(ASK("GET", "", "If-None-Match: \"10-8\"\r\n")), 304);
    assert_int_equal(rig.counters.not_modified, 1);
    close_rig();
}

static void test_pages_and_strange_services_are_not_kept(void **state)
{
    (void)state;
    struct roster_rules rules = open_rules();
    open_rig(&rules);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(GET("?service=chat")), 200);
        has("\"service\":\"chat\"");
        assert_int_equal(ask(GET("?limit=1&service=shop")), 200);
        has("\"next\":\"a\"");
        lacks("\"name\":\"b\"");
        assert_int_equal(ask(GET("?after=a")), 200);
        lacks("\"name\":\"a\"");
    }
    assert_int_equal(rig.counters.rendered, 6);
    assert_int_equal(ask(GET("?limit=0")), 400);
    has("the limit parameter");
    close_rig();
}

static void test_coarse_and_outside(void **state)
{
    (void)state;
    struct roster_rules rules = open_rules();
    rules.exposure = ROSTER_COARSE;
    assert_true(prefix_parse("10.0.0.0/8", &rules.inside[0]));
    open_rig(&rules);
    assert_int_equal(ask(GET("")), 200);
    lacks("\"users\"");
    has("\"load\":500");
    has("\"address\":\"192.0.2.1:80\"");
    int fd = dial();
    assert_int_equal(request(fd, GET("?format=sse")), 200);
    for (int i = 0; i < 1000 && !strstr(rig.text, "\"load\""); i++) {
        uv_run(&rig.loop, UV_RUN_NOWAIT);
        ssize_t n = recv(fd, rig.text + rig.len, sizeof rig.text - 1 - rig.len, 0);
        rig.len += n > 0 ? (size_t)n : 0;
        rig.text[rig.len] = '\0';
        usleep(1000);
    }
    has("event: roster\nid: 10-7\n");
    has("\"load\":500");
    lacks("\"users\"");
    close(fd);
    close_rig();
}

static void test_only_with_the_token(void **state)
{
    (void)state;
    struct roster_rules rules = open_rules();
    rules.exposure = ROSTER_AUTHENTICATED;
    rules.token = "0123456789abcdef";
    open_rig(&rules);
    static const char *const denied[] = {
        GET(""),
        GET("?format=sse"),
        ASK("GET", "", "Authorization: Bearer 0123456789abcdeg\r\n"),
        ASK("GET", "", "Authorization: Bearer 0123456789abcde\r\n"),
        ASK("GET", "", "Authorization: Bearer 0123456789abcdef0\r\n"),
        ASK("GET", "", "Authorization: Bearer \r\n"),
        ASK("GET", "", "Authorization: Basic 0123456789abcdef\r\n"),
    };
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        assert_int_equal(ask(denied[i]), 401);
        has("\r\nWWW-Authenticate: Bearer\r\n");
        lacks("servers");
    }
    assert_int_equal(rig.counters.denied, sizeof denied / sizeof denied[0]);
    assert_int_equal(ask(ASK("GET", "", "Authorization: bearer 0123456789abcdef\r\n")), 200);
    has("\"users\":40");
    close_rig();
}

static void test_pages_of_other_origins(void **state)
{
    (void)state;
    struct roster_rules rules = open_rules();
    rules.cors = "https://a.example";
    open_rig(&rules);
    assert_int_equal(ask(ASK("GET", "", "Origin: https://a.example\r\n")), 200);
    has("\r\nAccess-Control-Allow-Origin: https://a.example\r\n");
    assert_int_equal(ask(ASK("GET", "", "Origin: https://b.example\r\n")), 200);
    lacks("Access-Control");
    assert_int_equal(ask(ASK("OPTIONS", "",
                             "Origin: https://a.example\r\n"
                             "Access-Control-Request-Method: GET\r\n")),
                     204);
    has("\r\nAccess-Control-Allow-Methods: GET, HEAD\r\n");
    assert_int_equal(ask(ASK("OPTIONS", "", "")), 204);
    has("\r\nAllow: GET, HEAD, OPTIONS\r\n");
    lacks("Access-Control");
    close_rig();
}

static void test_one_watcher_more(void **state)
{
    (void)state;
    struct roster_rules rules = open_rules();
    open_rig(&rules);
    int one = dial(), two = dial();
    assert_int_equal(request(one, ASK("GET", "", "Accept: text/event-stream\r\n")), 200);
    assert_int_equal(request(two, GET("?format=sse&on=a&service=shop")), 200);
    has("\r\nContent-Type: text/event-stream\r\n");
    assert_int_equal(watch_clients(roster_answers_watch(rig.answers), "shop", "a"), 1);
    assert_int_equal(ask(GET("?format=sse")), 503);
    has("\r\nRetry-After: 2\r\n");
    assert_int_equal(ask(GET("?format=sse&service=nothing")), 404);
    assert_int_equal(rig.counters.watch.refused, 1);
    assert_int_equal(ask(GET("")), 200);
    assert_int_equal(ask(ASK("HEAD", "?format=sse", "")), 200);
    has("\r\nContent-Type: text/event-stream\r\n");
    assert_int_equal(rig.counters.watch.opened, 2);
    close(one);
    close(two);
    close_rig();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_are_kept),
        cmocka_unit_test(test_pages_and_strange_services_are_not_kept),
        cmocka_unit_test(test_coarse_and_outside),
        cmocka_unit_test(test_only_with_the_token),
        cmocka_unit_test(test_pages_of_other_origins),
        cmocka_unit_test(test_one_watcher_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
