/* tls_keeper_test.c - handshakes that ask a keeper for the client's session, by OpenSSL's client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/stream.h"
#include "io/tls_door.h"
#include "io/tls_internal.h"
#include "tls_kit.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ROUNDS 2000
#define SHELF 16

static struct kit kit;

/* A keeper that answers when it is told to. */
struct shelf {
    struct tls_keeper keeper;
    struct {
        uint8_t id[TLS_ID_BYTES], bytes[TLS_SESSION_BYTES_MAX];
        size_t len;
        bool gone;
    } kept[SHELF];
    size_t count;
    bool slow, damages;
    unsigned asked, dropped, woken;
    bool once;
    struct tls *waits;
    uint8_t wanted[TLS_ID_BYTES];
};

static void keep(void *context, const uint8_t id[TLS_ID_BYTES], const uint8_t *session, size_t len)
{
    struct shelf *s = context;
    assert_true(s->count < SHELF && len <= sizeof s->kept[0].bytes);
    memcpy(s->kept[s->count].id, id, TLS_ID_BYTES);
    memcpy(s->kept[s->count].bytes, session, len);
    s->kept[s->count++].len = len;
}

static void answer_now(struct shelf *s)
{
    struct tls *t = s->waits;
    s->waits = NULL;
    for (size_t i = 0; i < s->count; i++) {
        if (s->kept[i].gone || memcmp(s->kept[i].id, s->wanted, TLS_ID_BYTES) != 0)
            continue;
        s->kept[i].gone = s->once;
        s->kept[i].bytes[0] ^= s->damages;
        tls_answer(t, TLS_ANSWER_PEER, s->kept[i].bytes, s->kept[i].len);
        return;
    }
    tls_answer(t, TLS_ANSWER_NONE, NULL, 0);
}

static void ask(void *context, struct tls *t, const uint8_t id[TLS_ID_BYTES], bool once)
{
    struct shelf *s = context;
    s->asked++;
    s->once = once;
    s->waits = t;
    memcpy(s->wanted, id, TLS_ID_BYTES);
    if (!s->slow)
        answer_now(s);
}

static void drop(void *context, struct tls *t)
{
    struct shelf *s = context;
    assert_ptr_equal(s->waits, t);
    s->waits = NULL;
    s->dropped++;
}

static void wake(void *context)
{
    struct shelf *s = context;
    s->woken++;
}

struct rig {
    struct kit_rules r;
    struct tls_counters counters;
    struct tls_door *door;
    struct shelf shelf;
};

struct call {
    struct stream s; /* the server's side */
    int fd;          /* the client's */
    SSL *client;
};

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

static void open_rig(struct rig *r)
{
    static const char *const names[] = {"shop", NULL};
    char error[TLS_ERROR_MAX];
    memset(r, 0, sizeof *r);
    kit_rules(&kit, &r->r, names);
    r->r.rules.resumption = TLS_RESUMPTION_KEPT;
    r->door = tls_door_new(&r->counters);
    assert_int_equal(tls_door_load(r->door, &r->r.rules, true, error), TLS_LOADED);
    r->shelf.keeper = (struct tls_keeper){&r->shelf, keep, ask, drop};
}

static void close_rig(struct rig *r)
{
    tls_door_free(r->door);
    assert_int_equal(r->counters.open, 0);
}

static void call(struct rig *r, struct call *c, int version, SSL_SESSION *old)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    c->fd = pair[1];
    c->s = (struct stream){pair[0], tls_door_accept(r->door, pair[0])};
    assert_non_null(c->s.tls);
    tls_keep_with(c->s.tls, &r->shelf.keeper, wake, &r->shelf);
    c->client = kit_client(&kit, c->fd, "www.shop.test", NULL);
    SSL_set_max_proto_version(c->client, version);
    if (old)
        SSL_set_session(c->client, old);
}

static enum tls_progress shake(struct call *c)
{
    enum tls_progress p = TLS_WAITS;
    bool done = false;
    for (int i = 0; i < ROUNDS && (p == TLS_WAITS || !done) && !tls_asks(c->s.tls); i++) {
        int n = done ? 1 : SSL_do_handshake(c->client);
        done = n == 1;
        if (p == TLS_WAITS)
            p = tls_handshake(c->s.tls);
        if (p == TLS_FAILED)
            break;
    }
    return p;
}

