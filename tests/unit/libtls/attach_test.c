/* attach_test.c - clients that come back to another server of the set, before a node that may be
 * slow, wrong or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fake_node.h"
#include "libtls/attached.h"
#include "tls_pair.h"

#include <sys/wait.h>

/* Two servers that speak to one farm. */
struct farm {
    struct fake_node *node;
    struct identity id;
    SSL_CTX *a, *b;
    int lost, back;
};

static void tell(void *context, enum stead_tls_event event)
{
    struct farm *f = context;
    if (event == STEAD_TLS_NODE_LOST)
        f->lost++;
    else
        f->back++;
}

static struct stead_tls_options options_of(struct farm *f)
{
    return (struct stead_tls_options){.size = sizeof(struct stead_tls_options),
                                      .node = f->node->where,
                                      .set = "shop",
                                      .deadline_ms = 200,
                                      .tell = tell,
                                      .tell_context = f};
}

static void farm_open(struct farm *f, bool single_use, bool events)
{
    *f = (struct farm){.node = node_new(), .id = identity_new("server")};
    struct stead_tls_options o = options_of(f);
    o.single_use = single_use;
    o.event_driven = events;
    f->a = server_new(&f->id);
    f->b = server_new(&f->id);
    assert_int_equal(stead_tls_attach(f->a, &o), STEAD_OK);
    assert_int_equal(stead_tls_attach(f->b, &o), STEAD_OK);
}

static void farm_close(struct farm *f, bool runs)
{
    SSL_CTX_free(f->a);
    SSL_CTX_free(f->b);
    identity_free(&f->id);
    node_free(f->node, runs);
}

static struct stead_tls_stats stats_of(SSL_CTX *ctx)
{
    struct stead_tls_stats s = {.size = sizeof s};
    stead_tls_stats(ctx, &s);
    return s;
}

/* What was sent without waiting is there. */
static void settle(SSL_CTX *ctx, uint64_t kept)
{
    struct timespec ms = {.tv_nsec = 1000000};
    for (int i = 0; i < 5000 && stats_of(ctx).kept < kept; i++)
        nanosleep(&ms, NULL);
    assert_int_equal(stats_of(ctx).kept, kept);
}

static const struct {
    const char *name;
    int version;
    bool tickets, single_use;
    uint64_t kept; /* sessions that a full handshake stores */
} ways[] = {{"1.2 ids", TLS1_2_VERSION, false, false, 1},
            {"1.2 tickets", TLS1_2_VERSION, true, false, 0},
            {"1.3 tickets", TLS1_3_VERSION, true, false, 0},
            {"1.2 ids, no tickets", TLS1_2_VERSION, true, true, 1},
            {"1.3 single use", TLS1_3_VERSION, true, true, 2}};
#define WAYS (sizeof ways / sizeof *ways)

static void every_way_is_resumed_elsewhere(void **state)
{
    struct farm f;
    (void)state;
    for (int events = 0; events <= 1; events++) {
        for (size_t i = 0; i < WAYS; i++) {
            SSL_SESSION *s, *next;
            farm_open(&f, ways[i].single_use, events);
            SSL_CTX *client = client_new(ways[i].version, ways[i].tickets);
            assert_false(visit(client, f.a, NULL, &s));
            settle(f.a, ways[i].kept);
            assert_true(visit(client, f.b, s, &next));
            struct stead_tls_stats b = stats_of(f.b);
            assert_int_equal(b.tickets_opened, !ways[i].kept);
            assert_int_equal(b.found_local, ways[i].kept != 0);
            assert_true(b.has_keys && b.node_answers);
            bool once = ways[i].single_use && ways[i].version == TLS1_3_VERSION;
            assert_int_equal(visit(client, f.a, s, NULL), !once);
            assert_int_equal(visit(client, f.b, s, NULL), !once);
            if (once)
                settle(f.b, 3);
            assert_true(visit(client, f.a, next, NULL));
            SSL_SESSION_free(s);
            SSL_SESSION_free(next);
            SSL_CTX_free(client);
            assert_int_equal(f.lost, 0);
            farm_close(&f, true);
        }
    }
}

