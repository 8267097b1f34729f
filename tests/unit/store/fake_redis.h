/* fake_redis.h - a small server that speaks Redis' protocol, and says what a test has it say: rules
 * stand before what it would answer by itself. One thread for all its connections. */
#ifndef TESTS_FAKE_REDIS_H
#define TESTS_FAKE_REDIS_H

#include "core/resp/resp.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_CONNS 16
#define FAKE_PAIRS 1024
#define FAKE_RULES 8
#define FAKE_IN (2u << 20)
#define FAKE_OUT (8u << 20)

struct fake_rule {
    const char *verb; /* of the command */
    int skip, times;  /* leave so many; then answer so many */
    const char *reply;
    bool closes; /* behind the reply */
};

struct fake_pair {
    char name[128];
    size_t name_len, len;
    uint8_t *value;
};

struct fake {
    int listener, stop[2];
    char address[32];
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    struct fake_rule rules[FAKE_RULES];
    size_t rule_count;
    char info[256], map[1024];
    struct fake_pair pairs[FAKE_PAIRS];
    size_t pair_count;
    bool hang_up; /* all connections go, once */
    unsigned accepted, asking, waits, sets, deletes, with_life;
    char order[64][8]; /* verbs as they came */
    size_t order_count;
    struct fake_conn {
        int fd;
        char *in;
        size_t len;
    } conns[FAKE_CONNS];
};

static inline void fake_rule(struct fake *f, struct fake_rule rule)
{
    pthread_mutex_lock(&f->lock);
    f->rules[f->rule_count++] = rule;
    pthread_mutex_unlock(&f->lock);
}

static inline struct fake_pair *fake_find(struct fake *f, struct slice name)
{
    for (size_t i = 0; i < f->pair_count; i++)
        if (f->pairs[i].name_len == name.len && memcmp(f->pairs[i].name, name.at, name.len) == 0)
            return &f->pairs[i];
    return NULL;
}

static inline void fake_forget(struct fake *f, struct fake_pair *p)
{
    free(p->value);
    *p = f->pairs[--f->pair_count];
}

static inline void fake_set(struct fake *f, const struct resp_command *c, struct resp_out *o)
{
    struct fake_pair *p = fake_find(f, c->argv[1]);
    bool only_new = c->argc > 3 && resp_is(c, 3, "NX");
    f->sets += !only_new;
    f->with_life += c->argc == 5 && resp_is(c, 3, "PX");
    if (p && only_new) {
        resp_put_null(o);
        return;
    }
    if (!p)
        p = &f->pairs[f->pair_count++];
    else
        free(p->value);
    memcpy(p->name, c->argv[1].at, c->argv[1].len);
    p->name_len = c->argv[1].len;
    p->len = c->argv[2].len;
    p->value = malloc(p->len + 1);
    memcpy(p->value, c->argv[2].at, p->len);
    resp_put_simple(o, "OK");
}

/* Two pages, of which the second begins with the last name of the first. */
static inline void fake_scan(struct fake *f, const struct resp_command *c, struct resp_out *o)
{
    bool second = !resp_is(c, 1, "0");
    size_t half = f->pair_count / 2, from = second && half > 0 ? half - 1 : half * second;
    size_t until = second ? f->pair_count : half;
    resp_put_array(o, 2);
    resp_put_bulk(o, second ? "0" : "17", second ? 1 : 2);
    resp_put_array(o, until - from);
    for (size_t i = from; i < until; i++)
        resp_put_bulk(o, f->pairs[i].name, f->pairs[i].name_len);
}

static inline void fake_raw(struct resp_out *o, const char *text)
{
    size_t len = strlen(text);
    memcpy(o->bytes + o->len, text, len);
    o->len += len;
}

static inline void fake_answer(struct fake *f, const struct resp_command *c, struct resp_out *o)
{
    struct fake_pair *p = c->argc > 1 ? fake_find(f, c->argv[1]) : NULL;
    if (resp_is(c, 0, "INFO"))
        resp_put_bulk(o, f->info, strlen(f->info));
    else if (resp_is(c, 0, "CLUSTER"))
        fake_raw(o, f->map);
    else if (resp_is(c, 0, "SET"))
        fake_set(f, c, o);
    else if (resp_is(c, 0, "GET") && p)
        resp_put_bulk(o, p->value, p->len);
    else if (resp_is(c, 0, "GET"))
        resp_put_null(o);
    else if (resp_is(c, 0, "DEL")) {
        f->deletes++;
        resp_put_int(o, p != NULL);
        if (p)
            fake_forget(f, p);
    } else if (resp_is(c, 0, "SCAN"))
        fake_scan(f, c, o);
    else if (resp_is(c, 0, "DBSIZE"))
        resp_put_int(o, (int64_t)f->pair_count);
    else if (resp_is(c, 0, "WAIT") || resp_is(c, 0, "PEXPIRE") || resp_is(c, 0, "PTTL")) {
        f->waits += resp_is(c, 0, "WAIT");
        resp_put_int(o, 1);
    } else if (resp_is(c, 0, "ASKING")) {
        f->asking++;
        resp_put_simple(o, "OK");
    } else
        resp_put_error(o, "ERR unknown command");
}

