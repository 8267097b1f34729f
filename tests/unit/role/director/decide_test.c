/* decide_test.c - Host, path and roster in; the verdict of the public listener out. */
#include "role/director/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The farm: a (this node), b, c (gone), d (full), for "shop" at http://shop.example. */
static const struct decide_service services[] = {
    {"shop", "http://shop.example/", POLICY_LEAST_USERS},
    {"chat", "http://chat.example:8080", POLICY_RANDOM},
};
static const struct decide_server own[] = {
    {"shop", 2, {"https://a.example", "http://a.example"}, "primary"},
};

struct farm {
    struct decide_config config;
    struct decide_view view;
    struct decide_server own;
    struct roster *roster;
    struct decision d;
};

static void add(struct roster_node *n, const char *name, enum status status, uint32_t users)
{
    struct server *s = &n->entry->servers[0];
    snprintf(n->entry->name, sizeof(n->entry->name), "%s", name);
    n->status = n->entry->status = status;
    n->self = strcmp(name, "a") == 0;
    n->entry->server_count = 1;
    snprintf(s->service, sizeof(s->service), "shop");
    s->url_count = 2;
    snprintf(s->urls[0], sizeof(s->urls[0]), "https://%s.example", name);
    snprintf(s->urls[1], sizeof(s->urls[1]), "http://%s.example", name);
    s->weight = 1;
    s->users = users;
    s->healthy = true;
}

static int setup(void **state)
{
    static struct farm f;
    memset(&f, 0, sizeof(f));
    f.own = own[0];
    f.config = (struct decide_config){services, 2, &f.own, 1, 8080, false};
    f.roster = roster_blank(4, ENTRY_SERVERS_MAX);
    assert_non_null(f.roster);
    add(&f.roster->nodes[0], "a", STATUS_UP, 5);
    add(&f.roster->nodes[1], "b", STATUS_UP, 9);
    add(&f.roster->nodes[2], "c", STATUS_DOWN, 0);
    add(&f.roster->nodes[3], "d", STATUS_UP, 3);
    f.roster->nodes[3].entry->servers[0].capacity = 3;
    f.view = (struct decide_view){.roster = f.roster, .self_name = "a", .healthy = {true}};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct farm *f = *state;
    roster_unref(f->roster);
    return 0;
}

static enum decide_verdict ask(struct farm *f, const char *method, const char *target,
                               const char *host)
{
    char text[HTTP_HEAD_MAX];
    struct http_head h;
    const char *why;
    int len =
        snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", method, target, host);
    assert_true(http_parse_request(text, (size_t)len, &h, &why) > 0);
    decide(&f->config, &f->view, &h, &f->d);
    return f->d.verdict;
}

static void assert_redirect(struct farm *f, const char *target, const char *host, const char *to)
{
    assert_int_equal(ask(f, "GET", target, host), DECIDE_REDIRECT);
    assert_string_equal(f->d.location, to);
}

static void test_primary_balances_and_keeps_path_and_query(void **state)
{
    struct farm *f = *state;
    /* c is gone, d is full: a has the fewest users. Its own server is redirected to as any other.
     */
    assert_redirect(f, "/cart?x=1&y=%0d%0a", "shop.example", "http://a.example/cart?x=1&y=%0d%0a");
    assert_string_equal(f->d.chosen.node->entry->name, "a");
    assert_string_equal(f->d.policy, "least-users");
    assert_string_equal(f->d.service, "shop");
    f->roster->nodes[0].entry->servers[0].users = 20;
    assert_redirect(f, "/?", "SHOP.example.", "http://b.example/?");
    assert_int_equal(ask(f, "POST", "/buy", "shop.example"), DECIDE_REDIRECT);
    assert_int_equal(decide_status(f->d.verdict), 307);
}

static void test_primary_takes_the_absolute_form(void **state)
{
    struct farm *f = *state;
    assert_redirect(f, "http://shop.example/p?q", "Shop.example", "http://a.example/p?q");
    assert_redirect(f, "http://shop.example", "shop.example", "http://a.example/");
    assert_redirect(f, "http://shop.example?q", "shop.example", "http://a.example/?q");
}

