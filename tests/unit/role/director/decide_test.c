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
    {.name = "shop", .url = "http://shop.example/", .policy = POLICY_LEAST_USERS, .status = 307},
    {.name = "chat", .url = "http://chat.example:8080", .policy = POLICY_RANDOM, .status = 307},
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
    f.config = (struct decide_config){.services = services,
                                      .service_count = 2,
                                      .servers = &f.own,
                                      .server_count = 1,
                                      .port = 8080};
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
    assert_int_equal(decide_status(&f->d), 307);
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
    const struct decide_service one = {.name = "shop",
                                       .url = "http://127.0.0.1:8000",
                                       .policy = POLICY_LEAST_USERS,
                                       .status = 307};
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
    assert_redirect(f, "/", "127.0.0.1:8003", "http://127.0.0.1:8001/");
}

static void test_no_open_redirect(void **state)
{
    struct farm *f = *state;
    /* Two slashes begin an authority only where none stands before them. */
    assert_redirect(f, "//evil.example/", "shop.example", "http://a.example//evil.example/");
    assert_redirect(f, "http://shop.example//evil.example", "shop.example",
                    "http://a.example//evil.example");
    assert_redirect(f, "//evil.example/?q", "c.example", "http://a.example//evil.example/?q");
    struct http_url u;
    assert_true(http_url_parse(f->d.location, strlen(f->d.location), &u));
    assert_true(slice_is(u.host, "a.example"));
    /* What only looks like another place stays behind the server's authority. */
    assert_redirect(f, "/@evil.example", "shop.example", "http://a.example/@evil.example");
    assert_redirect(f, "/%5cevil.example", "shop.example", "http://a.example/%5cevil.example");
    assert_redirect(f, "/?u=http://evil.example", "shop.example",
                    "http://a.example/?u=http://evil.example");
    assert_int_equal(ask(f, "OPTIONS", "*", "shop.example"), DECIDE_BAD);
    assert_int_equal(decide_status(&f->d), 400); /* no redirect to nowhere */
    assert_null(f->d.chosen.node);
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

static void test_secondary_out_chooses_anew(void **state)
{
    struct farm *f = *state;
    f->view.healthy[0] = false;
    /* Never back here, though the roster still says up; nor to the common name, where another
     * node may not have heard yet. */
    assert_redirect(f, "/p?q", "a.example", "http://b.example/p?q");
    assert_redirect(f, "/p?q", "shop.example", "http://b.example/p?q");
    f->own.backup = NULL;
    assert_redirect(f, "/", "a.example", "http://b.example/");
    assert_string_equal(f->d.why, "own-server-out");
    assert_string_equal(f->d.policy, "least-users");
    /* With method and body, whatever a first redirect would be; and no JSON for who wants a page.
     */
    struct decide_service other = services[0];
    other.status = 303;
    other.json = true;
    f->config.services = &other;
    f->config.service_count = 1;
    assert_redirect(f, "/", "a.example", "http://b.example/");
    assert_int_equal(decide_status(&f->d), 307);
    assert_false(f->d.json);
    f->roster->nodes[1].status = STATUS_SUSPECT;
    assert_int_equal(ask(f, "GET", "/", "a.example"), DECIDE_NO_SERVER);
    assert_int_equal(ask(f, "GET", "/", "shop.example"), DECIDE_NO_SERVER);
    assert_int_equal(decide_status(&f->d), 503);
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
        assert_redirect(f, "/p", "a.example", "http://b.example/p");
        assert_string_equal(f->d.why, "own-server-out");
    }
    f->own.backup = "a"; /* no help under its other name either */
    f->own.urls[0] = "http://a2.example";
    assert_redirect(f, "/p", "a2.example", "http://b.example/p");
}

static void test_any_node_stands_in_for_a_server_that_is_gone(void **state)
{
    struct farm *f = *state;
    static const enum status gone[] = {STATUS_DOWN, STATUS_LEFT, STATUS_SUSPECT};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        f->roster->nodes[2].status = gone[i];
        assert_redirect(f, "/p?q", "c.example", "http://a.example/p?q");
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
    assert_int_equal(decide_status(&f->d), 421);
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
    assert_redirect(f, "/", "[2001:db8::3]", "http://a.example/");
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
    assert_int_equal(ask(f, "GET", "/", "a.example"), DECIDE_NO_SERVER);
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

/* -- clients that are known -- */

#define NOW 1763731200

static const uint8_t secret[TOKEN_KEY_BYTES] = {4, 2}, salt[TOKEN_SALT_BYTES] = {9};

/* A request with one more header line. */
static enum decide_verdict ask_with(struct farm *f, const char *target, const char *host,
                                    const char *line)
{
    static char text[8192];
    struct http_head h;
    const char *why;
    int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", target, host,
                     line);
    assert_true(http_parse_request(text, (size_t)n, &h, &why) > 0);
    decide(&f->config, &f->view, &h, &f->d);
    return f->d.verdict;
}

