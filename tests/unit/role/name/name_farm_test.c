/* name_farm_test.c - what the roster makes of a zone: orders, sites, networks, SRV and HTTPS
 * records, and who is named when nobody is up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "name_fixture.h"

#define DRAWS 4000

/* How often each node's address comes first, and at all. */
struct shares {
    unsigned first[NODES_MAX], all[NODES_MAX];
};

static struct shares count_shares(struct fixture *f)
{
    struct shares s = {0};
    struct addr found[NAME_ADDRESSES_MAX];
    size_t count;
    struct name_view *v = name_view_new(&f->config, f->roster, NULL, NULL);
    assert_non_null(v);
    for (int i = 0; i < DRAWS; i++) {
        f->len = dns_build_query(f->message, sizeof f->message, 7, "www.shop.test", DNS_A);
        f->len = name_answer(v, &f->by, f->message, f->len, DNS_UDP_MAX, &f->stats);
        f->by.chance++;
        assert_int_equal(dns_parse_addresses(f->message, f->len, 7, "www.shop.test", DNS_A, found,
                                             NAME_ADDRESSES_MAX, &count),
                         0);
        uint32_t seen = 0;
        for (size_t k = 0; k < count; k++) {
            assert_false(seen & 1u << found[k].ip[3]); /* no address twice */
            seen |= 1u << found[k].ip[3];
            s.all[found[k].ip[3]]++;
        }
        s.first[found[0].ip[3]]++;
    }
    name_view_unref(v);
    return s;
}

#define assert_near(value, expected) assert_in_range(value, (expected)*8 / 10, (expected)*12 / 10)

static void test_rotation_is_exact(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 20);
    server_of(f, 3)->weight = 1000;
    f->config.order = NAME_ORDER_ROTATE;
    f->config.addresses = 4;
    struct shares s = count_shares(f);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(s.first[i], DRAWS / 20);
        assert_int_equal(s.all[i], DRAWS * 4 / 20);
    }
}

static void test_equal_weights_take_turns(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 10);
    f->config.addresses = 1;
    struct shares s = count_shares(f);
    for (int i = 0; i < 10; i++)
        assert_int_equal(s.first[i], DRAWS / 10);
}

static void test_weights(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 4);
    for (unsigned i = 0; i < 4; i++)
        server_of(f, i)->weight = (i + 1) * 100;
    struct shares s = count_shares(f); /* all are named: it is the first that counts */
    for (unsigned i = 0; i < 4; i++) {
        assert_near(s.first[i], DRAWS * (i + 1) / 10);
        assert_int_equal(s.all[i], DRAWS);
    }
    f->config.addresses = 1;
    s = count_shares(f);
    for (unsigned i = 0; i < 4; i++)
        assert_near(s.all[i], DRAWS * (i + 1) / 10);
    f->config.addresses = 3;
    s = count_shares(f);
    assert_true(s.all[0] < s.all[1] && s.all[1] < s.all[2] && s.all[2] < s.all[3]);
    assert_int_equal(s.all[0] + s.all[1] + s.all[2] + s.all[3], 3 * DRAWS);
}

static void test_one_weight_far_above_the_others(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 20);
    for (size_t i = 0; i < 20; i++)
        server_of(f, i)->weight = i ? 1 : 1000000;
    f->config.addresses = 16;
    struct shares s = count_shares(f);
    assert_in_range(s.first[0], DRAWS - 5, DRAWS);
    assert_int_equal(s.all[0], DRAWS);
}

static void test_random_passes_over_weights(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 4);
    server_of(f, 3)->weight = 100000;
    f->config.order = NAME_ORDER_RANDOM;
    f->config.addresses = 2;
    struct shares s = count_shares(f);
    for (int i = 0; i < 4; i++) {
        assert_near(s.first[i], DRAWS / 4);
        assert_near(s.all[i], DRAWS / 2);
    }
}

static void test_two_choices_spare_the_loaded(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 4);
    for (unsigned i = 0; i < 4; i++)
        server_of(f, i)->users = i * 100;
    f->config.order = NAME_ORDER_TWO_CHOICES;
    f->config.addresses = 1;
    struct shares s = count_shares(f);
    /* The nth is chosen when the other one drawn is no better: (2 * (4 - n) - 1) of 16. */
    for (unsigned i = 0; i < 4; i++)
        assert_near(s.first[i], DRAWS * (2 * (4 - i) - 1) / 16);
}

/* As everywhere in the farm: within a tenth they are level, and of equals the load that they report
 * counts. */
