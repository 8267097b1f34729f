/* nullsrv.c - the physical limit of a request/answer server: epoll, one thread, one recv and one
 * send a request, nothing parsed, the same bytes each time.
 *
 *   http           200 "ok"; GET /b... answers 10 MiB by sendfile. Also the real server of the
 * runs. redirect       307        redirect-close  307, then closes session BYTES  what a session
 * API answers to POST and PATCH, in BYTES bytes */
#include "util.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#define BIG_BYTES (10 << 20)
#define ANSWER_MAX 4096
#define REDIRECT                                                                                   \
    "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://s1.bench.test:8080/some/path?x=1\r\n"     \
    "Content-Length: 0\r\n"

struct conn {
    int fd;
    bool sending; /* of the big file */
    off_t sent;
};

struct server {
    int epoll, listener, big;
    bool closes, http, session;
    size_t answer_len, other_len, big_len;
    char answer[ANSWER_MAX], other[ANSWER_MAX], big_head[128];
    char input[65536];
};

static void conn_drop(struct conn *c)
{
    close(c->fd);
    free(c);
}

static void big_send(struct server *s, struct conn *c)
{
    c->sending = true;
    while (c->sent < BIG_BYTES) {
        ssize_t n = sendfile(c->fd, s->big, &c->sent, (size_t)(BIG_BYTES - c->sent));
        if (n < 0 && errno == EAGAIN) {
            watch(s->epoll, EPOLL_CTL_MOD, c->fd, EPOLLOUT, c);
            return;
        }
        if (n <= 0)
            break;
    }
    c->sent = 0;
    c->sending = false;
    watch(s->epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
}

/* True when the connection lives on. */
static bool conn_answer(struct server *s, struct conn *c)
{
    ssize_t n = recv(c->fd, s->input, sizeof s->input, 0);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0)
        return false;
    if (s->http && n > 5 && s->input[5] == 'b') {
        if (send(c->fd, s->big_head, s->big_len, MSG_MORE | MSG_NOSIGNAL) < 0)
            return false;
        big_send(s, c);
        return true;
    }
    bool other = s->session && s->input[1] == 'O'; /* POST, else PATCH */
    n = send(c->fd, other ? s->other : s->answer, other ? s->other_len : s->answer_len,
             MSG_NOSIGNAL);
    return n > 0 && !s->closes;
}

static void conns_accept(struct server *s)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        no_delay(fd);
        struct conn *c = must_alloc(1, sizeof *c);
        c->fd = fd;
        if (s->closes && !conn_answer(s, c)) { /* mostly the request is here already */
            conn_drop(c);
            continue;
        }
        watch(s->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

/* A session's answer of `bytes` in all: a fixed head, the rest is one value. */
static size_t session_answer(char *out, int status, const char *more, size_t bytes)
{
    static const char body_head[] = "{\"id\":\"0kLrJ1vVxv5mLw4NQ7Pj0x2sY8cJt1aQ\",\"copies\":2,"
                                    "\"fields\":{\"cart\":\"";
    char head[512];
    int body = (int)bytes, n = 0;
    for (int i = 0; i < 3; i++) { /* the length of the length settles */
        n = snprintf(
            head, sizeof head,
            "HTTP/1.1 %d OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n",
            status, more, body);
        body = (int)bytes - n;
    }
    int pad = body - (int)sizeof body_head + 1 - 3;
    if (pad < 0)
        usage("session BYTES, enough for its head");
    memset(out, 'x', bytes);
    memcpy(out, head, (size_t)n);
    memcpy(out + n, body_head, sizeof body_head - 1);
    memcpy(out + bytes - 3, "\"}}", 3);
    return bytes;
}

static void big_make(struct server *s)
{
    s->big = memfd_create("big", MFD_CLOEXEC);
    if (s->big < 0 || ftruncate(s->big, BIG_BYTES))
        die("memfd");
    char *p = mmap(NULL, BIG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->big, 0);
    if (p == MAP_FAILED)
        die("mmap");
    memset(p, 'b', BIG_BYTES);
    munmap(p, BIG_BYTES);
    s->big_len = (size_t)snprintf(s->big_head, sizeof s->big_head,
                                  "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG_BYTES);
}

static void mode_set(struct server *s, const char *mode, const char *bytes)
{
    s->http = strcmp(mode, "http") == 0;
    s->closes = strcmp(mode, "redirect-close") == 0;
    s->session = strcmp(mode, "session") == 0;
    if (s->session) {
        size_t n = bytes ? (size_t)number_parse(bytes, 300, ANSWER_MAX - 1) : 600;
        s->answer_len = session_answer(s->answer, 200, "", n);
        s->other_len = session_answer(
            s->other, 201, "Location: /v1/sessions/auth/0kLrJ1vVxv5mLw4NQ7Pj0x2sY8cJt1aQ\r\n", n);
        return;
    }
    const char *text = s->http     ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                       : s->closes ? REDIRECT "Connection: close\r\n\r\n"
                                   : REDIRECT "\r\n";
    s->answer_len = strlen(text);
    memcpy(s->answer, text, s->answer_len);
    if (s->http)
        big_make(s);
}

int main(int argc, char **argv)
{
    static struct server s;
    struct epoll_event events[256];
    if (argc < 3)
        usage("nullsrv ADDRESS http|redirect|redirect-close|session [BYTES]");
    struct target t = target_parse(argv[1]);
    signal(SIGPIPE, SIG_IGN);
    files_max();
    mode_set(&s, argv[2], argc > 3 ? argv[3] : NULL);
    s.listener = target_listen(&t);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(s.epoll, EPOLL_CTL_ADD, s.listener, EPOLLIN, NULL);
    for (;;) {
        int n = epoll_wait(s.epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c)
                conns_accept(&s);
            else if (c->sending)
                big_send(&s, c);
            else if (!conn_answer(&s, c))
                conn_drop(c);
        }
    }
}
