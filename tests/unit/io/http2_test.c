/* http2_test.c - requests and answers over HTTP/2, its limits, and how it ends. */
#include "http2_bench.h"

static void requests_are_answered(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    int32_t one = ASK(p, NULL, "GET", "/one"), head = ASK(p, NULL, "HEAD", "/large"),
            none = ASK(p, NULL, "GET", "/none"), big = ASK(p, NULL, "GET", "/large");
    UNTIL(p, got_of(p, big)->closed && got_of(p, one)->closed);
    struct got *g = got_of(p, one);
    assert_int_equal(g->status, 200);
    assert_string_equal(g->text, "/one");
    assert_has(g->fields, "content-type: text/plain\n");
    assert_has(g->fields, "content-length: 4\n");
    assert_has(g->fields, "server: stead\n");
    assert_has(g->fields, "date: ");
    assert_has(got_of(p, head)->fields, "content-length: 300000\n");
    assert_int_equal(got_of(p, head)->body, 0);
    assert_int_equal(got_of(p, none)->status, 204);
    assert_has_not(got_of(p, none)->fields, "content-length");
    assert_int_equal(got_of(p, big)->body, sizeof large);
    assert_int_equal(atomic_load(&b.counters.h2_connections), 1);
    assert_int_equal(atomic_load(&b.counters.h2_streams), 4);
    assert_int_equal(atomic_load(&b.counters.requests), 4);
    peer_free(p);
    close_bench(&b);
}

static void a_body_comes_whole(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    int32_t id = ASK(p, "sku=1&qty=2", "POST", "/echo", "content-length", "11");
    UNTIL(p, got_of(p, id)->closed);
    assert_string_equal(got_of(p, id)->text, "sku=1&qty=2");
    assert_has(got_of(p, id)->fields, "x-echo: yes\nx-two: 2\n");
    memset(large, 'x', sizeof large);
    p->body = large;
    p->body_len = sizeof large;
    p->body_at = 0;
    id = ASK(p, large, "POST", "/echo");
    UNTIL(p, got_of(p, id)->closed);
    assert_int_equal(got_of(p, id)->body, sizeof large);
    assert_int_equal(atomic_load(&b.counters.requests), 2);
    /* Nobody wants this one's: the answer comes before its end, which is then not waited for. */
    p->body_more = true;
    id = ASK(p, "never ending", "POST", "/a");
    UNTIL(p, got_of(p, id)->closed);
    assert_int_equal(got_of(p, id)->status, 200);
    assert_int_equal(got_of(p, id)->error, NGHTTP2_NO_ERROR);
    peer_free(p);
    close_bench(&b);
}

static void who_waits_for_100_gets_it(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    p->body = "";
    p->body_more = true;
    int32_t id = ASK(p, p->body, "POST", "/echo", "expect", "100-continue");
    UNTIL(p, got_of(p, id)->interim == 1);
    p->body = "now";
    p->body_len = 3;
    p->body_more = false;
    nghttp2_session_resume_data(p->session, id);
    UNTIL(p, got_of(p, id)->closed);
    assert_string_equal(got_of(p, id)->text, "now");
    peer_free(p);
    close_bench(&b);
}

static void crumbs_of_a_cookie_are_one(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    int32_t id = ASK(p, NULL, "GET", "/cookie", "cookie", "a=1", "x-other", "y", "cookie", "b=2");
    UNTIL(p, got_of(p, id)->closed);
    assert_string_equal(got_of(p, id)->text, "a=1; b=2");
    peer_free(p);
    close_bench(&b);
}

static void the_host_is_the_authority(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    int32_t same = ASK(p, NULL, "GET", "/host", "host", "shop.test:8080");
    int32_t alone = ask_fields(p, NULL,
                               (const char *const[]){":method", "GET", ":scheme", "http", ":path",
                                                     "/host", "host", "www.test", NULL});
    int32_t other = ASK(p, NULL, "GET", "/host", "host", "evil.test");
    UNTIL(p, got_of(p, same)->closed && got_of(p, alone)->closed && got_of(p, other)->closed);
    assert_string_equal(got_of(p, same)->text, "shop.test");
    assert_string_equal(got_of(p, alone)->text, "www.test");
    assert_int_equal(got_of(p, other)->status, 400);
    assert_int_equal(atomic_load(&b.counters.bad), 1);
    peer_free(p);
    close_bench(&b);
}

