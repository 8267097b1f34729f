/* sessload.c - acknowledged session writes through the session API: PATCHes with a value of
 * BYTES bytes over keep-alive connections, one outstanding on each. Each connection writes its own
 * SESSIONS in turn. Every answer must be 200 and tell of at least COPIES copies. With -r, the
 * sessions are read back through another node's socket at the end, and must hold what was
 * acknowledged last.
 *
 * Prints: writes_s, p50_us, p99_us, errors, short_copies, request_bytes, answer_bytes, verified. */
#include "answer.h"
#include "util.h"

#define BUFFER_BYTES 8192
#define ID_MAX 250
#define VALUE_MAX 2000
#define SEQUENCE_DIGITS 12
#define USAGE                                                                                      \
    "sessload [-c CONNECTIONS] [-n SESSIONS] [-t SECONDS] [-v BYTES] [-k KIND] [-w COPIES] "       \
    "[-r ADDRESS] ADDRESS"

struct session {
    char id[ID_MAX + 1];
    uint64_t acked;
};

struct conn {
    int fd;
    size_t have;
    unsigned at; /* the session being written */
    uint64_t sent_ns, sequence;
    struct session *sessions;
    char buffer[BUFFER_BYTES + 1];
};

struct load {
    struct target target;
    const char *kind;
    int epoll;
    unsigned count, sessions, value_bytes, copies;
    uint64_t sequence, done, errors, short_copies, verified;
    size_t request_bytes, answer_bytes;
    char first_error[200], pad[VALUE_MAX + 1];
    struct hist hist;
};

static void error_note(struct load *l, const char *text)
{
    if (l->errors++ == 0)
        snprintf(l->first_error, sizeof l->first_error, "%.150s", text);
}

static size_t request_make(const struct load *l, char *out, size_t cap, const char *method,
                           const char *id, const char *body)
{
    int n = snprintf(out, cap,
                     "%s /v1/sessions/%s%s%s HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     method, l->kind, *id ? "/" : "", id, strlen(body), body);
    if (n < 0 || (size_t)n >= cap)
        usage("sessload: the request is too long");
    return (size_t)n;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("send");
}

/* The whole answer, or false when more is to come. */
static bool answer_read(struct conn *c, struct answer *out)
{
    ssize_t n = recv(c->fd, c->buffer + c->have, BUFFER_BYTES - c->have, 0);
    if (n <= 0) {
        fprintf(stderr, "sessload: the connection was closed\n");
        exit(1);
    }
    c->have += (size_t)n;
    c->buffer[c->have] = '\0';
    return answer_parse(c->buffer, c->have, out) && c->have >= out->head_len + out->body_len;
}

/* Sends a request and waits for its answer; its text is in c->buffer. */
static int exchange(struct load *l, struct conn *c, const char *method, const char *id,
                    const char *body)
{
    char request[BUFFER_BYTES];
    struct answer a;
    size_t len = request_make(l, request, sizeof request, method, id, body);
    send_all(c->fd, request, len);
    c->have = 0;
    while (!answer_read(c, &a))
        continue;
    return a.status;
}

/* What stands behind "name": in a JSON text, spaces and the opening quote skipped; NULL if absent.
 */
static const char *member(const char *json, const char *name)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    const char *at = strstr(json, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), ": \"") : NULL;
}

static void sessions_make(struct load *l, struct conn *c)
{
    for (unsigned i = 0; i < l->sessions; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"fields\":{\"cart\":\"%0*d\"}}", SEQUENCE_DIGITS, 0);
        int status = exchange(l, c, "POST", "", body);
        const char *id = status == 201 ? member(c->buffer, "id") : NULL;
        size_t n = id ? strcspn(id, "\"") : 0;
        if (n == 0 || n > ID_MAX) {
            fprintf(stderr, "sessload: no session: %.300s\n", c->buffer);
            exit(1);
        }
        memcpy(c->sessions[i].id, id, n);
    }
}

static void write_send(struct load *l, struct conn *c)
{
    char body[VALUE_MAX + 64], request[BUFFER_BYTES];
    c->at = (c->at + 1) % l->sessions;
    c->sequence = ++l->sequence;
    snprintf(body, sizeof body, "{\"set\":{\"cart\":\"%0*lu%s\"}}", SEQUENCE_DIGITS, c->sequence,
             l->pad);
    size_t len = request_make(l, request, sizeof request, "PATCH", c->sessions[c->at].id, body);
    l->request_bytes = len;
    c->have = 0;
    c->sent_ns = now_ns();
    send_all(c->fd, request, len);
}

