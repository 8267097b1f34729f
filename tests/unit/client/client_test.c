/* client_test.c - the client that does not block, against a farm in a thread: connected, heard,
 * moved, lost, held, and out of memory at any point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/net.h"
#include "stead/client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS_MAX 64
#define WAIT_MS 20000

/* A node at 127.0.0.5: its roster, its watchers, its clients. All of it in one thread. */
static struct {
    int listener, stop[2];
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    char roster[1024], push[4096]; /* push: to all watchers, once */
    bool no_events;                /* watchers get JSON */
    atomic_int watches;
    int watchers[PEERS_MAX], others[PEERS_MAX];
    size_t watcher_count, other_count;
} node;

static char url[64];
static struct stead_client *client;
static struct stead_event event;

static void answer(int fd, const char *head)
{
    static const char events[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    char text[2048];
    bool watch = strstr(head, "Accept: text/event-stream") != NULL;
    pthread_mutex_lock(&node.lock);
    if (watch && !node.no_events)
        snprintf(text, sizeof text, "%sevent: roster\nid: 1\ndata: %s\n\n", events, node.roster);
    else
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(node.roster), node.roster);
    pthread_mutex_unlock(&node.lock);
    send(fd, text, strlen(text), MSG_NOSIGNAL);
    node.watches += watch;
    if (watch && node.watcher_count < PEERS_MAX)
        node.watchers[node.watcher_count++] = fd;
    else
        close(fd);
}

/* Who says nothing at once is a client. */
static void meet(int fd)
{
    char head[2048];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ssize_t n = poll(&p, 1, 100) > 0 ? recv(fd, head, sizeof head - 1, 0) : -1;
    if (n > 0) {
        head[n] = 0;
        answer(fd, head);
        return;
    }
    if (node.other_count < PEERS_MAX)
        node.others[node.other_count++] = fd;
}

static void push_all(void)
{
    pthread_mutex_lock(&node.lock);
    for (size_t i = 0; *node.push && i < node.watcher_count; i++)
        send(node.watchers[i], node.push, strlen(node.push), MSG_NOSIGNAL);
    if (node.watcher_count)
        node.push[0] = 0;
    pthread_mutex_unlock(&node.lock);
}

/* On a busy machine some take their time to speak. */
static void meet_again(void)
{
    for (size_t i = 0; i < node.other_count; i++) {
        char head[2048];
        int fd = node.others[i];
        ssize_t n = recv(fd, head, sizeof head - 1, MSG_PEEK | MSG_DONTWAIT);
        if (n < 4 || memcmp(head, "GET ", 4) != 0)
            continue;
        node.others[i--] = node.others[--node.other_count];
        meet(fd);
    }
}

static void *run(void *context)
{
    (void)context;
    for (;;) {
        struct pollfd p[2] = {{.fd = node.stop[0], .events = POLLIN},
                              {.fd = node.listener, .events = POLLIN}};
        poll(p, 2, 10);
        if (p[0].revents)
            return NULL;
        if (p[1].revents)
            meet(accept(node.listener, NULL, NULL));
        meet_again();
        push_all();
    }
}

#define SERVER(name, status)                                                                       \
    "{\"name\":\"" name "\",\"service\":\"shop\",\"status\":\"" status                             \
    "\",\"urls\":[\"http://127.0.0.5:%u\"]}"

static void set_roster(const char *servers)
{
    char list[800];
    pthread_mutex_lock(&node.lock);
    snprintf(list, sizeof list, servers, node.port, node.port, node.port);
    snprintf(node.roster, sizeof node.roster,
             "{\"farm\":\"f\",\"revision\":3,\"retry_window_ms\":20,\"servers\":[%s]}", list);
    pthread_mutex_unlock(&node.lock);
}

static void push(const char *name, const char *data)
{
    char filled[2000];
    pthread_mutex_lock(&node.lock);
    snprintf(filled, sizeof filled, data, node.port, node.port);
    snprintf(node.push, sizeof node.push, "event: %s\nid: 2\ndata: %s\n\n", name, filled);
    pthread_mutex_unlock(&node.lock);
}

