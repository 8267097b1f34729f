/* roster_json_test.c - the snapshot as clients read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/roster/roster.h"
#include "stead/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct roster *sample(void)
{
    struct roster *r = roster_blank(2, ENTRY_SERVERS_MAX);
    assert_non_null(r);
    strcpy(r->farm, "shop");
    r->revision = 17;
    for (size_t i = 0; i < 2; i++) {
        struct roster_node *n = &r->nodes[i];
        struct entry *e = n->entry;
        n->status = STATUS_UP;
        e->node = 0xabc0 + i;
        snprintf(e->name, sizeof e->name, "s%zu", i);
        strcpy(e->zone, "north");
        strcpy(e->version, "0.1.0");
        e->group_count = 1;
        strcpy(e->groups[0], "blue");
        e->group_users[0] = 2;
        e->address_count = 1;
        e->addresses[0].network = NETWORK_INSIDE;
        e->addresses[0].addr = (struct addr){.family = 6, .port = 443, .ip = {0xfd, [15] = 7}};
        e->public = (struct addr){.family = 4, .port = 443, .ip = {192, 0, 2, (uint8_t)i}};
        e->server_count = (uint8_t)(i + 1);
        for (size_t j = 0; j <= i; j++) {
            struct server *s = &e->servers[j];
            strcpy(s->service, j == 0 ? "shop.example" : "chat.example");
            strcpy(s->backup, "primary");
            s->url_count = 1;
            snprintf(s->urls[0], sizeof s->urls[0], "https://s%zu.example/", i);
            s->weight = 10;
            s->capacity = 5;
            s->users = j == 0 ? 3 : 5;
            s->load = j == 0 ? 310 : LOAD_UNKNOWN;
            s->healthy = true;
        }
    }
    return r;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct roster *r = sample(), *back;
    char *text = roster_json(r, NULL);
    assert_non_null(text);
    assert_int_equal(roster_parse_json(text, strlen(text), &back), STEAD_OK);
    assert_string_equal(back->farm, "shop");
    assert_int_equal(back->revision, 17);
    assert_int_equal(back->count, 3);
    const struct roster_node *n = &back->nodes[1]; /* s1, chat.example: by name, then service */
    assert_string_equal(n->entry->name, "s1");
    assert_string_equal(n->entry->servers[0].service, "chat.example");
    assert_int_equal(n->entry->node, 0xabc1);
    assert_int_equal(n->status, STATUS_FULL);
    assert_int_equal(roster_server_status(n, &n->entry->servers[0]), STATUS_FULL);
    assert_int_equal(n->entry->servers[0].users, 5);
    assert_int_equal(n->entry->servers[0].weight, 10);
    assert_string_equal(n->entry->groups[0], "blue");
    assert_int_equal(n->entry->group_users[0], 2);
    assert_int_equal(n->entry->servers[0].load, LOAD_UNKNOWN);
    assert_int_equal(back->nodes[0].entry->servers[0].load, 310);
    assert_int_equal(n->entry->address_count, 1);
    assert_true(addr_equal(&n->entry->addresses[0].addr, &r->nodes[1].entry->addresses[0].addr));
    assert_true(addr_equal(&n->entry->public, &r->nodes[1].entry->public));
    assert_string_equal(n->entry->servers[0].backup, "primary");
    char *again = roster_json(back, NULL);
    assert_non_null(strstr(again, "\"status\":\"full\""));
    assert_int_equal(strlen(again), strlen(text)); /* only the order is another */
    free(again);
    free(text);
    roster_unref(back);
    roster_unref(r);
}

static void test_stable_and_by_service(void **state)
{
    (void)state;
    struct roster *r = sample(), *back;
    char *one = roster_json(r, "chat.example"), *two = roster_json(r, "chat.example");
    assert_string_equal(one, two);
    assert_int_equal(roster_parse_json(one, strlen(one), &back), STEAD_OK);
    assert_int_equal(back->count, 1);
    roster_unref(back);
    free(one);
    free(two);
    one = roster_json(r, "nobody");
    assert_string_equal(one, "{\"farm\":\"shop\",\"revision\":17,\"retry_window_ms\":200,"
                             "\"servers\":[]}");
    free(one);
    roster_unref(r);
}

