/* http_server_test.c - a server on a loop, and raw clients on the same thread that turn the loop by
 * hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/http_server.h"
#include "io/io.h"
#include "io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 3000

struct bench {
    uv_loop_t loop;
    struct http_server *server;
    struct http_counters counters;
    struct addr address;
    struct http_request *held; /* by "/later" */
    struct stream taken_stream;
    char *taken;
    size_t taken_len;
    bool closed;
};

static char large[300000];

static enum http_verdict handle(void *context, struct http_request *r, const char *body, size_t len)
{
    struct bench *b = context;
    const struct http_head *h = http_request_head(r);
    if (slice_is(h->path, "/later")) {
        b->held = r;
    } else if (slice_is(h->path, "/take")) {
        assert_int_equal(http_take(r, &b->taken_stream, &b->taken, &b->taken_len), STEAD_OK);
    } else if (slice_is(h->path, "/large")) {
        http_reply(r, 200, "text/plain", NULL, large, sizeof large);
    } else if (slice_is(h->path, "/none")) {
        http_reply(r, 204, NULL, NULL, NULL, 0);
    } else if (slice_is(h->path, "/echo") && !body) {
        return HTTP_WANT_BODY;
    } else if (slice_is(h->path, "/echo")) {
        http_reply(r, 200, "application/octet-stream", "X-Echo: yes\r\n", body, len);
    } else {
        http_reply(r, 200, "text/plain", NULL, h->path.at, h->path.len);
    }
    return HTTP_ANSWERED;
}

static void open_bench(struct bench *b, const struct http_limits *limits)
{
    memset(b, 0, sizeof *b);
    b->taken_stream.fd = -1;
    assert_int_equal(uv_loop_init(&b->loop), 0);
    struct http_server_config c = {.loop = &b->loop,
                                   .counters = &b->counters,
                                   .server_name = "stead",
                                   .handle = handle,
                                   .context = b};
    http_limits_default(&c.limits);
    if (limits)
        c.limits = *limits;
    struct addr any;
    assert_true(addr_parse("127.0.0.1:0", 0, &any));
    assert_int_equal(listen_tcp(&any, false, &c.fd), STEAD_OK);
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    assert_int_equal(getsockname(c.fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, &b->address));
    assert_int_equal(http_server_open(&c, &b->server), STEAD_OK);
}

static void server_closed(void *context)
{
    ((struct bench *)context)->closed = true;
}

