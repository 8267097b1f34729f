/* flow_tls_test.c - flows whose one side is under TLS: nothing is spliced or lost, ends are told
 * from breaks, and nothing that is decrypted waits for an event that never comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../io/tls_kit.h"
#include "base/mem.h"
#include "io/tls_door.h"
#include "role/director/flow.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define TOTAL 3000000u
#define PATIENCE 20000

static struct kit kit;

struct rig {
    struct tls_door *door;
    struct flow_means means;
    struct stream client, server; /* the node's ends */
    struct flow up, down;
    SSL *ssl; /* the client */
    int client_fd, server_fd;
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

static void open_rig(struct rig *r, int version)
{
    static const char *const names[] = {"shop", NULL};
    struct kit_rules rules;
    char error[TLS_ERROR_MAX];
    int a[2], b[2];
    memset(r, 0, sizeof *r);
    kit_rules(&kit, &rules, names);
    r->door = tls_door_new(NULL);
    assert_int_equal(tls_door_load(r->door, &rules.rules, true, error), TLS_LOADED);
    flow_means_init(&r->means, 4);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b), 0);
    r->client = (struct stream){a[0], tls_door_accept(r->door, a[0])};
    r->server.fd = b[0];
    r->client_fd = a[1];
    r->server_fd = b[1];
    r->ssl = kit_client(&kit, a[1], "www.shop.test", NULL);
    SSL_set_max_proto_version(r->ssl, version);
    bool done = false;
    for (int i = 0; i < 100 && !(done && SSL_is_init_finished(r->ssl)); i++) {
        SSL_do_handshake(r->ssl);
        done = tls_handshake(r->client.tls) == TLS_DONE;
    }
    assert_true(done);
    r->up = (struct flow){.from = &r->client, .to = &r->server};
    r->down = (struct flow){.from = &r->server, .to = &r->client};
}

static void close_rig(struct rig *r)
{
    flow_drop(&r->up, &r->means);
    flow_drop(&r->down, &r->means);
    assert_int_equal(r->means.pipes_open, 0); /* none was ever opened */
    flow_means_deinit(&r->means);
    stream_close(&r->client, false);
    stream_close(&r->server, false);
    SSL_free(r->ssl);
    if (r->client_fd >= 0)
        close(r->client_fd);
    if (r->server_fd >= 0)
        close(r->server_fd);
    tls_door_free(r->door);
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 9) * 7);
}

/* As a poller would: only when the descriptor has something. */
static bool readable(const struct stream *s)
{
    char byte;
    return recv(s->fd, &byte, 1, MSG_PEEK) >= 0;
}

static enum flow_end turn(struct rig *r, struct flow *w)
{
    if (flow_wants(w) && !flow_flush(w, &r->means))
        return FLOW_TO_BROKE;
    return readable(w->from) ? flow_pump(w, &r->means) : FLOW_OPEN;
}

static void upload_and_end(int version)
{
    struct rig r;
    static uint8_t bytes[20000];
    size_t sent = 0, got = 0;
    ssize_t n = -1;
    bool said = false;
    open_rig(&r, version);
    for (int i = 0; i < PATIENCE && n != 0; i++) {
        size_t some = TOTAL - sent < sizeof bytes ? TOTAL - sent : sizeof bytes;
        for (size_t k = 0; k < some; k++)
            bytes[k] = pattern(sent + k);
        int put = some ? SSL_write(r.ssl, bytes, (int)some) : 0;
        sent += put > 0 ? (size_t)put : 0;
        if (sent == TOTAL && !said)
            said = SSL_shutdown(r.ssl) >= 0;
        assert_int_equal(turn(&r, &r.up), FLOW_OPEN);
        while ((n = recv(r.server_fd, bytes, sizeof bytes, 0)) > 0)
            for (ssize_t k = 0; k < n; k++)
                assert_int_equal(bytes[k], pattern(got++));
    }
    assert_int_equal(n, 0); /* the client's end, behind its last byte */
    assert_int_equal(got, TOTAL);
    assert_int_equal(r.up.bytes, TOTAL);
    assert_true(r.up.eof && r.up.shut);
    close_rig(&r);
}

static void download_and_end(int version)
{
    struct rig r;
    static uint8_t bytes[20000];
    size_t sent = 0, got = 0;
    int n = -1;
    open_rig(&r, version);
    for (int i = 0; i < PATIENCE && !(SSL_get_shutdown(r.ssl) & SSL_RECEIVED_SHUTDOWN); i++) {
        size_t some = TOTAL - sent < sizeof bytes ? TOTAL - sent : sizeof bytes;
        for (size_t k = 0; k < some; k++)
            bytes[k] = pattern(sent + k);
        ssize_t put = some ? send(r.server_fd, bytes, some, MSG_NOSIGNAL) : 0;
        sent += put > 0 ? (size_t)put : 0;
        if (sent == TOTAL)
            shutdown(r.server_fd, SHUT_WR);
        assert_int_equal(turn(&r, &r.down), FLOW_OPEN);
        if (i % 3) /* a slow reader */
            continue;
        n = SSL_read(r.ssl, bytes, sizeof bytes);
        for (int k = 0; k < n; k++)
            assert_int_equal(bytes[k], pattern(got++));
    }
    assert_int_equal(got, TOTAL);
    assert_int_equal(SSL_get_error(r.ssl, n), SSL_ERROR_ZERO_RETURN);
    assert_true(r.down.shut);
    close_rig(&r);
}

static void bytes_and_ends_pass_under_tls(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        upload_and_end(version);
        download_and_end(version);
    }
}

static void a_client_that_vanishes_has_broken_off(void **state)
{
    struct rig r;
    char got[16];
    (void)state;
    open_rig(&r, TLS1_3_VERSION);
    assert_int_equal(SSL_write(r.ssl, "last words", 10), 10);
    close(r.client_fd);
    r.client_fd = -1;
    enum flow_end end = FLOW_OPEN;
    for (int i = 0; i < 10 && end == FLOW_OPEN; i++)
        end = turn(&r, &r.up);
    assert_int_equal(end, FLOW_FROM_BROKE);
    assert_int_equal(recv(r.server_fd, got, sizeof got, 0), 10); /* what it said before is there */
    assert_false(r.up.eof);
    close_rig(&r);
}

static void an_end_that_finds_no_room_is_told_later(void **state)
{
    struct rig r;
    static char bytes[65536];
    (void)state;
    open_rig(&r, TLS1_3_VERSION);
    int small = 4096;
    setsockopt(r.client.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    while (send(r.client.fd, bytes, 1, MSG_DONTWAIT) > 0)
        ; /* beneath TLS: only to fill the socket */
    shutdown(r.server_fd, SHUT_WR);
    assert_int_equal(flow_pump(&r.down, &r.means), FLOW_OPEN);
    assert_true(r.down.eof && !r.down.shut);
    assert_true(flow_wants(&r.down) && !flow_waits(&r.down));
    assert_true(stream_events(&r.client, true, flow_wants(&r.down)) & EPOLLOUT);
    while (recv(r.client_fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    assert_true(flow_flush(&r.down, &r.means));
    assert_true(r.down.shut && !flow_wants(&r.down));
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_ends_pass_under_tls),
        cmocka_unit_test(a_client_that_vanishes_has_broken_off),
        cmocka_unit_test(an_end_that_finds_no_room_is_told_later),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
