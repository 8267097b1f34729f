/* name_target_test.c - whom the names of a zone lead to, by rosters made by hand. The farm of most
 * tests: s1 to s4 have a server each, d1 and d2 only direct. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/name/name_answer.h"

#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define ID 7

static struct name_config config = {
    .zone_count = 2,
    .zones = {"shop.test", "Deep.shop.test"},
    .service_count = 3,
    .services = {{.id = "shop", .name = "www.Shop.test", .mode = NAME_SERVERS},
                 {.id = "shop", .name = "go.shop.test", .mode = NAME_DIRECTORS},
                 {.id = "shop", .name = "any.a.deep.shop.test", .mode = NAME_BOTH}},
    .ttl_s = 5,
    .addresses = 8,
};
static struct name_stats stats;
static uint8_t out[4096];
static size_t out_len;

struct farm {
    struct roster *r;
};

static struct roster_node *node(struct roster *r, size_t i, const char *name, const char *public)
{
    struct roster_node *n = &r->nodes[i];
    n->status = STATUS_UP;
    strcpy(n->entry->name, name);
    assert_true(addr_parse("192.0.2.250:7000", 1, &n->entry->address));
    if (public)
        assert_true(addr_parse(public, 80, &n->entry->public));
    return n;
}

static struct server *serve(struct roster_node *n, const char *url, const char *backup)
{
    struct server *s = &n->entry->servers[n->entry->server_count++];
    *s = (struct server){.url_count = 1, .weight = 10, .healthy = true};
    strcpy(s->service, "shop");
    strcpy(s->urls[0], url);
    strcpy(s->backup, backup);
    return s;
}

static int setup(void **state)
{
    static struct farm f;
    f.r = roster_blank(6, ENTRY_SERVERS_MAX);
    if (!f.r)
        return -1;
    memset(&stats, 0, sizeof stats);
    f.r->revision = 42;
    node(f.r, 0, "d1", "192.0.2.101:80");
    node(f.r, 1, "d2", "192.0.2.102:80");
    serve(node(f.r, 2, "s1", "192.0.2.1:80"), "http://S1.shop.test:8080", "s2");
    serve(node(f.r, 3, "s2", "192.0.2.2:80"), "https://s2.shop.test", "primary");
    serve(node(f.r, 4, "s3", "192.0.2.3:80"), "http://s3.low.shop.test", "s9");
    serve(node(f.r, 5, "s4", "[2001:db8::4]:80"), "http://s4.shop.test", "");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    roster_unref(((struct farm *)*state)->r);
    return 0;
}

static struct roster *farm(void **state)
{
    return ((struct farm *)*state)->r;
}

static unsigned be16(size_t at)
{
    return (unsigned)out[at] << 8 | out[at + 1];
}

/* One query by UDP, from 198.51.100.1; its bytes are in out, and then the answer's. */
static void answer(const struct roster *r, size_t len, uint64_t chance)
{
    struct name_asker by = {.chance = chance};
    struct name_view *v = name_view_new(&config, r, NULL, NULL);
    assert_non_null(v);
    assert_true(addr_parse("198.51.100.1:53", 0, &by.from));
    out_len = name_answer(v, &by, out, len, sizeof out, &stats);
    name_view_unref(v);
}

/* The answer's rcode; its bytes are in out. */
static unsigned ask(const struct roster *r, const char *name, uint16_t type, uint64_t chance)
{
    size_t len = dns_build_query(out, sizeof out, ID, name, type);
    assert_true(len > 0);
    answer(r, len, chance);
    assert_true(out_len > 12 && out_len <= DNS_UDP_MAX);
    assert_int_equal(be16(0), ID);
    return be16(2) & 15;
}

/* The last bytes of the addresses in the answer, as text: "1 2 3". */
static const char *addresses(const struct roster *r, const char *name, uint16_t type,
                             uint64_t chance)
{
    static char text[128];
    struct addr found[16];
    size_t count, n = 0;
    text[0] = 0;
    assert_int_equal(ask(r, name, type, chance), DNS_NOERROR);
    int err = dns_parse_addresses(out, out_len, ID, name, type, found, 16, &count);
    assert_true(err == STEAD_OK || err == STEAD_E_ABSENT);
    for (size_t i = 0; i < count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, i ? " %u" : "%u",
                              found[i].ip[type == DNS_A ? 3 : 15]);
    return text;
}

