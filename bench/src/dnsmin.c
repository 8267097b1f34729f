/* dnsmin.c - the physical limit of a UDP name server: recvmmsg, patch the header, append the same
 * answers of COUNT A records, sendmmsg. Nothing is parsed. usage: dnsmin ADDRESS [COUNT] */
#include "util.h"

#define BATCH 64
#define QUERY_MAX 512
#define HEADER_BYTES 12
#define ANSWER_BYTES 16
#define ANSWERS_MAX 16

struct batch {
    struct mmsghdr message[BATCH];
    struct iovec part[BATCH];
    struct sockaddr_in from[BATCH];
    uint8_t bytes[BATCH][QUERY_MAX + ANSWERS_MAX * ANSWER_BYTES];
};

static void answers_make(uint8_t *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++, out += ANSWER_BYTES) {
        const uint8_t record[ANSWER_BYTES] = {0xc0, 0x0c, 0, 1, 0,   1, 0, 0,
                                              0,    60,   0, 4, 127, 0, 1, (uint8_t)(i + 1)};
        memcpy(out, record, sizeof record);
    }
}

static void batch_reset(struct batch *b)
{
    for (int i = 0; i < BATCH; i++) {
        b->part[i] = (struct iovec){b->bytes[i], QUERY_MAX};
        b->message[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i],
                                                .msg_namelen = sizeof b->from[i],
                                                .msg_iov = &b->part[i],
                                                .msg_iovlen = 1};
    }
}

int main(int argc, char **argv)
{
    static struct batch b;
    uint8_t answers[ANSWERS_MAX * ANSWER_BYTES];
    if (argc < 2)
        usage("dnsmin ADDRESS [COUNT]");
    unsigned count = argc > 2 ? (unsigned)number_parse(argv[2], 1, ANSWERS_MAX) : 1;
    struct target t = target_parse(argv[1]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    set_option(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, 4 << 20);
    if (bind(fd, &t.addr.any, t.len))
        die("bind");
    answers_make(answers, count);
    for (;;) {
        batch_reset(&b);
        int n = recvmmsg(fd, b.message, BATCH, MSG_WAITFORONE, NULL);
        if (n < 0)
            die("recvmmsg");
        for (int i = 0; i < n; i++) {
            uint8_t *p = b.bytes[i];
            size_t len = b.message[i].msg_len < HEADER_BYTES ? HEADER_BYTES : b.message[i].msg_len;
            const uint8_t patch[] = {0x84, 0, 0, 1, 0, (uint8_t)count, 0, 0, 0, 0};
            memcpy(p + 2, patch, sizeof patch);
            memcpy(p + len, answers, count * ANSWER_BYTES);
            b.part[i].iov_len = len + count * ANSWER_BYTES;
        }
        for (int sent = 0; sent < n;) {
            int r = sendmmsg(fd, b.message + sent, (unsigned)(n - sent), 0);
            if (r <= 0)
                break;
            sent += r;
        }
    }
}
