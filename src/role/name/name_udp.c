/* name_udp.c - queries by datagram, a batch at a time, on a thread of their own. An answer leaves
 * from the address that its query came to. */
#include "role/name/name_socket.h"

#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define JOIN_PERIOD_NS 2000000
#define ERROR_PAUSE_US 1000
#define BUFFER_BYTES (4 << 20) /* a burst waits in the kernel */

static void prepare(struct name_batch *b, bool wildcard)
{
    for (int i = 0; i < NAME_UDP_BATCH; i++) {
        b->vectors[i] = (struct iovec){b->bytes[i], NAME_UDP_BYTES};
        b->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &b->peers[i],
            .msg_namelen = sizeof b->peers[i],
            .msg_iov = &b->vectors[i],
            .msg_iovlen = 1,
            .msg_control = wildcard ? b->control[i] : NULL,
            .msg_controllen = wildcard ? NAME_CONTROL_BYTES : 0,
        };
    }
}

/* Messages that were used are as before; which of them has which buffer does not matter. */
static void renew(struct name_batch *b, int used, bool wildcard)
{
    for (int i = 0; i < used; i++) {
        struct msghdr *m = &b->messages[i].msg_hdr;
        m->msg_namelen = sizeof b->peers[0];
        m->msg_iov->iov_len = NAME_UDP_BYTES;
        if (wildcard) {
            m->msg_control = b->control[m->msg_iov - b->vectors];
            m->msg_controllen = NAME_CONTROL_BYTES;
        }
    }
}

/* What was said of the way in is what is asked for the way out; but the interface is the routing's
 * choice. */
static void turn_control(struct msghdr *m)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        info.ipi_ifindex = 0;
        memcpy(CMSG_DATA(c), &info, sizeof info);
        m->msg_controllen = CMSG_SPACE(sizeof info);
    } else if (c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        m->msg_controllen = CMSG_SPACE(sizeof(struct in6_pktinfo));
    } else {
        m->msg_control = NULL;
        m->msg_controllen = 0;
    }
}

static struct addr from_peer(const struct sockaddr_in6 *six)
{
    struct addr out = {.family = 6};
    struct sockaddr_in four;
    if (six->sin6_family == AF_INET) {
        memcpy(&four, six, sizeof four);
        out.family = 4;
        memcpy(out.ip, &four.sin_addr, 4);
    } else {
        memcpy(out.ip, &six->sin6_addr, 16);
    }
    return out;
}

static struct name_asker asker_now(struct name_udp *u)
{
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &mono);
    clock_gettime(CLOCK_REALTIME_COARSE, &wall);
    return (struct name_asker){.now_us =
                                   (uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000,
                               .now_s = (uint32_t)wall.tv_sec,
                               .limit = &u->limit};
}

/* Answers come to the front, by changing places with messages that get none. Returns how many there
 * are. */
static unsigned answer_batch(struct name_udp *u, unsigned received)
{
    struct name_batch *b = &u->batch;
    struct name_asker by = asker_now(u);
    const struct name_view *v = name_face_view(&u->face, by.now_us / 1000);
    unsigned count = 0;
    for (unsigned i = 0; i < received; i++) {
        struct mmsghdr *m = &b->messages[i], swap;
        struct iovec *part = m->msg_hdr.msg_iov;
        size_t len = 0;
        if (!v || m->msg_hdr.msg_flags & MSG_TRUNC) {
            name_count(&u->face.stats->dropped);
        } else {
            by.from = from_peer(m->msg_hdr.msg_name);
            by.chance = u->face.chance++;
            len = name_answer(v, &by, part->iov_base, m->msg_len, DNS_UDP_MAX, u->face.stats);
        }
        if (len == 0)
            continue;
        part->iov_len = len;
        if (u->wildcard)
            turn_control(&m->msg_hdr);
        m->msg_hdr.msg_flags = 0;
        if (count != i) {
            swap = b->messages[count];
            b->messages[count] = *m;
            *m = swap;
        }
        count++;
    }
    return count;
}