static void test_service_leads_to_servers_in_turn(void **state)
{
    struct roster *r = farm(state);
    assert_string_equal(addresses(r, "www.shop.test", DNS_A, 0), "1 2 3");
    assert_string_equal(addresses(r, "WWW.sHop.test", DNS_A, 1), "2 3 1");
    assert_string_equal(addresses(r, "www.shop.test", DNS_A, 5), "3 1 2");
    assert_string_equal(addresses(r, "www.shop.test", DNS_AAAA, 9), "4");
    assert_int_equal(be16(2) & 0x0400, 0x0400); /* AA */
    assert_int_equal(stats.last_resort, 0);
}

static void test_service_avoids_who_cannot_take_clients(void **state)
{
    struct roster *r = farm(state);
    r->nodes[2].status = STATUS_DRAINING;
    r->nodes[3].entry->servers[0].healthy = false;
    assert_string_equal(addresses(r, "www.shop.test", DNS_A, 0), "3");
    r->nodes[4].entry->servers[0].weight = 0;
    /* s4 is up still, but has no IPv4 address */
    assert_string_equal(addresses(r, "www.shop.test", DNS_A, 0), "");
    assert_int_equal(be16(8), 1); /* NODATA comes with the SOA */
}

static void test_service_with_nobody_up(void **state)
{
    struct roster *r = farm(state);
    for (size_t i = 0; i < r->count; i++)
        r->nodes[i].status = STATUS_DOWN;
    r->nodes[3].status = STATUS_SUSPECT;
    assert_string_equal(addresses(r, "www.shop.test", DNS_A, 0), "2");
    assert_int_equal(stats.last_resort, 1);
    r->nodes[3].status = STATUS_LEFT;
    assert_string_equal(addresses(r, "www.shop.test", DNS_A, 0), "1 3");
    for (size_t i = 0; i < r->count; i++)
        r->nodes[i].status = STATUS_LEFT;
    assert_string_equal(addresses(r, "www.shop.test", DNS_A, 0), "");
}

static void test_directors_and_both(void **state)
{
    struct roster *r = farm(state);
    assert_string_equal(addresses(r, "go.shop.test", DNS_A, 0), "101 102");
    assert_string_equal(addresses(r, "any.a.deep.shop.test", DNS_A, 1), "102 1 2 3 101");
    r->nodes[0].status = r->nodes[1].status = STATUS_SUSPECT;
    assert_string_equal(addresses(r, "go.shop.test", DNS_A, 0), "1 2 3");
    r->nodes[0].status = STATUS_UP;
    r->nodes[0].entry->public.family = 0; /* it directs nobody without a public listener */
    assert_string_equal(addresses(r, "go.shop.test", DNS_A, 0), "1 2 3");
}

static void test_own_name_of_a_server(void **state)
{
    struct roster *r = farm(state);
    static const enum status serving[] = {STATUS_UP, STATUS_DRAINING, STATUS_SUSPECT,
                                          STATUS_JOINING};
    for (size_t i = 0; i < 4; i++) {
        r->nodes[2].status = serving[i];
        assert_string_equal(addresses(r, "s1.SHOP.test", DNS_A, 0), "1");
    }
    r->nodes[2].entry->servers[0].healthy = false;
    assert_string_equal(addresses(r, "s1.shop.test", DNS_A, 0), "1");
    r->nodes[2].status = STATUS_DOWN;
    assert_string_equal(addresses(r, "s1.shop.test", DNS_A, 0), "2"); /* its backup */
    r->nodes[3].status = STATUS_DOWN;
    assert_string_equal(addresses(r, "s1.shop.test", DNS_A, 0), "3"); /* whoever serves */
    assert_string_equal(addresses(r, "s2.shop.test", DNS_A, 0), "3"); /* backup "primary" */
    r->nodes[4].status = STATUS_DOWN;
    assert_string_equal(addresses(r, "s3.low.shop.test", DNS_AAAA, 0), "4"); /* backup unknown */
}

static void test_renamed_node(void **state)
{
    struct roster *r = farm(state);
    strcpy(r->nodes[3].entry->servers[0].urls[0], "http://s1.shop.test:8080");
    assert_string_equal(addresses(r, "s1.shop.test", DNS_A, 0), "1");
    r->nodes[2].status = STATUS_DOWN;
    strcpy(r->nodes[2].entry->servers[0].backup, "d1");
    assert_string_equal(addresses(r, "s1.shop.test", DNS_A, 0), "2");
}

