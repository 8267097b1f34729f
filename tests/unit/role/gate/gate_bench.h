/* gate_bench.h - a gate over a unix socket, before a store of one array, and its client. */
#ifndef TESTS_UNIT_GATE_BENCH_H
#define TESTS_UNIT_GATE_BENCH_H

#include "gate_store.h"
#include "role/gate/gate.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct bench {
    uv_loop_t loop;
    struct store store;
    struct gate *gate;
    struct gate_counters counters;
    struct http_counters http;
    int client;
    bool closed;
};

static char answer[1 << 20];

static const uint8_t private_key[TOKEN_KEY_BYTES] = {5, 4, 3};
static struct box_ring private_keys;
static struct private_rules private_rules = {.keys = &private_keys};

static void open_bench(struct bench *b, const char *token)
{
    memset(b, 0, sizeof *b);
    box_ring_set(&private_keys, &private_key, 1);
    kinds_default(&b->store.kinds);
    list_init(&b->store.waiting);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    /* An abstract name, so that nothing is left in a directory. */
    struct sockaddr_storage any = {.ss_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    struct gate_config c = {.loop = &b->loop,
                            .fd = fd,
                            .store = &b->store,
                            .mailbox = 3,
                            .token = token,
                            .node = "n1",
                            .farm = "shop",
                            .auth_cookie = "sid",
                            .auth_login = "",
                            .private = &private_rules,
                            .tls_keys = &private_keys,
                            .http_counters = &b->http,
                            .counters = &b->counters};
    http_limits_default(&c.http);
    assert_int_equal(gate_open(&c, &b->gate), STEAD_OK);
    struct sockaddr_storage name;
    len = sizeof name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    b->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(b->client, (struct sockaddr *)&name, len), 0);
    fcntl(b->client, F_SETFL, O_NONBLOCK);
}

static void gate_is_closed(void *context)
{
    ((struct bench *)context)->closed = true;
}

static void close_bench(struct bench *b)
{
    gate_close(b->gate, gate_is_closed, b);
    for (int i = 0; i < 100 && !b->closed; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_true(b->closed);
    uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    assert_int_equal(atomic_load(&b->counters.waiting), 0);
    struct session_result *r;
    while ((r = store_collect(&b->store, 3)))
        session_result_free(r);
    for (size_t i = 0; i < b->store.count; i++)
        record_free(b->store.records[i]);
    close(b->client);
}

static void say(struct bench *b, const char *method, const char *path, const char *headers,
                const char *body)
{
    char text[8192];
    int n = snprintf(text, sizeof text,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s", method,
                     path, headers, strlen(body), body);
    assert_true(n > 0 && (size_t)n < sizeof text);
    assert_int_equal(send(b->client, text, (size_t)n, MSG_NOSIGNAL), n);
}

/* The status of the next answer, whose text is in `answer`. */
static int hear(struct bench *b)
{
    size_t len = 0;
    struct timespec ms = {.tv_nsec = 1000000};
    memset(answer, 0, sizeof answer);
    for (int i = 0; i < 2000; i++) {
        uv_run(&b->loop, UV_RUN_NOWAIT);
        ssize_t n = recv(b->client, answer + len, sizeof answer - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
        const char *end = strstr(answer, "\r\n\r\n"), *length = strstr(answer, "Content-Length: ");
        if (end && (!length || length > end))
            break;
        if (end && len >= (size_t)(end + 4 - answer) + (size_t)atol(length + 16))
            break;
        nanosleep(&ms, NULL);
    }
    assert_memory_equal(answer, "HTTP/1.1 ", 9);
    return atoi(answer + 9);
}

static int ask(struct bench *b, const char *method, const char *path, const char *headers,
               const char *body)
{
    say(b, method, path, headers, body);
    return hear(b);
}

#define assert_has(part) assert_non_null(strstr(answer, part))

/* The value of a string member of the answer, or of a header. */
static const char *member(const char *name)
{
    static char value[256];
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
    const char *at = strstr(answer, pattern);
    size_t skip = strlen(pattern);
    if (!at) {
        snprintf(pattern, sizeof pattern, "\"%s\": \"", name);
        at = strstr(answer, pattern);
        skip = strlen(pattern);
    }
    assert_non_null(at);
    at += skip;
    size_t len = strcspn(at, "\"");
    assert_true(len < sizeof value);
    memcpy(value, at, len);
    value[len] = '\0';
    return value;
}

static inline const char *created(struct bench *b, const char *body, char path[300])
{
    assert_int_equal(ask(b, "POST", "/v1/sessions/auth", "", body), 201);
    snprintf(path, 300, "/v1/sessions/auth/%s", member("id"));
    return path;
}

#endif
