/* bulk_link_test.c - two ends of a connection over loopback: messages pass both ways, and nobody
 * gets on who has not the secret, is asked for by another name, or talks something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "io/io.h"
#include "io/listen.h"
#include "node/bulk_link.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAKEN_MAX 400

struct end {
    struct bulk_link link;
    struct link_own own;
    size_t taken;
    size_t len[TAKEN_MAX];
    uint8_t first[TAKEN_MAX];
    uint64_t from;
    bool lost;
};

struct pair {
    struct end asker, other;
    struct addr at;
    int listen_fd;
};

static const uint8_t secret[BULK_SECRET_BYTES] = {5}, wrong[BULK_SECRET_BYTES] = {6};

static void take(void *context, uint64_t from, const struct session_slice *slices, size_t count)
{
    struct end *e = context;
    assert_in_range(count, 1, STORE_BATCH_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_true(e->taken < TAKEN_MAX);
        e->len[e->taken] = slices[i].len;
        e->first[e->taken++] = slices[i].len ? slices[i].bytes[0] : 0;
    }
    e->from = from;
}

static void go(struct end *e)
{
    struct pollfd p = {.fd = e->link.fd, .events = bulk_link_events(&e->link)};
    if (e->link.state == LINK_CLOSED)
        return;
    (void)poll(&p, 1, 5);
    e->lost = !bulk_link_go(&e->link, &e->own, p.revents, take, e);
    if (e->lost)
        bulk_link_close(&e->link);
}

static void turn(struct pair *p, int times)
{
    for (int i = 0; i < times; i++) {
        go(&p->asker);
        go(&p->other);
    }
}

static void accept_other(struct pair *p)
{
    struct pollfd ready = {.fd = p->listen_fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 5000), 1);
    int fd = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(bulk_link_accept(&p->other.link, fd, 1), STEAD_OK);
}

static int open_pair(void **state)
{
    static struct pair p;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    p = (struct pair){.asker = {.own = {1, secret}}, .other = {.own = {2, secret}}};
    p.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(p.listen_fd, (struct sockaddr *)&in, len) || listen(p.listen_fd, 4) ||
        getsockname(p.listen_fd, (struct sockaddr *)&in, &len) ||
        !io_from_sockaddr((struct sockaddr *)&in, &p.at))
        return 1;
    *state = &p;
    return 0;
}

static int close_pair(void **state)
{
    struct pair *p = *state;
    struct end *ends[] = {&p->asker, &p->other};
    for (int i = 0; i < 2; i++) {
        bulk_link_close(&ends[i]->link);
        if (ends[i]->link.pending.next)
            msg_list_free(&ends[i]->link.pending);
    }
    close(p->listen_fd);
    return 0;
}

static void meet(struct pair *p, uint64_t to)
{
    assert_int_equal(bulk_link_connect(&p->asker.link, &p->asker.own, to, &p->at, 1), STEAD_OK);
    accept_other(p);
    turn(p, 6);
}

static struct msg *message(uint8_t first, size_t len)
{
    struct msg *m = msg_new(2, len);
    assert_non_null(m);
    m->bytes[0] = first;
    return m;
}

static void messages_pass_both_ways(void **state)
{
    struct pair *p = *state;
    meet(p, 2);
    assert_int_equal(p->asker.link.state, LINK_OPEN);
    assert_int_equal(p->other.link.state, LINK_OPEN);
    assert_int_equal(p->other.link.peer, 1);
    assert_true(bulk_link_queue(&p->asker.link, message('a', 10)));
    assert_true(bulk_link_queue(&p->other.link, message('b', 20)));
    turn(p, 4);
    assert_int_equal(p->other.taken, 1);
    assert_int_equal(p->other.len[0], 10);
    assert_int_equal(p->other.first[0], 'a');
    assert_int_equal(p->other.from, 1);
    assert_int_equal(p->asker.taken, 1);
    assert_int_equal(p->asker.len[0], 20);
    assert_int_equal(p->asker.from, 2);
}

static void what_waits_goes_when_the_greeting_is_over(void **state)
{
    struct pair *p = *state;
    assert_int_equal(bulk_link_connect(&p->asker.link, &p->asker.own, 2, &p->at, 1), STEAD_OK);
    for (uint8_t i = 0; i < 200; i++)
        assert_true(bulk_link_queue(&p->asker.link, message(i, 4000)));
    accept_other(p);
    turn(p, 60);
    assert_int_equal(p->other.taken, 200);
    for (uint8_t i = 0; i < 200; i++)
        assert_int_equal(p->other.first[i], i);
    assert_int_equal(p->asker.link.pending_bytes, 0);
}

static void what_waits_is_bounded(void **state)
{
    struct pair *p = *state;
    size_t most = 0;
    assert_int_equal(bulk_link_connect(&p->asker.link, &p->asker.own, 2, &p->at, 1), STEAD_OK);
    struct msg *large = message('l', BULK_BODY_MAX), *next = message('m', 60000);
    assert_false(bulk_link_queue(&p->asker.link, large)); /* fits no frame */
    while (bulk_link_queue(&p->asker.link, next)) {
        next = message('m', 60000);
        most++;
    }
    assert_in_range(most, 1, LINK_PENDING_MAX / 60000);
    msg_free(large);
    msg_free(next);
}

