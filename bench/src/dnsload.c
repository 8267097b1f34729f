/* dnsload.c - DNS queries (A, over UDP) from several sockets, a window outstanding on each, in
 * batched system calls, so that the server is the bottleneck. Every answer must be authoritative,
 * NOERROR and have an answer record. A query unanswered for 200 ms is lost.
 * usage: dnsload ADDRESS NAME SECONDS [SOCKETS] [WINDOW]
 * Prints: qps, p50_us, p99_us, lost, bad, answers_per_reply. */
#include "util.h"

#include <poll.h>
#include <stdbool.h>

#define WINDOW_MAX 128 /* a query's number in the window is the id's first byte */
#define REPLY_MAX 1500
#define LOST_AFTER_NS (SECOND_NS / 5)
#define SOCKETS_MAX 64

struct lane {
    int fd;
    unsigned out, free_count;
    uint8_t free_ids[WINDOW_MAX], generation[WINDOW_MAX];
    uint64_t sent_ns[WINDOW_MAX], heard_ns;
};

struct batch {
    struct mmsghdr message[WINDOW_MAX];
    struct iovec part[WINDOW_MAX];
    uint8_t bytes[WINDOW_MAX][REPLY_MAX];
};

struct load {
    struct lane lanes[SOCKETS_MAX];
    struct pollfd polls[SOCKETS_MAX];
    unsigned lane_count, window;
    struct batch in, out;
    uint64_t good, bad, lost, late, answers;
    struct hist hist;
};

static size_t query_make(uint8_t *out, const char *name)
{
    size_t len = 12;
    memset(out, 0, len);
    out[5] = 1;
    for (const char *label = name; *label;) {
        size_t n = strcspn(label, ".");
        if (n == 0 || n > 63 || len + n > 240)
            usage("a NAME without empty or long labels");
        out[len++] = (uint8_t)n;
        memcpy(out + len, label, n);
        len += n;
        label += n + (label[n] == '.');
    }
    memcpy(out + len, "\0\0\1\0\1", 5);
    return len + 5;
}

static void batches_init(struct load *l, const char *name)
{
    uint8_t query[512];
    size_t len = query_make(query, name);
    for (unsigned i = 0; i < WINDOW_MAX; i++) {
        memcpy(l->out.bytes[i], query, len);
        l->out.part[i] = (struct iovec){l->out.bytes[i], len};
        l->in.part[i] = (struct iovec){l->in.bytes[i], REPLY_MAX};
        l->out.message[i].msg_hdr = (struct msghdr){.msg_iov = &l->out.part[i], .msg_iovlen = 1};
        l->in.message[i].msg_hdr = (struct msghdr){.msg_iov = &l->in.part[i], .msg_iovlen = 1};
    }
}

static void id_release(struct lane *a, uint8_t id)
{
    a->sent_ns[id] = 0;
    a->generation[id]++; /* a late answer is told apart */
    a->free_ids[a->free_count++] = id;
    a->out--;
}

static void reply_take(struct load *l, struct lane *a, const uint8_t *p, size_t len, uint64_t now)
{
    if (len < 12 || p[0] >= l->window || a->generation[p[0]] != p[1] || !a->sent_ns[p[0]]) {
        l->late++;
        return;
    }
    hist_add(&l->hist, now - a->sent_ns[p[0]]);
    unsigned answers = (unsigned)p[6] << 8 | p[7];
    bool good = (p[3] & 15) == 0 && (p[2] & 0x84) == 0x84 && answers > 0;
    l->good += good;
    l->bad += !good;
    l->answers += answers;
    id_release(a, p[0]);
}

static void lost_count(struct load *l, struct lane *a, uint64_t now)
{
    if (a->out == 0 || now - a->heard_ns < LOST_AFTER_NS)
        return;
    for (unsigned id = 0; id < l->window; id++) {
        if (a->sent_ns[id]) {
            l->lost++;
            id_release(a, (uint8_t)id);
        }
    }
    a->heard_ns = now;
}

static void window_fill(struct load *l, struct lane *a, uint64_t now)
{
    unsigned count = 0;
    while (a->free_count) {
        uint8_t id = a->free_ids[--a->free_count];
        l->out.bytes[count][0] = id;
        l->out.bytes[count][1] = a->generation[id];
        a->sent_ns[id] = now;
        count++;
    }
    a->out += count;
    for (unsigned sent = 0; sent < count;) {
        int n = sendmmsg(a->fd, l->out.message + sent, count - sent, 0);
        if (n > 0) {
            sent += (unsigned)n;
            continue;
        }
        if (errno == ECONNREFUSED)
            die("send");
        for (; sent < count; sent++)
            id_release(a, l->out.bytes[sent][0]);
    }
}

static uint64_t turn(struct load *l)
{
    uint64_t now = 0, got = 0;
    for (unsigned i = 0; i < l->lane_count; i++) {
        struct lane *a = &l->lanes[i];
        int n = recvmmsg(a->fd, l->in.message, l->window, MSG_DONTWAIT, NULL);
        now = now_ns();
        for (int j = 0; j < n; j++)
            reply_take(l, a, l->in.bytes[j], l->in.message[j].msg_len, now);
        if (n > 0) {
            got += (uint64_t)n;
            a->heard_ns = now;
        } else {
            lost_count(l, a, now);
        }
        window_fill(l, a, now);
    }
    if (!got)
        poll(l->polls, l->lane_count, 50);
    return now;
}

static void lanes_open(struct load *l, const struct target *t)
{
    uint64_t now = now_ns();
    for (unsigned i = 0; i < l->lane_count; i++) {
        struct lane *a = &l->lanes[i];
        a->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        set_option(a->fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
        if (connect(a->fd, &t->addr.any, t->len))
            die("connect");
        l->polls[i] = (struct pollfd){a->fd, POLLIN, 0};
        a->heard_ns = now;
        for (unsigned id = 0; id < l->window; id++)
            a->free_ids[a->free_count++] = (uint8_t)id;
    }
}

int main(int argc, char **argv)
{
    static struct load l;
    if (argc < 4)
        usage("dnsload ADDRESS NAME SECONDS [SOCKETS] [WINDOW]");
    struct target t = target_parse(argv[1]);
    l.lane_count = argc > 4 ? (unsigned)number_parse(argv[4], 1, SOCKETS_MAX) : 8;
    l.window = argc > 5 ? (unsigned)number_parse(argv[5], 1, WINDOW_MAX) : 32;
    uint64_t length_ns = (uint64_t)(number_parse(argv[3], 0.01, 60) * 1e9);
    batches_init(&l, argv[2]);
    lanes_open(&l, &t);
    uint64_t start = now_ns(), now = start;
    while (now < start + length_ns)
        now = turn(&l);
    uint64_t all = l.good + l.bad;
    printf("qps %.0f\n", (double)all / ((double)(now - start) / 1e9));
    hist_print(&l.hist);
    printf("lost %lu\nbad %lu\nlate %lu\nanswers_per_reply %.2f\n", l.lost, l.bad, l.late,
           all ? (double)l.answers / (double)all : 0);
    return l.bad || !all ? 1 : 0;
}
