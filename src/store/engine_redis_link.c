/* One connection to a Redis server. Its thread waits, with limits: nobody waits for that thread. */
#include "store/engine_redis_link.h"

#include "base/clock.h"
#include "base/mem.h"
#include "stead/error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES 65536
#define WORDS_MAX 8
#define CLOSED "the server has closed the connection"

static int fail(struct redis_link *l, int err, const char *why)
{
    snprintf(l->why, sizeof(l->why), "%s", why);
    return err;
}

static int fail_errno(struct redis_link *l, int number)
{
    char text[64];
    return fail(l, STEAD_E_IO, strerror_r(number, text, sizeof(text)));
}

uint64_t redis_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS;
}

/* Until the socket is ready or the time has come. */
static int wait_for(struct redis_link *l, short events, uint64_t until_ms)
{
    for (;;) {
        uint64_t now = redis_now_ms();
        struct pollfd p = {.fd = l->fd, .events = events};
        int n = now < until_ms ? poll(&p, 1, (int)(until_ms - now)) : 0;
        if (n > 0)
            return STEAD_OK;
        if (n == 0)
            return fail(l, STEAD_E_IO, "no answer in time");
        if (errno != EINTR)
            return fail_errno(l, errno);
    }
}

/* -- connecting -- */

static int connect_to(struct redis_link *l, const struct addrinfo *to)
{
    int one = 1, err = 0;
    socklen_t len = sizeof(err);
    l->fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return fail_errno(l, errno);
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(l->fd, to->ai_addr, to->ai_addrlen) == 0)
        return STEAD_OK;
    if (errno != EINPROGRESS)
        return fail_errno(l, errno);
    int failed = wait_for(l, POLLOUT, redis_now_ms() + REDIS_CONNECT_MS);
    if (failed)
        return failed;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &len))
        err = errno;
    return err ? fail_errno(l, err) : STEAD_OK;
}

static int connect_place(struct redis_link *l)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    char port[8];
    snprintf(port, sizeof(port), "%u", l->place.port);
    int failed = getaddrinfo(l->place.host, port, &hints, &found);
    if (failed)
        return fail(l, STEAD_E_IO, gai_strerror(failed));
    int err = STEAD_E_IO;
    for (const struct addrinfo *a = found; a && err; a = a->ai_next) {
        err = connect_to(l, a);
        if (err && l->fd >= 0) {
            close(l->fd);
            l->fd = -1;
        }
    }
    freeaddrinfo(found);
    return err;
}

static int shake(struct redis_link *l, struct ssl_ctx_st *rules)
{
    uint64_t end_ms = redis_now_ms() + REDIS_ANSWER_MS;
    const char *why;
    short events;
    int n, err = STEAD_OK;
    if (!rules)
        return STEAD_OK;
    l->tls = redis_tls_new(rules, l->fd, l->place.host);
    if (!l->tls)
        return STEAD_E_NOMEM;
    while (!err && (n = redis_tls_shake(l->tls, &events, &why)) <= 0) {
        if (n == -1)
            err = wait_for(l, events, end_ms);
        else
            err = fail(l, STEAD_E_IO, n == 0 ? CLOSED : why);
    }
    return err;
}

/* -- who is there -- */

/* The value of "name:value" on a line of its own; NULL: it is not there. */
static const char *info_value(const char *text, const char *name, size_t *len)
{
    size_t name_len = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        *len = strcspn(line + name_len + 1, "\r\n");
        return line + name_len + 1;
    }
    return NULL;
}

static bool info_is(const char *text, const char *name, const char *value)
{
    size_t len;
    const char *found = info_value(text, name, &len);
    return found && len == strlen(value) && memcmp(found, value, len) == 0;
}

static void note_run(struct redis_link *l, const char *text)
{
    char id[REDIS_ID_MAX] = "";
    size_t len;
    const char *found = info_value(text, "run_id", &len);
    if (found && len < sizeof(id))
        memcpy(id, found, len);
    l->restarted = l->known && (!*id || strcmp(id, l->run_id) != 0);
    l->known = true;
    memcpy(l->run_id, id, sizeof(id));
}