static int setup(void **state)
{
    (void)state;
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof sa;
    memset(&node, 0, sizeof node);
    pthread_mutex_init(&node.lock, NULL);
    inet_pton(AF_INET, "127.0.0.5", &sa.sin_addr);
    node.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(node.listener, (struct sockaddr *)&sa, sizeof sa) != 0 ||
        listen(node.listener, 64) != 0 ||
        getsockname(node.listener, (struct sockaddr *)&sa, &len) != 0 || pipe(node.stop) != 0)
        abort();
    node.port = ntohs(sa.sin_port);
    set_roster(SERVER("s1", "up") "," SERVER("s2", "down"));
    snprintf(url, sizeof url, "http://127.0.0.5:%u/", node.port);
    event = (struct stead_event){.size = sizeof event};
    if (pthread_create(&node.thread, NULL, run, NULL) != 0)
        abort();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stead_client_free(client);
    client = NULL;
    close(node.stop[1]);
    pthread_join(node.thread, NULL);
    for (size_t i = 0; i < node.watcher_count; i++)
        close(node.watchers[i]);
    for (size_t i = 0; i < node.other_count; i++)
        close(node.others[i]);
    close(node.stop[0]);
    close(node.listener);
    return 0;
}

/* Steps until an event of that kind comes; others are passed over. */
static int until(enum stead_event_kind kind)
{
    uint64_t end = net_now_ms() + WAIT_MS;
    while (net_now_ms() < end) {
        int got;
        while ((got = stead_client_step(client, &event)) > 0)
            if (event.kind == kind)
                return 1;
        if (got < 0)
            return got;
        struct pollfd p = {.fd = stead_client_fd(client), .events = POLLIN};
        int ms = stead_client_timeout_ms(client);
        poll(&p, 1, ms < 0 || ms > 500 ? 500 : ms);
    }
    return 0;
}

static void begin(void)
{
    assert_int_equal(stead_client_new(url, NULL, &client), STEAD_OK);
    assert_string_equal(stead_client_server(client), "");
    assert_int_equal(until(STEAD_CONNECTED), 1);
    assert_true(event.fd >= 0);
    assert_int_equal(event.old_fd, -1);
    assert_string_equal(event.server, "s1");
}

static void test_connected_and_quiet(void **state)
{
    (void)state;
    begin();
    assert_string_equal(stead_client_server(client), "s1");
    assert_int_equal(until(STEAD_HEARD), 1);
    assert_int_equal(stead_client_revision(client), 3);
    assert_int_equal(stead_client_step(client, &event), 0);
    /* A connection that could be written to is no reason to wake anybody. */
    struct pollfd p = {.fd = stead_client_fd(client), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 100), 0);
    assert_true(stead_client_timeout_ms(client) > 1000);
    int fd = stead_client_take(client);
    assert_true(fd >= 0);
    assert_int_equal(stead_client_take(client), -1);
    assert_int_equal(stead_client_step(client, &event), 0);
    assert_int_equal(stead_client_timeout_ms(client), -1);
    stead_client_free(client);
    client = NULL;
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    close(fd);
}

static void test_moves(void **state)
{
    (void)state;
    begin();
    int old = event.fd;
    assert_int_equal(until(STEAD_HEARD), 1);
    push("change",
         "{\"revision\":4,\"servers\":[" SERVER("s1", "draining") "," SERVER("s2", "up") "]}");
    assert_int_equal(until(STEAD_MOVED), 1);
    assert_int_equal(event.old_fd, old);
    assert_true(event.fd != old);
    assert_string_equal(event.server, "s2");
    assert_int_equal(send(old, "bye", 3, MSG_NOSIGNAL), 3); /* still open */
    set_roster(SERVER("s1", "up") "," SERVER("s2", "up"));
    assert_int_equal(until(STEAD_HEARD), 1);
    char said[8];
    assert_int_equal(recv(node.others[0], said, sizeof said, MSG_WAITALL), 3); /* closed by now */
    push("move", "{\"service\":\"shop\",\"to\":[\"s1\"],\"within_ms\":10}");
    assert_int_equal(until(STEAD_MOVED), 1);
    assert_string_equal(event.server, "s1");
}

static void test_held(void **state)
{
    (void)state;
    begin();
    assert_int_equal(until(STEAD_HEARD), 1);
    stead_client_hold(client, 1);
    push("change",
         "{\"revision\":4,\"servers\":[" SERVER("s1", "maint") "," SERVER("s2", "up") "]}");
    assert_int_equal(until(STEAD_HEARD), 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(stead_client_step(client, &event), 0);
        poll(NULL, 0, 5);
    }
    assert_string_equal(stead_client_server(client), "s1");
    stead_client_hold(client, 0);
    assert_int_equal(until(STEAD_MOVED), 1);
}

