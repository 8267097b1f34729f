/* cacheload.c - GET and SET of values of 200 bytes (-b) for servers that speak Redis's or
 * memcached's protocol, so that both are loaded alike. Each connection sends a pipeline of requests
 * at once, waits for all answers, and sends the next; the pipeline's time is the latency of each.
 * Every answer is checked, the value's length included. With -F every key is stored first.
 *
 * Prints: ops_s, p50_us, p99_us, misses, errors. Exit status 1 with any error. */
#include "cacheproto.h"
#include "util.h"

#define DEPTH_MAX 64
#define EVENTS_MAX 256
#define USAGE                                                                                      \
    "cacheload [-c CONNECTIONS] [-d DEPTH] [-g GET_PERCENT] [-b BYTES] [-t SECONDS] [-F] ADDRESS " \
    "resp|memcache"

struct conn {
    int fd;
    unsigned outstanding, answered; /* of the pipeline */
    bool get[DEPTH_MAX];
    unsigned key[DEPTH_MAX];
    size_t have;
    uint64_t started_ns;
    char input[DEPTH_MAX * CACHE_FRAME_MAX];
};

struct load {
    enum cache_form form;
    int epoll;
    unsigned depth, get_percent;
    size_t value_bytes;
    uint64_t random, done, misses, errors;
    char output[DEPTH_MAX * CACHE_FRAME_MAX], first_error[80];
    struct hist hist;
};

static unsigned draw(struct load *l, unsigned below)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return (unsigned)(l->random >> 33) % below;
}

static void pipeline_send(struct load *l, struct conn *c, const unsigned *first)
{
    size_t len = 0;
    for (unsigned i = 0; i < l->depth; i++) {
        c->key[i] = first ? (*first + i) % CACHE_KEYS : draw(l, CACHE_KEYS);
        c->get[i] = !first && draw(l, 100) < l->get_percent;
        len += c->get[i] ? cache_get(l->form, l->output + len, c->key[i])
                         : cache_set(l->form, l->output + len, c->key[i], l->value_bytes);
    }
    c->outstanding = l->depth;
    c->answered = 0;
    c->started_ns = now_ns();
    if (send(c->fd, l->output, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("send");
}

/* Bytes of the next answer in the input; 0: not all there yet. */
static size_t answer_take(struct load *l, struct conn *c, const char *at, size_t have)
{
    char head[CACHE_FRAME_MAX];
    bool get = c->get[c->answered];
    const char *none = l->form == FORM_RESP ? "$-1\r\n" : "END\r\n";
    const char *tail = cache_answer_end(l->form, get);
    size_t head_len = cache_answer(l->form, get, head, c->key[c->answered], l->value_bytes);
    size_t len = head_len + (get ? l->value_bytes : 0) + strlen(tail);
    if (get && have >= 5 && memcmp(at, none, 5) == 0) {
        l->misses++;
        return 5;
    }
    if (have < len)
        return 0;
    if (memcmp(at, head, head_len) != 0 ||
        memcmp(at + len - strlen(tail), tail, strlen(tail)) != 0) {
        if (l->errors++ == 0)
            snprintf(l->first_error, sizeof l->first_error, "%.60s", at);
    }
    return len;
}

/* True when the pipeline's last answer is there. */
static bool conn_read(struct load *l, struct conn *c)
{
    ssize_t n = recv(c->fd, c->input + c->have, sizeof c->input - c->have, 0);
    if (n <= 0)
        die("the server closed a connection");
    c->have += (size_t)n;
    size_t at = 0, len;
    while (c->outstanding > 0 && (len = answer_take(l, c, c->input + at, c->have - at)) > 0) {
        at += len;
        c->answered++;
        c->outstanding--;
        l->done++;
    }
    memmove(c->input, c->input + at, c->have - at);
    c->have -= at;
    return c->outstanding == 0;
}

static void fill(struct load *l, struct conn *c)
{
    for (unsigned key = 0; key < CACHE_KEYS; key += l->depth) {
        pipeline_send(l, c, &key);
        while (!conn_read(l, c))
            ;
    }
    l->done = l->misses = 0;
}

static void run(struct load *l, uint64_t end_ns, unsigned busy)
{
    struct epoll_event events[EVENTS_MAX];
    while (busy > 0) {
        int n = epoll_wait(l->epoll, events, EVENTS_MAX, 5000);
        if (n == 0)
            die("no answer for 5 seconds");
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!conn_read(l, c))
                continue;
            uint64_t now = now_ns();
            hist_add(&l->hist, now - c->started_ns);
            if (now < end_ns)
                pipeline_send(l, c, NULL);
            else
                busy--;
        }
    }
}

int main(int argc, char **argv)
{
    static struct load l = {.depth = 1,
                            .get_percent = 100,
                            .value_bytes = CACHE_VALUE_BYTES,
                            .random = 88172645463325252ull};
    unsigned conns = 50;
    double seconds = 1;
    bool fills = false;
    for (int o; (o = getopt(argc, argv, "b:c:d:g:t:F")) > 0;) {
        if (o == 'b')
            l.value_bytes = (size_t)number_parse(optarg, 1, CACHE_FRAME_MAX - 64);
        else if (o == 'c')
            conns = (unsigned)number_parse(optarg, 1, 10000);
        else if (o == 'd')
            l.depth = (unsigned)number_parse(optarg, 1, DEPTH_MAX);
        else if (o == 'g')
            l.get_percent = (unsigned)number_parse(optarg, 0, 100);
        else if (o == 't')
            seconds = number_parse(optarg, 0.01, 3600);
        else if (o == 'F')
            fills = true;
        else
            usage(USAGE);
    }
    if (argc - optind != 2)
        usage(USAGE);
    files_max();
    struct target target = target_parse(argv[optind]);
    l.form = strcmp(argv[optind + 1], "resp") == 0 ? FORM_RESP : FORM_MEMCACHE;
    l.epoll = epoll_create1(0);
    struct conn *all = must_alloc(conns, sizeof *all);
    for (unsigned i = 0; i < conns; i++) {
        all[i].fd = target_connect(&target, i);
        watch(l.epoll, EPOLL_CTL_ADD, all[i].fd, EPOLLIN, &all[i]);
    }
    if (fills)
        fill(&l, &all[0]);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < conns; i++)
        pipeline_send(&l, &all[i], NULL);
    run(&l, start + (uint64_t)(seconds * 1e9), conns);
    double took = (double)(now_ns() - start) / 1e9;
    printf("ops_s %.0f\nmisses %llu\nerrors %llu\n", (double)l.done / took,
           (unsigned long long)l.misses, (unsigned long long)l.errors);
    hist_print(&l.hist);
    if (l.errors > 0)
        fprintf(stderr, "first wrong answer: %s\n", l.first_error);
    return l.errors > 0;
}
