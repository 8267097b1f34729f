/* stead_test.c - libstead against a name server and a first server that behave, fail, lie or keep
 * silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/net.h"
#include "fake_farm.h"
#include "stead/stead.h"

#include <stdio.h>
#include <string.h>

#define SERVER(name, status, group, url)                                                           \
    "{\"name\":\"" name "\",\"service\":\"shop\",\"status\":\"" status "\",\"users\":3,"           \
    "\"groups\":[\"" group "\"],\"weight\":10,\"capacity\":0,\"urls\":[" url "],\"zone\":\"z1\","  \
    "\"node\":\"00000000000000aa\",\"address\":\"192.0.2.1:80\",\"backup\":\"\",\"version\":"      \
    "\"1\"}"
#define S1 SERVER("s1", "up", "gold", "\"https://s1.shop.test\",\"http://s1.shop.test:8080\"")
#define S2 SERVER("s2", "up", "plain", "\"http://s2.shop.test:8080/ignored\"")
#define S3 SERVER("s3", "down", "plain", "\"http://s3.shop.test:8080\"")
#define ROSTER "{\"farm\":\"f\",\"revision\":9,\"servers\":[" S1 "," S2 "," S3 "]}"
#define CLOSE "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

static struct fake_farm farm;
static struct stead_options options;
static char url[256], dns[64];
static struct stead_choice *choice;

static int setup(void **state)
{
    (void)state;
    farm = (struct fake_farm){.addresses = {"127.0.0.2"}, .response = CLOSE ROSTER};
    stead_options_init(&options, sizeof options);
    options.dns = dns;
    options.timeout_ms = 400;
    options.deadline_ms = 3000;
    return 0;
}

static void start(void)
{
    fake_farm_start(&farm);
    snprintf(dns, sizeof dns, "127.0.0.1:%u", farm.dns_port);
    snprintf(url, sizeof url, "http://www.shop.test:%u/cart?item=3", farm.http_port);
}

static int pick_once(void)
{
    start();
    int err = stead_pick(url, &options, &choice);
    fake_farm_stop(&farm);
    return err;
}

static void assert_picked(const char *server)
{
    assert_int_equal(pick_once(), STEAD_OK);
    assert_string_equal(stead_choice_server(choice), server);
    stead_choice_free(choice);
}

static void test_pick_by_name(void **state)
{
    (void)state;
    char first[64];
    static const char *const not_s2[] = {"s9", "s2"};
    options.exclude = not_s2;
    options.exclude_count = 2;
    options.service = "shop";
    options.token = "open-sesame";
    assert_int_equal(pick_once(), STEAD_OK);
    assert_string_equal(stead_choice_server(choice), "s1");
    assert_string_equal(stead_choice_url(choice), "http://s1.shop.test:8080/cart?item=3");
    snprintf(first, sizeof first, "127.0.0.2:%u", farm.http_port);
    assert_string_equal(stead_choice_first(choice), first);
    assert_int_equal(stead_choice_candidates(choice), 1);
    assert_string_equal(stead_choice_candidate(choice, 0), "s1");
    assert_null(stead_choice_candidate(choice, 1));
    stead_choice_free(choice);
    assert_int_equal(farm.udp_queries, 2);
    assert_int_equal(farm.requests, 1);
    assert_non_null(
        strstr(farm.request, "GET /.well-known/stead/roster?service=shop HTTP/1.1\r\n"));
    assert_non_null(strstr(farm.request, "\r\nHost: www.shop.test:"));
    assert_non_null(strstr(farm.request, "\r\nAuthorization: Bearer open-sesame\r\n"));
}

static void test_pick_by_wishes(void **state)
{
    (void)state;
    options.group = "plain";
    assert_picked("s2");
    options.group = "silver";
    assert_int_equal(pick_once(), STEAD_E_NO_SERVER);
    assert_null(choice);
    options.group = NULL;
    options.zone = "z1";
    options.policy = "least-users";
    assert_int_equal(pick_once(), STEAD_OK);
    assert_int_equal(stead_choice_candidates(choice), 2);
    stead_choice_free(choice);
    options.zone = "z2";
    assert_int_equal(pick_once(), STEAD_E_NO_SERVER);
}

static void test_address_as_host(void **state)
{
    (void)state;
    options.group = "gold";
    start();
    snprintf(url, sizeof url, "http://127.0.0.2:%u", farm.http_port);
    /* An address has no domain whose hosts could be trusted. */
    assert_int_equal(stead_pick(url, &options, &choice), STEAD_E_NO_SERVER);
    options.allow = "shop.test";
    assert_int_equal(stead_pick(url, &options, &choice), STEAD_OK);
    fake_farm_stop(&farm);
    assert_string_equal(stead_choice_url(choice), "http://s1.shop.test:8080");
    stead_choice_free(choice);
    assert_int_equal(farm.udp_queries, 0);
}