/* True when the answer to the write is complete. */
static bool write_take(struct load *l, struct conn *c)
{
    struct answer a;
    if (!answer_read(c, &a))
        return false;
    hist_add(&l->hist, now_ns() - c->sent_ns);
    l->answer_bytes = c->have;
    if (a.status != 200) {
        error_note(l, c->buffer);
        return true;
    }
    const char *copies = member(c->buffer + a.head_len, "copies");
    if (!copies || strtoul(copies, NULL, 10) < l->copies)
        l->short_copies++;
    c->sessions[c->at].acked = c->sequence;
    l->done++;
    return true;
}

static void run(struct load *l, struct conn *conns, uint64_t length_ns)
{
    struct epoll_event events[256];
    uint64_t start = now_ns(), now = start;
    unsigned busy = l->count;
    for (unsigned i = 0; i < l->count; i++)
        write_send(l, &conns[i]);
    while (busy > 0) {
        int n = epoll_wait(l->epoll, events, 256, 10000);
        if (n <= 0) {
            error_note(l, "no answer for 10 s");
            break;
        }
        now = now_ns();
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!write_take(l, c))
                continue;
            if (now < start + length_ns)
                write_send(l, c);
            else
                busy--;
        }
    }
    now = now_ns();
    printf("writes_s %.1f\n", (double)l->done / ((double)(now - start) / 1e9));
    hist_print(&l->hist);
}

static void read_back(struct load *l, struct conn *conns, const struct target *where)
{
    struct conn *reader = must_alloc(1, sizeof *reader);
    reader->fd = target_connect(where, 0);
    for (unsigned i = 0; i < l->count * l->sessions; i++) {
        const struct session *s = &conns[i / l->sessions].sessions[i % l->sessions];
        int status = exchange(l, reader, "GET", s->id, "");
        const char *value = status == 200 ? member(reader->buffer, "cart") : NULL;
        if (value && strtoull(value, NULL, 10) == s->acked)
            l->verified++;
        else
            error_note(l, reader->buffer);
    }
    printf("verified %lu\n", l->verified);
    close(reader->fd);
    free(reader);
}

static struct conn *conns_open(struct load *l)
{
    struct conn *conns = must_alloc(l->count, sizeof *conns);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < l->count; i++) {
        conns[i].fd = target_connect(&l->target, i);
        conns[i].sessions = must_alloc(l->sessions, sizeof *conns[i].sessions);
        sessions_make(l, &conns[i]);
        watch(l->epoll, EPOLL_CTL_ADD, conns[i].fd, EPOLLIN, &conns[i]);
    }
    return conns;
}

int main(int argc, char **argv)
{
    static struct load l = {
        .count = 16, .sessions = 16, .value_bytes = 200, .copies = 2, .kind = "auth"};
    const char *other = NULL;
    double seconds = 2;
    int option;
    while ((option = getopt(argc, argv, "c:n:t:v:k:w:r:")) != -1) {
        if (option == 'c')
            l.count = (unsigned)number_parse(optarg, 1, 1000);
        else if (option == 'n')
            l.sessions = (unsigned)number_parse(optarg, 1, 10000);
        else if (option == 't')
            seconds = number_parse(optarg, 0.01, 60);
        else if (option == 'v')
            l.value_bytes = (unsigned)number_parse(optarg, SEQUENCE_DIGITS, VALUE_MAX);
        else if (option == 'k')
            l.kind = optarg;
        else if (option == 'w')
            l.copies = (unsigned)number_parse(optarg, 1, 9);
        else if (option == 'r')
            other = optarg;
        else
            usage(USAGE);
    }
    if (argc - optind != 1)
        usage(USAGE);
    memset(l.pad, 'x', l.value_bytes - SEQUENCE_DIGITS);
    l.target = target_parse(argv[optind]);
    struct conn *conns = conns_open(&l);
    run(&l, conns, (uint64_t)(seconds * 1e9));
    if (other) {
        struct target t = target_parse(other);
        read_back(&l, conns, &t);
    }
    printf("errors %lu\nshort_copies %lu\nrequest_bytes %zu\nanswer_bytes %zu\n", l.errors,
           l.short_copies, l.request_bytes, l.answer_bytes);
    if (l.errors)
        fprintf(stderr, "sessload: first error: %s\n", l.first_error);
    return l.errors || l.short_copies ? 1 : 0;
}