static void test_primary_keeps_the_scheme_where_it_can(void **state)
{
    struct farm *f = *state;
    f->config.tls = true;
    assert_redirect(f, "/", "shop.example", "https://a.example/");
    f->config.tls = false;
    f->roster->nodes[0].entry->servers[0].url_count = 1;
    assert_redirect(f, "/", "shop.example", "https://a.example/");
    f->roster->nodes[0].entry->servers[0].url_count = 0;
    assert_int_equal(ask(f, "GET", "/", "shop.example"), DECIDE_NO_SERVER);
}

static void test_ports(void **state)
{
    struct farm *f = *state;
    assert_redirect(f, "/", "shop.example:80", "http://a.example/");
    assert_redirect(f, "/", "shop.example:8080", "http://a.example/"); /* the listener's */
    assert_int_equal(ask(f, "GET", "/", "shop.example:81"), DECIDE_MISDIRECTED);
    assert_int_equal(ask(f, "GET", "/", "a.example:8080"), DECIDE_FORWARD);
    assert_int_equal(ask(f, "GET", "/", "a.example:81"), DECIDE_MISDIRECTED);
    assert_int_equal(ask(f, "GET", "/", "c.example:81"), DECIDE_MISDIRECTED);
    /* Nobody serves chat, but its name is known, with and without its port. */
    assert_int_equal(ask(f, "GET", "/", "chat.example:8080"), DECIDE_NO_SERVER);
    assert_int_equal(ask(f, "GET", "/", "chat.example"), DECIDE_NO_SERVER);
}

static void test_one_host_many_ports(void **state)
{
    struct farm *f = *state;
    const struct decide_service one = {"shop", "http://127.0.0.1:8000", POLICY_LEAST_USERS};
    f->config.services = &one;
    f->config.service_count = 1;
    f->config.port = 8001;
    f->own.urls[1] = "http://127.0.0.1:8001";
    const char *urls[] = {"http://127.0.0.1:8001", "http://127.0.0.1:8002",
                          "http://127.0.0.1:8003"};
    for (int i = 0; i < 3; i++)
        strcpy(f->roster->nodes[i].entry->servers[0].urls[1], urls[i]);
    assert_redirect(f, "/", "127.0.0.1:8000", "http://127.0.0.1:8001/");
    assert_int_equal(ask(f, "GET", "/", "127.0.0.1:8001"), DECIDE_FORWARD);
    assert_int_equal(ask(f, "GET", "/", "127.0.0.1:8002"), DECIDE_MISDIRECTED);
    assert_redirect(f, "/", "127.0.0.1:8003", "http://127.0.0.1:8000/");
}

static void test_no_open_redirect(void **state)
{
    struct farm *f = *state;
    /* Two slashes begin an authority only where none stands before them. */
    assert_redirect(f, "//evil.example/", "shop.example", "http://a.example//evil.example/");
    assert_redirect(f, "http://shop.example//evil.example", "shop.example",
                    "http://a.example//evil.example");
    assert_redirect(f, "//evil.example/?q", "c.example", "http://shop.example//evil.example/?q");
    struct http_url u;
    assert_true(http_url_parse(f->d.location, strlen(f->d.location), &u));
    assert_true(slice_is(u.host, "shop.example"));
    /* What only looks like another place stays behind the server's authority. */
    assert_redirect(f, "/@evil.example", "shop.example", "http://a.example/@evil.example");
    assert_redirect(f, "/%5cevil.example", "shop.example", "http://a.example/%5cevil.example");
    assert_redirect(f, "/?u=http://evil.example", "shop.example",
                    "http://a.example/?u=http://evil.example");
    assert_int_equal(ask(f, "OPTIONS", "*", "shop.example"), DECIDE_BAD);
}

/* The parser keeps such bytes out; decide() does not rely on it. */
static void test_unsafe_bytes_never_reach_a_location(void **state)
{
    static const char *const paths[] = {
        "/a\r\nSet-Cookie: x=1", "/\\evil", "\\\\evil", "/a b",          "evil",
        ".evil.example/",        "/\x01",   "/\x7f",    "@evil.example/"};
    struct farm *f = *state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct http_head h = {.method = {"GET", 3}, .host = {"shop.example", 12}};
        h.path = (struct slice){paths[i], strlen(paths[i])};
        decide(&f->config, &f->view, &h, &f->d);
        assert_int_equal(f->d.verdict, DECIDE_BAD);
        assert_string_equal(f->d.location, "");
        h.query = h.path;
        h.path = (struct slice){"/", 1};
        decide(&f->config, &f->view, &h, &f->d);
        if (f->d.verdict == DECIDE_REDIRECT) {
            assert_null(strpbrk(f->d.location, "\r\n \x01\x7f"));
            assert_memory_equal(f->d.location, "http://a.example/?", 18);
        }
    }
}

