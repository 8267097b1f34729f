/* http2_pump_test.c - streams that are taken: one HTTP/1.1 exchange over a socket pair. */
#include "http2_bench.h"

static char read_back[3000000];
static size_t read_len;

static void take(struct peer *p)
{
    UNTIL(p, p->bench->taken.fd >= 0);
    read_len = 0;
    memset(read_back, 0, sizeof read_back);
}

static void give_back(struct bench *b)
{
    stream_close(&b->taken, false);
}

/* What the taker can read by now. True: the other side has ended. */
static bool taker_reads(struct bench *b)
{
    ssize_t n;
    while ((n = stream_read(&b->taken, read_back + read_len, sizeof read_back - 1 - read_len)) > 0)
        read_len += (size_t)n;
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void taker_says(struct peer *p, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(stream_write(&p->bench->taken, text, len), len);
    turn(p);
}

static void an_exchange_in_http_1(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    int32_t id = ASK(p, NULL, "GET", "/take", "cookie", "a=1", "accept", "*/*", "cookie", "b=2");
    take(p);
    assert_int_equal(b.take_error, STEAD_OK);
    assert_int_equal(b.len, strlen(b.head));
    assert_string_equal(b.head, "GET /take HTTP/1.1\r\nhost: shop.test:8080\r\naccept: */*\r\n"
                                "cookie: a=1; b=2\r\n\r\n");
    taker_says(p, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\n"
                  "Connection: close, x-hop\r\nX-Hop: y\r\nKeep-Alive: timeout=5\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n3\r\nab");
    UNTIL(p, got_of(p, id)->body == 2);
    assert_int_equal(got_of(p, id)->interim, 1);
    taker_says(p, "c\r\n");
    taker_says(p, "2;x=y\r\nde\r\n0\r\nX-Su");
    taker_says(p, "m: 42\r\nX-Two: 2\r\n\r\n");
    UNTIL(p, got_of(p, id)->closed);
    struct got *g = got_of(p, id);
    assert_int_equal(g->error, NGHTTP2_NO_ERROR);
    assert_string_equal(g->text, "abcde");
    assert_string_equal(g->fields,
                        ":status: 103\nlink: </a>\n:status: 200\nx-a: 1\nx-sum: 42\nx-two: 2\n");
    assert_true(taker_reads(&b)); /* it is closed */
    assert_int_equal(read_len, 0);
    peer_free(p);
    close_bench(&b);
}

static void answers_end_in_each_way(void **state)
{
    static const struct {
        const char *method, *answer, *text;
        int status;
        bool reset;
    } rows[] = {
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc", 200, false},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 200, false},
        {"GET", "HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end", 200, false},
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "", 200, false},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "", 304, false},
        {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "", 204, false},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 200, false},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "ab", 200, true},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "ab", 200, true},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd", "", 200, true},
        {"GET", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "", 0, true},
        {"GET", "HTTP/1.1 200 OK\r\nContent-", "", 0, true},
        {"GET", "nonsense\r\n\r\n", "", 0, true},
        {"GET", "", "", 0, true},
    };
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int32_t id = ASK(p, NULL, rows[i].method, "/take");
        take(p);
        taker_says(p, rows[i].answer);
        give_back(&b);
        UNTIL(p, got_of(p, id)->closed);
        struct got *g = got_of(p, id);
        if (g->status != rows[i].status || strcmp(g->text, rows[i].text) != 0 ||
            g->error != (rows[i].reset ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_NO_ERROR))
            fail_msg("row %zu: %d \"%s\" %u", i, g->status, g->text, g->error);
    }
    int32_t id = ASK(p, NULL, "GET", "/fine");
    UNTIL(p, got_of(p, id)->closed);
    assert_string_equal(got_of(p, id)->text, "/fine");
    peer_free(p);
    close_bench(&b);
}

