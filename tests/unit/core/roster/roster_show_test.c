/* roster_show_test.c - what is shown of a snapshot, and of the difference of two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/roster/retry_window.h"
#include "core/roster/roster_show.h"
#include "stead/error.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define NODES 4

/* n0 .. n3: each serves shop, n1 chat too. */
static struct roster *sample(uint64_t revision)
{
    struct roster *r = roster_blank(NODES, 2);
    assert_non_null(r);
    strcpy(r->farm, "f");
    r->revision = revision;
    for (size_t i = 0; i < NODES; i++) {
        struct roster_node *n = &r->nodes[i];
        struct entry *e = n->entry;
        n->status = STATUS_UP;
        e->inc = i + 1;
        e->node = i + 1;
        snprintf(e->name, sizeof e->name, "n%zu", i);
        e->public = (struct addr){.family = 4, .port = 80, .ip = {10, 0, 0, (uint8_t)i}};
        e->address_count = 1;
        e->addresses[0].network = NETWORK_OUTSIDE;
        e->addresses[0].addr =
            (struct addr){.family = 4, .port = 80, .ip = {192, 0, 2, (uint8_t)i}};
        e->group_count = 1;
        strcpy(e->groups[0], "blue");
        e->group_users[0] = 1;
        e->server_count = i == 1 ? 2 : 1;
        for (size_t j = 0; j < e->server_count; j++) {
            struct server *s = &e->servers[j];
            strcpy(s->service, j == 0 ? "shop" : "chat");
            strcpy(s->urls[0], "http://n.example");
            s->url_count = 1;
            s->weight = 100;
            s->users = 40;
            s->capacity = 100;
            s->load = LOAD_UNKNOWN;
            s->healthy = true;
        }
    }
    return r;
}

/* The same entries, as the next snapshot of a node shares them. */
static struct roster *successor(struct roster *r)
{
    struct roster *next = roster_new(r->count);
    assert_non_null(next);
    strcpy(next->farm, r->farm);
    next->revision = r->revision + 1;
    for (size_t i = 0; i < r->count; i++) {
        next->nodes[i] = r->nodes[i];
        entry_ref(r->nodes[i].entry);
    }
    return next;
}

/* Makes a node's entry another one, to be changed. */
static struct entry *own(struct roster *r, size_t node)
{
    struct entry *was = r->nodes[node].entry;
    struct entry *now = entry_new(was);
    assert_non_null(now);
    now->revision++;
    entry_unref(was);
    return r->nodes[node].entry = now;
}

static json_t *whole(const struct roster *r, const struct roster_show *show)
{
    size_t len;
    char *text = roster_show_json(r, show, &len);
    assert_non_null(text);
    assert_int_equal(len, strlen(text));
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    mem_free(text);
    return o;
}

static const json_t *server_at(const json_t *o, size_t i)
{
    return json_array_get(json_object_get(o, "servers"), i);
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void test_each_network_is_told_its_addresses(void **state)
{
    (void)state;
    struct roster *r = sample(1);
    struct roster_show show = {.network = NETWORK_INSIDE, .retry_window_ms = 7};
    json_t *o = whole(r, &show);
    assert_string_equal(text_of(server_at(o, 0), "address"), "10.0.0.0:80");
    assert_int_equal(json_array_size(json_object_get(server_at(o, 0), "addresses")), 1);
    assert_int_equal(json_integer_value(json_object_get(o, "retry_window_ms")), 7);
    json_decref(o);
    show.network = NETWORK_OUTSIDE;
    o = whole(r, &show);
    assert_string_equal(text_of(server_at(o, 0), "address"), "192.0.2.0:80");
    json_decref(o);
    roster_unref(r);
}

static void test_coarse_tells_no_counts(void **state)
{
    static const struct {
        uint16_t load;
        uint32_t users, capacity;
        int shown; /* -1: null */
    } cases[] = {{0, 9, 10, 0},
                 {124, 0, 0, 0},
                 {125, 0, 0, 250},
                 {1000, 0, 0, 1000},
                 {LOAD_UNKNOWN, 7, 0, -1},
                 {LOAD_UNKNOWN, 40, 100, 500},
                 {LOAD_UNKNOWN, 9, 3, 1000}};
    (void)state;
    struct roster *r = sample(1);
    struct roster_show show = {.coarse = true};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server *s = &r->nodes[0].entry->servers[0];
        s->load = cases[i].load;
        s->users = cases[i].users;
        s->capacity = cases[i].capacity;
        json_t *o = whole(r, &show);
        const json_t *shown = server_at(o, 0), *load = json_object_get(shown, "load");
        assert_null(json_object_get(shown, "users"));
        assert_null(json_object_get(shown, "capacity"));
        assert_null(json_object_get(shown, "group_users"));
        if (cases[i].shown < 0)
            assert_true(json_is_null(load));
        else
            assert_int_equal(json_integer_value(load), cases[i].shown);
        json_decref(o);
    }
    roster_unref(r);
}