static void test_the_longest_target_fits(void **state)
{
    struct farm *f = *state;
    static char target[HTTP_TARGET_MAX + 1];
    memset(target, 'a', HTTP_TARGET_MAX);
    target[0] = '/';
    char *url = f->roster->nodes[0].entry->servers[0].urls[1];
    assert_int_equal(ask(f, "GET", target, "shop.example"), DECIDE_REDIRECT);
    assert_int_equal(strlen(f->d.location), strlen(url) + HTTP_TARGET_MAX);
}

static void test_secondary_forwards_while_healthy(void **state)
{
    struct farm *f = *state;
    assert_int_equal(ask(f, "GET", "//what/ever", "A.Example"), DECIDE_FORWARD);
    assert_int_equal(f->d.server, 0);
    assert_int_equal(ask(f, "OPTIONS", "*", "a.example"), DECIDE_FORWARD);
    /* Clients that are here already are served while the node drains. */
    f->view.draining = true;
    f->roster->nodes[0].status = STATUS_DRAINING;
    assert_int_equal(ask(f, "GET", "/", "a.example"), DECIDE_FORWARD);
}

static void test_draining_node_gets_no_new_clients(void **state)
{
    struct farm *f = *state;
    f->view.draining = true; /* the roster does not say so yet */
    assert_redirect(f, "/", "shop.example", "http://b.example/");
}

static void test_secondary_out_goes_to_the_common_name(void **state)
{
    struct farm *f = *state;
    f->view.healthy[0] = false;
    assert_redirect(f, "/p?q", "a.example", "http://shop.example/p?q");
    /* And from there never back here, though the roster still says up. */
    assert_redirect(f, "/p?q", "shop.example", "http://b.example/p?q");
    f->own.backup = NULL;
    assert_redirect(f, "/", "a.example", "http://shop.example/");
    f->roster->nodes[1].status = STATUS_SUSPECT;
    assert_int_equal(ask(f, "GET", "/", "a.example"), DECIDE_NO_SERVER);
    assert_int_equal(ask(f, "GET", "/", "shop.example"), DECIDE_NO_SERVER);
    assert_int_equal(decide_status(f->d.verdict), 503);
}

static void test_secondary_out_goes_to_a_named_backup(void **state)
{
    struct farm *f = *state;
    f->view.healthy[0] = false;
    f->own.backup = "b";
    assert_redirect(f, "/p", "a.example", "http://b.example/p");
    assert_string_equal(f->d.chosen.node->entry->name, "b");
    static const char *const others[] = {"c", "d", "a", "nobody", "", "primary"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        f->own.backup = others[i];
        assert_redirect(f, "/p", "a.example", "http://shop.example/p");
    }
    f->own.backup = "a"; /* no help under its other name either */
    f->own.urls[0] = "http://a2.example";
    assert_redirect(f, "/p", "a2.example", "http://shop.example/p");
}

static void test_any_node_stands_in_for_a_server_that_is_gone(void **state)
{
    struct farm *f = *state;
    static const enum status gone[] = {STATUS_DOWN, STATUS_LEFT, STATUS_SUSPECT};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        f->roster->nodes[2].status = gone[i];
        assert_redirect(f, "/p?q", "c.example", "http://shop.example/p?q");
        assert_string_equal(f->d.why, "server-gone");
    }
    static const enum status there[] = {STATUS_UP, STATUS_DRAINING, STATUS_JOINING};
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
        f->roster->nodes[2].status = there[i];
        assert_int_equal(ask(f, "GET", "/", "c.example"), DECIDE_MISDIRECTED);
    }
    assert_int_equal(ask(f, "GET", "/", "d.example"), DECIDE_MISDIRECTED); /* full */
}

static void test_unknown_hosts(void **state)
{
    static const char *const hosts[] = {
        "evil.example", "shop.example.evil", "xshop.example", "127.0.0.1", "a", "[::1]:80"};
    struct farm *f = *state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        assert_int_equal(ask(f, "GET", "/", hosts[i]), DECIDE_MISDIRECTED);
    assert_int_equal(decide_status(f->d.verdict), 421);
    struct http_head h = {.method = {"GET", 3}, .path = {"/", 1}};
    decide(&f->config, &f->view, &h, &f->d);
    assert_int_equal(f->d.verdict, DECIDE_BAD);
}