static void test_goes_on_to_another_first_server(void **state)
{
    (void)state;
    options.group = "gold";
    farm.addresses[0] = "127.0.0.3"; /* nobody listens there */
    farm.addresses[1] = "127.0.0.4";
    farm.addresses[2] = "127.0.0.2";
    for (int i = 0; i < 4; i++)
        assert_picked("s1");
}

static void test_asks_the_name_again(void **state)
{
    (void)state;
    options.group = "gold";
    farm.fail_requests = 1;
    assert_picked("s1");
    assert_int_equal(farm.requests, 2);
    assert_int_equal(farm.udp_queries, 4);
    farm.fail_requests = 99;
    assert_int_equal(pick_once(), STEAD_E_CLOSED);
    assert_int_equal(farm.requests, 2);
}

static void test_name_server_with_faults(void **state)
{
    (void)state;
    options.group = "gold";
    farm.drop_queries = 2;
    assert_picked("s1");
    assert_int_equal(farm.udp_queries, 4);
    farm.truncate = true;
    assert_picked("s1");
    assert_int_equal(farm.tcp_queries, 2);
    farm.truncate = false;
    farm.addresses[0] = NULL;
    assert_int_equal(pick_once(), STEAD_E_NOT_FOUND);
    farm.drop_queries = 99;
    options.deadline_ms = 300;
    uint64_t before = net_now_ms();
    assert_int_equal(pick_once(), STEAD_E_DEADLINE);
    assert_true(net_now_ms() - before < 1000);
}

static void test_silent_first_server(void **state)
{
    (void)state;
    farm.response = NULL;
    options.timeout_ms = 100;
    uint64_t before = net_now_ms();
    assert_int_equal(pick_once(), STEAD_E_DEADLINE);
    assert_true(net_now_ms() - before < 1500);
    assert_int_equal(farm.requests, 2);
}

