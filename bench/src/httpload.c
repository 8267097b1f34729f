/* httpload.c - GET requests over many connections, one outstanding on each; every answer's status
 * and length are checked. With -k no, every request has a connection of its own, which the server
 * must close. Bodies beyond the first buffer are dropped in the kernel.
 *
 * Prints: req_s, mbit_s, p50_us, p99_us, errors, connections. Exit status 1 with any error. */
#include "answer.h"
#include "util.h"

#define BUFFER_BYTES 8192
#define DROP_BYTES (1u << 20)
#define USAGE                                                                                      \
    "httpload [-c CONNECTIONS] [-t SECONDS] [-s STATUS] [-H HOST] [-k yes|no] ADDRESS PATH"

struct conn {
    int fd;
    bool answered; /* the whole answer is here, only the close is missing */
    size_t have, left;
    uint64_t started_ns;
    char buffer[BUFFER_BYTES + 1];
};

struct load {
    struct target target;
    const char *host;
    int epoll, status, count;
    bool keep;
    size_t request_len;
    char request[2048];
    uint64_t end_ns, done, bytes, connections, errors;
    char first_error[120];
    struct hist hist;
};

static void request_send(struct load *l, struct conn *c)
{
    c->have = c->left = 0;
    c->answered = false;
    c->started_ns = now_ns();
    if (send(c->fd, l->request, l->request_len, MSG_NOSIGNAL) != (ssize_t)l->request_len)
        die("send");
}

static void conn_open(struct load *l, struct conn *c)
{
    uint64_t started = now_ns();
    c->fd = target_connect(&l->target, (unsigned)l->connections);
    l->connections++;
    watch(l->epoll, EPOLL_CTL_ADD, c->fd, EPOLLIN, c);
    request_send(l, c);
    c->started_ns = started; /* a new connection is part of the request that it is made for */
}

static void conn_again(struct load *l, struct conn *c)
{
    close(c->fd);
    conn_open(l, c);
}

static void error_note(struct load *l, const char *what, const char *text, int len)
{
    if (l->errors++ == 0)
        snprintf(l->first_error, sizeof l->first_error, "%s: %.*s", what, len > 60 ? 60 : len,
                 text);
}

static void answer_done(struct load *l, struct conn *c, uint64_t now)
{
    hist_add(&l->hist, now - c->started_ns);
    l->done++;
    if (l->keep)
        request_send(l, c);
    else
        c->answered = true;
}

/* The first buffer of an answer; false while its head is not complete. */
static bool head_read(struct load *l, struct conn *c)
{
    struct answer a;
    c->buffer[c->have] = '\0';
    if (!answer_parse(c->buffer, c->have, &a))
        return false;
    size_t all = a.head_len + a.body_len;
    if (a.status != l->status || all < c->have)
        error_note(l, "answer", c->buffer, (int)c->have);
    l->bytes += c->have;
    c->left = all > c->have ? all - c->have : 0;
    return true;
}

static void conn_read(struct load *l, struct conn *c)
{
    ssize_t n;
    bool body = c->left > 0;
    if (body)
        n = recv(c->fd, NULL, c->left < DROP_BYTES ? c->left : DROP_BYTES,
                 MSG_TRUNC | MSG_DONTWAIT);
    else
        n = recv(c->fd, c->buffer + c->have, BUFFER_BYTES - c->have, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        if (!c->answered || n < 0)
            error_note(l, "closed", n < 0 ? strerror(errno) : "early", 40);
        conn_again(l, c);
        return;
    }
    if (c->answered) {
        error_note(l, "more than the answer", c->buffer, 40);
        return;
    }
    if (body) {
        l->bytes += (uint64_t)n;
        c->left -= (size_t)n;
    } else {
        c->have += (size_t)n;
        if (!head_read(l, c))
            return;
    }
    if (c->left == 0)
        answer_done(l, c, now_ns());
}

static void run(struct load *l, uint64_t seconds_ns)
{
    struct epoll_event events[256];
    struct conn *conns = must_alloc((size_t)l->count, sizeof *conns);
    uint64_t start = now_ns(), now = start, last = start, seen = 0;
    for (int i = 0; i < l->count; i++)
        conn_open(l, &conns[i]);
    while (now < start + seconds_ns && l->errors < 1000) {
        int n = epoll_wait(l->epoll, events, 256, 200);
        for (int i = 0; i < n; i++)
            conn_read(l, events[i].data.ptr);
        now = now_ns();
        if (l->bytes != seen) {
            seen = l->bytes;
            last = now;
        } else if (now - last > 2 * SECOND_NS) {
            error_note(l, "stuck", "no byte for 2 s", 40);
            break;
        }
    }
    double seconds = (double)(now - start) / 1e9;
    printf("req_s %.1f\nmbit_s %.1f\n", (double)l->done / seconds,
           (double)l->bytes * 8 / 1e6 / seconds);
    hist_print(&l->hist);
    printf("errors %lu\nconnections %lu\n", l->errors, l->connections);
    free(conns);
}

int main(int argc, char **argv)
{
    static struct load l = {.status = 200, .count = 64, .keep = true, .host = "localhost"};
    double seconds = 2;
    int option;
    while ((option = getopt(argc, argv, "c:t:s:H:k:")) != -1) {
        if (option == 'c')
            l.count = (int)number_parse(optarg, 1, 10000);
        else if (option == 't')
            seconds = number_parse(optarg, 0.01, 60);
        else if (option == 's')
            l.status = (int)number_parse(optarg, 100, 599);
        else if (option == 'H')
            l.host = optarg;
        else if (option == 'k')
            l.keep = strcmp(optarg, "no") != 0;
        else
            usage(USAGE);
    }
    if (argc - optind != 2)
        usage(USAGE);
    files_max();
    l.target = target_parse(argv[optind]);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    int n = snprintf(l.request, sizeof l.request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                     argv[optind + 1], l.host, l.keep ? "" : "Connection: close\r\n");
    if (n <= 0 || (size_t)n >= sizeof l.request)
        usage(USAGE);
    l.request_len = (size_t)n;
    run(&l, (uint64_t)(seconds * 1e9));
    if (l.errors)
        fprintf(stderr, "httpload: first error: %s\n", l.first_error);
    return l.errors ? 1 : 0;
}
