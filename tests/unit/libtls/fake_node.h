/* fake_node.h - a node as libstead-tls sees it: /v1/tls and logins over a unix socket, from one
 * thread; and how it may go wrong. */
#ifndef TESTS_UNIT_FAKE_NODE_H
#define TESTS_UNIT_FAKE_NODE_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NODE_CONNS 64
#define NODE_VALUES 4096

enum node_mood { NODE_WELL, NODE_SILENT, NODE_GARBAGE, NODE_REFUSING };

struct fake_node {
    char folder[64], path[96], where[128];
    atomic_int mood, asked; /* requests that were read */
    atomic_int period;      /* the present one: keys are made of it */
    atomic_bool stop;
    int listener, wake[2];
    pthread_t thread;
    struct pollfd poll[NODE_CONNS + 2];
    struct {
        char *bytes; /* 64 KiB */
        size_t len;
    } conn[NODE_CONNS + 2];
    size_t count;
    pthread_mutex_t lock; /* of the values */
    struct {
        char path[256], *value;
    } values[NODE_VALUES];
    size_t value_count;
    char login[64], user[64]; /* the one that there is */
    long long login_expires;  /* 0: not at a fixed time */
};

static void node_key(char *out, size_t cap, int period, bool seals)
{
    long long now = (long long)time(NULL), until = seals ? now + 1000 : now;

    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char c = digits[period % 26];
    char name[25], key[45];
    memset(name, c, 24);
    memcpy(name + 22, "==", 3);
    name[21] = 'A';
    memset(key, c, 44);
    memcpy(key + 43, "=", 2);
    key[42] = 'A';
    snprintf(out, cap,
             "{\"name\":\"%s\",\"cipher\":\"%s\",\"mac\":\"%s\",\"seals_from\":%lld,"
             "\"seals_until\":%lld,\"opens_until\":%lld}",
             name, key, key, now - 1000, until, now + 2000);
}

/* The present period's key seals; the one before opens. */
static void node_keys(struct fake_node *n, char *out, size_t cap)
{
    char now[512], before[512];
    int period = atomic_load(&n->period);
    node_key(now, sizeof now, period, true);
    node_key(before, sizeof before, period + 25, false);
    snprintf(out, cap, "{\"set\":\"x\",\"keys\":[%s,%s]}", now, before);
}

static int node_find(struct fake_node *n, const char *path)
{
    for (size_t i = 0; i < n->value_count; i++)
        if (strcmp(n->values[i].path, path) == 0)
            return (int)i;
    return -1;
}

static int node_put(struct fake_node *n, const char *path, const char *body, bool match)
{
    char text[16384];
    int at = node_find(n, path);
    bool there = at >= 0 && n->values[at].value;
    if (match != there)
        return match ? 404 : 409;
    const char *value = strstr(body, "\"value\":\""), *end = value ? strchr(value + 9, '"') : NULL;
    if (!end)
        return 400;
    snprintf(text, sizeof text, "%.*s", (int)(end - value - 9), value + 9);
    if (at < 0) {
        at = (int)n->value_count++;
        snprintf(n->values[at].path, sizeof n->values[at].path, "%s", path);
    }
    free(n->values[at].value);
    n->values[at].value = strdup(text);
    return 204;
}

static int node_get(struct fake_node *n, const char *path, bool take, char *out, size_t cap)
{
    int at = node_find(n, path);
    if (at < 0 || !n->values[at].value)
        return 404;
    snprintf(out, cap, "{\"value\":\"%s\",\"origin\":\"local\"}",
             atomic_load(&n->mood) == NODE_GARBAGE ? "Z2FyYmFnZQ==" : n->values[at].value);
    if (take) {
        free(n->values[at].value);
        n->values[at].value = NULL;
    }
    return 200;
}

static int node_login(struct fake_node *n, const char *id, char *out, size_t cap)
{
    char expires[64] = "";
    if (!*n->login || strcmp(id, n->login) != 0)
        return 404;
    if (n->login_expires)
        snprintf(expires, sizeof expires, ",\"expires\":\"%lld\"", n->login_expires);
    snprintf(out, cap,
             "{\"id\":\"%s\",\"kind\":\"auth\",\"version\":\"1.1\",\"expires_in\":60,"
             "\"fields\":{\"user\":\"%s\"%s}}",
             id, n->user, expires);
    return 200;
}

