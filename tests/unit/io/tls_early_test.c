/* tls_early_test.c - early data by OpenSSL's client: what is taken, from whom, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/stream.h"
#include "io/tls_door.h"
#include "io/tls_internal.h"
#include "tls_kit.h"
#include "tls_shelf.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ROUNDS 2000
#define FLIGHT_MAX 4096

static const char hello[] = "early, and safe to say twice";
static struct kit kit;
static char large[900000];

struct rig {
    struct kit_rules r;
    struct tls_counters counters;
    struct tls_door *door;
    struct shelf shelf;
};

struct call {
    struct stream s; /* the server's side */
    int fd;          /* the client's */
    SSL *client;
};

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    memset(large, 'l', sizeof large);
    kit_open(&kit);
    kit_issue(&kit, "shop", "www.shop.test", "DNS:www.shop.test", 10);
    kit_issue(&kit, "anna", "anna", NULL, 10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_close(&kit);
    wait(NULL);
    return 0;
}

static void load(struct rig *r)
{
    char error[TLS_ERROR_MAX];
    assert_int_equal(tls_door_load(r->door, &r->r.rules, true, error), TLS_LOADED);
}

static void open_rig(struct rig *r)
{
    static const char *const names[] = {"shop", NULL};
    memset(r, 0, sizeof *r);
    kit_rules(&kit, &r->r, names);
    r->r.rules.resumption = TLS_RESUMPTION_KEPT;
    r->r.rules.early = true;
    r->door = tls_door_new(&r->counters);
    load(r);
    shelf_init(&r->shelf);
}

static void close_rig(struct rig *r)
{
    tls_door_free(r->door);
    assert_int_equal(r->counters.open, 0);
}

static void call(struct rig *r, struct call *c, SSL_SESSION *old)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    c->fd = pair[1];
    c->s = (struct stream){pair[0], tls_door_accept(r->door, pair[0])};
    assert_non_null(c->s.tls);
    tls_keep_with(c->s.tls, &r->shelf.keeper, wake, &r->shelf);
    c->client = kit_client(&kit, c->fd, "www.shop.test", r->r.rules.clients ? "anna" : NULL);
    if (old)
        assert_true(SSL_set_session(c->client, old));
}

static void hang_up(struct call *c)
{
    SSL_set_shutdown(c->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    stream_close(&c->s, false);
    SSL_free(c->client);
    if (c->fd >= 0)
        close(c->fd);
}

/* Both sides to the end. */
static void shake(struct call *c)
{
    bool done = false;
    enum tls_progress p = TLS_WAITS;
    for (int i = 0; i < ROUNDS && (p == TLS_WAITS || !done); i++) {
        done = done || SSL_do_handshake(c->client) == 1;
        p = p == TLS_WAITS ? tls_handshake(c->s.tls) : p;
        assert_int_not_equal(p, TLS_FAILED);
    }
    assert_true(done && p == TLS_DONE);
}

static SSL_SESSION *first_visit(struct rig *r)
{
    struct call c;
    char byte;
    call(r, &c, NULL);
    shake(&c);
    assert_false(tls_early(c.s.tls));
    (void)SSL_read(c.client, &byte, 1); /* tickets */
    SSL_SESSION *s = SSL_get1_session(c.client);
    hang_up(&c);
    return s;
}

static void say_early(struct call *c, const void *bytes, size_t len)
{
    size_t n = 0;
    assert_int_equal(SSL_write_early_data(c->client, bytes, len, &n), 1);
    assert_int_equal(n, len);
}

/* The server's side, until it is ready, early or not, or waits for the client. */
static enum tls_progress serve(struct call *c)
{
    enum tls_progress p = TLS_WAITS;
    for (int i = 0; i < 10 && p == TLS_WAITS && !tls_asks(c->s.tls); i++)
        p = tls_handshake(c->s.tls);
    return p;
}

static void client_reads(struct call *c, const char *text)
{
    char got[128];
    size_t n = 0;
    assert_int_equal(SSL_read_ex(c->client, got, sizeof got, &n), 1);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, n);
}