static void know(struct farm *f, struct decide_service *s, struct visit_rule *rule,
                 const char *affinity)
{
    static struct buzhash keys;
    *rule = (struct visit_rule){.life_s = 3600};
    assert_true(visit_parse(affinity, rule));
    *s = services[0];
    s->visit = rule;
    f->config.services = s;
    f->config.service_count = 1;
    f->config.secret = secret;
    buzhash_init(&keys, secret);
    f->config.keys = &keys;
    f->view.now_s = NOW;
    f->view.salt = salt;
}

static void cookie_for(const struct visit_rule *rule, const char *server, char out[2048])
{
    char line[VISIT_COOKIE_MAX];
    assert_true(visit_cookie(rule, secret, "shop", server, NOW, line) > 0);
    snprintf(out, 2048, "Cookie: %.*s", (int)strcspn(line + 12, ";"), line + 12);
}

static void test_a_client_comes_back(void **state)
{
    struct farm *f = *state;
    struct decide_service s;
    struct visit_rule rule;
    char cookie[2048];
    know(f, &s, &rule, "cookie");
    cookie_for(&rule, "b", cookie);
    assert_int_equal(ask_with(f, "/x", "shop.example", "X: y"), DECIDE_REDIRECT);
    assert_string_equal(f->d.location, "http://a.example/x"); /* the one with fewer users */
    assert_ptr_equal(f->d.visit, &rule);
    assert_int_equal(ask_with(f, "/x", "shop.example", cookie), DECIDE_REDIRECT);
    assert_string_equal(f->d.location, "http://b.example/x");
    assert_string_equal(f->d.why, "returned");
    assert_null(f->d.policy);
    cookie_for(&rule, "d", cookie); /* full: who is in stays in */
    assert_int_equal(ask_with(f, "/x", "shop.example", cookie), DECIDE_REDIRECT);
    assert_string_equal(f->d.location, "http://d.example/x");
    static const char *const gone[] = {"c", "nobody"};
    for (size_t i = 0; i < 2; i++) {
        cookie_for(&rule, gone[i], cookie);
        assert_int_equal(ask_with(f, "/x", "shop.example", cookie), DECIDE_REDIRECT);
        assert_string_equal(f->d.why, "balanced");
    }
    cookie_for(&rule, "b", cookie);
    f->roster->nodes[1].status = STATUS_DRAINING;
    assert_int_equal(ask_with(f, "/x", "shop.example", cookie), DECIDE_REDIRECT);
    assert_string_equal(f->d.location, "http://a.example/x");
    cookie_for(&rule, "a", cookie);
    f->view.healthy[0] = false; /* newer than the roster */
    f->roster->nodes[1].status = STATUS_UP;
    assert_int_equal(ask_with(f, "/x", "shop.example", cookie), DECIDE_REDIRECT);
    assert_string_equal(f->d.location, "http://b.example/x");
}

static void test_a_key_leads_to_one_server(void **state)
{
    struct farm *f = *state;
    struct decide_service s;
    struct visit_rule rule;
    char line[64], first[DECIDE_LOCATION_MAX];
    unsigned to_a = 0;
    know(f, &s, &rule, "header:X-User");
    f->roster->nodes[1].entry->node = 77;
    for (unsigned i = 0; i < 40; i++) {
        snprintf(line, sizeof(line), "X-User: u%u", i);
        assert_int_equal(ask_with(f, "/", "shop.example", line), DECIDE_REDIRECT);
        assert_string_equal(f->d.why, "by-key");
        snprintf(first, sizeof(first), "%s", f->d.location);
        f->view.chance++;
        f->roster->nodes[0].entry->servers[0].users += 3;
        assert_int_equal(ask_with(f, "/", "shop.example", line), DECIDE_REDIRECT);
        assert_string_equal(f->d.location, first);
        to_a += strcmp(first, "http://a.example/") == 0;
    }
    assert_in_range(to_a, 5, 35); /* both have some */
    assert_int_equal(ask_with(f, "/", "shop.example", "X: y"), DECIDE_REDIRECT);
    assert_string_equal(f->d.why, "balanced");
    assert_null(f->d.visit);
}

