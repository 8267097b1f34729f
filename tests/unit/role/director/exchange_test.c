/* exchange_test.c - requests and answers of every kind, as they shall be. What goes wrong is
 * exchange_faults_test.c's. */
#include "exchange_rig.h"

/* -- one request after the other -- */

static void test_requests_share_a_connection(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/1"));
    expect(&r, r.server, GOT("/1"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    SPIN_UNTIL(&r, r.done == 1);
    assert_string_equal(r.record_head, GOT("/1"));
    assert_int_equal(r.record.status, 200);
    assert_int_equal(r.record.down, strlen(OK2));
    assert_false(r.record.reused);
    put(r.client, GET("/2") GET("/3"));
    expect(&r, r.server, GOT("/2"));
    quiet(&r, r.server);
    put(r.server, OK2);
    expect(&r, r.server, GOT("/3"));
    put(r.server, OK2);
    expect(&r, r.client, OK2 OK2);
    SPIN_UNTIL(&r, r.done == 3);
    assert_true(r.record.reused);
    assert_int_equal(r.counters.upstream.connects, 1);
    assert_int_equal(r.counters.upstream.reuses, 2);
    assert_int_equal(r.counters.answers[2], 3);
    give_up(&r.client);
    SPIN_UNTIL(&r, r.ended == 1);
    assert_int_equal(r.result.end, EXCHANGE_CLOSED);
    assert_int_equal(r.counters.upstream.kept, 1);
    rig_close(&r);
}

static void test_another_client_uses_the_kept_connection(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/1"));
    expect(&r, r.server, GOT("/1"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    int first = r.client;
    assert_int_equal(start_text(&r, GET("/2")), STEAD_OK);
    expect(&r, r.server, GOT("/2"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(r.counters.upstream.connects, 1);
    close(first);
    rig_close(&r);
}

static void test_everything_may_come_byte_by_byte(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, CHUNKED_REQUEST);
    put_slowly(&r, r.client, CHUNKS);
    expect(&r, r.server, CHUNKED_GOT CHUNKS);
    put_slowly(&r, r.server, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" CHUNKED_ANSWER);
    expect(&r, r.client, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" CHUNKED_ANSWER);
    put(r.client, "PUT /n HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n");
    put_slowly(&r, r.client, "body");
    expect(&r, r.server, "PUT /n HTTP/1.1\r\n" HOST "Content-Length: 4\r\n" ADDED "\r\nbody");
    put_slowly(&r, r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(r.counters.upstream.connects, 1);
    rig_close(&r);
}

static void test_an_answer_may_be_cut_anywhere(void **state)
{
    struct rig r;
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n" CHUNKED_ANSWER;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, CHUNKED_REQUEST CHUNKS);
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        expect(&r, r.server, CHUNKED_GOT CHUNKS);
        assert_int_equal(send(r.server, text, cut, MSG_NOSIGNAL), cut);
        for (int i = 0; i < 4; i++)
            uv_run(&r.loop, UV_RUN_NOWAIT);
        put(r.server, text + cut);
        expect(&r, r.client, text);
        put(r.client, CHUNKED_REQUEST CHUNKS);
    }
    assert_int_equal(r.counters.upstream.connects, 1);
    rig_close(&r);
}

static void test_requests_for_others_are_given_back(void **state)
{
    static const char other[] = "POST /x HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nab";
    static const char *const nexts[] = {other, "GET /half HTT", "GET / HTTP/1.1\nHost: a\n\n",
                                        "\x16"};
    (void)state;
    for (size_t i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
        struct rig r;
        rig_open(&r, test_config());
        begin(&r, GET("/1"));
        expect(&r, r.server, GOT("/1"));
        put(r.client, nexts[i]); /* behind the first, while it is in hand */
        put(r.server, OK2);
        expect(&r, r.client, OK2);
        SPIN_UNTIL(&r, r.ended == 1);
        assert_int_equal(r.result.end, EXCHANGE_RETURNED);
        assert_int_equal(r.result.len, strlen(nexts[i]));
        assert_memory_equal(r.result.bytes, nexts[i], r.result.len);
        put(r.result.client.fd, "mine");
        expect(&r, r.client, "mine");
        assert_int_equal(r.counters.returned, 1);
        assert_int_equal(r.counters.upstream.kept, 1);
        rig_close(&r);
    }
}

/* -- kinds of clients and answers -- */

static void test_old_clients(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, "GET /1 HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
    expect(&r, r.server, "GET /1 HTTP/1.1\r\n" HOST "Via: 1.0 stead\r\nX-Request-Id: id\r\n\r\n");
    put(r.server, "HTTP/1.1 103 x\r\n\r\n" OK2);
    expect(&r, r.client,
           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok");
    put(r.client, "GET /2 HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n");
    expect(&r, r.server, "GET /2 HTTP/1.1\r\n" HOST "Via: 1.0 stead\r\nX-Request-Id: id\r\n\r\n");
    put(r.server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhel");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhel");
    put(r.server, "lo\r\n1\r\n!\r\n0\r\nT: t\r\n\r\n");
    expect(&r, r.client, "lo!");
    assert_int_equal(end_of(&r, r.client), 0);
    assert_int_equal(r.counters.upstream.kept, 1);
    rig_close(&r);
}

static void test_answers_without_a_body(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, "HEAD / HTTP/1.1\r\n" HOST "\r\n");
    expect(&r, r.server, "HEAD / HTTP/1.1\r\n" HOST ADDED "\r\n");
    put(r.server, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
    put(r.client, GET("/204"));
    expect(&r, r.server, GOT("/204"));
    put(r.server, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 204 No Content\r\n\r\n");
    put(r.client, GET("/304"));
    expect(&r, r.server, GOT("/304"));
    put(r.server, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n");
    put(r.client, GET("/0"));
    expect(&r, r.server, GOT("/0"));
    put(r.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(end_of(&r, r.server), 0); /* as it had said; the client stays */
    put(r.client, GET("/5"));
    accept_server(&r);
    expect(&r, r.server, GOT("/5"));
    rig_close(&r);
}

static void test_fields_for_one_hop_stay_here(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.1 200 Fine\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\n"
                  "Content-Length: 0\r\nX-Hop: 1\r\nUpgrade: h2c\r\nX-End: 2\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 Fine\r\nContent-Length: 0\r\nX-End: 2\r\n\r\n");
    r.lines = "Set-Cookie: s=1\r\n";
    r.host = "b.example:81";
    put(r.client, GET("/"));
    expect(&r, r.server, "GET / HTTP/1.1\r\nHost: b.example:81\r\n" ADDED "\r\n");
    put(r.server, OK2);
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: s=1\r\n\r\nok");
    rig_close(&r);
}

static void test_an_answer_until_the_end(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.0 200 OK\r\n\r\nsome");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome");
    put(r.server, " more");
    expect(&r, r.client, " more");
    quiet(&r, r.client);
    give_up(&r.server);
    assert_int_equal(end_of(&r, r.client), 0);
    rig_close(&r);

    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.0 200 OK\r\n\r\nsome");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome");
    reset(&r.server);
    assert_int_equal(end_of(&r, r.client), ECONNRESET); /* not the whole of it */
    rig_close(&r);
}

static void test_a_client_that_closes_is_closed(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    expect(&r, r.server, GOT("/"));
    put(r.server, OK2);
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    assert_int_equal(end_of(&r, r.client), 0);
    assert_int_equal(r.counters.upstream.kept, 1);
    SPIN_UNTIL(&r, r.ended == 1);
    /* One that has ended its half gets its answer all the same. */
    assert_int_equal(start_text(&r, GET("/h")), STEAD_OK);
    assert_int_equal(shutdown(r.client, SHUT_WR), 0);
    expect(&r, r.server, GOT("/h"));
    for (int i = 0; i < 20; i++)
        spin(&r);
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(end_of(&r, r.client), 0);
    rig_close(&r);
}

#define EXPECTS "POST /e HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n"

static void test_continue(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, EXPECTS "\r\n");
    expect(&r, r.server, EXPECTS ADDED "\r\n");
    put(r.server, "HTTP/1.1 100 Continue\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 100 Continue\r\n\r\n");
    put(r.client, "abc");
    expect(&r, r.server, "abc");
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    /* One that is refused before it sends its body. */
    put(r.client, EXPECTS "\r\n");
    expect(&r, r.server, EXPECTS ADDED "\r\n");
    put(r.server, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_int_equal(end_of(&r, r.client), 0);
    assert_int_equal(end_of(&r, r.server), 0);
    rig_close(&r);
}

static void test_another_protocol(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    r.lines = "Set-Cookie: s=1\r\n";
    begin(&r, "GET /w HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
    expect(&r, r.server,
           "GET /w HTTP/1.1\r\n" HOST ADDED "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    put(r.server, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello");
    SPIN_UNTIL(&r, r.ended == 1);
    assert_int_equal(r.result.end, EXCHANGE_UPGRADED);
    static const char back[] = "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                               "Set-Cookie: s=1\r\n\r\nhello";
    assert_int_equal(r.result.back_len, sizeof(back) - 1);
    assert_memory_equal(r.result.back, back, sizeof(back) - 1);
    assert_int_equal(r.result.len, 5);
    assert_memory_equal(r.result.bytes, "early", 5);
    assert_true(r.result.client.fd >= 0 && r.result.server.fd >= 0);
    put(r.result.server.fd, "x");
    expect(&r, r.server, "x");
    assert_int_equal(r.counters.upgraded, 1);
    assert_int_equal(r.record.status, 101);
    rig_close(&r);
}

/* -- much -- */

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 9) * 7);
}

struct load {
    int from, to;
    size_t total, sent, got;
    bool chunked; /* the receiver's text is not compared */
};

static void load_turn(struct load *l)
{
    uint8_t chunk[30011];
    while (l->sent < l->total) {
        size_t len = l->total - l->sent < sizeof(chunk) ? l->total - l->sent : sizeof(chunk);
        for (size_t i = 0; i < len; i++)
            chunk[i] = pattern(l->sent + i);
        ssize_t n = send(l->from, chunk, len, MSG_NOSIGNAL);
        if (n < 0)
            break;
        l->sent += (size_t)n;
    }
    ssize_t n = recv(l->to, chunk, sizeof(chunk), 0);
    assert_true(n != 0);
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(chunk[i], pattern(l->got++));
}

static void test_much_both_ways(void **state)
{
    const size_t total = 9 * MIB + 12345;
    char head[300], text[200];
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n", total);
    snprintf(head, sizeof(head), "%s\r\n", text);
    begin(&r, head);
    snprintf(head, sizeof(head), "%s%s\r\n", text, ADDED);
    expect(&r, r.server, head);
    struct load up = {r.client, r.server, total, 0, 0, false};
    while (up.got < total) {
        load_turn(&up);
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", total);
    put(r.server, head);
    expect(&r, r.client, head);
    struct load down = {r.server, r.client, total, 0, 0, false};
    while (down.got < total) {
        load_turn(&down);
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    SPIN_UNTIL(&r, r.done == 1);
    assert_true(r.record.up > total && r.record.down > total);
    put(r.client, GET("/after"));
    expect(&r, r.server, GOT("/after"));
    put(r.server, "HTTP/1.0 200 OK\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    down = (struct load){r.server, r.client, total, 0, 0, false};
    while (down.got < total) {
        load_turn(&down);
        uv_run(&r.loop, UV_RUN_NOWAIT);
    }
    give_up(&r.server);
    assert_int_equal(end_of(&r, r.client), 0);
    rig_close(&r);
}

/* Chunks larger than any buffer, to a client that reads slowly. */
static void test_large_chunks(void **state)
{
    static char chunk[300000], got[300000];
    const int count = 20;
    struct rig r;
    (void)state;
    int n = snprintf(chunk, sizeof(chunk), "%x\r\n", (unsigned)sizeof(chunk) - 9);
    assert_int_equal(n, 7);
    for (size_t i = 7; i < sizeof(chunk) - 2; i++)
        chunk[i] = (char)pattern(i);
    memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    size_t sent = 0, at = 0, total = sizeof(chunk) * (size_t)count;
    while (at < total) {
        size_t off = sent % sizeof(chunk);
        ssize_t k =
            sent < total ? send(r.server, chunk + off, sizeof(chunk) - off, MSG_NOSIGNAL) : -1;
        sent += k > 0 ? (size_t)k : 0;
        uv_run(&r.loop, UV_RUN_NOWAIT);
        k = recv(r.client, got, sizeof(chunk) - at % sizeof(chunk), 0);
        if (k > 0)
            assert_memory_equal(got, chunk + at % sizeof(chunk), (size_t)k);
        at += k > 0 ? (size_t)k : 0;
    }
    put(r.server, "0\r\n\r\n");
    expect(&r, r.client, "0\r\n\r\n");
    SPIN_UNTIL(&r, r.counters.upstream.kept == 1);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_share_a_connection),
        cmocka_unit_test(test_another_client_uses_the_kept_connection),
        cmocka_unit_test(test_everything_may_come_byte_by_byte),
        cmocka_unit_test(test_an_answer_may_be_cut_anywhere),
        cmocka_unit_test(test_requests_for_others_are_given_back),
        cmocka_unit_test(test_old_clients),
        cmocka_unit_test(test_answers_without_a_body),
        cmocka_unit_test(test_fields_for_one_hop_stay_here),
        cmocka_unit_test(test_an_answer_until_the_end),
        cmocka_unit_test(test_a_client_that_closes_is_closed),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_another_protocol),
        cmocka_unit_test(test_much_both_ways),
        cmocka_unit_test(test_large_chunks),
    };
    signal(SIGPIPE, SIG_IGN); /* as the node does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