static void server_reads(struct call *c, const char *text)
{
    char got[STREAM_READ_WHOLE];
    assert_int_equal(stream_read(&c->s, got, sizeof got), (ssize_t)strlen(text));
    assert_memory_equal(got, text, strlen(text));
    assert_false(stream_pending(&c->s));
}

static void assert_nothing(struct call *c)
{
    char got[STREAM_READ_WHOLE];
    assert_int_equal(stream_read(&c->s, got, sizeof got), -1);
    assert_int_equal(errno, EAGAIN);
}

/* -- tests -- */

static void it_is_read_and_answered_before_the_client_has_finished(void **state)
{
    struct rig r;
    struct call c;
    struct tls_identity id;
    (void)state;
    open_rig(&r);
    r.r.rules.clients = TLS_CLIENTS_OPTIONAL;
    r.r.rules.client_ca = kit.ca_path;
    load(&r);
    SSL_SESSION *s = first_visit(&r);
    assert_int_equal(SSL_SESSION_get_max_early_data(s), TLS_EARLY_MAX);
    call(&r, &c, s);
    say_early(&c, hello, strlen(hello));
    assert_int_equal(serve(&c), TLS_DONE);
    assert_true(tls_early(c.s.tls) && !tls_ready(c.s.tls));
    assert_true(tls_client_identity(c.s.tls, &id));
    assert_string_equal(id.subject, "CN=anna");
    server_reads(&c, hello);
    assert_nothing(&c);
    assert_int_equal(stream_write(&c.s, "answer", 6), 6);
    assert_true(tls_early(c.s.tls));
    /* Which the client has with the server's first flight. */
    assert_int_equal(SSL_do_handshake(c.client), 1);
    client_reads(&c, "answer");
    assert_int_equal(SSL_get_early_data_status(c.client), SSL_EARLY_DATA_ACCEPTED);
    size_t n;
    assert_int_equal(SSL_write_ex(c.client, "more", 4, &n), 1);
    server_reads(&c, "more");
    assert_true(tls_ready(c.s.tls) && !tls_early(c.s.tls) && c.s.tls->light);
    assert_int_equal(stream_write(&c.s, "again", 5), 5);
    client_reads(&c, "again");
    assert_int_equal(r.counters.early_taken, 1);
    hang_up(&c);
    SSL_SESSION_free(s);
    close_rig(&r);
}