static void close_bench(struct bench *b)
{
    http_server_close(b->server, server_closed, b);
    for (int i = 0; i < 1000 && !b->closed; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_true(b->closed);
    uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    assert_int_equal(atomic_load(&b->counters.open), 0);
}

static int client(struct bench *b)
{
    struct sockaddr_storage sa;
    socklen_t len = io_sockaddr(&b->address, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void turn(struct bench *b)
{
    struct timespec ms = {.tv_nsec = 1000000};
    if (!uv_run(&b->loop, UV_RUN_NOWAIT))
        return;
    nanosleep(&ms, NULL);
}

static void say(struct bench *b, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    for (int i = 0; i < 3; i++)
        turn(b);
}

struct heard {
    char text[400000];
    size_t len;
    bool ended;
};

static struct heard heard;

/* Turns the loop until `until` was heard `times` times, or the server closed, or the time is over.
 */
static const char *hear(struct bench *b, int fd, const char *until, unsigned times)
{
    memset(&heard, 0, sizeof heard);
    for (int i = 0; i < WAIT_MS; i++) {
        turn(b);
        ssize_t n = recv(fd, heard.text + heard.len, sizeof heard.text - 1 - heard.len, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            heard.ended = true;
            break;
        }
        if (n < 0)
            continue;
        heard.len += (size_t)n;
        unsigned found = 0;
        for (const char *at = heard.text; until && (at = strstr(at, until)); at++)
            found++;
        if (until && found >= times)
            break;
    }
    return heard.text;
}

static const char *hear_end(struct bench *b, int fd)
{
    hear(b, fd, NULL, 0);
    assert_true(heard.ended);
    return heard.text;
}

#define assert_has(text, part) assert_non_null(strstr(text, part))
#define assert_has_not(text, part) assert_null(strstr(text, part))

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd,
        "GET /one HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: "
        "3\r\n\r\n"
        "twoGET /three HTTP/1.1\r\nHost: a\r\n\r\nGET /last");
    const char *text = hear(&b, fd, "/three", 1);
    const char *one = strstr(text, "/one"), *two = strstr(text, "two"),
               *three = strstr(text, "/three");
    assert_true(one && two && three && one < two && two < three);
    assert_has(text, "Content-Length: 4\r\n");
    assert_has(text, "X-Echo: yes\r\n");
    assert_has(text, "Server: stead\r\n");
    assert_has(text, "Date: ");
    say(&b, fd, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    text = hear_end(&b, fd);
    assert_has(text, "/last");
    assert_has(text, "Connection: close");
    assert_int_equal(atomic_load(&b.counters.requests), 4);
    close(fd);
    close_bench(&b);
}

static void a_flood_of_pipelined_requests_leaves_others_their_turn(void **state)
{
    static char flood[500 * sizeof "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"];
    struct bench b;
    (void)state;
    flood[0] = '\0';
    for (int i = 0; i < 500; i++)
        strcat(flood, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    open_bench(&b, NULL);
    int greedy = client(&b), modest = client(&b);
    say(&b, greedy, flood);
    say(&b, modest, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear(&b, modest, "\r\n\r\n/b", 1), "\r\n\r\n/b"));
    assert_true(atomic_load(&b.counters.requests) < 250);
    hear(&b, greedy, "\r\n\r\n/a", 500);
    assert_int_equal(atomic_load(&b.counters.requests), 501);
    close(greedy);
    close(modest);
    close_bench(&b);
}

static void a_server_may_close_amid_a_flood(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    for (int i = 0; i < 100; i++)
        assert_true(send(fd, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 28, MSG_NOSIGNAL) == 28);
    turn(&b);
    turn(&b);
    assert_true(atomic_load(&b.counters.requests) < 100);
    close_bench(&b);
    close(fd);
}

/* Several answers wait for one write, and what the client does not take of them waits in order. */
static void pipelined_answers_reach_a_slow_reader_in_order(void **state)
{
    enum { REQUESTS = 16000, PAD = 1000 };
    static char all[REQUESTS * (PAD + 120)];
    struct bench b;
    size_t len = 0, sent = 0;
    (void)state;
    for (int i = 0; i < REQUESTS; i++) {
        bool echo = i % 50 == 7;
        len += (size_t)snprintf(all + len, sizeof all - len,
                                echo ? "POST /echo?%0*d HTTP/1.1\r\nHost: a\r\n"
                                       "Content-Length: 8\r\n\r\n<%06d>"
                                     : "GET /%0*d<%06d> HTTP/1.1\r\nHost: a\r\n\r\n",
                                PAD, 0, i);
    }
    /* "<" may not stand in a target. */
    for (size_t i = 0; i < len; i++)
        all[i] = all[i] == '<' ? '(' : all[i] == '>' ? ')' : all[i];
    open_bench(&b, NULL);
    int fd = client(&b), small = 20000, next = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int full = 0; full < 30 && sent < len;) { /* until nothing moves any more */
        ssize_t n = send(fd, all + sent, len - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        full = n > 0 ? 0 : full + 1;
        turn(&b);
    }
    assert_true(sent < len);
    memset(&heard, 0, sizeof heard);
    /* Only turns in which nothing moves are counted: they last a millisecond. */
    for (int still = 0; still < 5 * WAIT_MS && next < REQUESTS;) {
        ssize_t n = send(fd, all + sent, len - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        uv_run(&b.loop, UV_RUN_NOWAIT);
        n = recv(fd, heard.text + heard.len, sizeof heard.text - 1 - heard.len, 0);
        if (n <= 0) {
            turn(&b);
            still++;
            continue;
        }
        still = 0;
        heard.len += (size_t)n;
        char *at = heard.text, *mark;
        while ((mark = memmem(at, (size_t)(heard.text + heard.len - at), "(", 1)) &&
               heard.text + heard.len - mark >= 8) {
            assert_int_equal(strtol(mark + 1, NULL, 10), next);
            next++;
            at = mark + 8;
        }
        heard.len -= (size_t)(at - heard.text);
        memmove(heard.text, at, heard.len);
    }
    assert_int_equal(next, REQUESTS);
    assert_int_equal(atomic_load(&b.counters.requests), REQUESTS);
    close(fd);
    close_bench(&b);
}

static void small_answers_to_pipelined_requests_are_one_write(void **state)
{
    struct bench b;
    char text[4096];
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    assert_true(send(fd, "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", 56,
                     MSG_NOSIGNAL) == 56);
    for (int i = 0; i < 5; i++)
        turn(&b);
    /* A reader of one segment after the other sees both in the first. */
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_has(text, "\r\n\r\n/a");
    assert_has(text, "\r\n\r\n/b");
    close(fd);
    close_bench(&b);
}

static void a_client_that_has_said_all_is_closed_without_lingering(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_int_equal(atomic_load(&b.counters.open), 0);
    assert_has(hear_end(&b, fd), "\r\n\r\n/a");
    close(fd);
    fd = client(&b);
    say(&b, fd, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nmore");
    assert_int_equal(atomic_load(&b.counters.open), 1); /* a reset could take the answer back */
    assert_has(hear_end(&b, fd), "\r\n\r\n/a");
    close(fd);
    close_bench(&b);
}

static void the_own_address_is_known_when_asked(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(addr_equal(http_request_local(b.held), &b.address));
    http_reply(b.held, 200, NULL, NULL, "", 0);
    close(fd);
    close_bench(&b);
}

static void an_absolute_target_may_have_no_path(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear(&b, fd, "\r\n\r\n/", 1), "\r\n\r\n/"));
    close(fd);
    close_bench(&b);
}

static void a_later_answer_holds_back_the_next_request(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    say(&b, fd, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 20; i++)
        turn(&b);
    assert_non_null(b.held);
    assert_int_equal(atomic_load(&b.counters.requests), 1);
    http_reply(b.held, 200, NULL, NULL, "late", 4);
    const char *text = hear(&b, fd, "/next", 1);
    assert_true(strstr(text, "late") < strstr(text, "/next"));
    close(fd);
    close_bench(&b);
}

static void chunked_bodies_are_joined(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    say(&b, fd, "lo\r\n6\r\n world\r\n");
    say(&b, fd, "0\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n");
    const char *text = hear(&b, fd, "/after", 1);
    assert_has(text, "hello world");
    say(&b, fd, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
    assert_has(hear_end(&b, fd), "HTTP/1.1 400 ");
    assert_int_equal(atomic_load(&b.counters.bad), 1);
    close(fd);
    close_bench(&b);
}

static void bodies_beyond_the_limit_are_413(void **state)
{
    struct http_limits limits;
    struct bench b;
    (void)state;
    http_limits_default(&limits);
    limits.body_max = 10;
    open_bench(&b, &limits);
    int fd = client(&b);
    say(&b, fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789");
    assert_has(hear(&b, fd, "0123456789", 1), "200");
    say(&b, fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n01234567890");
    assert_has(hear_end(&b, fd), "HTTP/1.1 413 ");
    close(fd);
    fd = client(&b);
    say(&b, fd,
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
        "chunked\r\n\r\n6\r\n012345\r\n5\r\n01234\r\n");
    assert_has(hear_end(&b, fd), "HTTP/1.1 413 ");
    close(fd);
    close_bench(&b);
}

static void what_is_held_for_clients_is_bounded(void **state)
{
    struct http_limits limits;
    struct bench b;
    (void)state;
    http_limits_default(&limits);
    limits.held_max = 4096;
    open_bench(&b, &limits);
    const char *half = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n";
    char most[3000] = "";
    memset(most, 'x', sizeof most - 1);
    int first = client(&b), second = client(&b);
    say(&b, first, half);
    say(&b, first, most);
    say(&b, second, half);
    say(&b, second, most);
    assert_has(hear_end(&b, second), "HTTP/1.1 503 ");
    assert_int_equal(atomic_load(&b.counters.busy), 1);
    close(second);
    say(&b, first, most + 1998);
    assert_has(hear(&b, first, "HTTP/1.1 200", 1), "HTTP/1.1 200");
    /* What was held is free again, also when its client has gone. */
    say(&b, first, half);
    say(&b, first, most);
    close(first);
    for (int i = 0; i < 3; i++)
        turn(&b);
    int third = client(&b);
    say(&b, third, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2999\r\n\r\n");
    say(&b, third, most);
    assert_has(hear(&b, third, "HTTP/1.1 200", 1), "HTTP/1.1 200");
    close(third);
    close_bench(&b);
}

static void answers_that_nobody_takes_are_broken_off(void **state)
{
    struct http_limits limits;
    struct bench b;
    int fds[64];
    (void)state;
    http_limits_default(&limits);
    limits.held_max = 1000000;
    open_bench(&b, &limits);
    for (int i = 0; i < 64; i++) {
        fds[i] = client(&b);
        for (int n = 0; n < 40; n++)
            assert_true(send(fds[i], "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", 32, MSG_NOSIGNAL) ==
                        32);
        turn(&b);
    }
    for (int i = 0; i < 50; i++)
        turn(&b);
    assert_true(atomic_load(&b.counters.busy) > 40);
    assert_true(atomic_load(&b.counters.open) <= 24);
    for (int i = 0; i < 64; i++)
        close(fds[i]);
    close_bench(&b);
}

static void a_head_without_end_is_431(void **state)
{
    struct bench b;
    char line[1000];
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    memset(line, 'x', sizeof line);
    memcpy(line, "X-Filler: ", 10);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    say(&b, fd, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 18; i++)
        say(&b, fd, line);
    assert_has(hear_end(&b, fd), "HTTP/1.1 431 ");
    close(fd);
    close_bench(&b);
}

static void slow_clients_are_408_and_idle_ones_are_closed(void **state)
{
    struct http_limits limits;
    struct bench b;
    (void)state;
    http_limits_default(&limits);
    limits.head_ms = 60;
    limits.body_ms = 60;
    limits.idle_ms = 40;
    open_bench(&b, &limits);
    int head = client(&b), body = client(&b), silent = client(&b), idle = client(&b);
    say(&b, head, "GET / HTTP/1.1\r\nHo");
    say(&b, body, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12");
    say(&b, idle, "GET /idle HTTP/1.1\r\nHost: a\r\n\r\n");
    /* A trickle does not renew a head's time. */
    for (int i = 0; i < 60; i++) {
        send(head, "x", 1, MSG_NOSIGNAL);
        turn(&b);
    }
    assert_has(hear_end(&b, head), "HTTP/1.1 408 ");
    assert_has(hear_end(&b, body), "HTTP/1.1 408 ");
    assert_string_equal(hear_end(&b, silent), "");
    const char *text = hear_end(&b, idle);
    assert_has(text, "/idle");
    assert_has_not(text, "408");
    assert_int_equal(atomic_load(&b.counters.timeouts), 3);
    close(head);
    close(body);
    close(silent);
    close(idle);
    close_bench(&b);
}

static void expect_continue_is_answered_before_the_body(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd,
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_string_equal(hear(&b, fd, "\r\n\r\n", 1), "HTTP/1.1 100 Continue\r\n\r\n");
    say(&b, fd, "body");
    assert_has(hear(&b, fd, "body", 1), "HTTP/1.1 200 ");
    close(fd);
    close_bench(&b);
}

static void a_client_may_go_before_its_answer(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(b.held);
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    for (int i = 0; i < 10; i++)
        turn(&b);
    http_reply(b.held, 200, NULL, NULL, large, sizeof large);
    for (int i = 0; i < 10; i++)
        turn(&b);
    assert_int_equal(atomic_load(&b.counters.open), 0);
    /* The server may go before it, too. */
    fd = client(&b);
    b.held = NULL;
    say(&b, fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(b.held);
    close_bench(&b);
    assert_true(slice_is(http_request_head(b.held)->path, "/later"));
    struct stream stream;
    char *bytes;
    size_t len;
    assert_int_equal(http_take(b.held, &stream, &bytes, &len), STEAD_E_CLOSED);
    http_reply(b.held, 200, NULL, NULL, "x", 1);
    close(fd);
}

static void a_connection_can_be_taken_over_with_what_was_read(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    static const char all[] = "POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbody";
    say(&b, fd, all);
    assert_true(b.taken_stream.fd >= 0);
    assert_int_equal(b.taken_len, sizeof all - 1);
    assert_memory_equal(b.taken, all, b.taken_len);
    mem_free(b.taken);
    say(&b, fd, " more");
    char more[16] = "";
    assert_int_equal(stream_read(&b.taken_stream, more, sizeof more), 5);
    assert_int_equal(stream_write(&b.taken_stream, "answer", 6), 6);
    assert_string_equal(hear(&b, fd, "answer", 1), "answer");
    assert_int_equal(atomic_load(&b.counters.open), 0);
    stream_close(&b.taken_stream, false);
    close(fd);
    close_bench(&b);
}

static void a_taken_connection_can_be_given_back(void **state)
{
    struct bench b;
    const struct addr *peer = &b.address;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "GET /take HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(atomic_load(&b.counters.open), 0);
    size_t first = b.taken_len / 2 + 1; /* "/take" is a letter longer than "/two" */
    char *rest = mem_dup(b.taken + first, b.taken_len - first);
    assert_int_equal(http_server_adopt(b.server, b.taken_stream, rest, b.taken_len - first, peer),
                     STEAD_OK);
    assert_non_null(strstr(hear(&b, fd, "/two", 1), "HTTP/1.1 200"));
    mem_free(b.taken);
    /* Between two requests it has no bytes, and goes on like any other. */
    say(&b, fd, "GET /take HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(http_server_adopt(b.server, b.taken_stream, NULL, 0, NULL), STEAD_OK);
    mem_free(b.taken);
    say(&b, fd, "GET /three HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(hear(&b, fd, "/three", 1), "HTTP/1.1 200"));
    assert_int_equal(atomic_load(&b.counters.accepted), 1);
    close(fd);
    close_bench(&b);
}

static void what_cannot_be_adopted_is_closed(void **state)
{
    struct bench b;
    struct http_limits l;
    (void)state;
    http_limits_default(&l);
    l.connections_max = 1;
    open_bench(&b, &l);
    int fd = client(&b), other = client(&b), pair[2];
    say(&b, fd, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    int e = http_server_adopt(b.server, (struct stream){.fd = pair[0]}, mem_dup("G", 1), 1, NULL);
    assert_int_equal(e, STEAD_E_BUSY);
    char byte;
    assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
    close(pair[1]);
    http_server_stop_accepting(b.server);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    e = http_server_adopt(b.server, (struct stream){.fd = pair[0]}, NULL, 0, NULL);
    assert_int_equal(e, STEAD_E_CLOSED);
    assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
    close(pair[1]);
    close(fd);
    close(other);
    close_bench(&b);
}

static void head_and_204_have_no_body(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "HEAD /four HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    const char *text = hear(&b, fd, "\r\n\r\n", 2);
    assert_has(text, "Content-Length: 5\r\n");
    assert_has_not(text, "/four");
    const char *second = strstr(text, "HTTP/1.1 204 No Content");
    assert_non_null(second);
    assert_has_not(second, "Content-Length");
    close(fd);
    close_bench(&b);
}

static void old_clients_keep_alive_only_when_they_ask(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_has(hear(&b, fd, "/a", 1), "Connection: keep-alive\r\n");
    say(&b, fd, "GET /b HTTP/1.0\r\n\r\n");
    const char *text = hear_end(&b, fd);
    assert_has(text, "/b");
    assert_has(text, "Connection: close\r\n");
    close(fd);
    close_bench(&b);
}

static void connections_beyond_the_limit_are_refused(void **state)
{
    struct http_limits limits;
    struct bench b;
    (void)state;
    http_limits_default(&limits);
    limits.connections_max = 1;
    open_bench(&b, &limits);
    int first = client(&b), second = client(&b);
    assert_has(hear_end(&b, second), "503");
    assert_int_equal(atomic_load(&b.counters.refused), 1);
    say(&b, first, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(hear(&b, first, "/first", 1), "200");
    close(first);
    for (int i = 0; i < 5; i++)
        turn(&b);
    int third = client(&b);
    say(&b, third, "GET /third HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(hear(&b, third, "/third", 1), "200");
    close(second);
    close(third);
    close_bench(&b);
}

/* Those who say nothing, or only a part, give way to those who come to ask; the others stay. */
static void who_waits_for_its_client_gives_way(void **state)
{
    struct bench b;
    struct http_limits l;
    (void)state;
    http_limits_default(&l);
    l.connections_max = 3;
    open_bench(&b, &l);
    int slow = client(&b), idle = client(&b), busy = client(&b);
    say(&b, slow, "GET /slow HTTP/1.1\r\nHost");
    say(&b, idle, "GET /idle HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(hear(&b, idle, "/idle", 1), "200");
    for (int i = 0; i < 100; i++)
        turn(&b);
    say(&b, busy, "GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(hear(&b, busy, "/busy", 1), "200");
    for (int i = 0; i < 2; i++) {
        int more = client(&b);
        say(&b, more, "GET /more HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_has(hear(&b, more, "/more", 1), "200");
        assert_string_equal(hear_end(&b, i == 0 ? slow : idle), "");
        assert_int_equal(atomic_load(&b.counters.crowded), i + 1);
        close(i == 0 ? slow : idle);
        if (i == 0)
            slow = more;
        else
            idle = more;
    }
    say(&b, busy, "GET /still HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(hear(&b, busy, "/still", 1), "200");
    close(slow);
    close(idle);
    close(busy);
    close_bench(&b);
}

static void garbage_is_400_and_ends_the_connection(void **state)
{
    static const char *const garbage[] = {
        "\x16\x03\x01\x02\x01\x01\xfc\x03\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    };
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        int fd = client(&b);
        say(&b, fd, garbage[i]);
        assert_has(hear_end(&b, fd), "HTTP/1.1 400 ");
        close(fd);
    }
    int fd = client(&b);
    say(&b, fd, "GET / HTTP/2.0\r\nHost: a\r\n\r\n");
    assert_has(hear_end(&b, fd), "HTTP/1.1 505 ");
    close(fd);
    assert_int_equal(atomic_load(&b.counters.requests), 0);
    close_bench(&b);
}

static void large_answers_arrive_whole_at_slow_readers(void **state)
{
    struct bench b;
    (void)state;
    memset(large, 'L', sizeof large);
    open_bench(&b, NULL);
    int fd = client(&b);
    int small = 40000;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    say(&b, fd, "GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /end HTTP/1.1\r\nHost: a\r\n\r\n");
    const char *text = hear(&b, fd, "/end", 1);
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(strspn(body + 4, "L"), sizeof large);
    assert_has(text, "/end");
    close(fd);
    close_bench(&b);
}

static void an_unread_body_is_skipped_or_ends_the_connection(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd,
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET GET /y HTTP/1.1\r\nHost: "
        "a\r\n\r\n");
    assert_has(hear(&b, fd, "/y", 1), "/x");
    say(&b, fd, "POST /z HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET /");
    const char *text = hear_end(&b, fd);
    assert_has(text, "/z");
    assert_has(text, "Connection: close");
    close(fd);
    close_bench(&b);
}

static void stopping_closes_idle_clients_and_finishes_the_rest(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int idle = client(&b), busy = client(&b);
    say(&b, idle, "GET /i HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(hear(&b, idle, "/i", 1), "200");
    say(&b, busy, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    http_server_stop_accepting(b.server);
    hear_end(&b, idle);
    http_reply(b.held, 200, NULL, NULL, "done", 4);
    const char *text = hear_end(&b, busy);
    assert_has(text, "done");
    assert_has(text, "Connection: close");
    close(idle);
    close(busy);
    close_bench(&b);
}

static void no_memory_costs_a_request_and_not_the_server(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    for (unsigned n = 1; n < 6; n++) {
        int fd = client(&b);
        mem_fail_after(n);
        say(&b, fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        for (int i = 0; i < 5; i++)
            turn(&b);
        mem_fail_after(0);
        close(fd);
    }
    int fd = client(&b);
    say(&b, fd, "GET /fine HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(hear(&b, fd, "/fine", 1), "200");
    close(fd);
    close_bench(&b);
}

static void error_texts_are_json(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = client(&b);
    say(&b, fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    http_reply_error(b.held, 404, "ABSENT", "no \"thing\"\\\n");
    assert_has(hear(&b, fd, "}", 1),
               "{\"error\": \"ABSENT\", \"message\": \"no \\\"thing\\\"\\\\\\u000a\"}");
    close(fd);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_flood_of_pipelined_requests_leaves_others_their_turn),
        cmocka_unit_test(a_server_may_close_amid_a_flood),
        cmocka_unit_test(pipelined_answers_reach_a_slow_reader_in_order),
        cmocka_unit_test(small_answers_to_pipelined_requests_are_one_write),
        cmocka_unit_test(a_client_that_has_said_all_is_closed_without_lingering),
        cmocka_unit_test(the_own_address_is_known_when_asked),
        cmocka_unit_test(an_absolute_target_may_have_no_path),
        cmocka_unit_test(a_later_answer_holds_back_the_next_request),
        cmocka_unit_test(chunked_bodies_are_joined),
        cmocka_unit_test(bodies_beyond_the_limit_are_413),
        cmocka_unit_test(what_is_held_for_clients_is_bounded),
        cmocka_unit_test(answers_that_nobody_takes_are_broken_off),
        cmocka_unit_test(a_head_without_end_is_431),
        cmocka_unit_test(slow_clients_are_408_and_idle_ones_are_closed),
        cmocka_unit_test(expect_continue_is_answered_before_the_body),
        cmocka_unit_test(a_client_may_go_before_its_answer),
        cmocka_unit_test(a_connection_can_be_taken_over_with_what_was_read),
        cmocka_unit_test(a_taken_connection_can_be_given_back),
        cmocka_unit_test(what_cannot_be_adopted_is_closed),
        cmocka_unit_test(head_and_204_have_no_body),
        cmocka_unit_test(old_clients_keep_alive_only_when_they_ask),
        cmocka_unit_test(connections_beyond_the_limit_are_refused),
        cmocka_unit_test(who_waits_for_its_client_gives_way),
        cmocka_unit_test(garbage_is_400_and_ends_the_connection),
        cmocka_unit_test(large_answers_arrive_whole_at_slow_readers),
        cmocka_unit_test(an_unread_body_is_skipped_or_ends_the_connection),
        cmocka_unit_test(stopping_closes_idle_clients_and_finishes_the_rest),
        cmocka_unit_test(no_memory_costs_a_request_and_not_the_server),
        cmocka_unit_test(error_texts_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