static int node_serve(struct fake_node *n, char *request, const char *body, char *out, size_t cap)
{
    char *method = request, *path = strchr(request, ' ') + 1, *end = strchr(path, ' ');
    bool match = strstr(end, "If-Match: *") != NULL;
    char *take;
    *end = '\0';
    if (strncmp(path, "/v1/sessions/auth/", 18) == 0)
        return node_login(n, path + 18, out, cap);
    if (strncmp(path, "/v1/tls/", 8) != 0)
        return 404;
    if (strstr(path, "/keys")) {
        node_keys(n, out, cap);
        return 200;
    }
    if ((take = strstr(path, "/take")))
        *take = '\0';
    if (strncmp(method, "PUT", 3) == 0)
        return node_put(n, path, body, match);
    if (strncmp(method, "DELETE", 6) == 0)
        return node_get(n, path, true, out, cap) == 200 ? 204 : 404;
    return node_get(n, path, take != NULL, out, cap);
}

static void node_answer(struct fake_node *n, size_t i, char *request, const char *body)
{
    static char text[16384], all[20000];
    text[0] = '\0';
    atomic_fetch_add(&n->asked, 1);
    if (atomic_load(&n->mood) == NODE_SILENT)
        return;
    pthread_mutex_lock(&n->lock);
    int status = atomic_load(&n->mood) == NODE_REFUSING
                     ? 503
                     : node_serve(n, request, body, text, sizeof text);
    pthread_mutex_unlock(&n->lock);
    if (status == 204)
        text[0] = '\0';
    else if (status == 404)
        snprintf(text, sizeof text, "{\"error\":\"ABSENT\",\"message\":\"none\"}");
    int len = snprintf(all, sizeof all, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", status,
                       strlen(text), text);
    (void)send(n->poll[i].fd, all, (size_t)len, MSG_NOSIGNAL);
}

static void node_close(struct fake_node *n, size_t i)
{
    close(n->poll[i].fd);
    free(n->conn[i].bytes);
    n->count--;
    n->poll[i] = n->poll[n->count];
    n->conn[i] = n->conn[n->count];
}

static void node_read(struct fake_node *n, size_t i)
{
    char *at = n->conn[i].bytes;
    ssize_t got = recv(n->poll[i].fd, at + n->conn[i].len, 65535 - n->conn[i].len, MSG_DONTWAIT);
    if (got <= 0) {
        node_close(n, i);
        return;
    }
    n->conn[i].len += (size_t)got;
    at[n->conn[i].len] = '\0';
    char *body = strstr(at, "\r\n\r\n"), *length = strstr(at, "Content-Length: ");
    if (!body || !length ||
        n->conn[i].len < (size_t)(body + 4 - at) + (size_t)strtol(length + 16, NULL, 10))
        return;
    *body = '\0';
    node_answer(n, i, at, body + 4);
    n->conn[i].len = 0;
}

static void *node_run(void *context)
{
    struct fake_node *n = context;
    while (!atomic_load(&n->stop)) {
        poll(n->poll, n->count, -1);
        for (size_t i = n->count; i-- > 2;)
            if (n->poll[i].revents)
                node_read(n, i);
        if (n->poll[0].revents && n->count < NODE_CONNS) {
            n->conn[n->count].bytes = malloc(65536);
            n->conn[n->count].len = 0;
            n->poll[n->count] =
                (struct pollfd){.fd = accept(n->listener, NULL, NULL), .events = POLLIN};
            n->count++;
        }
    }
    while (n->count > 2)
        node_close(n, 2);
    return NULL;
}

/* Begins (again) with the values that it has. */
static void node_start(struct fake_node *n)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, n->path);
    atomic_store(&n->stop, false);
    assert_int_equal(pipe(n->wake), 0);
    n->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(n->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(n->listener, 32), 0);
    n->poll[0] = (struct pollfd){.fd = n->listener, .events = POLLIN};
    n->poll[1] = (struct pollfd){.fd = n->wake[0], .events = POLLIN};
    n->count = 2;
    assert_int_equal(pthread_create(&n->thread, NULL, node_run, n), 0);
}

static void node_stop(struct fake_node *n)
{
    atomic_store(&n->stop, true);
    assert_int_equal(write(n->wake[1], "x", 1), 1);
    pthread_join(n->thread, NULL);
    close(n->listener);
    close(n->wake[0]);
    close(n->wake[1]);
    unlink(n->path);
}

static struct fake_node *node_new(void)
{
    struct fake_node *n = calloc(1, sizeof *n);
    strcpy(n->folder, "/tmp/stead-tls-XXXXXX");
    assert_non_null(mkdtemp(n->folder));
    snprintf(n->path, sizeof n->path, "%s/s", n->folder);
    snprintf(n->where, sizeof n->where, "unix:%s", n->path);
    pthread_mutex_init(&n->lock, NULL);
    node_start(n);
    return n;
}

static void node_free(struct fake_node *n, bool runs)
{
    if (runs)
        node_stop(n);
    for (size_t i = 0; i < n->value_count; i++)
        free(n->values[i].value);
    rmdir(n->folder);
    free(n);
}

#endif
