/* exchange_faults_test.c - clients and servers that break off, are silent, or speak no HTTP;
 * limits, and the end. */
#include "exchange_rig.h"

#define EXCHANGE_WAIT_MS 400 /* longer than who is silent may be sure of its place */

/* -- what goes wrong -- */

static void test_answers_that_are_none(void **state)
{
    static const char *const answers[] = {
        "SSH-2.0-x\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        "HTTP/1.1 101 What\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct rig r;
        rig_open(&r, test_config());
        begin(&r, GET("/"));
        expect(&r, r.server, GOT("/"));
        put(r.server, answers[i]);
        expect_status(&r, "502");
        assert_int_equal(r.counters.bad_answers, 1);
        assert_int_equal(r.counters.answers[5], 1);
        end_of(&r, r.server);
        rig_close(&r);
    }
}

static void test_heads_without_an_end(void **state)
{
    struct rig r;
    char line[130];
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, "HTTP/1.1 200 OK\r\nX: ");
    memset(line, 'x', sizeof(line));
    for (size_t i = 0; i < 2 * HTTP_HEAD_MAX / sizeof(line); i++)
        if (send(r.server, line, sizeof(line), MSG_NOSIGNAL) < 0)
            break;
    expect_status(&r, "502");
    rig_close(&r);

    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    for (int i = 0; i < 11; i++)
        put(r.server, "HTTP/1.1 102 x\r\n\r\n");
    for (int i = 0; i < 10; i++)
        expect(&r, r.client, "HTTP/1.1 102 x\r\n\r\n");
    expect_status(&r, "502");
    rig_close(&r);
}

static void test_a_server_that_dies(void **state)
{
    static const char *const parts[] = {"", "HTTP/1.1 200 OK\r\nContent-Le", NULL};
    (void)state;
    for (int i = 0; parts[i]; i++) {
        struct rig r;
        rig_open(&r, test_config());
        begin(&r, GET("/"));
        expect(&r, r.server, GOT("/"));
        put(r.server, parts[i]);
        for (int k = 0; k < 10; k++)
            spin(&r);
        give_up(&r.server);
        expect_status(&r, "502");
        assert_int_equal(r.counters.server_breaks, 1);
        assert_int_equal(r.counters.retries, 0);
        rig_close(&r);
    }
    static const char *const bodies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsomeBAD",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct rig r;
        rig_open(&r, test_config());
        begin(&r, GET("/"));
        expect(&r, r.server, GOT("/"));
        size_t head = (size_t)(strstr(bodies[i], "\r\n\r\n") + 4 - bodies[i]);
        assert_int_equal(send(r.server, bodies[i], head, MSG_NOSIGNAL), head);
        for (int k = 0; k < 10; k++)
            spin(&r);
        put(r.server, bodies[i] + head);
        for (int k = 0; k < 10; k++)
            spin(&r);
        give_up(&r.server);
        SPIN_UNTIL(&r, r.ended == 1);
        assert_int_equal(r.result.end, EXCHANGE_RESET);
        rig_close(&r);
    }
}

/* The kept connection is ended by the server at the moment when it is used again. */
static void keep_one(struct rig *r)
{
    rig_open(r, test_config());
    begin(r, GET("/1"));
    expect(r, r->server, GOT("/1"));
    put(r->server, OK2);
    expect(r, r->client, OK2);
    SPIN_UNTIL(r, r->counters.upstream.kept == 1);
}