static void heads_are_as_strict_as_http_1(void **state)
{
    static const struct {
        const char *fields[16];
        int status; /* 0: the stream is reset */
    } rows[] = {
        {{":method", "GET", ":scheme", "http", ":authority", "a b", ":path", "/"}, 0},
        {{":method", "GET", ":scheme", "http", ":authority", "u@h", ":path", "/"}, 400},
        {{":method", "GET", ":scheme", "ftp", ":authority", "a", ":path", "/"}, 400},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/a b"}, 0},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/\\a"}, 400},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/#f"}, 400},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "http://b/"}, 0},
        {{":method", "GET", ":scheme", "http", ":authority", "a"}, 0},
        {{":method", "GET", ":scheme", "http", ":path", "/"}, 0},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "connection",
          "close"},
         0},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "transfer-encoding",
          "chunked"},
         0},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "upgrade", "x"}, 0},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "x", "a\r\nb: c"},
         0},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "content-length",
          "5"},
         0},
        {{":method", "A B", ":scheme", "http", ":authority", "a", ":path", "/"}, 0},
        {{":method", "CONNECT", ":authority", "a"}, 400},
    };
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int32_t id = ask_fields(p, NULL, rows[i].fields);
        UNTIL(p, got_of(p, id)->closed);
        if (got_of(p, id)->status != rows[i].status)
            fail_msg("row %zu: %d (%u)", i, got_of(p, id)->status, got_of(p, id)->error);
        if (!rows[i].status)
            assert_int_equal(got_of(p, id)->error, NGHTTP2_PROTOCOL_ERROR);
    }
    int32_t id = ASK(p, NULL, "GET", "/fine");
    UNTIL(p, got_of(p, id)->closed);
    assert_string_equal(got_of(p, id)->text, "/fine");
    peer_free(p);
    close_bench(&b);
}