/* Pages together are the whole, and no node is torn apart. */
static void test_pages(void **state)
{
    (void)state;
    struct roster *r = sample(1);
    for (size_t limit = 1; limit <= 6; limit++) {
        char after[NAME_MAX_BYTES + 1] = "";
        size_t seen = 0, pages = 0;
        bool more = true;
        while (more) {
            struct roster_show show = {.after = *after ? after : NULL, .limit = limit};
            json_t *o = whole(r, &show);
            size_t count = json_array_size(json_object_get(o, "servers"));
            const char *next = text_of(o, "next");
            assert_true(count > 0 && count <= limit + 1);
            seen += count;
            more = next != NULL;
            if (more)
                snprintf(after, sizeof after, "%s", next);
            json_decref(o);
            assert_true(++pages <= NODES);
        }
        assert_int_equal(seen, NODES + 1);
    }
    struct roster_show show = {.after = "n3", .limit = 1};
    json_t *o = whole(r, &show);
    assert_int_equal(json_array_size(json_object_get(o, "servers")), 0);
    assert_null(json_object_get(o, "next"));
    json_decref(o);
    roster_unref(r);
}

static void test_lines(void **state)
{
    (void)state;
    struct roster *r = sample(1);
    struct roster_show show = {.service = "chat"};
    size_t len;
    char *text = roster_show_text(r, &show, &len);
    assert_string_equal(text,
                        "n1\tchat\tup\t40\t100\t100\t-\tblue\t-\t10.0.0.1:80\thttp://n.example\n");
    assert_int_equal(len, strlen(text));
    mem_free(text);
    show.coarse = true;
    text = roster_show_text(r, &show, &len);
    assert_string_equal(text,
                        "n1\tchat\tup\t-\t-\t100\t500\tblue\t-\t10.0.0.1:80\thttp://n.example\n");
    mem_free(text);
    roster_unref(r);
}

static json_t *delta(const struct roster *from, const struct roster *to,
                     const struct roster_show *show, uint32_t before)
{
    char *text;
    size_t len;
    assert_int_equal(roster_delta(from, to, show, before, &text, &len), STEAD_OK);
    if (text == NULL)
        return NULL;
    assert_int_equal(len, strlen(text));
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    mem_free(text);
    return o;
}

static void test_delta_tells_what_looks_otherwise(void **state)
{
    (void)state;
    struct roster *a = sample(4), *b = successor(a);
    struct roster_show show = {.retry_window_ms = 5};
    assert_null(delta(a, b, &show, 5));
    own(b, 2)->servers[0].users = 41;
    json_t *o = delta(a, b, &show, 5);
    assert_int_equal(json_integer_value(json_object_get(o, "revision")), 5);
    assert_null(json_object_get(o, "retry_window_ms"));
    assert_int_equal(json_array_size(json_object_get(o, "servers")), 1);
    assert_string_equal(text_of(server_at(o, 0), "name"), "n2");
    assert_int_equal(json_integer_value(json_object_get(server_at(o, 0), "users")), 41);
    json_decref(o);
    assert_false(roster_delta_urgent(a, b, NULL));
    show.coarse = true; /* 40 or 41 of 100: the same quarter */
    assert_null(delta(a, b, &show, 5));
    o = delta(a, b, &show, 6);
    assert_int_equal(json_integer_value(json_object_get(o, "retry_window_ms")), 5);
    json_decref(o);
    show = (struct roster_show){.service = "chat"};
    assert_null(delta(a, b, &show, 0));
    b->nodes[1].status = STATUS_DOWN;
    o = delta(a, b, &show, 0);
    assert_string_equal(text_of(server_at(o, 0), "status"), "down");
    assert_int_equal(json_array_size(json_object_get(o, "servers")), 1);
    json_decref(o);
    assert_true(roster_delta_urgent(a, b, "chat"));
    roster_unref(a);
    roster_unref(b);
}

