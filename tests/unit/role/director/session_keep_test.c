/* session_keep_test.c - TLS sessions in the store of a node alone; OpenSSL's client shows them.
 * Many nodes are farm/resume's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "role/director/session_keep.h"

#include "../../io/tls_kit.h"
#include "base/clock.h"
#include "io/io.h"
#include "io/stream.h"
#include "io/tls_door.h"
#include "stead/error.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ROUNDS 2000

static struct kit kit;
static const uint8_t farm_key[TOKEN_KEY_BYTES] = {1}, other_key[TOKEN_KEY_BYTES] = {2};

struct rig {
    uv_loop_t loop;
    struct kinds kinds;
    struct store *store;
    struct session_keep_counters counted;
    struct session_keep *keep;
    struct box_ring keys;
    struct kit_rules r;
    struct tls_counters counters;
    struct tls_door *door;
    unsigned closed, waited;
    bool hasty; /* the client goes while its session is looked for */
};

static void on_closed(void *context)
{
    struct rig *r = context;
    r->closed++;
}

static void open_keep(struct rig *r, const uint8_t *key)
{
    box_ring_set(&r->keys, (const uint8_t(*)[TOKEN_KEY_BYTES])key, 1);
    struct session_keep_config c = {.loop = &r->loop,
                                    .store = r->store,
                                    .kind = (uint8_t)kinds_find(&r->kinds, "tls"),
                                    .keys = &r->keys,
                                    .counters = &r->counted};
    assert_int_equal(session_keep_open(&c, &r->keep), STEAD_OK);
}

static void close_keep(struct rig *r)
{
    r->closed = 0;
    session_keep_close(r->keep, on_closed, r);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_int_equal(r->closed, 1);
    session_keep_free(r->keep);
}

static void open_rig(struct rig *r)
{
    static const char *const names[] = {"shop", NULL};
    struct store_config c = {.shards = 1, .mailboxes = 1};
    struct session_view v = {
        .self_inc = 11, .self_node = 1, .self_state = PEER_UP, .self_holds = true};
    char error[TLS_ERROR_MAX];
    memset(r, 0, sizeof *r);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    kinds_default(&r->kinds);
    session_config_default(&c.session);
    c.session.kinds = &r->kinds;
    c.session.memory_bytes = 8 << 20;
    r->store = store_new(&c, io_now_ns());
    assert_non_null(r->store);
    store_set_view(r->store, &v, io_now_ns());
    open_keep(r, farm_key);
    kit_rules(&kit, &r->r, names);
    r->r.rules.resumption = TLS_RESUMPTION_KEPT;
    r->door = tls_door_new(&r->counters);
    assert_int_equal(tls_door_load(r->door, &r->r.rules, true, error), TLS_LOADED);
}

static void close_rig(struct rig *r)
{
    close_keep(r);
    tls_door_free(r->door);
    store_free(r->store);
    assert_int_equal(uv_loop_close(&r->loop), 0);
}

static void no_wake(void *context)
{
    (void)context;
}