static void test_ipv6_literals(void **state)
{
    struct farm *f = *state;
    f->own.urls[1] = "http://[2001:db8::1]:8080";
    assert_int_equal(ask(f, "GET", "/", "[2001:DB8::1]:8080"), DECIDE_FORWARD);
    strcpy(f->roster->nodes[2].entry->servers[0].urls[1], "http://[2001:db8::3]");
    assert_redirect(f, "/", "[2001:db8::3]", "http://shop.example/");
}

static void test_own_paths_whatever_the_host(void **state)
{
    static const char *const hosts[] = {"shop.example", "a.example", "b.example", "evil.example"};
    struct farm *f = *state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        assert_int_equal(ask(f, "GET", "/.well-known/stead/roster", hosts[i]), DECIDE_ROSTER);
        assert_int_equal(ask(f, "HEAD", "/.well-known/stead/roster?service=shop", hosts[i]),
                         DECIDE_ROSTER);
        assert_int_equal(ask(f, "POST", "/.well-known/stead/roster", hosts[i]), DECIDE_METHOD);
        assert_int_equal(ask(f, "GET", "/.well-known/stead/", hosts[i]), DECIDE_NOT_FOUND);
        assert_int_equal(ask(f, "GET", "/.well-known/stead/roster/x", hosts[i]), DECIDE_NOT_FOUND);
    }
    assert_int_equal(ask(f, "GET", "/.well-known/steady", "a.example"), DECIDE_FORWARD);
    assert_int_equal(ask(f, "GET", "/.well-known/stead", "a.example"), DECIDE_FORWARD);
}

/* Servers that share the common name and address are balanced by DNS: a redirect would come back.
 */
static void test_a_shared_name_does_not_loop(void **state)
{
    struct farm *f = *state;
    f->own.urls[1] = "http://shop.example";
    for (int i = 0; i < 4; i++)
        strcpy(f->roster->nodes[i].entry->servers[0].urls[1], "http://shop.example:80");
    assert_int_equal(ask(f, "GET", "/", "shop.example"), DECIDE_FORWARD);
    f->view.healthy[0] = false;
    assert_int_equal(ask(f, "GET", "/", "shop.example"), DECIDE_NO_SERVER);
    f->own.urls[1] = "http://a.example";
    f->own.backup = "b";
    strcpy(f->roster->nodes[1].entry->servers[0].urls[1], "http://a.example");
    assert_redirect(f, "/", "a.example", "http://shop.example/");
}

/* A client that follows every redirect, each answered by any node, ends in a forward or a 503. */
static void test_following_redirects_ends(void **state)
{
    struct farm *f = *state;
    for (unsigned mask = 0; mask < 16; mask++) {
        for (int i = 0; i < 4; i++) {
            f->roster->nodes[i].status = mask >> i & 1 ? STATUS_UP : STATUS_DOWN;
            f->roster->nodes[i].entry->servers[0].capacity = 0;
        }
        f->view.healthy[0] = mask & 1;
        char host[64] = "c.example";
        int hops = 0;
        while (ask(f, "GET", "/", host) == DECIDE_REDIRECT) {
            assert_true(++hops <= 2);
            assert_int_equal(sscanf(f->d.location, "http://%63[^/]", host), 1);
        }
        if (mask == 0)
            assert_int_equal(f->d.verdict, DECIDE_NO_SERVER);
        else
            assert_true(f->d.verdict == DECIDE_FORWARD || f->d.verdict == DECIDE_MISDIRECTED);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_primary_balances_and_keeps_path_and_query),
        T(test_primary_takes_the_absolute_form),
        T(test_primary_keeps_the_scheme_where_it_can),
        T(test_ports),
        T(test_one_host_many_ports),
        T(test_no_open_redirect),
        T(test_unsafe_bytes_never_reach_a_location),
        T(test_the_longest_target_fits),
        T(test_secondary_forwards_while_healthy),
        T(test_draining_node_gets_no_new_clients),
        T(test_secondary_out_goes_to_the_common_name),
        T(test_secondary_out_goes_to_a_named_backup),
        T(test_any_node_stands_in_for_a_server_that_is_gone),
        T(test_unknown_hosts),
        T(test_ipv6_literals),
        T(test_own_paths_whatever_the_host),
        T(test_a_shared_name_does_not_loop),
        T(test_following_redirects_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