static void a_body_must_be_as_long_as_it_says(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    int32_t shorter = ASK(p, "abc", "POST", "/echo", "content-length", "4");
    UNTIL(p, got_of(p, shorter)->closed);
    assert_int_equal(got_of(p, shorter)->error, NGHTTP2_PROTOCOL_ERROR);
    p->body_at = 0;
    int32_t longer = ASK(p, p->body, "POST", "/echo", "content-length", "2");
    UNTIL(p, got_of(p, longer)->closed);
    assert_int_equal(got_of(p, longer)->error, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(atomic_load(&b.counters.requests), 0);
    peer_free(p);
    close_bench(&b);
}

static void what_is_too_large_is_refused(void **state)
{
    static char value[15000], more[15000];
    struct http_limits l;
    struct bench b;
    (void)state;
    http_limits_default(&l);
    l.streams_max = 10;
    l.body_max = 1000;
    open_bench(&b, &l);
    struct peer *p = peer_new(&b);
    memset(value, 'a', sizeof value - 1);
    memset(more, 'b', sizeof more - 1);
    int32_t head = ASK(p, NULL, "GET", "/", "x-a", value, "x-b", more);
    UNTIL(p, got_of(p, head)->closed);
    assert_int_equal(got_of(p, head)->status, 431);
    int32_t told = ASK(p, value, "POST", "/echo", "content-length", "14999");
    UNTIL(p, got_of(p, told)->closed);
    assert_int_equal(got_of(p, told)->status, 413);
    p->body_at = 0;
    int32_t sent = ASK(p, value, "POST", "/echo");
    UNTIL(p, got_of(p, sent)->closed);
    assert_int_equal(got_of(p, sent)->status, 413);
    peer_free(p);
    close_bench(&b);
}

static void answers_may_come_later(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    int32_t later = ASK(p, NULL, "GET", "/later"), now = ASK(p, NULL, "GET", "/now");
    UNTIL(p, got_of(p, now)->closed && b.held);
    assert_false(got_of(p, later)->closed);
    http_reply(b.held, 200, NULL, NULL, "late", 4);
    UNTIL(p, got_of(p, later)->closed);
    assert_string_equal(got_of(p, later)->text, "late");
    /* Taken back by the client; the reply goes nowhere. */
    b.held = NULL;
    later = ASK(p, NULL, "GET", "/later");
    UNTIL(p, b.held);
    nghttp2_submit_rst_stream(p->session, 0, later, NGHTTP2_CANCEL);
    UNTIL(p, atomic_load(&b.counters.h2_resets) == 1);
    http_reply(b.held, 200, NULL, NULL, "late", 4);
    /* And when the whole connection is gone. */
    b.held = NULL;
    later = ASK(p, NULL, "GET", "/later");
    UNTIL(p, b.held);
    peer_free(p);
    for (int i = 0; i < 100; i++)
        uv_run(&b.loop, UV_RUN_NOWAIT);
    http_reply(b.held, 200, NULL, NULL, "late", 4);
    close_bench(&b);
}

/* -- floods -- */

static void assert_calmed(struct bench *b, struct peer *p)
{
    UNTIL(p, p->ended);
    assert_true(p->goaway);
    assert_int_equal(p->goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(atomic_load(&b->counters.h2_calmed), 1);
    struct peer *other = peer_new(b);
    int32_t id = ASK(other, NULL, "GET", "/others");
    UNTIL(other, got_of(other, id)->closed);
    assert_string_equal(got_of(other, id)->text, "/others");
    peer_free(other);
}

static void who_resets_too_much_is_sent_away(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    for (int i = 0; i < 400 && !p->ended; i++) {
        int32_t id = ASK(p, NULL, "GET", "/later");
        turn(p);
        nghttp2_submit_rst_stream(p->session, 0, id, NGHTTP2_CANCEL);
        turn(p);
        if (b.held)
            http_reply(b.held, 200, NULL, NULL, NULL, 0);
        b.held = NULL;
    }
    assert_calmed(&b, p);
    assert_in_range(atomic_load(&b.counters.h2_resets), 201, 202);
    peer_free(p);
    close_bench(&b);
}

static void who_pings_for_nothing_is_sent_away(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    for (int i = 0; i < 2000 && !p->ended; i++) {
        nghttp2_submit_ping(p->session, 0, NULL);
        if (i % 10 == 0)
            turn(p);
    }
    assert_calmed(&b, p);
    peer_free(p);
    close_bench(&b);
}

static void say_raw(struct bench *b, int fd, const void *bytes, size_t len)
{
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
    (void)n;
    for (int i = 0; i < 3; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
}

/* A frame of a connection that begins with a raw preface. */
static void say_frame(struct bench *b, int fd, uint8_t type, uint8_t flags, uint32_t stream,
                      const void *payload, size_t len)
{
    uint8_t frame[9 + 16384] = {(uint8_t)(len >> 16),
                                (uint8_t)(len >> 8),
                                (uint8_t)len,
                                type,
                                flags,
                                (uint8_t)(stream >> 24),
                                (uint8_t)(stream >> 16),
                                (uint8_t)(stream >> 8),
                                (uint8_t)stream};
    if (len)
        memcpy(frame + 9, payload, len);
    say_raw(b, fd, frame, 9 + len);
}

static int dial_raw(struct bench *b)
{
    int fd = dial(b);
    say_raw(b, fd, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    say_frame(b, fd, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    return fd;
}

/* The error of the last GOAWAY before the end; -1: none. */
static int hear_goaway(struct bench *b, int fd)
{
    static uint8_t heard[200000];
    size_t len = 0;
    int error = -1;
    for (int i = 0; i < WAIT_TURNS; i++) {
        struct timespec pause = {.tv_nsec = 1000000};
        uv_run(&b->loop, UV_RUN_NOWAIT);
        ssize_t n = recv(fd, heard + len, sizeof heard - len, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        len += n > 0 ? (size_t)n : 0;
        if (n < 0)
            nanosleep(&pause, NULL);
    }
    for (size_t at = 0; at + 9 <= len;) {
        size_t size = (size_t)heard[at] << 16 | (size_t)heard[at + 1] << 8 | heard[at + 2];
        if (heard[at + 3] == NGHTTP2_GOAWAY && at + 17 <= len)
            error = heard[at + 16];
        at += 9 + size;
    }
    return error;
}

/* GET / of http://a, by HPACK's static table. */
static const uint8_t get_a[] = {0x82, 0x86, 0x84, 0x41, 0x01, 'a'};

static void empty_frames_are_counted(void **state)
{
    static const struct {
        uint8_t type, len;
    } rows[] = {{NGHTTP2_DATA, 0},
                {NGHTTP2_SETTINGS, 0},
                {NGHTTP2_PRIORITY, 5},
                {NGHTTP2_WINDOW_UPDATE, 4}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const uint8_t payload[8] = {0, 0, 0, 1};
        uint8_t drop[4096];
        struct bench b;
        open_bench(&b, NULL);
        int fd = dial_raw(&b);
        uint8_t post[] = {0x83, 0x86, 0x44, 5, '/', 'e', 'c', 'h', 'o', 0x41, 1, 'a'};
        say_frame(&b, fd, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, post, sizeof post);
        uint32_t stream = rows[i].type == NGHTTP2_SETTINGS ? 0 : 1;
        for (int n = 0; n < 1500; n++) {
            say_frame(&b, fd, rows[i].type, 0, stream,
                      rows[i].type == NGHTTP2_PRIORITY ? (const uint8_t[8]){0} : payload,
                      rows[i].len);
            if (n < 900 && recv(fd, drop, sizeof drop, 0) == 0)
                fail_msg("row %zu ends after %d", i, n);
        }
        int error = hear_goaway(&b, fd);
        if (error != NGHTTP2_ENHANCE_YOUR_CALM || atomic_load(&b.counters.h2_calmed) != 1)
            fail_msg("row %zu: %d", i, error);
        close(fd);
        close_bench(&b);
    }
}

static void fields_that_unfold_are_bounded(void **state)
{
    static uint8_t block[16000];
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = dial_raw(&b);
    size_t n = sizeof get_a;
    memcpy(block, get_a, n);
    /* A field of 3 KB into the dynamic table, and then a byte for each more of it. */
    memcpy(block + n, "\x40\x01x\x7f\xb9\x16", 6);
    n += 6;
    memset(block + n, 'v', 3000);
    n += 3000;
    memset(block + n, 0xbe, sizeof block - n);
    say_frame(&b, fd, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block,
              sizeof block);
    assert_int_equal(hear_goaway(&b, fd), NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(atomic_load(&b.counters.h2_calmed), 1);
    assert_int_equal(atomic_load(&b.counters.requests), 0);
    close(fd);
    close_bench(&b);
}

static void continuations_are_bounded(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    int fd = dial_raw(&b);
    say_frame(&b, fd, NGHTTP2_HEADERS, 0, 1, get_a, sizeof get_a);
    for (int i = 0; i < 1500; i++)
        say_frame(&b, fd, NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
    assert_true(hear_goaway(&b, fd) > 0);
    close(fd);
    close_bench(&b);
}

/* -- time -- */

static void who_is_slow_is_not_waited_for(void **state)
{
    struct http_limits l;
    struct bench b;
    (void)state;
    http_limits_default(&l);
    l.streams_max = 10;
    l.head_ms = l.body_ms = 100;
    open_bench(&b, &l);
    int fd = dial_raw(&b);
    say_frame(&b, fd, NGHTTP2_HEADERS, 0, 1, get_a, sizeof get_a);
    assert_int_equal(hear_goaway(&b, fd), NGHTTP2_PROTOCOL_ERROR);
    close(fd);
    struct peer *p = peer_new(&b);
    p->body_more = true;
    int32_t id = ASK(p, "half", "POST", "/echo");
    UNTIL(p, got_of(p, id)->closed);
    assert_int_equal(got_of(p, id)->status, 408);
    /* An answer for which the client gives no window. */
    nghttp2_settings_entry none = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    nghttp2_submit_settings(p->session, 0, &none, 1);
    id = ASK(p, NULL, "GET", "/large");
    UNTIL(p, got_of(p, id)->closed);
    assert_int_equal(got_of(p, id)->error, NGHTTP2_CANCEL);
    assert_int_equal(atomic_load(&b.counters.timeouts), 3);
    peer_free(p);
    close_bench(&b);
}

static void idle_connections_end(void **state)
{
    struct http_limits l;
    struct bench b;
    (void)state;
    http_limits_default(&l);
    l.streams_max = 10;
    l.idle_ms = 100;
    open_bench(&b, &l);
    struct peer *p = peer_new(&b);
    int32_t id = ASK(p, NULL, "GET", "/a");
    UNTIL(p, p->ended);
    assert_true(got_of(p, id)->closed && p->goaway && !p->goaway_error);
    peer_free(p);
    close_bench(&b);
}

static void a_server_that_stops_finishes_what_is_open(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b), *idle = peer_new(&b);
    int32_t later = ASK(p, NULL, "GET", "/later"), other = ASK(idle, NULL, "GET", "/a");
    UNTIL(p, b.held);
    UNTIL(idle, got_of(idle, other)->closed);
    http_server_stop_accepting(b.server);
    UNTIL(idle, idle->ended);
    assert_true(idle->goaway && !idle->goaway_error);
    UNTIL(p, p->goaway);
    assert_false(p->ended);
    http_reply(b.held, 200, NULL, NULL, "done", 4);
    UNTIL(p, p->ended);
    assert_string_equal(got_of(p, later)->text, "done");
    peer_free(p);
    peer_free(idle);
    close_bench(&b);
}

static void a_server_may_close_amid_streams(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    struct peer *p = peer_new(&b);
    p->body_more = true;
    ASK(p, "half", "POST", "/echo");
    ASK(p, NULL, "GET", "/take");
    ASK(p, NULL, "GET", "/later");
    ASK(p, NULL, "GET", "/large");
    UNTIL(p, b.held && b.taken.fd >= 0);
    struct http_request *held = b.held;
    close_bench(&b);
    http_reply(held, 200, NULL, NULL, NULL, 0);
    peer_free(p);
}

static void it_is_off_where_it_is_not_wanted(void **state)
{
    struct http_limits l;
    struct bench b;
    char text[1000] = "";
    (void)state;
    http_limits_default(&l);
    open_bench(&b, &l);
    int fd = dial(&b);
    say_raw(&b, fd, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_has(text, "HTTP/1.1 505 ");
    close(fd);
    close_bench(&b);
}

static void the_preface_is_only_at_the_beginning(void **state)
{
    struct bench b;
    char text[1000] = "";
    (void)state;
    open_bench(&b, NULL);
    int fd = dial(&b);
    for (size_t i = 0; i < NGHTTP2_CLIENT_MAGIC_LEN; i++)
        say_raw(&b, fd, NGHTTP2_CLIENT_MAGIC + i, 1);
    assert_int_equal(atomic_load(&b.counters.h2_connections), 1);
    close(fd);
    fd = dial(&b);
    say_raw(&b, fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
    say_raw(&b, fd, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_has(text, "HTTP/1.1 200 ");
    assert_has(text, "HTTP/1.1 505 ");
    assert_int_equal(atomic_load(&b.counters.h2_connections), 1);
    close(fd);
    fd = dial(&b);
    say_raw(&b, fd, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 24);
    memset(text, 0, sizeof text);
    assert_true(recv(fd, text, sizeof text - 1, 0) > 0);
    assert_has(text, "HTTP/1.1 505 ");
    close(fd);
    close_bench(&b);
}

static void want_of_memory_harms_nobody_else(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    for (unsigned n = 1; n < 120; n++) {
        struct peer *p = peer_new(&b);
        ASK(p, "abc", "POST", "/echo");
        ASK(p, NULL, "GET", "/a", "x-long", "value", "cookie", "a=b");
        ASK(p, NULL, "GET", "/take");
        mem_fail_after(n);
        for (int i = 0; i < 8 && !p->ended; i++)
            turn(p);
        mem_fail_after(0);
        if (b.taken.fd >= 0)
            stream_close(&b.taken, false);
        peer_free(p);
    }
    struct peer *p = peer_new(&b);
    int32_t id = ASK(p, NULL, "GET", "/after");
    UNTIL(p, got_of(p, id)->closed);
    assert_string_equal(got_of(p, id)->text, "/after");
    peer_free(p);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered),
        cmocka_unit_test(a_body_comes_whole),
        cmocka_unit_test(who_waits_for_100_gets_it),
        cmocka_unit_test(crumbs_of_a_cookie_are_one),
        cmocka_unit_test(the_host_is_the_authority),
        cmocka_unit_test(heads_are_as_strict_as_http_1),
        cmocka_unit_test(a_body_must_be_as_long_as_it_says),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(answers_may_come_later),
        cmocka_unit_test(who_resets_too_much_is_sent_away),
        cmocka_unit_test(who_pings_for_nothing_is_sent_away),
        cmocka_unit_test(empty_frames_are_counted),
        cmocka_unit_test(fields_that_unfold_are_bounded),
        cmocka_unit_test(continuations_are_bounded),
        cmocka_unit_test(who_is_slow_is_not_waited_for),
        cmocka_unit_test(idle_connections_end),
        cmocka_unit_test(a_server_that_stops_finishes_what_is_open),
        cmocka_unit_test(a_server_may_close_amid_streams),
        cmocka_unit_test(it_is_off_where_it_is_not_wanted),
        cmocka_unit_test(the_preface_is_only_at_the_beginning),
        cmocka_unit_test(want_of_memory_harms_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