static bool visit(struct rig *r, int version, SSL_SESSION *old, SSL_SESSION **session)
{
    int pair[2], n = 0;
    char byte;
    enum tls_progress p = TLS_WAITS;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct stream s = {pair[0], tls_door_accept(r->door, pair[0])};
    tls_keep_with(s.tls, session_keep_keeper(r->keep), no_wake, NULL);
    SSL *client = kit_client(&kit, pair[1], "www.shop.test", NULL);
    SSL_set_max_proto_version(client, version);
    if (old)
        SSL_set_session(client, old);
    for (int i = 0; i < ROUNDS && (p == TLS_WAITS || n != 1); i++) {
        n = n == 1 ? 1 : SSL_do_handshake(client);
        p = p == TLS_WAITS ? tls_handshake(s.tls) : p;
        if (r->hasty && tls_asks(s.tls))
            break;
        if (tls_asks(s.tls)) { /* its time is over at once */
            r->waited++;
            store_tick(r->store, io_now_ns() + NS_PER_S);
        }
        uv_run(&r->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(p, r->hasty ? TLS_WAITS : TLS_DONE);
    bool resumed = tls_resumed(s.tls);
    (void)SSL_read(client, &byte, 1); /* tickets */
    if (session)
        *session = SSL_get1_session(client);
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    stream_close(&s, false);
    SSL_free(client);
    close(pair[1]);
    return resumed;
}

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    kit_open(&kit);
    kit_issue(&kit, "shop", "www.shop.test", "DNS:www.shop.test", 10);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_close(&kit);
    wait(NULL);
    return 0;
}

static void sessions_come_back_and_those_of_1_3_once(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct rig r;
        SSL_SESSION *s;
        bool many = version == TLS1_2_VERSION;
        open_rig(&r);
        assert_false(visit(&r, version, NULL, &s));
        assert_int_equal(r.counted.kept, many ? 1 : 2);
        assert_true(visit(&r, version, s, NULL));
        assert_int_equal(r.counters.resumed_by[TLS_RESUMED_KEPT], 1);
        assert_int_equal(visit(&r, version, s, NULL), many);
        assert_int_equal(r.counters.missed[TLS_MISSED_ABSENT], !many);
        assert_int_equal(r.counted.unkept + r.counted.full, 0);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

/* A value that was sealed by another farm, or damaged, is nobody's session. */
static void what_another_key_has_sealed_is_damaged(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct rig r;
        SSL_SESSION *s;
        open_rig(&r);
        visit(&r, version, NULL, &s);
        close_keep(&r);
        open_keep(&r, other_key);
        assert_false(visit(&r, version, s, NULL));
        assert_int_equal(r.counters.missed[TLS_MISSED_DAMAGED], 1);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

/* A peer that is up and says nothing may know the session. */
static void what_is_not_answered_in_time_is_a_full_handshake(void **state)
{
    struct rig r, other;
    SSL_SESSION *s;
    struct list sends;
    (void)state;
    open_rig(&other);
    visit(&other, TLS1_3_VERSION, NULL, &s);
    open_rig(&r);
    struct peer_view peer = {.inc = 77,
                             .node = 7,
                             .state = PEER_UP,
                             .holds = true,
                             .lease_until_ns = io_now_ns() + 60 * NS_PER_S};
    struct session_view v = {.self_inc = 11,
                             .self_node = 1,
                             .self_state = PEER_UP,
                             .self_holds = true,
                             .peer_count = 1,
                             .peers = &peer};
    store_set_view(r.store, &v, io_now_ns());
    assert_false(visit(&r, TLS1_3_VERSION, s, NULL));
    assert_true(r.waited > 0);
    /* A kind that may be lost reads as absent when nobody answers. */
    assert_int_equal(r.counters.missed[TLS_MISSED_ABSENT] + r.counters.missed[TLS_MISSED_LATE], 1);
    SSL_SESSION_free(s);
    visit(&other, TLS1_3_VERSION, NULL, &s);
    r.hasty = true;
    assert_false(visit(&r, TLS1_3_VERSION, s, NULL));
    store_tick(r.store, io_now_ns() + NS_PER_S); /* the answer is for nobody */
    uv_run(&r.loop, UV_RUN_NOWAIT);
    list_init(&sends);
    store_take_sends(r.store, &sends);
    assert_false(list_empty(&sends));
    while (!list_empty(&sends))
        msg_free(list_entry(list_pop(&sends), struct msg, link));
    SSL_SESSION_free(s);
    close_rig(&other);
    close_rig(&r);
}

static void a_keeper_that_closes_answers_nothing_more(void **state)
{
    struct rig r;
    SSL_SESSION *s;
    (void)state;
    open_rig(&r);
    visit(&r, TLS1_3_VERSION, NULL, &s);
    session_keep_close(r.keep, on_closed, &r);
    assert_false(visit(&r, TLS1_3_VERSION, s, NULL));
    assert_int_equal(r.counters.missed[TLS_MISSED_LATE], 1);
    assert_int_equal(r.counted.unkept, 2); /* nor is anything kept */
    uv_run(&r.loop, UV_RUN_DEFAULT);
    assert_int_equal(r.closed, 1);
    session_keep_free(r.keep);
    open_keep(&r, farm_key);
    SSL_SESSION_free(s);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_come_back_and_those_of_1_3_once),
        cmocka_unit_test(what_another_key_has_sealed_is_damaged),
        cmocka_unit_test(what_is_not_answered_in_time_is_a_full_handshake),
        cmocka_unit_test(a_keeper_that_closes_answers_nothing_more),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