static void test_a_client_is_handed_over(void **state)
{
    struct farm *f = *state;
    struct decide_service s;
    struct visit_rule rule;
    static const char *const names[] = {"sid"};
    static char location[DECIDE_LOCATION_MAX];
    know(f, &s, &rule, "none");
    s.visit = NULL;
    s.handoff = names;
    s.handoff_count = 1;
    assert_int_equal(ask_with(f, "/x?y=1", "shop.example", "Cookie: sid=abc"), DECIDE_REDIRECT);
    assert_non_null(strstr(f->d.location, "http://a.example/x?y=1&stead-handoff="));
    /* a is this node: it takes the token, and the URL loses it */
    snprintf(location, sizeof(location), "%s", f->d.location + strlen("http://a.example"));
    assert_int_equal(ask_with(f, location, "a.example", "X: y"), DECIDE_HANDOFF);
    assert_string_equal(f->d.location, "http://a.example/x?y=1");
    assert_int_equal(decide_status(&f->d), 307);
    /* one that is no good is lost too, and cannot make a loop */
    assert_int_equal(ask_with(f, "/x?stead-handoff=bad", "a.example", "X: y"), DECIDE_HANDOFF);
    assert_string_equal(f->d.location, "http://a.example/x");
    f->view.healthy[0] = false;
    assert_int_equal(ask_with(f, location, "a.example", "X: y"), DECIDE_REDIRECT);
    assert_string_equal(f->d.why, "own-server-out");
    assert_memory_equal(f->d.location, "http://shop.example/x?y=1&",
                        26); /* its cookies are there */
    assert_int_equal(ask_with(f, "/x", "a.example", "Cookie: sid=abc"), DECIDE_REDIRECT);
    assert_non_null(strstr(f->d.location, "http://b.example/x?stead-handoff=")); /* or here */
    s.handoff_count = 0;
    f->view.healthy[0] = true;
    assert_int_equal(ask_with(f, location, "a.example", "X: y"), DECIDE_FORWARD);
}

static void test_json_and_other_statuses(void **state)
{
    struct farm *f = *state;
    struct decide_service s;
    struct visit_rule rule;
    know(f, &s, &rule, "none");
    s.visit = NULL;
    s.status = 303;
    assert_int_equal(ask_with(f, "/", "shop.example", "Accept: application/json"), DECIDE_REDIRECT);
    assert_int_equal(decide_status(&f->d), 303);
    s.json = true;
    assert_int_equal(ask_with(f, "/", "shop.example", "Accept: application/json;q=1, */*"),
                     DECIDE_REDIRECT);
    assert_true(f->d.json);
    assert_int_equal(decide_status(&f->d), 200);
    assert_int_equal(ask_with(f, "/", "shop.example", "Accept: text/html, application/json"),
                     DECIDE_REDIRECT);
    assert_false(f->d.json);
    assert_int_equal(ask_with(f, "/", "shop.example", "X: y"), DECIDE_REDIRECT);
    assert_false(f->d.json);
}

/* -- clients that cannot follow, and schemes -- */

static enum decide_verdict ask_raw(struct farm *f, const char *text)
{
    struct http_head h;
    const char *why;
    assert_true(http_parse_request(text, strlen(text), &h, &why) > 0);
    decide(&f->config, &f->view, &h, &f->d);
    return f->d.verdict;
}

static void test_who_cannot_follow_is_forwarded(void **state)
{
    struct farm *f = *state;
    struct match_rule rules[2];
    assert_true(match_parse("upgrade", &rules[0]));
    assert_true(match_parse("method:PROPFIND,REPORT", &rules[1]));
    struct decide_service shop = services[0];
    shop.forward = rules;
    shop.forward_count = 2;
    f->config.services = &shop;
    f->config.service_count = 1;
    assert_int_equal(ask(f, "GET", "/", "shop.example"), DECIDE_REDIRECT);
    assert_int_equal(ask(f, "REPORT", "/", "shop.example"), DECIDE_FORWARD);
    assert_int_equal(f->d.server, 0);
    assert_string_equal(f->d.why, "balanced");
    assert_int_equal(ask_raw(f, "GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\n"
                                "Upgrade: websocket\r\n\r\n"),
                     DECIDE_FORWARD);
    f->roster->nodes[0].entry->servers[0].users = 20;
    assert_int_equal(ask(f, "REPORT", "/", "shop.example"), DECIDE_RELAY);
    assert_string_equal(f->d.chosen.node->entry->name, "b");
    assert_string_equal(f->d.url, "http://b.example");
    assert_int_equal(decide_status(&f->d), 0);
}