static void test_lost(void **state)
{
    (void)state;
    begin();
    stead_client_lost(client);
    assert_string_equal(stead_client_server(client), "");
    assert_int_equal(until(STEAD_TROUBLE), 1);
    assert_int_equal(event.error, STEAD_E_CLOSED);
    assert_int_equal(event.fd, -1);
    assert_int_equal(until(STEAD_CONNECTED), 1);
    stead_client_lost(client);
    stead_client_lost(client);
    assert_int_equal(until(STEAD_CONNECTED), 1); /* though s1 has a penalty: there is nobody else */
}

/* A server beside which nobody tells of the farm: the talk goes on. */
static void test_no_events(void **state)
{
    (void)state;
    node.no_events = true;
    begin();
    uint64_t end = net_now_ms() + WAIT_MS;
    while (node.watches < 3 && net_now_ms() < end) {
        assert_int_equal(stead_client_step(client, &event), 0);
        poll(NULL, 0, 5);
    }
    assert_true(node.watches >= 3);
    assert_string_equal(stead_client_server(client), "s1");
}

static void test_fails_in_the_end(void **state)
{
    (void)state;
    struct stead_options options;
    stead_options_init(&options, sizeof options);
    options.deadline_ms = 300;
    set_roster(SERVER("s1", "down") "," SERVER("s2", "full"));
    assert_int_equal(stead_client_new(url, &options, &client), STEAD_OK);
    assert_int_equal(until(STEAD_CONNECTED), STEAD_E_NO_SERVER);
    assert_int_equal(stead_client_step(client, &event), STEAD_E_NO_SERVER);
    stead_client_free(client);
    client = NULL;
    assert_int_equal(stead_client_new("https://a/", NULL, &client), STEAD_E_UNSUPPORTED);
    assert_int_equal(stead_client_new("a", NULL, &client), STEAD_E_INVAL);
    assert_null(client);
}

static void test_blocking(void **state)
{
    (void)state;
    int fd;
    struct stead_choice *choice;
    assert_int_equal(stead_connect(url, NULL, &fd, &choice), STEAD_OK);
    assert_string_equal(stead_choice_server(choice), "s1");
    assert_string_equal(stead_choice_url(choice), url);
    assert_int_equal(stead_choice_considered_count(choice), 2);
    assert_string_equal(stead_choice_considered(choice, 0)->verdict, "chosen");
    assert_string_equal(stead_choice_considered(choice, 1)->verdict, "not up");
    assert_null(stead_choice_considered(choice, 2));
    stead_choice_free(choice);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
    close(fd);
    struct stead_options options;
    stead_options_init(&options, sizeof options);
    options.deadline_ms = 0;
    assert_int_equal(stead_connect(url, &options, &fd, NULL), STEAD_E_INVAL);
    options.deadline_ms = 200;
    set_roster(SERVER("s1", "down"));
    assert_int_equal(stead_connect(url, &options, &fd, &choice), STEAD_E_NO_SERVER);
    assert_int_equal(fd, -1);
    assert_null(choice);
    assert_int_equal(stead_pick_why(url, &options, &choice), STEAD_E_NO_SERVER);
    assert_string_equal(stead_choice_server(choice), "");
    assert_string_equal(stead_choice_considered(choice, 0)->verdict, "not up");
    stead_choice_free(choice);
}

/* Whatever is not there when it is asked for: an error, or a later try; nothing is left behind. */
static void test_without_memory(void **state)
{
    (void)state;
    struct stead_options options;
    stead_options_init(&options, sizeof options);
    options.retry_base_ms = 1;
    options.penalty_ms = 1;
    for (unsigned n = 1; n < 40; n++) {
        mem_fail_after(n);
        int err = stead_client_new(url, &options, &client);
        assert_true(err == STEAD_OK || (err == STEAD_E_NOMEM && n < 10));
        if (!err)
            assert_int_equal(until(STEAD_HEARD), 1);
        mem_fail_after(0);
        stead_client_free(client);
        client = NULL;
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_connected_and_quiet),
        test(test_moves),
        test(test_held),
        test(test_lost),
        test(test_no_events),
        test(test_fails_in_the_end),
        test(test_blocking),
        test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