/* Who says nothing early, or cannot, is served as ever. */
static void others_are_served_as_ever(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct rig r;
        struct call c;
        SSL_SESSION *s = NULL;
        open_rig(&r);
        r.shelf.old = version == TLS1_2_VERSION;
        for (int again = 0; again < 2; again++) {
            char byte;
            call(&r, &c, s);
            SSL_set_max_proto_version(c.client, version);
            shake(&c);
            assert_true(tls_ready(c.s.tls) && !tls_early(c.s.tls));
            assert_int_equal(tls_resumed(c.s.tls), again);
            assert_int_equal(SSL_write(c.client, "hello", 5), 5);
            server_reads(&c, "hello");
            assert_int_equal(stream_write(&c.s, "answer", 6), 6);
            client_reads(&c, "answer");
            (void)SSL_read(c.client, &byte, 1);
            SSL_SESSION_free(s);
            s = SSL_get1_session(c.client);
            hang_up(&c);
        }
        assert_int_equal(r.counters.early_taken + r.counters.early_refused, 0);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

/* The very bytes of a client's first flight, sent again. */
static void a_copy_is_refused(void **state)
{
    struct rig r;
    struct call c, copy;
    char flight[FLIGHT_MAX];
    (void)state;
    open_rig(&r);
    SSL_SESSION *s = first_visit(&r);
    call(&r, &c, s);
    say_early(&c, hello, strlen(hello));
    ssize_t len = recv(c.s.fd, flight, sizeof flight, MSG_PEEK);
    assert_true(len > 0 && len < FLIGHT_MAX);
    assert_int_equal(serve(&c), TLS_DONE);
    server_reads(&c, hello);
    call(&r, &copy, NULL);
    assert_int_equal(send(copy.fd, flight, (size_t)len, 0), len);
    assert_int_equal(serve(&copy), TLS_WAITS);
    assert_false(tls_early(copy.s.tls));
    assert_int_equal(stream_write(&copy.s, "answer", 6), -1);
    hang_up(&copy);
    hang_up(&c);
    SSL_SESSION_free(s);
    close_rig(&r);
}

/* Refused: the keeper does not know, or not in time; or the rules have changed. The client says it
 * all again, by its own rule. */
static void in_doubt_it_is_refused(void **state)
{
    (void)state;
    for (int doubt = 0; doubt < 5; doubt++) {
        struct rig r;
        struct call c;
        open_rig(&r);
        SSL_SESSION *s = first_visit(&r);
        if (doubt == 0)
            r.shelf.kept[0].gone = r.shelf.kept[1].gone = true;
        r.shelf.slow = doubt == 1;
        r.r.rules.early = doubt != 2;
        r.r.rules.resumption = doubt == 3 ? TLS_RESUMPTION_TICKETS : TLS_RESUMPTION_KEPT;
        if (doubt == 4) { /* it began under other rules for clients */
            r.r.rules.clients = TLS_CLIENTS_OPTIONAL;
            r.r.rules.client_ca = kit.ca_path;
        }
        load(&r);
        call(&r, &c, s);
        say_early(&c, hello, strlen(hello));
        assert_int_equal(serve(&c), TLS_WAITS);
        if (doubt == 1)
            shelf_answer(&r.shelf, true);
        shake(&c);
        assert_false(tls_early(c.s.tls));
        assert_nothing(&c);
        assert_int_equal(SSL_get_early_data_status(c.client), SSL_EARLY_DATA_REJECTED);
        size_t n;
        assert_int_equal(SSL_write_ex(c.client, "late", 4, &n), 1);
        server_reads(&c, "late");
        assert_int_equal(r.counters.early_taken, 0);
        assert_int_equal(r.counters.early_refused, 1);
        hang_up(&c);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

static void a_slow_keeper_holds_up_its_own_handshake_only(void **state)
{
    struct rig r;
    struct call c;
    (void)state;
    open_rig(&r);
    SSL_SESSION *s = first_visit(&r);
    r.shelf.slow = true;
    call(&r, &c, s);
    say_early(&c, hello, strlen(hello));
    assert_int_equal(serve(&c), TLS_WAITS);
    assert_true(tls_asks(c.s.tls));
    SSL_SESSION_free(first_visit(&r));
    shelf_answer(&r.shelf, false);
    assert_int_equal(serve(&c), TLS_DONE);
    server_reads(&c, hello);
    hang_up(&c);
    /* It never finished. */
    assert_int_equal(r.counters.failures[TLS_FAIL_CLOSED], 1);
    SSL_SESSION_free(s);
    close_rig(&r);
}

static void who_closes_it_reads_nothing_early(void **state)
{
    struct rig r;
    struct call c;
    size_t n;
    (void)state;
    open_rig(&r);
    SSL_SESSION *s = first_visit(&r);
    call(&r, &c, s);
    say_early(&c, hello, strlen(hello));
    assert_int_equal(serve(&c), TLS_DONE);
    tls_early_close(c.s.tls);
    say_early(&c, ", twice", 7);
    assert_nothing(&c);
    assert_false(stream_pending(&c.s));
    assert_int_equal(stream_events(&c.s, true, false), EPOLLIN);
    assert_int_equal(SSL_do_handshake(c.client), 1);
    assert_int_equal(SSL_write_ex(c.client, ", late", 6, &n), 1);
    server_reads(&c, "early, and safe to say twice, twice, late");
    hang_up(&c);
    SSL_SESSION_free(s);
    close_rig(&r);
}

static void an_end_waits_for_the_clients(void **state)
{
    struct rig r;
    struct call c;
    char byte;
    (void)state;
    open_rig(&r);
    SSL_SESSION *s = first_visit(&r);
    call(&r, &c, s);
    say_early(&c, hello, strlen(hello));
    assert_int_equal(serve(&c), TLS_DONE);
    assert_int_equal(stream_write(&c.s, "answer", 6), 6);
    assert_int_equal(stream_shutdown(&c.s), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(stream_events(&c.s, false, false), EPOLLIN);
    assert_int_equal(SSL_do_handshake(c.client), 1);
    client_reads(&c, "answer");
    server_reads(&c, hello); /* by which the end is said */
    assert_int_equal(SSL_read(c.client, &byte, 1), 0);
    assert_int_equal(SSL_get_shutdown(c.client) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(stream_shutdown(&c.s), 0);
    hang_up(&c);
    SSL_SESSION_free(s);
    close_rig(&r);
}

/* More than the socket takes at once, and the client's Finished between two parts of it. */
static void a_long_answer_goes_over_the_end_of_the_handshake(void **state)
{
    struct rig r;
    struct call c;
    (void)state;
    open_rig(&r);
    SSL_SESSION *s = first_visit(&r);
    call(&r, &c, s);
    say_early(&c, hello, strlen(hello));
    assert_int_equal(serve(&c), TLS_DONE);
    server_reads(&c, hello);
    size_t sent = 0, got = 0;
    bool finished = false;
    for (int i = 0; i < ROUNDS && got < sizeof large; i++) {
        char some[70000];
        ssize_t n = stream_write(&c.s, large + sent, sizeof large - sent);
        if (n > 0)
            sent += (size_t)n;
        else if (sent < sizeof large)
            assert_int_equal(errno, EAGAIN);
        if (n < 0 && !finished) {
            assert_int_equal(stream_events(&c.s, true, true), EPOLLOUT);
            assert_nothing(&c);
        }
        finished = finished || SSL_do_handshake(c.client) == 1;
        size_t more = 0;
        if (finished && SSL_read_ex(c.client, some, sizeof some, &more) == 1) {
            assert_memory_equal(some, large, more);
            got += more;
        }
        if (i % 7 == 6 && !tls_ready(c.s.tls))
            (void)!stream_read(&c.s, some, sizeof some);
    }
    assert_true(finished && tls_ready(c.s.tls));
    assert_int_equal(sent, sizeof large);
    assert_int_equal(got, sizeof large);
    hang_up(&c);
    SSL_SESSION_free(s);
    close_rig(&r);
}

static void garbage_after_it_ends_the_connection(void **state)
{
    struct rig r;
    struct call c;
    char got[STREAM_READ_WHOLE];
    (void)state;
    open_rig(&r);
    SSL_SESSION *s = first_visit(&r);
    call(&r, &c, s);
    say_early(&c, hello, strlen(hello));
    assert_int_equal(serve(&c), TLS_DONE);
    static const char rubbish[] = "\x17\x03\x03\x00\x1a no record that anybody sealed";
    assert_int_equal(send(c.fd, rubbish, sizeof rubbish, 0), sizeof rubbish);
    server_reads(&c, hello);
    assert_int_equal(stream_read(&c.s, got, sizeof got), -1);
    assert_int_not_equal(errno, EAGAIN);
    assert_int_equal(stream_write(&c.s, "answer", 6), -1);
    hang_up(&c);
    assert_int_equal(r.counters.failures[TLS_FAIL_PROTOCOL], 1);
    SSL_SESSION_free(s);
    close_rig(&r);
}

static void without_memory_it_fails_and_nothing_leaks(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 8; i++) {
        struct rig r;
        struct call c;
        char got[STREAM_READ_WHOLE];
        open_rig(&r);
        SSL_SESSION *s = first_visit(&r);
        call(&r, &c, s);
        say_early(&c, hello, strlen(hello));
        mem_fail_after(i);
        if (serve(&c) == TLS_DONE)
            (void)!stream_read(&c.s, got, sizeof got);
        mem_fail_after(0);
        hang_up(&c);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read_and_answered_before_the_client_has_finished),
        cmocka_unit_test(others_are_served_as_ever),
        cmocka_unit_test(a_copy_is_refused),
        cmocka_unit_test(in_doubt_it_is_refused),
        cmocka_unit_test(a_slow_keeper_holds_up_its_own_handshake_only),
        cmocka_unit_test(who_closes_it_reads_nothing_early),
        cmocka_unit_test(an_end_waits_for_the_clients),
        cmocka_unit_test(a_long_answer_goes_over_the_end_of_the_handshake),
        cmocka_unit_test(garbage_after_it_ends_the_connection),
        cmocka_unit_test(without_memory_it_fails_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