static void test_paths_have_their_scheme(void **state)
{
    struct farm *f = *state;
    static const struct slice https[] = {{"/checkout*", 10}, {"*/login", 7}};
    static const struct slice http[] = {{"/check*", 7}, {"/", 1}};
    struct decide_service shop = services[0];
    shop.https_paths = https;
    shop.https_count = 2;
    shop.http_paths = http;
    shop.http_count = 2;
    f->config.services = &shop;
    f->config.service_count = 1;
    assert_redirect(f, "/checkout/1?x", "shop.example", "https://a.example/checkout/1?x");
    assert_redirect(f, "/checkout/1?x", "a.example", "https://a.example/checkout/1?x");
    assert_string_equal(f->d.why, "to-https");
    assert_int_equal(decide_status(&f->d), 307);
    assert_redirect(f, "/my/login", "a.example", "https://a.example/my/login");
    assert_int_equal(ask(f, "GET", "/login/x", "a.example"), DECIDE_FORWARD);
    f->config.tls = true;
    assert_int_equal(ask(f, "GET", "/checkout/1", "a.example"), DECIDE_FORWARD);
    assert_int_equal(ask(f, "GET", "/cart", "a.example"), DECIDE_FORWARD); /* no wish */
    assert_redirect(f, "/check", "a.example", "http://a.example/check");
    assert_string_equal(f->d.why, "to-http");
    f->own.url_count = 1; /* no http URL */
    assert_int_equal(ask(f, "GET", "/check", "a.example"), DECIDE_FORWARD);
}

static void test_whose_server_is_gone_stays_under_tls(void **state)
{
    struct farm *f = *state;
    static const struct slice http[] = {{"/catalog*", 9}};
    struct decide_service shop = services[0]; /* its common URL is http */
    shop.http_paths = http;
    shop.http_count = 1;
    f->config.services = &shop;
    f->config.service_count = 1;
    f->config.tls = true;
    f->view.healthy[0] = false;
    assert_redirect(f, "/pay?x", "a.example", "https://b.example/pay?x");
    assert_string_equal(f->d.why, "own-server-out");
    assert_string_equal(f->d.chosen.node->entry->name, "b");
    assert_redirect(f, "/pay", "c.example", "https://b.example/pay");
    assert_string_equal(f->d.why, "server-gone");
    assert_redirect(f, "/catalog/1", "a.example", "http://b.example/catalog/1");
}

static void test_an_unknown_host_may_be_404(void **state)
{
    struct farm *f = *state;
    assert_int_equal(ask(f, "GET", "/", "nobody.example"), DECIDE_MISDIRECTED);
    assert_int_equal(decide_status(&f->d), 421);
    f->config.unknown_status = 404;
    assert_int_equal(ask(f, "GET", "/", "nobody.example"), DECIDE_MISDIRECTED);
    assert_int_equal(decide_status(&f->d), 404);
    assert_int_equal(ask(f, "GET", "/", "b.example"), DECIDE_MISDIRECTED);
    assert_int_equal(decide_status(&f->d), 421); /* another door knows it */
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
        T(test_secondary_out_chooses_anew),
        T(test_secondary_out_goes_to_a_named_backup),
        T(test_any_node_stands_in_for_a_server_that_is_gone),
        T(test_unknown_hosts),
        T(test_ipv6_literals),
        T(test_own_paths_whatever_the_host),
        T(test_a_shared_name_does_not_loop),
        T(test_following_redirects_ends),
        T(test_a_client_comes_back),
        T(test_a_key_leads_to_one_server),
        T(test_a_client_is_handed_over),
        T(test_json_and_other_statuses),
        cmocka_unit_test_setup_teardown(test_who_cannot_follow_is_forwarded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paths_have_their_scheme, setup, teardown),
        T(test_whose_server_is_gone_stays_under_tls),
        cmocka_unit_test_setup_teardown(test_an_unknown_host_may_be_404, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