static void test_a_kept_connection_that_ends(void **state)
{
    struct rig r;
    (void)state;
    keep_one(&r);
    put(r.client, GET("/2"));
    expect(&r, r.server, GOT("/2"));
    accept_server(&r); /* and the first is closed without an answer */
    expect(&r, r.server, GOT("/2"));
    assert_int_equal(r.counters.retries, 1);
    give_up(&r.server); /* only once */
    expect_status(&r, "502");
    assert_int_equal(r.counters.retries, 1);
    rig_close(&r);

    keep_one(&r);
    put(r.client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    expect(&r, r.server, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" ADDED "\r\n");
    give_up(&r.server); /* it may have done it */
    expect_status(&r, "502");
    rig_close(&r);

    keep_one(&r);
    put(r.client, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab");
    expect(&r, r.server, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n" ADDED "\r\nab");
    give_up(&r.server); /* bodies are gone */
    expect_status(&r, "502");
    rig_close(&r);
}

static void test_a_kept_connection_that_has_ended(void **state)
{
    static const char *const requests[] = {GET("/"),
                                           "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"};
    (void)state;
    for (int said = 0; said < 4; said++) {
        struct rig r;
        keep_one(&r);
        if (said & 1)
            put(r.server, "HTTP/1.1 408 Too late\r\nContent-Length: 0\r\n\r\n");
        else
            give_up(&r.server);
        put(r.client, requests[said / 2]); /* before the loop has heard of it */
        accept_server(&r);
        put(r.server, OK2);
        expect(&r, r.client, OK2);
        rig_close(&r);
    }
}

static void test_more_than_was_asked_for(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/1"));
    expect(&r, r.server, GOT("/1"));
    put(r.server, OK2 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
    expect(&r, r.client, OK2);
    end_of(&r, r.server);
    put(r.client, GET("/2"));
    accept_server(&r);
    expect(&r, r.server, GOT("/2"));
    quiet(&r, r.client);
    rig_close(&r);
}

/* Who is logged in by connection must not lend it to others. */
static void test_logins_of_a_connection_are_not_shared(void **state)
{
    static const char *const schemes[] = {"NTLM TlRMTVNTUAAB", "negotiate YII="};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig r;
        char text[200];
        rig_open(&r, test_config());
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "Authorization: %s\r\n\r\n",
                 schemes[i]);
        begin(&r, text);
        put(r.server, OK2);
        expect(&r, r.client, OK2);
        SPIN_UNTIL(&r, r.done == 1);
        assert_int_equal(r.counters.upstream.kept, 0);
        put(r.client, GET("/2"));
        accept_server(&r);
        expect(&r, r.server, GOT("/2"));
        snprintf(text, sizeof(text),
                 "HTTP/1.1 401 No\r\nWWW-Authenticate: %s\r\nContent-Length: 0\r\n\r\n",
                 schemes[i]);
        put(r.server, text);
        expect(&r, r.client, text);
        SPIN_UNTIL(&r, r.done == 2);
        assert_int_equal(r.counters.upstream.kept, 0);
        rig_close(&r);
    }
}

static void test_bodies_that_are_none(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    assert_int_equal(start_text(&r, CHUNKED_REQUEST "5\nhello"), STEAD_OK);
    expect_status(&r, "400");
    rig_close(&r);

    rig_open(&r, test_config());
    begin(&r, CHUNKED_REQUEST "5\r\n");
    expect(&r, r.server, CHUNKED_GOT "5\r\n");
    put(r.client, "helloX");
    expect_status(&r, "400");
    assert_int_equal(end_of(&r, r.server), ECONNRESET);
    rig_close(&r);

    rig_open(&r, test_config());
    assert_int_equal(start_text(&r, "GET / HTTP/1.1\r\n" HOST
                                    "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n\r\n"),
                     STEAD_OK);
    expect_status(&r, "400");
    rig_close(&r);
}

static void test_a_client_that_breaks_off(void **state)
{
    struct rig r;
    (void)state;
    for (int how = 0; how < 2; how++) {
        rig_open(&r, test_config());
        begin(&r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nsome");
        expect(&r, r.server, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n" ADDED "\r\nsome");
        if (how)
            reset(&r.client);
        else
            give_up(&r.client);
        assert_int_equal(end_of(&r, r.server), ECONNRESET);
        assert_int_equal(r.result.end, EXCHANGE_RESET);
        assert_int_equal(r.counters.client_breaks, 1);
        rig_close(&r);
    }
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    reset(&r.client);
    assert_int_equal(end_of(&r, r.server), ECONNRESET);
    rig_close(&r);
}

static void test_nobody_there(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    give_up(&r.listener);
    assert_int_equal(start_text(&r, GET("/")), STEAD_OK);
    SPIN_UNTIL(&r, r.ended == 1);
    assert_int_equal(r.result.end, EXCHANGE_UNREACHABLE);
    assert_int_equal(r.result.len, strlen(GOT("/")));
    assert_memory_equal(r.result.bytes, GOT("/"), r.result.len);
    assert_int_equal(r.counters.upstream.refused, 1);
    rig_close(&r);
}

/* -- time -- */

static void wait_status(struct exchanger_config c, const char *text, const char *status)
{
    struct rig r;
    rig_open(&r, c);
    begin(&r, text);
    expect_status(&r, status);
    assert_int_equal(r.counters.timeouts, 1);
    rig_close(&r);
}

static void drop_all(int fd)
{
    char buf[4096];
    while (recv(fd, buf, sizeof(buf), 0) > 0)
        ;
}

static void test_silence(void **state)
{
    struct exchanger_config c = test_config();
    struct rig r;
    (void)state;
    c.limits.body_ms = 150;
    wait_status(c, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nsome", "408");
    wait_status(c, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
                "504"); /* it is the server who is waited for */
    c = test_config();
    c.servers[0].answer_ms = 150;
    rig_open(&r, c);
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    expect_status(&r, "504");
    rig_close(&r);

    c = test_config();
    c.servers[0].stream_ms = 150;
    rig_open(&r, c);
    begin(&r, GET("/"));
    put(r.server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome");
    SPIN_UNTIL(&r, r.ended == 1);
    assert_int_equal(r.result.end, EXCHANGE_RESET);
    drop_all(r.server);
    rig_close(&r);

    c = test_config();
    c.limits.idle_ms = 150;
    rig_open(&r, c);
    begin(&r, GET("/"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(end_of(&r, r.client), 0);
    assert_int_equal(r.counters.timeouts, 0);
    rig_close(&r);

    c = test_config();
    c.servers[0].upstream.kept_ms = 150;
    rig_open(&r, c);
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(end_of(&r, r.server), 0);
    rig_close(&r);
}

/* -- limits and the end -- */

/* Not who waits for the server; who is idle, or amid a body that does not come. */
static void test_who_is_silent_gives_way(void **state)
{
    static const char *const silent[] = {GET("/"),
                                         "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nab"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct exchanger_config c = test_config();
        struct rig r;
        c.limits.clients_max = 1;
        rig_open(&r, c);
        begin(&r, silent[i]);
        if (i == 0) {
            expect(&r, r.server, GOT("/"));
            for (uint64_t end = now_ms() + EXCHANGE_WAIT_MS; now_ms() < end;)
                spin(&r);
            assert_false(exchanger_make_room(r.exchanger));
            put(r.server, OK2);
            expect(&r, r.client, OK2);
        }
        int first = r.client;
        for (uint64_t end = now_ms() + EXCHANGE_WAIT_MS; now_ms() < end;)
            spin(&r);
        assert_int_equal(start_text(&r, GET("/2")), STEAD_OK);
        char byte;
        assert_true(recv(first, &byte, 1, 0) <= 0);
        assert_int_equal(r.counters.crowded, 1);
        assert_int_equal(r.ended, 1);
        assert_int_equal(exchanger_clients(r.exchanger), 1);
        close(first);
        rig_close(&r);
    }
}

static void test_limits(void **state)
{
    struct exchanger_config c = test_config();
    struct rig r;
    (void)state;
    c.limits.clients_max = 1;
    rig_open(&r, c);
    begin(&r, GET("/"));
    int first = r.client;
    assert_int_equal(start_text(&r, GET("/")), STEAD_E_BUSY);
    assert_int_equal(r.counters.busy, 1);
    assert_int_equal(exchanger_clients(r.exchanger), 1);
    close(first);
    rig_close(&r);

    c = test_config();
    c.servers[0].upstream.kept_max = 0;
    rig_open(&r, c);
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    assert_int_equal(end_of(&r, r.server), 0);
    rig_close(&r);
}

static void test_stopping(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    put(r.server, OK2);
    expect(&r, r.client, OK2);
    int idle = r.client;
    assert_int_equal(start_text(&r, GET("/2")), STEAD_OK);
    expect(&r, r.server, GOT("/2"));
    SPIN_UNTIL(&r, r.done == 1);
    exchanger_stop(r.exchanger);
    assert_int_equal(end_of(&r, idle), 0);
    put(r.server, OK2);
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    assert_int_equal(end_of(&r, r.client), 0);
    close(idle);
    rig_close(&r);
}

static bool accept_soon(struct rig *r)
{
    for (int i = 0; i < 50 && r->server < 0; i++, spin(r))
        r->server = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK);
    return r->server >= 0;
}

static ssize_t send_text(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Whatever allocation fails, the client is told or closed, and nothing is lost. */
static void test_without_memory(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 12; n++) {
        struct rig r;
        rig_open(&r, test_config());
        char *bytes = mem_dup(CHUNKED_REQUEST CHUNKS, strlen(CHUNKED_REQUEST CHUNKS));
        struct exchange_client c = {.stream = {.fd = pair(&r)},
                                    .bytes = bytes,
                                    .len = strlen(CHUNKED_REQUEST CHUNKS),
                                    .context = &r,
                                    .route = {.id = "id", .lines = {"A: b\r\n", 6}}};
        mem_fail_after(n);
        int e = exchange_start(r.exchanger, &c);
        if (e != STEAD_OK) {
            mem_fail_after(0);
            assert_int_equal(e, STEAD_E_NOMEM);
            mem_free(bytes);
            close(c.stream.fd);
        } else if (accept_soon(&r)) {
            (void)send_text(r.server, "HTTP/1.1 200 OK\r\nTransfer-Encod");
            for (int i = 0; i < 20; i++)
                spin(&r);
            (void)send_text(r.server, "ing: chunked\r\n\r\n" CHUNKS);
            for (int i = 0; i < 20; i++)
                spin(&r);
            mem_fail_after(0);
        }
        mem_fail_after(0);
        rig_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_that_are_none),
        cmocka_unit_test(test_heads_without_an_end),
        cmocka_unit_test(test_a_server_that_dies),
        cmocka_unit_test(test_a_kept_connection_that_ends),
        cmocka_unit_test(test_a_kept_connection_that_has_ended),
        cmocka_unit_test(test_more_than_was_asked_for),
        cmocka_unit_test(test_logins_of_a_connection_are_not_shared),
        cmocka_unit_test(test_bodies_that_are_none),
        cmocka_unit_test(test_a_client_that_breaks_off),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_who_is_silent_gives_way),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_without_memory),
    };
    signal(SIGPIPE, SIG_IGN); /* as the node does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
