/* exchange_export_test.c - which answers may go on in another process, and with what is left. */
#include "exchange_rig.h"

struct taker {
    unsigned offered;
    bool takes;
    struct forward_share share;
};

static bool give(void *context, const struct forward_share *s, void *of)
{
    struct taker *t = context;
    assert_non_null(of);
    t->offered++;
    t->share = *s;
    return t->takes;
}

static struct taker offer(struct rig *r, bool takes)
{
    struct taker t = {.takes = takes};
    exchanger_export(r->exchanger, 10, give, &t);
    return t;
}

static void test_the_rest_of_a_known_length(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, test_config());
    begin(&r, GET("/"));
    expect(&r, r.server, GOT("/"));
    assert_int_equal(offer(&r, true).offered, 0); /* no head yet */
    put(r.server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    expect(&r, r.client, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    assert_int_equal(offer(&r, false).offered, 1);
    assert_int_equal(r.ended, 0);
    struct taker t = offer(&r, true);
    assert_true(t.share.down.bounded && t.share.down.shut && !t.share.down.eof);
    assert_true(t.share.up.eof && t.share.up.shut);
    assert_int_equal(t.share.down.left, 6);
    assert_int_equal(t.share.down.len, 0);
    assert_int_equal(r.ended, 1);
    assert_int_equal(r.result.end, EXCHANGE_PASSED);
    assert_int_equal(r.result.client.fd, t.share.client);
    assert_int_equal(r.result.server.fd, t.share.server);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.record.status, 200);
    assert_int_equal(r.counters.upstream.kept, 0);
    quiet(&r, r.client); /* nobody was told of anything */
    quiet(&r, r.server);
    close(t.share.server);
    close(t.share.client);
    r.result.client.fd = r.result.server.fd = -1;
    rig_close(&r);
}

static void stays(const char *request, const char *answer)
{
    struct rig r;
    rig_open(&r, test_config());
    begin(&r, request);
    put(r.server, answer);
    SPIN_UNTIL(&r, r.counters.upstream.connects == 1);
    for (int i = 0; i < 200; i++)
        spin(&r);
    assert_int_equal(offer(&r, true).offered, 0);
    rig_close(&r);
}

static void test_what_stays(void **state)
{
    (void)state;
    stays(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
    stays(GET("/"), "HTTP/1.1 200 OK\r\n\r\nuntil the end");
    stays("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    stays("POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nhalf",
          "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    stays(GET("/") GET("/next"), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rest_of_a_known_length),
        cmocka_unit_test(test_what_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