/* False: the connection ends. */
static inline bool fake_command(struct fake *f, const struct resp_command *c, struct resp_out *o)
{
    if (f->order_count < 64) {
        size_t n = c->argv[0].len < 7 ? c->argv[0].len : 7;
        memcpy(f->order[f->order_count], c->argv[0].at, n);
        f->order[f->order_count++][n] = '\0';
    }
    for (size_t i = 0; i < f->rule_count; i++) {
        struct fake_rule *r = &f->rules[i];
        if (!resp_is(c, 0, r->verb) || (r->times == 0 && r->skip == 0))
            continue;
        if (r->skip > 0) {
            r->skip--;
            continue;
        }
        if (r->times == 0)
            continue;
        r->times--;
        fake_raw(o, r->reply);
        return !r->closes;
    }
    fake_answer(f, c, o);
    return true;
}

static inline void fake_end(struct fake_conn *c)
{
    close(c->fd);
    free(c->in);
    *c = (struct fake_conn){.fd = -1};
}

static inline void fake_serve(struct fake *f, struct fake_conn *c)
{
    struct resp_command *command = calloc(1, sizeof(*command));
    char *out = malloc(FAKE_OUT);
    const char *why;
    struct resp_out o;
    ssize_t n = recv(c->fd, c->in + c->len, FAKE_IN - c->len, 0);
    if (n <= 0 || !command || !out) {
        free(command);
        free(out);
        fake_end(c);
        return;
    }
    c->len += (size_t)n;
    resp_out_init(&o, out, FAKE_OUT, false);
    size_t at = 0;
    bool on = true;
    int used = 0;
    while (on && (used = resp_parse(c->in + at, c->len - at, command, &why)) > 0) {
        on = fake_command(f, command, &o);
        at += (size_t)used;
    }
    memmove(c->in, c->in + at, c->len - at);
    c->len -= at;
    for (size_t sent = 0; sent < o.len;) {
        ssize_t m = send(c->fd, out + sent, o.len - sent, MSG_NOSIGNAL);
        if (m <= 0)
            break;
        sent += (size_t)m;
    }
    free(command);
    free(out);
    if (!on || used < 0)
        fake_end(c);
}

static inline void fake_accept(struct fake *f)
{
    int fd = accept(f->listener, NULL, NULL);
    for (size_t i = 0; i < FAKE_CONNS && fd >= 0; i++)
        if (f->conns[i].fd < 0) {
            f->conns[i] = (struct fake_conn){.fd = fd, .in = malloc(FAKE_IN)};
            f->accepted++;
            return;
        }
    close(fd);
}

static inline void *fake_run(void *context)
{
    struct fake *f = context;
    for (;;) {
        struct pollfd p[FAKE_CONNS + 2] = {{.fd = f->listener, .events = POLLIN},
                                           {.fd = f->stop[0], .events = POLLIN}};
        for (size_t i = 0; i < FAKE_CONNS; i++)
            p[i + 2] = (struct pollfd){.fd = f->conns[i].fd, .events = POLLIN};
        poll(p, FAKE_CONNS + 2, 5);
        if (p[1].revents)
            return NULL;
        pthread_mutex_lock(&f->lock);
        for (size_t i = 0; i < FAKE_CONNS; i++) {
            if (f->hang_up && f->conns[i].fd >= 0)
                fake_end(&f->conns[i]);
            else if (p[i + 2].revents && f->conns[i].fd >= 0)
                fake_serve(f, &f->conns[i]);
        }
        f->hang_up = false;
        if (p[0].revents)
            fake_accept(f);
        pthread_mutex_unlock(&f->lock);
    }
}

static inline void fake_hang_up(struct fake *f)
{
    pthread_mutex_lock(&f->lock);
    f->hang_up = true;
    pthread_mutex_unlock(&f->lock);
    for (bool done = false; !done;) {
        usleep(1000);
        pthread_mutex_lock(&f->lock);
        done = !f->hang_up;
        pthread_mutex_unlock(&f->lock);
    }
}

static inline void fake_info(struct fake *f, const char *run, const char *role, bool cluster,
                             unsigned replicas)
{
    pthread_mutex_lock(&f->lock);
    snprintf(f->info, sizeof(f->info),
             "# Server\r\nrun_id:%s\r\nloading:0\r\nrole:%s\r\nconnected_slaves:%u\r\n"
             "cluster_enabled:%d\r\n",
             run, role, replicas, cluster);
    pthread_mutex_unlock(&f->lock);
}

static inline bool fake_start(struct fake *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    memset(f, 0, sizeof(*f));
    for (size_t i = 0; i < FAKE_CONNS; i++)
        f->conns[i].fd = -1;
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(f->listener, (struct sockaddr *)&a, sizeof(a)) || listen(f->listener, 16) ||
        getsockname(f->listener, (struct sockaddr *)&a, &len) || pipe(f->stop))
        return false;
    snprintf(f->address, sizeof(f->address), "127.0.0.1:%u", ntohs(a.sin_port));
    pthread_mutex_init(&f->lock, NULL);
    fake_info(f, "one", "master", false, 0);
    return pthread_create(&f->thread, NULL, fake_run, f) == 0;
}

static inline void fake_stop(struct fake *f)
{
    if (write(f->stop[1], "", 1) == 1)
        pthread_join(f->thread, NULL);
    for (size_t i = 0; i < FAKE_CONNS; i++)
        if (f->conns[i].fd >= 0)
            fake_end(&f->conns[i]);
    while (f->pair_count > 0)
        fake_forget(f, &f->pairs[0]);
    close(f->listener);
    close(f->stop[0]);
    close(f->stop[1]);
}

#endif