int redis_link_learn(struct redis_link *l, const struct redis_answer *a)
{
    size_t len;
    if (a->type != REDIS_TEXT)
        return fail(l, STEAD_E_PARSE, "INFO is not answered");
    if (info_is(a->text, "loading", "1"))
        return fail(l, STEAD_E_IO, "the server is loading its data");
    note_run(l, a->text);
    l->primary = info_is(a->text, "role", "master");
    l->cluster = info_is(a->text, "cluster_enabled", "1");
    const char *replicas = info_value(a->text, "connected_slaves", &len);
    l->replicas = replicas ? (unsigned)(*replicas >= '1' && *replicas <= '9') : 0;
    return STEAD_OK;
}

/* What a server's error means for everything that was asked of it. */
static int error_of(struct redis_link *l, const struct redis_answer *a)
{
    bool denied = redis_answer_begins(a, "NOAUTH") || redis_answer_begins(a, "WRONGPASS") ||
                  redis_answer_begins(a, "NOPERM") || redis_answer_begins(a, "DENIED") ||
                  strstr(a->text, "invalid password") || strstr(a->text, "AUTH");
    return fail(l, denied ? STEAD_E_DENIED : STEAD_E_IO, a->text);
}

int redis_link_look(struct redis_link *l)
{
    struct redis_answer *a = NULL;
    int err = redis_link_ask(l, "INFO", &a);
    if (!err)
        err = a->type == REDIS_ERROR ? error_of(l, a) : redis_link_learn(l, a);
    redis_answer_free(a);
    return err;
}

static int ask_argv(struct redis_link *l, const struct slice *argv, size_t argc,
                    struct redis_answer **out)
{
    int err = redis_link_add(l, argv, argc);
    if (!err)
        err = redis_link_send(l);
    return err ? err : redis_link_take(l, out);
}

static int log_in(struct redis_link *l, const struct redis_login *login)
{
    struct slice argv[3] = {{"AUTH", 4}};
    size_t argc = 1;
    struct redis_answer *a = NULL;
    if (!login->password)
        return STEAD_OK;
    if (login->user)
        argv[argc++] = (struct slice){login->user, strlen(login->user)};
    argv[argc++] = (struct slice){login->password, strlen(login->password)};
    int err = ask_argv(l, argv, argc, &a);
    if (l->out)
        explicit_bzero(l->out, l->out_cap);
    if (!err && a->type == REDIS_ERROR)
        err = error_of(l, a);
    redis_answer_free(a);
    return err;
}

static int get_to_know(struct redis_link *l, const struct redis_login *login)
{
    int err = log_in(l, login);
    return err ? err : redis_link_look(l);
}

int redis_link_open(struct redis_link *l, const struct redis_place *place,
                    const struct redis_login *login)
{
    assert(!l->open);
    l->place = *place;
    l->fd = -1;
    l->out_len = 0;
    l->open = true;
    l->answers = redis_answers_new();
    int err = l->answers ? connect_place(l) : STEAD_E_NOMEM;
    if (!err)
        err = shake(l, login->tls);
    if (!err)
        err = get_to_know(l, login);
    if (err)
        redis_link_close(l);
    return err;
}

void redis_link_close(struct redis_link *l)
{
    if (!l->open)
        return;
    redis_tls_free(l->tls);
    l->tls = NULL;
    if (l->fd >= 0)
        close(l->fd);
    redis_answers_free(l->answers);
    mem_free(l->out);
    l->answers = NULL;
    l->out = NULL;
    l->out_len = l->out_cap = 0;
    l->fd = -1;
    l->open = false;
}

/* -- commands and answers -- */

static bool make_room(struct redis_link *l, size_t more)
{
    size_t cap = l->out_cap ? l->out_cap : 4096;
    if (more > REDIS_OUT_MAX - l->out_len)
        return false;
    while (cap < l->out_len + more)
        cap *= 2;
    if (cap == l->out_cap)
        return true;
    uint8_t *out = mem_realloc(l->out, cap);
    if (!out)
        return false;
    l->out = out;
    l->out_cap = cap;
    return true;
}