static void another_secret_gets_nowhere(void **state)
{
    struct pair *p = *state;
    p->asker.own.secret = wrong;
    meet(p, 2);
    assert_int_equal(p->asker.link.state, LINK_CLOSED);
    assert_int_equal(p->other.link.state, LINK_CLOSED);
    assert_int_equal(p->other.taken, 0);
}

static void who_is_asked_for_by_another_name_hangs_up(void **state)
{
    struct pair *p = *state;
    meet(p, 3);
    assert_int_equal(p->other.link.state, LINK_CLOSED);
    assert_int_equal(p->asker.link.state, LINK_CLOSED);
}

static void something_else_is_hung_up_on(void **state)
{
    struct pair *p = *state;
    static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n\r\n";
    struct sockaddr_storage ss;
    socklen_t len = io_sockaddr(&p->at, &ss);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
    accept_other(p);
    assert_int_equal(write(fd, get, sizeof get), (ssize_t)sizeof get);
    for (int i = 0; i < 4; i++)
        go(&p->other);
    assert_int_equal(p->other.link.state, LINK_CLOSED);
    close(fd);
}

/* Keys without a frame that shows them: nothing is said but the nonce and an empty frame. */
static void a_hello_that_is_not_followed_up_learns_nothing(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[BULK_HELLO_BYTES], answer[256];
    const struct bulk_hello h = {.from = 1, .to = 2};
    struct sockaddr_storage ss;
    socklen_t len = io_sockaddr(&p->at, &ss);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
    accept_other(p);
    bulk_hello_put(&h, bytes);
    assert_int_equal(write(fd, bytes, sizeof bytes), (ssize_t)sizeof bytes);
    assert_true(bulk_link_queue(&p->other.link, message('s', 30)));
    for (int i = 0; i < 4; i++)
        go(&p->other);
    assert_int_equal(p->other.link.state, LINK_UNPROVEN);
    ssize_t got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    assert_int_equal(got, BULK_NONCE_BYTES + BULK_HEAD_BYTES + BULK_TAG_BYTES);
    uint8_t forged[BULK_HEAD_BYTES + BULK_TAG_BYTES] = {0, 0, 0, BULK_TAG_BYTES};
    assert_int_equal(write(fd, forged, sizeof forged), (ssize_t)sizeof forged);
    for (int i = 0; i < 4; i++)
        go(&p->other);
    assert_int_equal(p->other.link.state, LINK_CLOSED);
    assert_int_equal(p->other.taken, 0);
    close(fd);
}

static void what_was_not_sent_is_left_when_it_ends(void **state)
{
    struct pair *p = *state;
    meet(p, 2);
    bulk_link_close(&p->other.link);
    assert_true(bulk_link_queue(&p->asker.link, message('x', 100)));
    bulk_link_close(&p->asker.link);
    assert_false(list_empty(&p->asker.link.pending));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_pass_both_ways),
        TEST(what_waits_goes_when_the_greeting_is_over),
        TEST(what_waits_is_bounded),
        TEST(another_secret_gets_nowhere),
        TEST(who_is_asked_for_by_another_name_hangs_up),
        TEST(something_else_is_hung_up_on),
        TEST(a_hello_that_is_not_followed_up_learns_nothing),
        TEST(what_was_not_sent_is_left_when_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