static void test_answers_of_a_first_server(void **state)
{
    (void)state;
    static char chunked[4096], long_head[20000];
    const char *body = ROSTER;
    snprintf(
        chunked, sizeof chunked,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%.5s\r\n%zx\r\n%s\r\n0\r\n\r\n",
        body, strlen(body) - 5, body + 5);
    memset(long_head, 'a', sizeof long_head - 1);
    memcpy(long_head, "HTTP/1.1 200 OK\r\nX: ", 20);
    const struct {
        const char *response;
        int error;
    } cases[] = {
        {chunked, STEAD_OK},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{", STEAD_E_CLOSED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{", STEAD_E_TOO_LARGE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", STEAD_E_PARSE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", STEAD_E_PARSE},
        {"HTTP/1.1 200 OK\r\n\r\n", STEAD_E_PARSE},
        {"HTTP/1.1 401 Unauthorized\r\n\r\n", STEAD_E_DENIED},
        {"HTTP/1.1 404 Not Found\r\n\r\n", STEAD_E_NOT_FOUND},
        {"HTTP/1.1 503 Service Unavailable\r\n\r\n", STEAD_E_NO_SERVER},
        {"HTTP/1.1 301 Moved Permanently\r\nLocation: /\r\n\r\n", STEAD_E_UNSUPPORTED},
        {"SSH-2.0-OpenSSH_9.2\r\n", STEAD_E_PARSE},
        {"", STEAD_E_CLOSED},
        {long_head, STEAD_E_TOO_LARGE},
        {CLOSE "{\"farm\":\"f\",\"revision\":1,\"servers\":[]}", STEAD_E_NO_SERVER},
        {CLOSE "{\"farm\":\"f\",\"revision\":1,\"servers\":[{}]}", STEAD_E_PARSE},
        {CLOSE "[]", STEAD_E_PARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        farm.response = cases[i].response;
        int err = pick_once();
        if (err != cases[i].error)
            print_error("case %zu: %s\n", i, stead_error_name(err));
        assert_int_equal(err, cases[i].error);
        stead_choice_free(choice);
    }
}

static void test_service_must_be_clear(void **state)
{
    (void)state;
    farm.response = CLOSE "{\"farm\":\"f\",\"revision\":1,\"servers\":[" S1
                          ",{\"name\":\"m\",\"service\":\"mail\",\"status\":\"up\",\"urls\":["
                          "\"http://m.test\"]}]}";
    assert_int_equal(pick_once(), STEAD_E_INVAL);
    options.service = "shop";
    assert_picked("s1");
    options.service = "mail";
    assert_int_equal(pick_once(), STEAD_E_NO_SERVER); /* its host is not of the farm's domain */
    options.allow = "*";
    assert_picked("m");
}

/* -- what makes connections secure: here bytes pass as they are -- */

struct fake_secure {
    char host[64];
    int fd, begun, ended, shakes, fails;
    bool wants_write;
};

static int secure_begin(void *context, int fd, const char *host, void **connection)
{
    struct fake_secure *f = context;
    snprintf(f->host, sizeof f->host, "%s", host);
    f->fd = fd;
    f->begun++;
    f->shakes = 0;
    *connection = f->fails == STEAD_E_NOMEM ? NULL : f;
    return f->fails == STEAD_E_NOMEM ? STEAD_E_NOMEM : STEAD_OK;
}

static int secure_shake(void *connection)
{
    struct fake_secure *f = connection;
    f->wants_write = true; /* so that it is gone on with */
    return f->shakes++ < 3 ? STEAD_PENDING : f->fails;
}

static int secure_wants_write(void *connection)
{
    return ((struct fake_secure *)connection)->wants_write;
}

static int secure_send(void *connection, const void *bytes, size_t len, size_t *sent)
{
    struct fake_secure *f = connection;
    return net_try_send(f->fd, bytes, len, sent);
}

static int secure_receive(void *connection, void *bytes, size_t cap, size_t *got)
{
    struct fake_secure *f = connection;
    f->wants_write = false;
    return net_try_receive(f->fd, bytes, cap, got);
}

static void secure_end(void *connection)
{
    ((struct fake_secure *)connection)->ended++;
}

static void test_https_by_what_is_given(void **state)
{
    struct fake_secure fake = {.fails = STEAD_OK};
    struct stead_secure secure = {.size = sizeof secure,
                                  .context = &fake,
                                  .begin = secure_begin,
                                  .shake = secure_shake,
                                  .wants_write = secure_wants_write,
                                  .send = secure_send,
                                  .receive = secure_receive,
                                  .end = secure_end};
    static const struct {
        int fails, error;
    } cases[] = {{STEAD_OK, STEAD_OK},
                 {STEAD_E_DENIED, STEAD_E_DENIED},
                 {STEAD_E_NOMEM, STEAD_E_NOMEM},
                 {STEAD_E_IO, STEAD_E_IO}};
    (void)state;
    options.secure = &secure;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake.fails = cases[i].fails;
        fake.begun = fake.ended = 0;
        start();
        snprintf(url, sizeof url, "https://www.shop.test:%u/cart", farm.http_port);
        assert_int_equal(stead_pick(url, &options, &choice), cases[i].error);
        fake_farm_stop(&farm);
        assert_string_equal(fake.host, "www.shop.test");
        assert_true(fake.begun > 0);
        assert_int_equal(fake.ended, cases[i].fails == STEAD_E_NOMEM ? 0 : fake.begun);
        if (cases[i].error)
            continue;
        assert_string_equal(stead_choice_url(choice), "https://s1.shop.test/cart");
        stead_choice_free(choice);
        assert_non_null(strstr(farm.request, "GET /.well-known/stead/roster HTTP/1.1\r\n"));
    }
    secure.size--;
    assert_int_equal(stead_pick(url, &options, &choice), STEAD_E_INVAL);
    /* A plain URL is asked plainly. */
    secure.size++;
    fake.begun = 0;
    assert_int_equal(pick_once(), STEAD_OK);
    stead_choice_free(choice);
    assert_int_equal(fake.begun, 0);
}

