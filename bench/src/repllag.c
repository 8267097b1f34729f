/* repllag.c - how long a write takes to be readable elsewhere: SET at the first ADDRESS, then GET
 * at the second until the new value is there, in Redis's protocol.
 *
 * Prints, in us: sent_* from sending the SET to the answer that holds the new value, acked_* from
 * the SET's own answer, get_p50_us (a GET's round trip, the resolution), and first_poll_pct, how
 * many were there at the first GET. Exit status 1 when a value is not there within 2 s. */
#include "cacheproto.h"
#include "util.h"

#define KEYS 1000u
#define MARK_BYTES 24
#define USAGE "repllag [-n SAMPLES] [-p PAUSE_US] ADDRESS ADDRESS"

struct peer {
    int fd;
    size_t have;
    char input[4096];
};

struct lag {
    struct hist sent, acked, get;
    unsigned first_polls;
};

static void send_all(struct peer *p, const char *bytes, size_t len)
{
    if (send(p->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("send");
}

/* Until an answer's last byte: a line, or the line of a length and as many bytes. */
static void answer_wait(struct peer *p)
{
    for (p->have = 0;;) {
        ssize_t n = recv(p->fd, p->input + p->have, sizeof p->input - 1 - p->have, 0);
        if (n <= 0)
            die("the server closed a connection");
        p->have += (size_t)n;
        p->input[p->have] = '\0';
        const char *line_end = strchr(p->input, '\n');
        if (!line_end)
            continue;
        long value = p->input[0] == '$' ? atol(p->input + 1) : -1;
        if (value < 0 || p->have >= (size_t)(line_end + 1 - p->input) + (size_t)value + 2)
            return;
    }
}

static void sample(struct lag *lag, struct peer *writer, struct peer *reader, unsigned number)
{
    char set[CACHE_FRAME_MAX], get[CACHE_FRAME_MAX], mark[MARK_BYTES + 1];
    unsigned key = 90000000u + number % KEYS;
    size_t set_len = cache_set(FORM_RESP, set, key, CACHE_VALUE_BYTES);
    size_t get_len = cache_get(FORM_RESP, get, key);
    snprintf(mark, sizeof mark, "%012u%012u", (unsigned)getpid(), number);
    memcpy(set + set_len - 2 - CACHE_VALUE_BYTES, mark, MARK_BYTES);
    uint64_t sent = now_ns();
    send_all(writer, set, set_len);
    answer_wait(writer);
    uint64_t acked = now_ns(), before = acked;
    if (writer->input[0] != '+') {
        fprintf(stderr, "SET: %s\n", writer->input);
        exit(1);
    }
    for (bool first = true;; first = false) {
        send_all(reader, get, get_len);
        answer_wait(reader);
        uint64_t now = now_ns();
        hist_add(&lag->get, now - before);
        before = now;
        if (strstr(reader->input, mark)) {
            lag->first_polls += first;
            hist_add(&lag->sent, now - sent);
            hist_add(&lag->acked, now - acked);
            return;
        }
        if (now - acked > 2 * SECOND_NS) {
            fprintf(stderr, "a value is not there after 2 s: %.80s\n", reader->input);
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    static struct lag lag;
    static struct peer writer, reader;
    unsigned samples = 3000, pause_us = 300;
    for (int o; (o = getopt(argc, argv, "n:p:")) > 0;) {
        if (o == 'n')
            samples = (unsigned)number_parse(optarg, 1, 1e7);
        else if (o == 'p')
            pause_us = (unsigned)number_parse(optarg, 0, 1e6);
        else
            usage(USAGE);
    }
    if (argc - optind != 2)
        usage(USAGE);
    struct target at = target_parse(argv[optind]), from = target_parse(argv[optind + 1]);
    writer.fd = target_connect(&at, 0);
    reader.fd = target_connect(&from, 0);
    for (unsigned i = 0; i < samples; i++) {
        sample(&lag, &writer, &reader, i);
        usleep(pause_us);
    }
    printf("sent_p50_us %.1f\nsent_p99_us %.1f\nacked_p50_us %.1f\nacked_p99_us %.1f\nget_p50_us "
           "%.1f\n"
           "first_poll_pct %.1f\nsamples %u\n",
           hist_us(&lag.sent, 50), hist_us(&lag.sent, 99), hist_us(&lag.acked, 50),
           hist_us(&lag.acked, 99), hist_us(&lag.get, 50), 100.0 * lag.first_polls / samples,
           samples);
    return 0;
}