/* What the socket does not take is dropped, as any network might: the client asks again. */
static void send_batch(struct name_udp *u, unsigned count)
{
    unsigned sent = 0;
    while (sent < count) {
        int r = sendmmsg(u->fd, u->batch.messages + sent, count - sent, MSG_DONTWAIT);
        if (r > 0) {
            sent += (unsigned)r;
            continue;
        }
        if (errno == EINTR)
            continue;
        name_count(&u->face.stats->dropped);
        sent++; /* the first one is at fault */
    }
}

/* An error that recvmmsg() gives is an earlier answer's, which an ICMP message came back for; but
 * should there be nothing else, the thread must not spin. */
static void *run(void *context)
{
    struct name_udp *u = context;
    prepare(&u->batch, u->wildcard);
    while (!atomic_load_explicit(&u->stop, memory_order_acquire)) {
        int r = recvmmsg(u->fd, u->batch.messages, NAME_UDP_BATCH, MSG_WAITFORONE, NULL);
        if (r > 0) {
            send_batch(u, answer_batch(u, (unsigned)r));
            renew(&u->batch, r, u->wildcard);
        } else if (errno != EINTR) {
            usleep(ERROR_PAUSE_US);
        }
    }
    return NULL;
}

static bool is_wildcard(int fd)
{
    struct sockaddr_storage sa;
    struct addr a;
    socklen_t len = sizeof sa;
    static const uint8_t any[16];
    if (getsockname(fd, (struct sockaddr *)&sa, &len) ||
        !io_from_sockaddr((struct sockaddr *)&sa, &a))
        return true;
    return memcmp(a.ip, any, sizeof any) == 0;
}

static void tune(struct name_udp *u)
{
    int on = 1, bytes = BUFFER_BYTES;
    u->wildcard = is_wildcard(u->fd);
    if (u->wildcard) {
        /* One of the two does not fit the socket's family, and fails. */
        setsockopt(u->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
        setsockopt(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    }
    /* No stranger's ICMP message makes answers come in fragments: 1,232 bytes go anywhere. */
    int omit = IP_PMTUDISC_OMIT, omit6 = IPV6_PMTUDISC_OMIT;
    setsockopt(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof omit);
    setsockopt(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit6, sizeof omit6);
    setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

int name_udp_open(struct name_udp **out, int fd, const struct name_face *like,
                  struct name_stats *stats)
{
    uint64_t secret[2];
    struct name_udp *u = mem_alloc(sizeof *u);
    int flags = fcntl(fd, F_GETFL);
    if (!u || flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK)) {
        int err = u ? io_error(errno) : STEAD_E_NOMEM;
        close(fd);
        mem_free(u);
        return err;
    }
    u->fd = fd;
    name_face_init(&u->face, like->config, like->book, stats);
    io_random(secret, sizeof secret);
    dns_limit_init(&u->limit, like->config->rate, like->config->slip, secret);
    tune(u);
    int failed = pthread_create(&u->thread, NULL, run, u);
    u->running = !failed;
    *out = u;
    return failed ? io_error(failed) : STEAD_OK;
}

static void interrupt(int number)
{
    (void)number;
}

/* A thread in recvmmsg() comes back by a signal that does nothing else. Shutting the socket down
 * would do too, but another process may have it, as in an upgrade. The signal may come just before
 * the call, so it comes again. */
static void join(struct name_udp *u)
{
    struct sigaction action = {.sa_handler = interrupt};
    const struct timespec period = {.tv_nsec = JOIN_PERIOD_NS};
    sigaction(SIGURG, &action, NULL);
    do {
        pthread_kill(u->thread, SIGURG);
        nanosleep(&period, NULL);
    } while (pthread_tryjoin_np(u->thread, NULL) != 0);
}

void name_udp_close(struct name_udp *u)
{
    if (!u)
        return;
    if (u->running) {
        atomic_store_explicit(&u->stop, true, memory_order_release);
        join(u);
    }
    close(u->fd);
    name_face_deinit(&u->face);
    mem_free(u);
}