static void a_second_hello_resumes_too(void **state)
{
    struct farm f;
    SSL_SESSION *s;
    (void)state;
    for (int events = 0; events <= 1; events++) {
        farm_open(&f, true, events);
        SSL_CTX *client = client_new(TLS1_3_VERSION, true);
        assert_int_equal(SSL_CTX_set1_groups_list(client, "P-384:P-256"), 1);
        assert_int_equal(SSL_CTX_set1_groups_list(f.b, "P-256"), 1);
        assert_false(visit(client, f.a, NULL, &s));
        settle(f.a, 2);
        assert_true(visit(client, f.b, s, NULL));
        SSL_SESSION_free(s);
        SSL_CTX_free(client);
        farm_close(&f, true);
    }
}

static void sessions_of_another_context_are_refused(void **state)
{
    struct farm f;
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        SSL_SESSION *s;
        farm_open(&f, ways[i].single_use, false);
        SSL_CTX *client = client_new(ways[i].version, ways[i].tickets);
        struct stead_tls_options o = options_of(&f);
        SSL_CTX *other = server_new(&f.id), *strict = server_new(&f.id), *bank = server_new(&f.id);
        o.single_use = ways[i].single_use;
        o.session_id_context = "other";
        o.session_id_context_len = 5;
        assert_int_equal(stead_tls_attach(other, &o), STEAD_OK);
        o.session_id_context = NULL;
        o.session_id_context_len = 0;
        SSL_CTX_set_verify(strict, SSL_VERIFY_PEER, NULL);
        assert_int_equal(stead_tls_attach(strict, &o), STEAD_OK);
        o.set = "bank";
        assert_int_equal(stead_tls_attach(bank, &o), STEAD_OK);
        assert_false(visit(client, f.a, NULL, &s));
        settle(f.a, ways[i].kept);
        assert_false(visit(client, other, s, NULL));
        assert_false(visit(client, strict, s, NULL));
        if (ways[i].kept) /* the fake node's keys are the same for all sets */
            assert_false(visit(client, bank, s, NULL));
        assert_true(visit(client, f.b, s, NULL));
        SSL_SESSION_free(s);
        SSL_CTX_free(client);
        SSL_CTX_free(other);
        SSL_CTX_free(strict);
        SSL_CTX_free(bank);
        farm_close(&f, true);
    }
}

static void a_silent_node_costs_the_deadline_once(void **state)
{
    struct farm f;
    SSL_SESSION *s;
    (void)state;
    for (int events = 0; events <= 1; events++) {
        farm_open(&f, true, events);
        SSL_CTX *client = client_new(TLS1_3_VERSION, true);
        assert_false(visit(client, f.a, NULL, &s));
        settle(f.a, 2);
        atomic_store(&f.node->mood, NODE_SILENT);
        int asked = atomic_load(&f.node->asked);
        assert_false(visit(client, f.b, s, NULL));
        assert_int_equal(stats_of(f.b).late, 1);
        assert_int_equal(stats_of(f.b).node_answers, 0);
        assert_int_equal(f.lost, 1);
        assert_true(atomic_load(&f.node->asked) > asked);
        /* For a while it is not asked at all. */
        asked = atomic_load(&f.node->asked);
        assert_false(visit(client, f.b, s, NULL));
        assert_int_equal(stats_of(f.b).late, 2);
        assert_int_equal(atomic_load(&f.node->asked), asked);
        SSL_SESSION_free(s);
        SSL_CTX_free(client);
        farm_close(&f, true);
    }
}

static void damaged_answers_are_full_handshakes(void **state)
{
    struct farm f;
    SSL_SESSION *s;
    (void)state;
    farm_open(&f, true, false);
    SSL_CTX *client = client_new(TLS1_2_VERSION, true);
    assert_false(visit(client, f.a, NULL, &s));
    settle(f.a, 1);
    atomic_store(&f.node->mood, NODE_GARBAGE);
    assert_false(visit(client, f.b, s, NULL));
    assert_int_equal(stats_of(f.b).damaged, 1);
    atomic_store(&f.node->mood, NODE_REFUSING);
    assert_false(visit(client, f.b, s, NULL));
    assert_int_equal(stats_of(f.b).late, 1);
    atomic_store(&f.node->mood, NODE_WELL);
    assert_true(visit(client, f.b, s, NULL));
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
    farm_close(&f, true);
}