static void test_two_choices_know_who_is_level(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 2);
    f->config.order = NAME_ORDER_TWO_CHOICES;
    f->config.addresses = 1;
    server_of(f, 0)->users = 100;
    server_of(f, 1)->users = 91;
    struct shares s = count_shares(f);
    assert_near(s.first[1], DRAWS / 2);
    server_of(f, 1)->users = 89;
    s = count_shares(f);
    assert_near(s.first[1], DRAWS * 3 / 4);
    server_of(f, 1)->users = 100;
    server_of(f, 0)->load = 500;
    s = count_shares(f);
    assert_near(s.first[1], DRAWS / 2); /* of the other nothing is known */
    server_of(f, 1)->load = 400;
    s = count_shares(f);
    assert_near(s.first[1], DRAWS * 3 / 4);
    f->config.order = NAME_ORDER_LEAST_USERS;
    s = count_shares(f);
    assert_int_equal(s.first[1], DRAWS);
}

static void test_least_users(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 6);
    static const uint32_t users[] = {50, 10, 10, 4000, 10, 20};
    for (size_t i = 0; i < 6; i++)
        server_of(f, i)->users = users[i];
    server_of(f, 3)->weight = 1000; /* by weight it has more than all but the first */
    f->config.order = NAME_ORDER_LEAST_USERS;
    f->config.addresses = 4;
    struct shares s = count_shares(f);
    static const int named[] = {1, 2, 4};
    for (int i = 0; i < 3; i++)
        assert_near(s.first[named[i]], DRAWS / 3);
    assert_int_equal(s.all[5], DRAWS);
    assert_int_equal(s.all[0] + s.all[3] + s.first[5], 0);
    f->config.addresses = 2; /* fewer than tie */
    s = count_shares(f);
    for (int i = 0; i < 3; i++)
        assert_near(s.all[named[i]], DRAWS * 2 / 3);
    f->config.addresses = 1;
    server_of(f, 3)->users = 0;
    s = count_shares(f);
    assert_int_equal(s.first[3], DRAWS);
}

static void test_nodes_behind_one_address_have_its_weight_together(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 4);
    for (size_t i = 2; i < 4; i++)
        f->roster->nodes[i].entry->public.ip[3] = 1;
    f->config.addresses = 1;
    struct shares s = count_shares(f);
    assert_near(s.first[0], DRAWS / 4);
    assert_near(s.first[1], DRAWS * 3 / 4);
}

static void test_nobody_is_up(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++)
        f->roster->nodes[i].status = STATUS_DOWN;
    server_of(f, 2)->capacity = 0;
    f->roster->nodes[2].status = STATUS_SUSPECT;
    assert_answer(f, "www.shop.test", DNS_A, "www.shop.test. 5 IN A 192.0.2.2\n");
    assert_int_equal(f->stats.last_resort, 1);
    f->config.nobody = NAME_NOBODY_NONE;
    assert_answer(f, "www.shop.test", DNS_A, "");
    assert_string_not_equal(f->authority, "");
    assert_answer(f, "_http._tcp.www.shop.test", DNS_SRV, "");
    /* A suspect node's own name leads to it all the same; a dead one's to nobody. */
    assert_answer(f, "s2.shop.test", DNS_A, "s2.shop.test. 5 IN A 192.0.2.2\n");
    assert_answer(f, "s1.shop.test", DNS_A, "");
    f->config.nobody = NAME_NOBODY_SERVFAIL;
    assert_int_equal(ask(f, "www.shop.test", DNS_A), DNS_SERVFAIL);
    assert_string_equal(f->answer, "");
    assert_false(f->authoritative);
    assert_int_equal(ask(f, "s1.shop.test", DNS_AAAA), DNS_SERVFAIL);
    assert_int_equal(ask(f, "_http._tcp.www.shop.test", DNS_SRV), DNS_SERVFAIL);
    assert_int_equal(ask(f, "www.shop.test", DNS_TXT), DNS_NOERROR);
    assert_int_equal(f->stats.servfail, 3);
    f->roster->nodes[0].status = STATUS_UP;
    assert_answer(f, "www.shop.test", DNS_A, "www.shop.test. 5 IN A 192.0.2.0\n");
    assert_answer(f, "s1.shop.test", DNS_A, "s1.shop.test. 5 IN A 192.0.2.0\n");
}

static void test_who_takes_no_new_clients(void **state)
{
    struct fixture *f = *state;
    server_of(f, 0)->maint = true;
    server_of(f, 1)->capacity = server_of(f, 1)->users = 7;
    assert_answer(f, "www.shop.test", DNS_A, "www.shop.test. 5 IN A 192.0.2.2\n");
    f->roster->nodes[2].status = STATUS_DRAINING;
    assert_answer(f, "www.shop.test", DNS_A, "www.shop.test. 5 IN A 192.0.2.1\n");
    assert_int_equal(f->stats.last_resort, 1);
}