static void test_delta_of_nodes_that_come_and_go(void **state)
{
    (void)state;
    struct roster *all = sample(4), *less = roster_new(NODES - 1);
    assert_non_null(less);
    for (size_t i = 0, n = 0; i < NODES; i++) {
        if (i == 1)
            continue;
        less->nodes[n] = all->nodes[i];
        entry_ref(less->nodes[n++].entry);
    }
    struct roster_show show = {0};
    json_t *o = delta(all, less, &show, 0);
    const json_t *gone = json_object_get(o, "gone");
    assert_int_equal(json_array_size(gone), 2);
    assert_string_equal(text_of(json_array_get(gone, 0), "name"), "n1");
    assert_string_equal(text_of(json_array_get(gone, 1), "service"), "chat");
    assert_int_equal(json_array_size(json_object_get(o, "servers")), 0);
    json_decref(o);
    o = delta(less, all, &show, 0);
    assert_int_equal(json_array_size(json_object_get(o, "servers")), 2);
    assert_int_equal(json_array_size(json_object_get(o, "gone")), 0);
    json_decref(o);
    assert_true(roster_delta_urgent(less, all, NULL));
    roster_unref(all);
    roster_unref(less);
}

static void test_server_that_leaves_its_node(void **state)
{
    (void)state;
    struct roster *a = sample(4), *b = successor(a);
    own(b, 1)->server_count = 1;
    struct roster_show show = {0};
    json_t *o = delta(a, b, &show, 0);
    assert_int_equal(json_array_size(json_object_get(o, "servers")), 0);
    assert_string_equal(text_of(json_array_get(json_object_get(o, "gone"), 0), "service"), "chat");
    json_decref(o);
    assert_true(roster_delta_urgent(a, b, NULL));
    roster_unref(a);
    roster_unref(b);
}

static void test_what_is_urgent(void **state)
{
    (void)state;
    struct roster *a = sample(4), *b = successor(a);
    struct entry *e = own(b, 0);
    assert_false(roster_delta_urgent(a, b, NULL));
    e->servers[0].users = 100; /* full by now */
    assert_true(roster_delta_urgent(a, b, NULL));
    assert_false(roster_delta_urgent(a, b, "chat"));
    e->servers[0].users = 40;
    e->servers[0].weight = 0;
    assert_true(roster_delta_urgent(a, b, NULL));
    e->servers[0].weight = 100;
    e->shape = 9;
    assert_true(roster_delta_urgent(a, b, NULL));
    roster_unref(a);
    roster_unref(b);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct roster *a = sample(4), *b = successor(a);
    struct roster_show show = {0};
    char *text;
    size_t len;
    unsigned failures = 0;
    own(b, 1)->servers[1].users = 41;
    for (unsigned n = 1;; n++, failures++) {
        mem_fail_after(n);
        int err = roster_delta(a, b, &show, 1, &text, &len);
        mem_fail_after(0);
        if (err == STEAD_OK)
            break;
        assert_int_equal(err, STEAD_E_NOMEM);
        assert_null(text);
    }
    assert_true(failures >= 4);
    mem_free(text);
    mem_fail_after(1);
    assert_null(roster_show_json(a, &show, &len));
    mem_fail_after(1);
    assert_null(roster_show_text(a, &show, &len));
    mem_fail_after(0);
    roster_unref(a);
    roster_unref(b);
}

static uint32_t window(struct roster *r, uint32_t users)
{
    const struct retry_limits limits = {100, 30000, 500};
    r->nodes[3].entry->servers[0].users = users;
    return retry_window(r, "shop", &limits);
}

static void test_retry_window(void **state)
{
    (void)state;
    struct roster *r = sample(1);
    assert_int_equal(window(r, 0), 100);   /* 40 at the others: 80 ms */
    assert_int_equal(window(r, 100), 224); /* 200 in steps of 32 */
    assert_int_equal(window(r, 1000), 2048);
    assert_int_equal(window(r, 4294967295u), 30000);
    uint32_t before = 0;
    for (uint32_t users = 0; users < 20000; users += 17) {
        uint32_t now = window(r, users);
        assert_true(now >= before);                    /* grows */
        assert_true(now >= users * 2 || now == 30000); /* never too short */
        assert_true(now <= 100 || now <= users * 2 * 5 / 4 || now <= 40 * 2 * 5 / 4);
        before = now;
    }
    r->nodes[3].status = STATUS_DOWN; /* its users are elsewhere by now */
    assert_int_equal(window(r, 10000), 100);
    const struct retry_limits none = {100, 200, 0};
    assert_int_equal(retry_window(r, NULL, &none), 100);
    roster_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_network_is_told_its_addresses),
        cmocka_unit_test(test_coarse_tells_no_counts),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_delta_tells_what_looks_otherwise),
        cmocka_unit_test(test_delta_of_nodes_that_come_and_go),
        cmocka_unit_test(test_server_that_leaves_its_node),
        cmocka_unit_test(test_what_is_urgent),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_retry_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