static void without_a_node_keys_go_on(void **state)
{
    struct farm f;
    SSL_SESSION *ticket, *id;
    (void)state;
    farm_open(&f, false, false);
    SSL_CTX *tickets = client_new(TLS1_3_VERSION, true), *ids = client_new(TLS1_2_VERSION, false);
    assert_false(visit(tickets, f.a, NULL, &ticket));
    assert_false(visit(ids, f.a, NULL, &id));
    settle(f.a, 1);
    node_stop(f.node);
    assert_true(visit(tickets, f.b, ticket, NULL));
    assert_false(visit(ids, f.b, id, NULL));
    assert_int_equal(f.lost, 1);
    assert_int_equal(stats_of(f.b).late, 1);
    assert_true(stats_of(f.b).unkept >= 1);
    node_start(f.node);
    assert_true(visit(ids, f.b, id, NULL));
    assert_int_equal(f.back, 1);
    SSL_SESSION_free(ticket);
    SSL_SESSION_free(id);
    SSL_CTX_free(tickets);
    SSL_CTX_free(ids);
    farm_close(&f, true);
}

static void who_begins_without_a_node_gets_keys_later(void **state)
{
    struct farm f;
    SSL_SESSION *s;
    struct timespec wait = {.tv_sec = 1, .tv_nsec = 100000000};
    (void)state;
    farm_open(&f, false, false);
    node_stop(f.node);
    struct stead_tls_options o = options_of(&f);
    SSL_CTX *late = server_new(&f.id), *client = client_new(TLS1_3_VERSION, true);
    assert_int_equal(stead_tls_attach(late, &o), STEAD_OK);
    assert_int_equal(stats_of(late).has_keys, 0);
    assert_int_equal(stats_of(late).keys_failed, 1);
    assert_false(visit(client, late, NULL, &s));
    SSL_SESSION_free(s);
    node_start(f.node);
    nanosleep(&wait, NULL);
    for (int i = 0; i < 200 && !stats_of(late).has_keys; i++) {
        visit(client, late, NULL, NULL);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_false(visit(client, late, NULL, &s));
    assert_true(visit(client, f.b, s, NULL));
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
    SSL_CTX_free(late);
    farm_close(&f, true);
}

/* a has the newer keys, b does not know of them yet; what b sealed opens at a. */
static void keys_change(void **state)
{
    struct farm f;
    SSL_SESSION *old, *fresh;
    (void)state;
    farm_open(&f, false, false);
    SSL_CTX *client = client_new(TLS1_2_VERSION, true);
    assert_false(visit(client, f.b, NULL, &old));
    atomic_fetch_add(&f.node->period, 1);
    stead_tls_detach(f.a);
    struct stead_tls_options o = options_of(&f);
    assert_int_equal(stead_tls_attach(f.a, &o), STEAD_OK);
    assert_true(visit(client, f.a, old, &fresh));
    assert_false(visit(client, f.b, fresh, NULL)); /* it was sealed anew */
    assert_int_equal(stats_of(f.b).tickets_unknown, 1);
    assert_true(visit(client, f.a, fresh, NULL));
    SSL_SESSION_free(old);
    SSL_SESSION_free(fresh);
    SSL_CTX_free(client);
    farm_close(&f, true);
}

/* The keys that a has are of long ago: the next handshake asks for new ones, and has a ticket. */
static void who_was_idle_for_hours_asks_first(void **state)
{
    static const char old[] = "{\"keys\":[{\"name\":\"AAAAAAAAAAAAAAAAAAAAAA==\","
                              "\"cipher\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\","
                              "\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\","
                              "\"seals_from\":1000,\"seals_until\":2000,\"opens_until\":3000}]}";
    struct farm f;
    SSL_SESSION *s;
    (void)state;
    for (int events = 0; events <= 1; events++) {
        farm_open(&f, false, events);
        SSL_CTX *client = client_new(TLS1_3_VERSION, true);
        assert_int_equal(keyset_take(attached_of(f.a)->keys, old, strlen(old), 1500), STEAD_OK);
        assert_false(stats_of(f.a).has_keys);
        assert_false(visit(client, f.a, NULL, &s));
        bool resumed = visit(client, f.b, s, NULL);
        assert_true(resumed || events); /* one that must not wait may have none yet */
        SSL_SESSION_free(s);
        for (int i = 0; i < 200 && !stats_of(f.a).has_keys; i++) {
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
            visit(client, f.a, NULL, NULL);
        }
        assert_true(stats_of(f.a).has_keys);
        SSL_CTX_free(client);
        farm_close(&f, true);
    }
}

/* While one handshake waits for the node, another one is done. */
static void nothing_blocks_where_events_drive(void **state)
{
    struct farm f;
    SSL_SESSION *s;
    struct pair waits, other;
    int e = 0;
    (void)state;
    farm_open(&f, true, true);
    SSL_CTX *client = client_new(TLS1_3_VERSION, true);
    assert_false(visit(client, f.a, NULL, &s));
    settle(f.a, 2);
    atomic_store(&f.node->mood, NODE_SILENT);
    pair_open(&waits, client, f.b, s);
    for (int i = 0; i < 5 && e != SSL_ERROR_WANT_CLIENT_HELLO_CB; i++)
        e = pair_turn(&waits);
    assert_int_equal(e, SSL_ERROR_WANT_CLIENT_HELLO_CB);
    assert_true(stead_tls_fd(waits.server) >= 0);
    assert_int_equal(stead_tls_events(waits.server), POLLIN);
    assert_true(stead_tls_timeout_ms(waits.server) > 0);
    pair_open(&other, client, f.b, NULL);
    assert_true(pair_shake(&other));
    assert_int_equal(pair_turn(&waits), SSL_ERROR_WANT_CLIENT_HELLO_CB);
    assert_true(pair_shake(&waits)); /* when the deadline has come */
    assert_false(SSL_session_reused(waits.server));
    pair_close(&waits);
    pair_close(&other);
    /* One that goes in the midst of it leaves nothing behind. */
    atomic_store(&f.node->mood, NODE_WELL);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
    atomic_store(&f.node->mood, NODE_SILENT);
    pair_open(&waits, client, f.b, s);
    for (int i = 0; i < 5; i++)
        e = pair_turn(&waits);
    assert_int_equal(e, SSL_ERROR_WANT_CLIENT_HELLO_CB);
    SSL_free(waits.client);
    SSL_free(waits.server);
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
    farm_close(&f, true);
}

static int asked_hello;
static int own_hello(SSL *ssl, int *alert, void *context)
{
    (void)ssl;
    (void)alert;
    assert_string_equal(context, "mine");
    return asked_hello++ ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_RETRY;
}

static void the_applications_own_callback_is_asked_first(void **state)
{
    struct farm f;
    SSL_SESSION *s;
    static char mine[] = "mine";
    (void)state;
    asked_hello = 0;
    farm_open(&f, true, true);
    stead_tls_detach(f.b);
    struct stead_tls_options o = options_of(&f);
    o.single_use = o.event_driven = 1;
    o.hello = own_hello;
    o.hello_context = mine;
    assert_int_equal(stead_tls_attach(f.b, &o), STEAD_OK);
    assert_int_equal(stead_tls_attach(f.b, &o), STEAD_E_EXISTS);
    SSL_CTX *client = client_new(TLS1_3_VERSION, true);
    assert_false(visit(client, f.a, NULL, &s));
    settle(f.a, 2);
    assert_true(visit(client, f.b, s, NULL));
    assert_int_equal(asked_hello, 2);
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
    farm_close(&f, true);
}

static void a_detached_context_is_openssls(void **state)
{
    struct farm f;
    SSL_SESSION *s;
    struct pair p;
    (void)state;
    farm_open(&f, false, false);
    SSL_CTX *client = client_new(TLS1_3_VERSION, true);
    pair_open(&p, client, f.a, NULL);
    assert_true(pair_shake(&p));
    stead_tls_detach(f.a);
    stead_tls_detach(f.a);
    pair_close(&p); /* it outlives it */
    assert_int_equal(stats_of(f.a).has_keys, 0);
    assert_false(visit(client, f.a, NULL, &s));
    assert_false(visit(client, f.b, s, NULL));
    assert_true(visit(client, f.a, s, NULL));
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
    farm_close(&f, true);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct identity id = identity_new("server");
    SSL_CTX *ctx = server_new(&id);
    static const char long_set[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    const struct stead_tls_options wrong[] = {
        {.size = 1},
        {.size = sizeof *wrong, .set = ""},
        {.size = sizeof *wrong, .set = "a/b"},
        {.size = sizeof *wrong, .set = long_set},
        {.size = sizeof *wrong, .deadline_ms = 5001},
        {.size = sizeof *wrong, .life_s = 28801},
        {.size = sizeof *wrong, .node = "nowhere"},
        {.size = sizeof *wrong, .session_id_context = "a"},
        {.size = sizeof *wrong, .session_id_context = long_set, .session_id_context_len = 33}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(stead_tls_attach(ctx, &wrong[i]), STEAD_E_INVAL);
    assert_int_equal(stead_tls_attach(NULL, &wrong[0]), STEAD_E_INVAL);
    assert_int_equal(stead_tls_attach(ctx, NULL), STEAD_E_INVAL);
    assert_null(attached_of(ctx));
    SSL_CTX_free(ctx);
    identity_free(&id);
}

static void without_memory_nothing_breaks(void **state)
{
    struct farm f;
    SSL_SESSION *s;
    (void)state;
    farm_open(&f, true, false);
    SSL_CTX *client = client_new(TLS1_3_VERSION, true), *again = server_new(&f.id);
    struct stead_tls_options o = options_of(&f);
    o.single_use = 1;
    for (unsigned n = 1; n < 12; n++) {
        mem_fail_after(n);
        int err = stead_tls_attach(again, &o);
        mem_fail_after(0);
        assert_true(err == STEAD_OK || err == STEAD_E_NOMEM);
        stead_tls_detach(again);
    }
    for (unsigned n = 1; n < 20; n++) {
        assert_false(visit(client, f.a, NULL, &s));
        mem_fail_after(n);
        visit(client, f.b, s, NULL); /* resumed or not: it comes about */
        mem_fail_after(0);
        SSL_SESSION_free(s);
    }
    SSL_CTX_free(client);
    SSL_CTX_free(again);
    farm_close(&f, true);
}

/* -- threads -- */

#define THREADS 6
#define VISITS 12

struct worker {
    struct farm *farm;
    pthread_t thread;
    size_t way;
    int resumed;
};

static void *work(void *context)
{
    struct worker *w = context;
    SSL_CTX *client = client_new(ways[w->way].version, ways[w->way].tickets);
    SSL_SESSION *s = NULL, *next;
    for (int i = 0; i < VISITS; i++) {
        w->resumed += visit(client, i % 2 ? w->farm->b : w->farm->a, s, &next);
        SSL_SESSION_free(s);
        s = next;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* it is kept meanwhile */
    }
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
    return NULL;
}

static void many_threads_use_a_context(void **state)
{
    struct worker workers[THREADS];
    struct farm f;
    (void)state;
    for (int single_use = 0; single_use <= 1; single_use++) {
        farm_open(&f, single_use, false);
        for (size_t i = 0; i < THREADS; i++) {
            workers[i] = (struct worker){.farm = &f, .way = single_use ? 3 + i % 2 : i % 3};
            assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        int resumed = 0;
        for (size_t i = 0; i < THREADS; i++) {
            pthread_join(workers[i].thread, NULL);
            resumed += workers[i].resumed;
        }
        assert_true(resumed > THREADS); /* all but the first, unless the machine stands still */
        farm_close(&f, true);
    }
}

/* A child process opens connections of its own. */
static void a_child_shares_no_connection(void **state)
{
    struct farm f;
    SSL_SESSION *s;
    (void)state;
    farm_open(&f, true, false);
    SSL_CTX *client = client_new(TLS1_3_VERSION, true);
    assert_false(visit(client, f.a, NULL, &s));
    settle(f.a, 2);
    assert_true(f.b && attached_of(f.b)->link.idle_count > 0);
    pid_t child = fork();
    if (child == 0) {
        struct pair p;
        pair_open(&p, client, f.b, s);
        bool good = pair_shake(&p) && SSL_session_reused(p.server);
        _exit(good && attached_of(f.b)->link.owner == getpid() ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(visit(client, f.b, s, NULL)); /* the child has used it */
    SSL_SESSION_free(s);
    SSL_CTX_free(client);
    farm_close(&f, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_is_resumed_elsewhere),
        cmocka_unit_test(a_second_hello_resumes_too),
        cmocka_unit_test(sessions_of_another_context_are_refused),
        cmocka_unit_test(a_silent_node_costs_the_deadline_once),
        cmocka_unit_test(damaged_answers_are_full_handshakes),
        cmocka_unit_test(without_a_node_keys_go_on),
        cmocka_unit_test(who_begins_without_a_node_gets_keys_later),
        cmocka_unit_test(keys_change),
        cmocka_unit_test(who_was_idle_for_hours_asks_first),
        cmocka_unit_test(nothing_blocks_where_events_drive),
        cmocka_unit_test(the_applications_own_callback_is_asked_first),
        cmocka_unit_test(a_detached_context_is_openssls),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(without_memory_nothing_breaks),
        cmocka_unit_test(many_threads_use_a_context),
        cmocka_unit_test(a_child_shares_no_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