static void test_group(void **state)
{
    struct fixture *f = *state;
    f->config.services[0].group = "gold";
    assert_answer(f, "www.shop.test", DNS_A, "");
    struct entry *e = f->roster->nodes[1].entry;
    e->group_count = 2;
    strcpy(e->groups[0], "silver");
    strcpy(e->groups[1], "gold");
    assert_answer(f, "www.shop.test", DNS_A, "www.shop.test. 5 IN A 192.0.2.1\n");
}

static void come_from(struct fixture *f, const char *ip)
{
    assert_true(addr_parse(ip, 53, &f->by.from));
}

static void test_sites(void **state)
{
    struct fixture *f = *state;
    f->config.site_count = 2;
    f->config.sites[0].zone = "east";
    f->config.sites[1].zone = "west";
    assert_true(prefix_parse("10.1.0.0/16", &f->config.sites[0].clients.list[0]));
    assert_true(prefix_parse("10.1.7.0/24", &f->config.sites[1].clients.list[0]));
    f->config.sites[0].clients.count = f->config.sites[1].clients.count = 1;
    strcpy(f->roster->nodes[0].entry->zone, "east");
    strcpy(f->roster->nodes[1].entry->zone, "west");
    come_from(f, "10.1.2.3");
    assert_answer(f, "www.shop.test", DNS_A, "www.shop.test. 5 IN A 192.0.2.0\n");
    assert_answer(f, "_http._tcp.www.shop.test", DNS_SRV,
                  "_http._tcp.www.shop.test. 5 IN SRV 0 10 8080 s0.shop.test.\n");
    come_from(f, "10.1.7.3"); /* the longer prefix counts */
    assert_answer(f, "www.shop.test", DNS_A, "www.shop.test. 5 IN A 192.0.2.1\n");
    f->roster->nodes[1].status = STATUS_DOWN; /* nobody of the site is up: anybody */
    assert_answer(f, "www.shop.test", DNS_A,
                  "www.shop.test. 5 IN A 192.0.2.0\nwww.shop.test. 5 IN A 192.0.2.2\n");
    come_from(f, "10.2.0.1");
    assert_answer(f, "www.shop.test", DNS_A,
                  "www.shop.test. 5 IN A 192.0.2.0\nwww.shop.test. 5 IN A 192.0.2.2\n");
    /* An own name has no site. */
    assert_answer(f, "s0.shop.test", DNS_A, "s0.shop.test. 5 IN A 192.0.2.0\n");
}

static void test_networks(void **state)
{
    struct fixture *f = *state;
    struct entry *e = f->roster->nodes[0].entry;
    set_nodes(f, 1);
    e = f->roster->nodes[0].entry;
    e->address_count = 2;
    e->addresses[0].network = e->addresses[1].network = NETWORK_OUTSIDE;
    assert_true(addr_parse("203.0.113.9:80", 0, &e->addresses[0].addr));
    assert_true(addr_parse("[2001:db8::9]:80", 0, &e->addresses[1].addr));
    f->config.inside.count = 1;
    assert_true(prefix_parse("10.0.0.0/8", &f->config.inside.list[0]));
    static const char *const names[] = {"www.shop.test", "s0.shop.test"};
    char text[128];
    for (int i = 0; i < 2; i++) {
        come_from(f, "10.9.9.9");
        snprintf(text, sizeof text, "%s. 5 IN A 192.0.2.0\n", names[i]);
        assert_answer(f, names[i], DNS_A, text);
        assert_answer(f, names[i], DNS_AAAA, "");
        come_from(f, "198.51.100.1");
        snprintf(text, sizeof text, "%s. 5 IN A 203.0.113.9\n", names[i]);
        assert_answer(f, names[i], DNS_A, text);
        snprintf(text, sizeof text, "%s. 5 IN AAAA 2001:db8::9\n", names[i]);
        assert_answer(f, names[i], DNS_AAAA, text);
    }
}

static void test_srv(void **state)
{
    struct fixture *f = *state;
    server_of(f, 1)->weight = 200000; /* more than 16 bits */
    server_of(f, 2)->weight = 1;
    strcpy(server_of(f, 2)->urls[0], "https://elsewhere.example:444");
    assert_answer(f, "_HTTP._tcp.www.shop.test", DNS_SRV,
                  "_HTTP._tcp.www.shop.test. 5 IN SRV 0 1 444 elsewhere.example.\n"
                  "_HTTP._tcp.www.shop.test. 5 IN SRV 0 4 8080 s0.shop.test.\n"
                  "_HTTP._tcp.www.shop.test. 5 IN SRV 0 65535 8080 s1.shop.test.\n");
    /* Addresses of those that this zone has. */
    assert_string_equal(f->additional, "s0.shop.test. 5 IN A 192.0.2.0\n"
                                       "s1.shop.test. 5 IN A 192.0.2.1\n");
    strcpy(server_of(f, 0)->urls[0], "http://192.0.2.7:80"); /* has no name to lead to */
    strcpy(server_of(f, 1)->urls[0], "http://[2001:db8::1]");
    assert_answer(f, "_http._tcp.www.shop.test", DNS_SRV,
                  "_http._tcp.www.shop.test. 5 IN SRV 0 1 444 elsewhere.example.\n");
    assert_answer(f, "_http._tcp.www.shop.test", DNS_A, "");
    assert_answer(f, "_tcp.www.shop.test", DNS_SRV, ""); /* a name above others exists */
    assert_int_equal(ask(f, "_https._tcp.www.shop.test", DNS_SRV), DNS_NXDOMAIN);
    set_nodes(f, 20);
    ask(f, "_http._tcp.www.shop.test", DNS_SRV);
    assert_int_equal(f->message[7], 8); /* no more than addresses */
    assert_string_equal(f->additional, "");
}