static void put(struct redis_link *l, const void *bytes, size_t len)
{
    memcpy(l->out + l->out_len, bytes, len);
    l->out_len += len;
}

static void put_length(struct redis_link *l, char mark, size_t n)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%c%zu\r\n", mark, n);
    put(l, text, (size_t)len);
}

int redis_link_add(struct redis_link *l, const struct slice *argv, size_t argc)
{
    size_t room = 32;
    for (size_t i = 0; i < argc; i++)
        room += argv[i].len + 32;
    if (!make_room(l, room))
        return fail(l, STEAD_E_NOMEM, "no room for commands");
    put_length(l, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        put_length(l, '$', argv[i].len);
        put(l, argv[i].at, argv[i].len);
        put(l, "\r\n", 2);
    }
    return STEAD_OK;
}

/* As redis_tls_write(), and so the next one as redis_tls_read(). */
static ssize_t give(struct redis_link *l, const void *bytes, size_t len, short *events)
{
    const char *why = NULL;
    ssize_t n;
    *events = POLLOUT;
    if (l->tls) {
        n = redis_tls_write(l->tls, bytes, len, events, &why);
        if (n == -2)
            fail(l, STEAD_E_IO, why);
        return n;
    }
    n = send(l->fd, bytes, len, MSG_NOSIGNAL);
    if (n >= 0 || errno == EAGAIN || errno == EINTR)
        return n;
    fail_errno(l, errno);
    return -2;
}

static ssize_t take(struct redis_link *l, void *bytes, size_t cap, short *events)
{
    const char *why = NULL;
    ssize_t n;
    *events = POLLIN;
    if (l->tls) {
        n = redis_tls_read(l->tls, bytes, cap, events, &why);
        if (n == -2)
            fail(l, STEAD_E_IO, why);
        return n;
    }
    n = recv(l->fd, bytes, cap, 0);
    if (n >= 0 || errno == EAGAIN || errno == EINTR)
        return n;
    fail_errno(l, errno);
    return -2;
}

int redis_link_send(struct redis_link *l)
{
    size_t sent = 0;
    int err = STEAD_OK;
    while (sent < l->out_len && !err) {
        short events;
        ssize_t n = give(l, l->out + sent, l->out_len - sent, &events);
        if (n > 0)
            sent += (size_t)n;
        else if (n == -1)
            err = wait_for(l, events, redis_now_ms() + REDIS_ANSWER_MS);
        else
            err = n == 0 ? fail(l, STEAD_E_IO, CLOSED) : STEAD_E_IO;
    }
    l->out_len = 0;
    return err;
}

static int read_more(struct redis_link *l, uint64_t until_ms)
{
    uint8_t bytes[READ_BYTES];
    short events;
    ssize_t n;
    while ((n = take(l, bytes, sizeof(bytes), &events)) == -1) {
        int err = wait_for(l, events, until_ms);
        if (err)
            return err;
    }
    if (n <= 0)
        return n == 0 ? fail(l, STEAD_E_IO, CLOSED) : STEAD_E_IO;
    int err = redis_answers_feed(l->answers, bytes, (size_t)n);
    return err ? fail(l, err, "the server answers too much") : STEAD_OK;
}

int redis_link_take(struct redis_link *l, struct redis_answer **out)
{
    uint64_t end_ms = redis_now_ms() + REDIS_WHOLE_MS;
    int err;
    while ((err = redis_answers_next(l->answers, out)) == STEAD_PENDING) {
        uint64_t until_ms = redis_now_ms() + REDIS_ANSWER_MS;
        err = read_more(l, until_ms < end_ms ? until_ms : end_ms);
        if (err)
            return err;
    }
    if (err)
        fail(l, err, "the server does not speak the protocol");
    return err;
}

int redis_link_ask(struct redis_link *l, const char *words, struct redis_answer **out)
{
    struct slice argv[WORDS_MAX];
    size_t argc = 0;
    for (const char *at = words; *at && argc < WORDS_MAX; argc++) {
        argv[argc] = (struct slice){at, strcspn(at, " ")};
        at += argv[argc].len;
        at += *at == ' ';
    }
    return ask_argv(l, argv, argc, out);
}
