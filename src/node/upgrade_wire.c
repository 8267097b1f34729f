/* upgrade_wire.c - the packets between a process and its successor. */
#include "node/upgrade_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void upgrade_encode_hello(const struct upgrade_hello *h, struct wire_writer *w)
{
    wire_put_u8(w, UPGRADE_HELLO);
    wire_put_u8(w, UPGRADE_VERSION);
    wire_put_u8(w, h->draining);
    wire_put_u64(w, h->rules);
    entry_encode(&h->entry, w);
}

void upgrade_encode_born(uint64_t inc, struct wire_writer *w)
{
    wire_put_u8(w, UPGRADE_BORN);
    wire_put_u64(w, inc);
}

static bool decode_hello(struct wire_reader *r, struct upgrade_hello *h)
{
    uint8_t version = wire_u8(r), draining = wire_u8(r);
    h->draining = draining;
    h->rules = wire_u64(r);
    return version == UPGRADE_VERSION && draining <= 1 && entry_decode(r, &h->entry) &&
           wire_done(r);
}

bool upgrade_decode(const void *bytes, size_t len, struct upgrade_message *out)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    uint8_t type = wire_u8(&r);
    out->type = (enum upgrade_type)type;
    switch (type) {
    case UPGRADE_HELLO:
        return decode_hello(&r, &out->hello);
    case UPGRADE_BORN:
        out->inc = wire_u64(&r);
        return wire_done(&r) && out->inc != 0;
    case UPGRADE_READY:
    case UPGRADE_GO:
    case UPGRADE_TAKEN:
    case UPGRADE_LEFT:
        return wire_done(&r);
    case UPGRADE_CONNECTION:
        out->rest = r;
        return wire_ok(&r);
    default:
        return false;
    }
}

/* -- packets -- */

union control {
    char bytes[CMSG_SPACE(UPGRADE_FDS_MAX * sizeof(int))];
    struct cmsghdr align;
};

void upgrade_fds_close(struct upgrade_fds *f)
{
    while (f->count > 0)
        close(f->fd[--f->count]);
}

bool upgrade_send(int to, const void *bytes, size_t len, const struct upgrade_fds *fds)
{
    union control control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds && fds->count > 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(fds->count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds->count * sizeof(int));
        memcpy(CMSG_DATA(c), fds->fd, fds->count * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)len;
}

static void take_descriptors(struct msghdr *m, struct upgrade_fds *fds)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (fds->count < UPGRADE_FDS_MAX)
                fds->fd[fds->count++] = fd;
            else
                close(fd);
        }
    }
    if (m->msg_flags & MSG_CTRUNC)
        upgrade_fds_close(fds);
}

ssize_t upgrade_receive(int from, void *bytes, size_t max, struct upgrade_fds *fds)
{
    union control control;
    struct iovec part = {.iov_base = bytes, .iov_len = max};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    fds->count = 0;
    ssize_t n;
    do
        n = recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? -1 : 0;
    take_descriptors(&m, fds);
    return n;
}