static int parse(const char *text)
{
    struct roster *r = NULL;
    int rc = roster_parse_json(text, strlen(text), &r);
    assert_true((rc == STEAD_OK) == (r != NULL));
    roster_unref(r);
    return rc;
}

#define SERVER(more)                                                                               \
    "{\"farm\":\"f\",\"revision\":1,\"servers\":[{\"name\":\"a\",\"service\":\"s\","               \
    "\"status\":\"up\",\"urls\":[\"http://a/\"]" more "}]}"

static void test_strict_and_tolerant(void **state)
{
    (void)state;
    assert_int_equal(parse(SERVER("")), STEAD_OK);
    assert_int_equal(parse(SERVER(",\"colour\":[1,{}]")), STEAD_OK);
    static const char *const bad[] = {
        "",
        "[]",
        "null",
        "{}",
        "{\"farm\":\"f\",\"revision\":1}",
        "{\"farm\":1,\"revision\":1,\"servers\":[]}",
        "{\"farm\":\"f\",\"revision\":-1,\"servers\":[]}",
        "{\"farm\":\"f\",\"revision\":1,\"servers\":[null]}",
        "{\"farm\":\"f\",\"revision\":1,\"servers\":[{}]}",
        "{\"farm\":\"f\",\"revision\":1,\"servers\":[]} x",
        SERVER(",\"weight\":-1"),
        SERVER(",\"weight\":\"1\""),
        SERVER(",\"users\":4294967296"),
        SERVER(",\"users\":1.5"),
        SERVER(",\"node\":\"xyz\""),
        SERVER(",\"address\":\"nowhere\""),
        SERVER(",\"addresses\":\"192.0.2.1:80\""),
        SERVER(",\"addresses\":[\"nowhere\"]"),
        SERVER(",\"addresses\":[1]"),
        SERVER(",\"addresses\":[\"1.2.3.4:1\",\"1.2.3.4:2\",\"1.2.3.4:3\",\"1.2.3.4:4\",\"1.2.3.4:"
               "5\"]"),
        SERVER(",\"load\":1001"),
        SERVER(",\"load\":\"1\""),
        SERVER(",\"group_users\":[]"),
        SERVER(",\"groups\":[\"a\"],\"group_users\":{\"a\":-1}"),
        SERVER(",\"groups\":\"g\""),
        SERVER(",\"groups\":[\"a\",\"b\",\"c\",\"d\",\"e\"]"),
        SERVER(",\"groups\":[1]"),
        SERVER(",\"zone\":\"a b\""),
        SERVER(",\"version\":\"0123456789abcdef\""),
        SERVER(",\"name\":\"a\""), /* said twice */
        "{\"farm\":\"f\",\"revision\":1,\"servers\":[{\"name\":\"a\",\"service\":\"s\","
        "\"status\":\"fine\",\"urls\":[]}]}",
        "{\"farm\":\"f\",\"revision\":1,\"servers\":[{\"name\":\"a\",\"service\":\"s\","
        "\"status\":\"up\",\"urls\":[\"javascript:alert(1)\"]}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse(bad[i]), STEAD_E_PARSE);
}

static void test_limits(void **state)
{
    (void)state;
    static char text[64 * 1024];
    struct roster *r = NULL;
    size_t at =
        (size_t)snprintf(text, sizeof text, "{\"farm\":\"f\",\"revision\":1,\"servers\":[0");
    for (size_t i = 0; i < ROSTER_JSON_SERVERS_MAX; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, ",0");
    at += (size_t)snprintf(text + at, sizeof text - at, "]}");
    assert_int_equal(roster_parse_json(text, at, &r), STEAD_E_TOO_LARGE);
    assert_int_equal(roster_parse_json(text, ROSTER_JSON_BYTES_MAX + 1u, &r), STEAD_E_TOO_LARGE);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_stable_and_by_service),
        cmocka_unit_test(test_strict_and_tolerant),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