static void test_arguments(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "www.shop.test", "ftp://www.shop.test/", "http://a b/"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(stead_pick(bad[i], &options, &choice), STEAD_E_INVAL);
    assert_int_equal(stead_pick("https://www.shop.test/", &options, &choice), STEAD_E_UNSUPPORTED);
    options.policy = "best";
    assert_int_equal(stead_pick("http://a/", &options, &choice), STEAD_E_INVAL);
    options.policy = NULL;
    options.dns = "ns.test";
    assert_int_equal(stead_pick("http://a/", &options, &choice), STEAD_E_INVAL);
    options.dns = dns;
    options.token = "a\r\nHost: b";
    assert_int_equal(stead_pick("http://a/", &options, &choice), STEAD_E_INVAL);
    options.token = NULL;
    options.service = "a/b";
    assert_int_equal(stead_pick("http://a/", &options, &choice), STEAD_E_INVAL);
    assert_null(choice);
    /* A caller with an older header: what it does not know keeps its default. */
    options.service = NULL;
    options.group = "gold";
    options.deadline_ms = 0;
    options.size = offsetof(struct stead_options, deadline_ms);
    assert_picked("s1");
}

static void test_roster(void **state)
{
    (void)state;
    struct stead_roster *roster;
    start();
    assert_int_equal(stead_roster_get(url, &options, &roster), STEAD_OK);
    fake_farm_stop(&farm);
    assert_int_equal(stead_roster_revision(roster), 9);
    assert_string_equal(stead_roster_farm(roster), "f");
    assert_int_equal(stead_roster_count(roster), 3);
    const struct stead_server *s = stead_roster_server(roster, 2);
    assert_string_equal(s->name, "s3");
    assert_string_equal(s->status, "down");
    assert_string_equal(s->url, "http://s3.shop.test:8080");
    assert_int_equal(s->users, 3);
    assert_null(stead_roster_server(roster, 3));
    assert_memory_equal(stead_roster_first(roster), "127.0.0.2:", 10);
    stead_roster_free(roster);
    stead_roster_free(NULL);
    stead_choice_free(NULL);
}

static void test_without_memory(void **state)
{
    (void)state;
    int failures = 0;
    start();
    /* What fails on the way to one first server is made good by asking again. */
    for (unsigned n = 1; n < 60; n++) {
        mem_fail_after(n);
        int err = stead_pick(url, &options, &choice);
        mem_fail_after(0);
        failures += err == STEAD_E_NOMEM;
        assert_true(err == STEAD_OK || err == STEAD_E_NOMEM);
        assert_true((err == STEAD_OK) == (choice != NULL));
        stead_choice_free(choice);
    }
    fake_farm_stop(&farm);
    assert_true(failures >= 5);
}

#define test(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_pick_by_name),
        test(test_pick_by_wishes),
        test(test_address_as_host),
        test(test_goes_on_to_another_first_server),
        test(test_asks_the_name_again),
        test(test_name_server_with_faults),
        test(test_silent_first_server),
        test(test_answers_of_a_first_server),
        test(test_service_must_be_clear),
        test(test_https_by_what_is_given),
        test(test_arguments),
        test(test_roster),
        test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