/* Whether it was resumed; with the session to resume next. */
static bool hang_up(struct call *c, SSL_SESSION **session)
{
    char byte;
    bool resumed = tls_ready(c->s.tls) && tls_resumed(c->s.tls);
    (void)SSL_read(c->client, &byte, 1); /* tickets */
    if (session)
        *session = SSL_get1_session(c->client);
    SSL_set_shutdown(c->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    stream_close(&c->s, false);
    SSL_free(c->client);
    close(c->fd);
    return resumed;
}

static bool visit(struct rig *r, int version, SSL_SESSION *old, SSL_SESSION **session)
{
    struct call c;
    call(r, &c, version, old);
    assert_int_equal(shake(&c), TLS_DONE);
    return hang_up(&c, session);
}

static void sessions_of_either_version_come_back(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct rig r;
        SSL_SESSION *s, *t;
        open_rig(&r);
        assert_false(visit(&r, version, NULL, &s));
        assert_int_equal(r.shelf.count, version == TLS1_2_VERSION ? 1 : 2);
        assert_int_equal(r.shelf.asked, 0); /* random filler is no id */
        assert_true(visit(&r, version, s, &t));
        assert_int_equal(r.shelf.asked, 1);
        assert_int_equal(r.shelf.once, version == TLS1_3_VERSION);
        assert_int_equal(r.shelf.woken, 0); /* it was at once */
        assert_int_equal(r.counters.resumed_by[TLS_RESUMED_KEPT_PEER], 1);
        SSL_SESSION_free(t);
        /* Again: a ticket of TLS 1.3 was used. */
        assert_int_equal(visit(&r, version, s, NULL), version == TLS1_2_VERSION);
        assert_int_equal(r.counters.missed[TLS_MISSED_ABSENT], version == TLS1_3_VERSION);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

/* The client's first share is of a group that is not ours: it says hello twice. */
static void a_second_hello_asks_no_second_time(void **state)
{
    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        struct rig r;
        struct call c;
        SSL_SESSION *s;
        open_rig(&r);
        visit(&r, TLS1_3_VERSION, NULL, &s);
        r.shelf.slow = slow;
        call(&r, &c, TLS1_3_VERSION, s);
        assert_true(SSL_set1_groups_list(c.client, "P-521:P-256"));
        if (slow) {
            assert_int_equal(shake(&c), TLS_WAITS);
            answer_now(&r.shelf);
        }
        assert_int_equal(shake(&c), TLS_DONE);
        assert_int_equal(r.shelf.asked, 1);
        assert_true(hang_up(&c, NULL));
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

static void a_slow_answer_holds_up_its_own_handshake_only(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct rig r;
        struct call c;
        SSL_SESSION *s;
        open_rig(&r);
        visit(&r, version, NULL, &s);
        r.shelf.slow = true;
        call(&r, &c, version, s);
        assert_int_equal(shake(&c), TLS_WAITS);
        assert_true(tls_asks(c.s.tls));
        assert_int_equal(tls_handshake(c.s.tls), TLS_WAITS); /* and asks no second time */
        assert_false(visit(&r, version, NULL, NULL));
        assert_int_equal(r.shelf.asked, 1);
        answer_now(&r.shelf);
        assert_int_equal(r.shelf.woken, 1);
        assert_int_equal(shake(&c), TLS_DONE);
        assert_true(hang_up(&c, NULL));
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

static void a_connection_that_goes_drops_its_question(void **state)
{
    struct rig r;
    struct call c;
    SSL_SESSION *s;
    (void)state;
    open_rig(&r);
    visit(&r, TLS1_3_VERSION, NULL, &s);
    r.shelf.slow = true;
    call(&r, &c, TLS1_3_VERSION, s);
    assert_int_equal(shake(&c), TLS_WAITS);
    tls_gave_up(c.s.tls, TLS_FAIL_TIMEOUT);
    hang_up(&c, NULL);
    assert_int_equal(r.shelf.dropped, 1);
    SSL_SESSION_free(s);
    close_rig(&r);
}

static void what_is_damaged_is_a_full_handshake(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct rig r;
        SSL_SESSION *s;
        open_rig(&r);
        visit(&r, version, NULL, &s);
        r.shelf.damages = true;
        assert_false(visit(&r, version, s, NULL));
        assert_int_equal(r.counters.missed[TLS_MISSED_DAMAGED], 1);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

/* What a keeper has under that id is another's, not whole, or has something behind it. */
static void only_the_whole_session_of_that_id_comes_back(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (int wrong = 0; wrong < 4; wrong++) {
            struct rig r;
            SSL_SESSION *s;
            open_rig(&r);
            visit(&r, version, NULL, &s);
            size_t own = r.shelf.count - 1;
            visit(&r, version, NULL, NULL);
            for (size_t i = 0; i <= own; i++) {
                if (wrong == 0)
                    r.shelf.kept[i].bytes[r.shelf.kept[i].len++] = 0;
                else if (wrong == 1)
                    r.shelf.kept[i].len--;
                else if (wrong == 2)
                    r.shelf.kept[i].len = 0;
                else
                    memcpy(r.shelf.kept[i].bytes, r.shelf.kept[r.shelf.count - 1].bytes,
                           r.shelf.kept[i].len = r.shelf.kept[r.shelf.count - 1].len);
            }
            assert_false(visit(&r, version, s, NULL));
            assert_int_equal(r.counters.missed[TLS_MISSED_DAMAGED], 1);
            SSL_SESSION_free(s);
            close_rig(&r);
        }
    }
}

/* One that began where clients' certificates are nobody's matter does not go on where they are. */
static void a_session_of_another_context_is_a_full_handshake(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct rig r;
        SSL_SESSION *s;
        char error[TLS_ERROR_MAX];
        open_rig(&r);
        visit(&r, version, NULL, &s);
        r.r.rules.clients = TLS_CLIENTS_OPTIONAL;
        r.r.rules.client_ca = kit.ca_path;
        assert_int_equal(tls_door_load(r.door, &r.r.rules, true, error), TLS_LOADED);
        assert_false(visit(&r, version, s, NULL));
        assert_int_equal(r.counters.missed[TLS_MISSED_INVALID], 1);
        SSL_SESSION_free(s);
        close_rig(&r);
    }
}

static void without_memory_nothing_is_resumed_and_all_goes_on(void **state)
{
    struct rig r;
    struct call c;
    SSL_SESSION *s;
    (void)state;
    open_rig(&r);
    visit(&r, TLS1_3_VERSION, NULL, &s);
    call(&r, &c, TLS1_3_VERSION, s);
    mem_free(c.s.tls->asking); /* as if it had not been made */
    c.s.tls->asking = NULL;
    mem_fail_after(1);
    tls_keep_with(c.s.tls, &r.shelf.keeper, wake, &r.shelf);
    mem_fail_after(0);
    assert_null(c.s.tls->asking);
    assert_int_equal(shake(&c), TLS_DONE);
    assert_false(hang_up(&c, NULL));
    SSL_SESSION_free(s);
    close_rig(&r);
}

static void ids_are_found_in_whole_hellos_only(void **state)
{
    uint8_t psk[2 + 2 + TLS_ID_BYTES + 4] = {0, 2 + TLS_ID_BYTES + 4, 0, TLS_ID_BYTES, 7},
                                       id[TLS_ID_BYTES];
    static const uint8_t both[] = {4, 3, 4, 3, 3}, old[] = {2, 3, 3}, cut[] = {4, 3};
    const uint8_t filler[TLS_ID_BYTES] = {9};
    bool once;
    (void)state;
    assert_true(tls_hello_id(both, sizeof both, psk, sizeof psk, filler, sizeof filler, id, &once));
    assert_true(once);
    assert_int_equal(id[0], 7);
    assert_false(tls_hello_id(both, sizeof both, NULL, 0, filler, sizeof filler, id, &once));
    for (size_t len = 0; len < 4 + TLS_ID_BYTES; len++)
        assert_false(tls_hello_id(both, sizeof both, psk, len, filler, sizeof filler, id, &once));
    psk[3]--; /* another length is no id of ours */
    assert_false(
        tls_hello_id(both, sizeof both, psk, sizeof psk, filler, sizeof filler, id, &once));
    const uint8_t *const olds[] = {old, cut, NULL};
    const size_t lens[] = {sizeof old, sizeof cut, 0};
    for (int i = 0; i < 3; i++) {
        assert_true(
            tls_hello_id(olds[i], lens[i], psk, sizeof psk, filler, sizeof filler, id, &once));
        assert_false(once);
        assert_int_equal(id[0], 9);
        assert_false(tls_hello_id(olds[i], lens[i], psk, sizeof psk, filler, 31, id, &once));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_of_either_version_come_back),
        cmocka_unit_test(a_second_hello_asks_no_second_time),
        cmocka_unit_test(a_slow_answer_holds_up_its_own_handshake_only),
        cmocka_unit_test(a_connection_that_goes_drops_its_question),
        cmocka_unit_test(what_is_damaged_is_a_full_handshake),
        cmocka_unit_test(only_the_whole_session_of_that_id_comes_back),
        cmocka_unit_test(a_session_of_another_context_is_a_full_handshake),
        cmocka_unit_test(without_memory_nothing_is_resumed_and_all_goes_on),
        cmocka_unit_test(ids_are_found_in_whole_hellos_only),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
