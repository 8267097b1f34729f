/* ackmin.c - the least that acknowledged writes cost: a datagram of BYTES to each holder, which
 * answers with 32, and no more than WINDOW writes whose answers are not all there. Nothing is kept,
 * sealed or sent again. A loss would stop a write for good, so one that is older than 100 ms is
 * counted and let go.
 *
 *   ackmin hold ADDRESS                                   answers until killed
 *   ackmin write [-b BYTES] [-w WINDOW] [-t SECONDS] HOLDER...
 * Prints: writes_s, lost. */
#include "util.h"

#include <stdbool.h>

#define HOLDERS_MAX 8
#define WINDOW_MAX 1024
#define BATCH 32
#define ANSWER_BYTES 32
#define USAGE "ackmin hold ADDRESS | ackmin write [-b BYTES] [-w WINDOW] [-t SECONDS] HOLDER..."

static int datagrams(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    set_option(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
    return fd;
}

struct batch {
    struct mmsghdr message[BATCH];
    struct iovec part[BATCH];
    struct sockaddr_in from[BATCH];
    char bytes[BATCH][2048];
};

static int batch_receive(struct batch *b, int fd, int flags)
{
    for (unsigned i = 0; i < BATCH; i++) {
        b->part[i] = (struct iovec){b->bytes[i], sizeof b->bytes[i]};
        b->message[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i],
                                                .msg_namelen = sizeof b->from[i],
                                                .msg_iov = &b->part[i],
                                                .msg_iovlen = 1};
    }
    return recvmmsg(fd, b->message, BATCH, flags, NULL);
}

static void hold(const char *address)
{
    static struct batch b;
    struct target t = target_parse(address);
    int fd = datagrams();
    if (bind(fd, &t.addr.any, t.len))
        die("bind");
    for (;;) {
        int n = batch_receive(&b, fd, MSG_WAITFORONE);
        for (int i = 0; i < n; i++)
            b.part[i].iov_len = ANSWER_BYTES;
        if (n > 0)
            sendmmsg(fd, b.message, (unsigned)n, 0);
    }
}

struct writer {
    int fd;
    unsigned holders, window, open;
    struct target holder[HOLDERS_MAX];
    size_t bytes;
    uint64_t next, done, lost;
    struct {
        uint64_t number, sent_ns;
        unsigned missing;
    } write[WINDOW_MAX];
};

/* New writes into free places of the window, a batch of datagrams to each holder. */
static void writes_send(struct writer *w)
{
    static char bytes[BATCH][2048];
    struct mmsghdr message[BATCH];
    struct iovec part[BATCH];
    while (w->open < w->window) {
        unsigned n = 0;
        for (; n < BATCH && w->open < w->window; n++) {
            unsigned slot = (unsigned)(w->next % w->window);
            if (w->write[slot].missing)
                break; /* an older one in its place is not answered yet */
            w->write[slot].number = w->next;
            w->write[slot].sent_ns = now_ns();
            w->write[slot].missing = w->holders;
            memcpy(bytes[n], &w->next, sizeof w->next);
            part[n] = (struct iovec){bytes[n], w->bytes};
            w->next++;
            w->open++;
        }
        if (n == 0)
            return;
        for (unsigned h = 0; h < w->holders; h++) {
            for (unsigned i = 0; i < n; i++)
                message[i].msg_hdr = (struct msghdr){.msg_name = &w->holder[h].addr,
                                                     .msg_namelen = w->holder[h].len,
                                                     .msg_iov = &part[i],
                                                     .msg_iovlen = 1};
            sendmmsg(w->fd, message, n, 0);
        }
    }
}

static void answer_take(struct writer *w, const char *bytes)
{
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    unsigned slot = (unsigned)(number % w->window);
    if (w->write[slot].number != number || w->write[slot].missing == 0)
        return;
    if (--w->write[slot].missing == 0) {
        w->open--;
        w->done++;
    }
}

static void old_let_go(struct writer *w)
{
    uint64_t now = now_ns();
    for (unsigned i = 0; i < w->window; i++) {
        if (w->write[i].missing && now - w->write[i].sent_ns > SECOND_NS / 10) {
            w->write[i].missing = 0;
            w->open--;
            w->lost++;
        }
    }
}

static void writes_run(struct writer *w, double seconds)
{
    static struct batch b;
    struct timeval wait = {.tv_usec = 100000};
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * (double)SECOND_NS);
    setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    while (now_ns() < end) {
        writes_send(w);
        int n = batch_receive(&b, w->fd, MSG_WAITFORONE);
        for (int i = 0; i < n; i++)
            answer_take(w, b.bytes[i]);
        if (n <= 0)
            old_let_go(w);
    }
    printf("writes_s %.0f\nlost %lu\n",
           (double)w->done / ((double)(now_ns() - began) / (double)SECOND_NS), w->lost);
}

int main(int argc, char **argv)
{
    static struct writer w = {.bytes = 1000, .window = 64};
    double seconds = 1;
    if (argc == 3 && strcmp(argv[1], "hold") == 0)
        hold(argv[2]);
    if (argc < 3 || strcmp(argv[1], "write") != 0)
        usage(USAGE);
    for (int o; (o = getopt(argc - 1, argv + 1, "b:w:t:")) > 0;) {
        if (o == 'b')
            w.bytes = (size_t)number_parse(optarg, ANSWER_BYTES, 2048);
        else if (o == 'w')
            w.window = (unsigned)number_parse(optarg, 1, WINDOW_MAX);
        else if (o == 't')
            seconds = number_parse(optarg, 0.01, 3600);
        else
            usage(USAGE);
    }
    for (int i = optind + 1; i < argc && w.holders < HOLDERS_MAX; i++)
        w.holder[w.holders++] = target_parse(argv[i]);
    if (w.holders == 0)
        usage(USAGE);
    w.fd = datagrams();
    writes_run(&w, seconds);
    return 0;
}