static void test_https(void **state)
{
    struct fixture *f = *state;
    static const char www[] = "\0\1\0\0\4\0\x0c";
    assert_answer(f, "www.shop.test", DNS_HTTPS, ""); /* the URL is http */
    f->config.services[0].url = "https://www.shop.test";
    assert_int_equal(ask(f, "www.shop.test", DNS_HTTPS), DNS_NOERROR);
    assert_int_equal(f->message[7], 1);
    assert_memory_equal(f->message + 12 + 19 + 12, www, sizeof www - 1);
    assert_answer(f, "_https._tcp.www.shop.test", DNS_TXT, "");
    f->config.services[0].url = "https://www.shop.test:8443";
    assert_answer(f, "www.shop.test", DNS_HTTPS, "");
    assert_int_equal(ask(f, "_8443._https.www.shop.test", DNS_HTTPS), DNS_NOERROR);
    assert_int_equal(f->message[7], 1);
    f->config.services[0].url = "https://www.shop.test";
    set_nodes(f, 20);
    uint8_t first[64];
    unsigned begins = 0;
    for (int i = 0; i < 16; i++) {
        ask(f, "www.shop.test", DNS_HTTPS);
        assert_int_equal(f->message[12 + 19 + 11], 3 + 4 + 8 * 4); /* hints for 8 servers */
        uint8_t host = f->message[12 + 19 + 12 + 7 + 3];
        if (!memchr(first, host, begins))
            first[begins++] = host;
    }
    assert_int_equal(begins, 8); /* not always the same ones */
}

static void test_name_servers(void **state)
{
    struct fixture *f = *state;
    assert_answer(f, "shop.test", DNS_NS, "shop.test. 5 IN NS ns.shop.test.\n");
    assert_string_equal(f->additional, "ns.shop.test. 5 IN A 192.0.2.0\n"
                                       "ns.shop.test. 5 IN A 192.0.2.1\n"
                                       "ns.shop.test. 5 IN A 192.0.2.2\n");
    assert_answer(f, "shop.test", DNS_SOA,
                  "shop.test. 5 IN SOA ns.shop.test. hostmaster.shop.test. 42 3600 600 86400 5\n");
    f->config.server_count = 2;
    f->config.servers[0] = "a.ns.example";
    f->config.servers[1] = "b.ns.example.";
    assert_answer(f, "shop.test", DNS_NS,
                  "shop.test. 5 IN NS a.ns.example.\nshop.test. 5 IN NS b.ns.example.\n");
    assert_string_equal(f->additional, "");
    assert_int_equal(ask(f, "ns.shop.test", DNS_A), DNS_NXDOMAIN);
}

/* A view is made whole or not at all, wherever memory ends; nothing leaks. */
static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    set_nodes(f, 12);
    for (size_t i = 0; i < 12; i++)
        server_of(f, i)->weight = (uint32_t)i;
    assert_string_equal(set_records(f, "mail A 192.0.2.1\n"), "");
    unsigned failures = 0;
    for (;; failures++) {
        mem_fail_after(failures + 1);
        struct name_view *v = name_view_new(&f->config, f->roster, f->records, NULL);
        mem_fail_after(0);
        name_view_unref(v);
        if (v)
            break;
    }
    assert_true(failures > 10);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_rotation_is_exact),
        test(test_equal_weights_take_turns),
        test(test_weights),
        test(test_one_weight_far_above_the_others),
        test(test_random_passes_over_weights),
        test(test_two_choices_spare_the_loaded),
        test(test_two_choices_know_who_is_level),
        test(test_least_users),
        test(test_nodes_behind_one_address_have_its_weight_together),
        test(test_nobody_is_up),
        test(test_who_takes_no_new_clients),
        test(test_group),
        test(test_sites),
        test(test_networks),
        test(test_srv),
        test(test_https),
        test(test_name_servers),
        test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
