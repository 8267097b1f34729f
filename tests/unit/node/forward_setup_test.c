/* forward_setup_test.c - the configuration as the secondary sees it. */
#include "node/forward_setup.h"

#include "role/director/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct config config;

static void load(const char *more_server, const char *more_service, const char *more_public)
{
    char path[] = "/tmp/forward_setup_test.XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    fprintf(f,
            "farm = \"f\"\nkey-file = \"k\"\n"
            "node \"s1\" { address = \"127.0.0.1\" }\n"
            "service \"shop\" { name = \"www.test\" url = \"http://www.test\" %s }\n"
            "server \"shop\" { urls = {\"http://s1.test\"} forward = \"127.0.0.1:9000\" %s }\n"
            "public { listen = \"127.0.0.1:8080\" %s }\n",
            more_service, more_server, more_public);
    fclose(f);
    assert_int_equal(config_load(path, &config, stderr), STEAD_OK);
    unlink(path);
}

static void test_defaults(void **state)
{
    struct secondary_server servers[ENTRY_SERVERS_MAX], usual;
    struct director_config d;
    (void)state;
    load("", "", "");
    forward_setup(servers, &config);
    secondary_server_default(&usual, &servers[0].exchange.upstream.to);
    assert_int_equal(servers[0].exchange.upstream.to.port, 9000);
    assert_int_equal(servers[0].exchange.upstream.kept_max, usual.exchange.upstream.kept_max);
    assert_int_equal(servers[0].exchange.upstream.kept_ms, usual.exchange.upstream.kept_ms);
    assert_int_equal(servers[0].exchange.connect_ms, usual.exchange.connect_ms);
    assert_int_equal(servers[0].exchange.answer_ms, usual.exchange.answer_ms);
    assert_int_equal(servers[0].exchange.stream_ms, usual.exchange.stream_ms);
    assert_int_equal(servers[0].exchange.omits, 0);
    assert_false(servers[0].exchange.make_trace);
    assert_false(servers[0].tunnel);
    http_limits_default(&d.http);
    exchange_limits_default(&d.exchange);
    const struct http_limits http = d.http;
    const struct exchange_limits exchange = d.exchange;
    forward_setup_limits(&config, &d);
    assert_int_equal(d.http.head_ms, http.head_ms);
    assert_int_equal(d.http.body_ms, http.body_ms);
    assert_int_equal(d.http.idle_ms, http.idle_ms);
    assert_int_equal(d.exchange.body_ms, exchange.body_ms);
    assert_int_equal(d.exchange.idle_ms, exchange.idle_ms);
}

static void test_what_is_set(void **state)
{
    static const struct {
        const char *word;
        uint8_t omits;
    } headers[] = {{"both", 0},
                   {"x-forwarded", FORWARDED_NO_RFC7239},
                   {"forwarded", FORWARDED_NO_X},
                   {"none", FORWARDED_NO_X | FORWARDED_NO_RFC7239}};
    struct secondary_server servers[ENTRY_SERVERS_MAX];
    struct director_config d;
    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        char text[400];
        snprintf(text, sizeof(text),
                 "connect-timeout = \"100ms\" answer-timeout = \"200ms\" stream-timeout = "
                 "\"300ms\" keep-connections = 7 keep-time = \"400ms\" traceparent = \"make\" "
                 "client-headers = \"%s\"",
                 headers[i].word);
        load(text, "mode = \"tunnel\"",
             "head-timeout = \"1s\" body-timeout = \"2s\" idle-timeout = \"3s\"");
        forward_setup(servers, &config);
        const struct exchange_server *x = &servers[0].exchange;
        assert_int_equal(x->omits, headers[i].omits);
        assert_int_equal(x->connect_ms, 100);
        assert_int_equal(x->answer_ms, 200);
        assert_int_equal(x->stream_ms, 300);
        assert_int_equal(x->upstream.kept_max, 7);
        assert_int_equal(x->upstream.kept_ms, 400);
        assert_true(x->make_trace && servers[0].tunnel);
    }
    forward_setup_limits(&config, &d);
    assert_int_equal(d.http.head_ms, 1000);
    assert_int_equal(d.http.body_ms, 2000);
    assert_int_equal(d.exchange.body_ms, 2000);
    assert_int_equal(d.http.idle_ms, 3000);
    assert_int_equal(d.exchange.idle_ms, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_what_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