static void test_apex(void **state)
{
    struct roster *r = farm(state);
    assert_int_equal(ask(r, "shop.test", DNS_SOA, 0), DNS_NOERROR);
    assert_int_equal(be16(6), 1);
    assert_memory_equal(out + 12 + 15 + 12, "\2ns\4shop\4test", 14);
    assert_int_equal(ask(r, "shop.test", DNS_NS, 0), DNS_NOERROR);
    assert_int_equal(be16(6), 1);
    assert_string_equal(addresses(r, "ns.shop.test", DNS_A, 0), "101 102 1 2 3");
    assert_string_equal(addresses(r, "shop.test", DNS_A, 0), "");
    assert_int_equal(be16(8), 1);
    assert_int_equal(ask(r, "deep.shop.test", DNS_SOA, 0), DNS_NOERROR);
    assert_int_equal(be16(6), 1);
}

static void test_negative_answers(void **state)
{
    struct roster *r = farm(state);
    static const char *const unknown[] = {"no.shop.test", "x.www.shop.test", "ns.www.shop.test",
                                          "xs1.shop.test"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ask(r, unknown[i], DNS_A, 0), DNS_NXDOMAIN);
        assert_int_equal(be16(8), 1);
        assert_int_equal(be16(6), 0);
    }
    /* Names above others exist: a resolver would take NXDOMAIN for all that is below. */
    assert_int_equal(ask(r, "low.shop.test", DNS_A, 0), DNS_NOERROR);
    assert_int_equal(ask(r, "a.deep.shop.test", DNS_A, 0), DNS_NOERROR);
    assert_int_equal(be16(8), 1);
    assert_int_equal(ask(r, "www.shop.test", DNS_TXT, 0), DNS_NOERROR);
    assert_int_equal(be16(6), 0);
    assert_int_equal(be16(8), 1);
    assert_int_equal(ask(r, "www.shop.test", DNS_ANY, 0), DNS_NOERROR);
    assert_int_equal(be16(6), 1);
    assert_int_equal(be16(12 + 19 + 2), 13); /* HINFO */
}

static void test_refused(void **state)
{
    struct roster *r = farm(state);
    static const char *const outside[] = {"", "test", "shop.example", "xshop.test",
                                          "www.shop.test.x"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ask(r, outside[i], DNS_A, 0), DNS_REFUSED);
        assert_int_equal(be16(2) & 0x0400, 0);
        assert_int_equal(be16(6) + be16(8), 0);
    }
    assert_int_equal(ask(r, "shop.test", 252, 0), DNS_REFUSED); /* no transfers */
    assert_int_equal(ask(r, "shop.test", DNS_OPT, 0), DNS_FORMERR);
    static const uint8_t chaos[] = "\0\7\0\0\0\1\0\0\0\0\0\0\7version\4bind\0\0\x10\0\3";
    memcpy(out, chaos, sizeof chaos);
    answer(r, sizeof chaos - 1, 0);
    assert_int_equal(be16(2) & 15, DNS_REFUSED);
    answer(r, out_len, 0); /* an answer is no query */
    assert_int_equal(out_len, 0);
    answer(r, 11, 0);
    assert_int_equal(out_len, 0);
    assert_int_equal(stats.dropped, 2);
}

static void test_many_nodes(void **state)
{
    (void)state;
    struct roster *r = roster_blank(300, ENTRY_SERVERS_MAX);
    unsigned seen[3] = {0};
    assert_non_null(r);
    for (size_t i = 0; i < 300; i++) {
        char name[16], public[32];
        snprintf(name, sizeof name, "n%03zu", i);
        /* three addresses in all: nodes that share one are named once */
        snprintf(public, sizeof public, "192.0.2.%zu:80", i % 3);
        serve(node(r, i, name, public), "http://x.shop.test", "");
    }
    for (uint64_t chance = 0; chance < 300; chance++) {
        const char *text = addresses(r, "www.shop.test", DNS_A, chance);
        assert_int_equal(strlen(text), 5);
        seen[text[0] - '0']++;
    }
    assert_true(seen[0] == 100 && seen[1] == 100 && seen[2] == 100);
    for (size_t i = 0; i < 300; i++)
        r->nodes[i].entry->public.ip[2] = (uint8_t)i;
    ask(r, "www.shop.test", DNS_A, UINT64_MAX);
    assert_int_equal(be16(6), config.addresses);
    roster_unref(r);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_service_leads_to_servers_in_turn),
        test(test_service_avoids_who_cannot_take_clients),
        test(test_service_with_nobody_up),
        test(test_directors_and_both),
        test(test_own_name_of_a_server),
        test(test_renamed_node),
        test(test_apex),
        test(test_negative_answers),
        test(test_refused),
        test(test_many_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
