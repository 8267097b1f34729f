/* cachemin.c - the physical limit of a cache's server: epoll, one thread, one recv and one send an
 * event, requests told apart by one byte and their fixed length, the same answers each time. */
#include "cacheproto.h"
#include "util.h"

#define EVENTS_MAX 256
#define INPUT_BYTES 65536
#define USAGE "cachemin ADDRESS resp|memcache"

struct conn {
    int fd;
    size_t have;
    char input[INPUT_BYTES];
};

struct server {
    int epoll, listener;
    enum cache_form form;
    size_t get_len, set_len, found_len, stored_len;
    char found[CACHE_FRAME_MAX], stored[CACHE_FRAME_MAX];
    char output[INPUT_BYTES / 16 * CACHE_FRAME_MAX];
};

static void server_init(struct server *s, const char *address, const char *form)
{
    char frame[CACHE_FRAME_MAX];
    struct target t = target_parse(address);
    s->form = strcmp(form, "resp") == 0 ? FORM_RESP : FORM_MEMCACHE;
    s->get_len = cache_get(s->form, frame, 1);
    s->set_len = cache_set(s->form, frame, 1, CACHE_VALUE_BYTES);
    s->found_len = cache_answer(s->form, true, s->found, 1, CACHE_VALUE_BYTES);
    memset(s->found + s->found_len, 'x', CACHE_VALUE_BYTES);
    s->found_len += CACHE_VALUE_BYTES;
    strcpy(s->found + s->found_len, cache_answer_end(s->form, true));
    s->found_len += strlen(cache_answer_end(s->form, true));
    s->stored_len = cache_answer(s->form, false, s->stored, 1, CACHE_VALUE_BYTES);
    s->listener = target_listen(&t);
    s->epoll = epoll_create1(0);
    watch(s->epoll, EPOLL_CTL_ADD, s->listener, EPOLLIN, NULL);
}

static void conn_accept(struct server *s)
{
    int fd;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *c = must_alloc(1, sizeof *c);
        no_delay(fd);
        c->fd = fd;
        watch(s->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

static bool conn_send(const struct conn *c, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(c->fd, bytes + at, len - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* True when the connection lives on. */
static bool conn_answer(struct server *s, struct conn *c)
{
    ssize_t n = recv(c->fd, c->input + c->have, sizeof c->input - c->have, 0);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0)
        return false;
    c->have += (size_t)n;
    size_t at = 0, len = 0;
    while (c->have - at >= 2) {
        const char *p = c->input + at;
        bool get = s->form == FORM_RESP ? p[1] == '2' : p[0] == 'g';
        size_t frame = get ? s->get_len : s->set_len, answer = get ? s->found_len : s->stored_len;
        if (c->have - at < frame || len + answer > sizeof s->output)
            break;
        memcpy(s->output + len, get ? s->found : s->stored, answer);
        if (get && s->form == FORM_MEMCACHE) /* the one answer that names its key */
            memcpy(s->output + len + strlen("VALUE key:"), p + strlen("get key:"), 8);
        at += frame;
        len += answer;
    }
    memmove(c->input, c->input + at, c->have - at);
    c->have -= at;
    return conn_send(c, s->output, len);
}

int main(int argc, char **argv)
{
    static struct server s;
    struct epoll_event events[EVENTS_MAX];
    if (argc != 3)
        usage(USAGE);
    signal(SIGPIPE, SIG_IGN);
    files_max();
    server_init(&s, argv[1], argv[2]);
    for (;;) {
        int n = epoll_wait(s.epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c) {
                conn_accept(&s);
            } else if (!conn_answer(&s, c)) {
                close(c->fd);
                free(c);
            }
        }
    }
}