static void bodies_go_up(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    int32_t id = ASK(p, "hello", "POST", "/take", "content-length", "5");
    take(p);
    assert_has(b.head, "content-length: 5\r\n");
    UNTIL(p, (taker_reads(&b), read_len == 5));
    assert_string_equal(read_back, "hello");
    taker_says(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    UNTIL(p, got_of(p, id)->closed);
    give_back(&b);
    p->trailer = "7";
    id = ASK(p, "HELLO", "POST", "/take");
    take(p);
    assert_has(b.head, "transfer-encoding: chunked\r\n");
    UNTIL(p, (taker_reads(&b), read_len >= 5 && strstr(read_back, "\r\n\r\n")));
    assert_string_equal(read_back, "5\r\nHELLO\r\n0\r\nx-sum: 7\r\n\r\n");
    taker_says(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    UNTIL(p, got_of(p, id)->closed);
    peer_free(p);
    close_bench(&b);
}

/* As long as the taker does not read, no more than a window and the pair's buffer is sent. */
static void a_taker_that_waits_holds_the_client_back(void **state)
{
    static char body[2000000];
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    memset(body, 'b', sizeof body);
    p->body = body;
    p->body_len = sizeof body;
    int32_t id = ASK(p, body, "PUT", "/take", "content-length", "2000000");
    take(p);
    for (int i = 0; i < 300; i++)
        turn(p);
    assert_true(p->body_at < 1500000);
    int32_t other = ASK(p, NULL, "GET", "/other");
    UNTIL(p, got_of(p, other)->closed);
    UNTIL(p, (taker_reads(&b), read_len == sizeof body));
    assert_memory_equal(read_back, body, sizeof body);
    taker_says(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    UNTIL(p, got_of(p, id)->closed);
    peer_free(p);
    close_bench(&b);
}

static void a_client_that_waits_holds_the_taker_back(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    nghttp2_settings_entry small = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000};
    nghttp2_submit_settings(p->session, 0, &small, 1);
    int32_t id = ASK(p, NULL, "GET", "/take");
    take(p);
    UNTIL(p, p->settings >= 3);
    nghttp2_session_set_local_window_size(p->session, 0, id, 1000);
    taker_says(p, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    UNTIL(p, got_of(p, id)->status == 200);
    size_t sent = 0;
    for (int i = 0; sent < sizeof large && i < WAIT_TURNS; i++) {
        ssize_t n = stream_write(&b.taken, large, sizeof large - sent);
        sent += n > 0 ? (size_t)n : 0;
        turn(p);
    }
    assert_int_equal(sent, sizeof large);
    UNTIL(p, got_of(p, id)->body == sent);
    give_back(&b);
    UNTIL(p, got_of(p, id)->closed);
    assert_int_equal(got_of(p, id)->error, NGHTTP2_INTERNAL_ERROR);
    peer_free(p);
    close_bench(&b);
}

static void a_reset_closes_the_pair(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    p->body_more = true;
    int32_t id = ASK(p, "half", "POST", "/take");
    take(p);
    nghttp2_submit_rst_stream(p->session, 0, id, NGHTTP2_CANCEL);
    UNTIL(p, taker_reads(&b));
    assert_has_not(read_back, "0\r\n\r\n"); /* cut off, and not ended */
    give_back(&b);
    ASK(p, NULL, "GET", "/take");
    take(p);
    close(p->fd);
    p->fd = -1;
    p->ended = true;
    UNTIL(p, taker_reads(&b));
    peer_free(p);
    close_bench(&b);
}

static void a_taker_may_answer_before_the_body_ends(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    p->body_more = true;
    int32_t id = ASK(p, "half", "POST", "/take");
    take(p);
    taker_says(p, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    UNTIL(p, got_of(p, id)->body == 2);
    assert_false(got_of(p, id)->closed); /* the client has a moment to stop by itself */
    UNTIL(p, taker_reads(&b));
    UNTIL(p, got_of(p, id)->closed);
    assert_int_equal(got_of(p, id)->error, NGHTTP2_NO_ERROR);
    assert_string_equal(got_of(p, id)->text, "no");
    peer_free(p);
    close_bench(&b);
}

static void taken_streams_count_as_connections(void **state)
{
    struct http_limits l;
    struct bench b;
    (void)state;
    http_limits_default(&l);
    l.streams_max = 10;
    l.connections_max = 2;
    open_bench(&b, &l);
    struct peer *p = peer_new(&b);
    int32_t one = ASK(p, NULL, "GET", "/take");
    take(p);
    struct stream taken = b.taken;
    b.taken.fd = -1;
    int32_t two = ASK(p, NULL, "GET", "/take");
    UNTIL(p, got_of(p, two)->closed);
    assert_int_equal(got_of(p, two)->status, 503);
    assert_int_equal(b.take_error, STEAD_E_BUSY);
    stream_close(&taken, false);
    UNTIL(p, got_of(p, one)->closed);
    ASK(p, NULL, "GET", "/take");
    take(p);
    peer_free(p);
    close_bench(&b);
}

/* The body comes while the handler thinks; then it takes the request. */
static void a_request_may_be_taken_later(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    int32_t id = ASK(p, "early", "POST", "/later");
    UNTIL(p, b.held);
    for (int i = 0; i < 20; i++)
        turn(p);
    assert_int_equal(http_take(b.held, &b.taken, &b.bytes, &b.len), STEAD_OK);
    mem_free(b.bytes);
    read_len = 0;
    memset(read_back, 0, sizeof read_back);
    UNTIL(p, (taker_reads(&b), strstr(read_back, "\r\n\r\n")));
    assert_string_equal(read_back, "5\r\nearly\r\n0\r\n\r\n");
    taker_says(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    UNTIL(p, got_of(p, id)->closed);
    peer_free(p);
    close_bench(&b);
}

/* -- lanes -- */

#define FINE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* One exchange, after which the pair stays open. */
static void exchange(struct peer *p)
{
    int32_t id = ASK(p, NULL, "GET", "/take", "x-n", "1");
    take(p);
    taker_says(p, FINE);
    UNTIL(p, got_of(p, id)->closed);
    assert_string_equal(got_of(p, id)->text, "ok");
    assert_false(taker_reads(p->bench));
}

static void a_kept_pair_gets_the_next_request(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    exchange(p);
    int fd = b.taken.fd;
    for (int i = 0; i < 3; i++) {
        int32_t id = ASK(p, NULL, i == 1 ? "HEAD" : "GET", "/again", "x-n", "2");
        read_len = 0;
        UNTIL(p, (taker_reads(&b), read_len > 0 && strstr(read_back, "\r\n\r\n")));
        assert_has(read_back, " /again HTTP/1.1\r\nhost: shop.test:8080\r\nx-n: 2\r\n\r\n");
        memset(read_back, 0, sizeof read_back);
        if (i == 1)
            taker_says(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        else
            taker_says(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
                          "X-T: 1\r\n\r\n");
        UNTIL(p, got_of(p, id)->closed);
        assert_string_equal(got_of(p, id)->text, i == 1 ? "" : "ok");
    }
    assert_int_equal(b.taken.fd, fd);
    assert_int_equal(atomic_load(&b.counters.requests), 4);
    assert_has(b.head, "x-n: 1\r\n"); /* the handler saw the first only */
    peer_free(p);
    close_bench(&b);
}

/* The pair is closed, and the handler asked. */
static void assert_not_kept(struct peer *p, int32_t id)
{
    UNTIL(p, got_of(p, id)->closed);
    assert_int_equal(got_of(p, id)->status, 200);
    assert_int_equal(got_of(p, id)->body, 6);
}

static void other_requests_do_not_get_it(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    exchange(p);
    assert_not_kept(
        p, ask_fields(p, NULL,
                      (const char *const[]){":method", "GET", ":scheme", "http", ":authority",
                                            "other.test", ":path", "/other", NULL}));
    assert_not_kept(p, ASK(p, NULL, "DELETE", "/other"));
    assert_not_kept(p, ASK(p, "body", "GET", "/other"));
    assert_false(taker_reads(&b)); /* it is still there */
    assert_int_equal(read_len, 0);
    peer_free(p);
    close_bench(&b);
}

static void a_pair_that_is_not_clean_is_not_kept(void **state)
{
    static const char *const answers[] = {
        FINE "more", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"};
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        int32_t id = ASK(p, NULL, "GET", "/take");
        take(p);
        taker_says(p, answers[i]);
        UNTIL(p, got_of(p, id)->closed);
        assert_string_equal(got_of(p, id)->text, "ok");
        UNTIL(p, taker_reads(&b));
        give_back(&b);
        assert_not_kept(p, ASK(p, NULL, "GET", "/other"));
    }
    /* Or is closed, or speaks, while nobody asks. */
    exchange(p);
    give_back(&b);
    turn(p);
    assert_not_kept(p, ASK(p, NULL, "GET", "/other"));
    exchange(p);
    taker_says(p, FINE);
    UNTIL(p, taker_reads(&b));
    give_back(&b);
    assert_not_kept(p, ASK(p, NULL, "GET", "/other"));
    peer_free(p);
    close_bench(&b);
}

static void a_request_that_its_lane_did_not_hear_may_be_asked_again(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    exchange(p);
    int32_t id = ASK(p, NULL, "GET", "/again");
    UNTIL(p, (taker_reads(&b), read_len > 0));
    give_back(&b);
    UNTIL(p, got_of(p, id)->closed);
    assert_int_equal(got_of(p, id)->error, NGHTTP2_REFUSED_STREAM);
    peer_free(p);
    close_bench(&b);
}

static void lanes_end_with_the_server(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    exchange(p);
    int32_t later = ASK(p, NULL, "POST", "/later");
    UNTIL(p, b.held);
    http_server_stop_accepting(b.server);
    UNTIL(p, taker_reads(&b));
    http_reply(b.held, 200, NULL, NULL, "done", 4);
    UNTIL(p, p->ended && got_of(p, later)->closed);
    peer_free(p);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exchange_in_http_1),
        cmocka_unit_test(answers_end_in_each_way),
        cmocka_unit_test(bodies_go_up),
        cmocka_unit_test(a_taker_that_waits_holds_the_client_back),
        cmocka_unit_test(a_client_that_waits_holds_the_taker_back),
        cmocka_unit_test(a_reset_closes_the_pair),
        cmocka_unit_test(a_taker_may_answer_before_the_body_ends),
        cmocka_unit_test(taken_streams_count_as_connections),
        cmocka_unit_test(a_request_may_be_taken_later),
        cmocka_unit_test(a_kept_pair_gets_the_next_request),
        cmocka_unit_test(other_requests_do_not_get_it),
        cmocka_unit_test(a_pair_that_is_not_clean_is_not_kept),
        cmocka_unit_test(a_request_that_its_lane_did_not_hear_may_be_asked_again),
        cmocka_unit_test(lanes_end_with_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
