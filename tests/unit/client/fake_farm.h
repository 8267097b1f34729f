/* fake_farm.h - a name server and a first server in a thread, on loopback addresses, that answer as
 * they are told: for the tests of libstead. */
#ifndef FAKE_FARM_H
#define FAKE_FARM_H

#include "core/dns/dns_record.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_farm {
    /* Set before fake_farm_start(). The name server's part: */
    const char *addresses[4]; /* of www.shop.test, up to the first NULL */
    int drop_queries;         /* so many are not answered */
    bool truncate;            /* by UDP */
    /* The first server's, which listens at 127.0.0.2 only: */
    const char *response; /* head and body as sent; NULL: it accepts, and says nothing */
    int fail_requests;    /* so many connections are closed at once */
    /* Told by it: */
    uint16_t dns_port, http_port;
    atomic_int udp_queries, tcp_queries, requests;
    char request[2048]; /* the last one */
    /* Its own: */
    int udp, tcp, http, stop[2];
    pthread_t thread;
};

static int bind_at(int type, const char *ip, uint16_t *port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || inet_pton(AF_INET, ip, &sa.sin_addr) != 1 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 ||
        (type == SOCK_STREAM && listen(fd, 16) != 0) ||
        getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        abort();
    *port = ntohs(sa.sin_port);
    return fd;
}

static size_t answer(const struct fake_farm *f, const uint8_t *query, size_t len, bool truncate,
                     uint8_t *out, size_t cap)
{
    static const uint8_t shop[] = "\3www\4shop\4test";
    struct dns_query q;
    struct dns_answer a;
    if (len > cap || dns_parse_query(query, len, &q) != DNS_NOERROR)
        return 0;
    memcpy(out, query, len);
    dns_answer_begin(&a, &q, NULL, out, cap);
    a.authoritative = true;
    bool known = q.name_len == sizeof shop && memcmp(q.lower, shop, sizeof shop) == 0;
    for (size_t i = 0; known && q.type == DNS_A && i < 4 && f->addresses[i]; i++) {
        uint8_t record[64];
        struct wire_writer w;
        struct addr address;
        if (!addr_parse(f->addresses[i], 1, &address))
            abort();
        wire_writer_init(&w, record, sizeof record);
        dns_record_address(&w, NULL, &address, 5);
        dns_answer_add(&a, DNS_ANSWER, record, wire_written(&w), 1);
    }
    a.truncated = truncate;
    return dns_answer_end(&a, &q, NULL, known ? DNS_NOERROR : DNS_NXDOMAIN);
}

static void serve_udp(struct fake_farm *f)
{
    struct sockaddr_in peer;
    socklen_t peer_len = sizeof peer;
    uint8_t query[512], out[1232];
    ssize_t got = recvfrom(f->udp, query, sizeof query, 0, (struct sockaddr *)&peer, &peer_len);
    if (got <= 0)
        return;
    f->udp_queries++;
    if (f->drop_queries-- > 0)
        return;
    size_t len = answer(f, query, (size_t)got, f->truncate, out, sizeof out);
    /* Somebody guesses first, with another id. */
    out[0] ^= 1;
    sendto(f->udp, out, len, 0, (struct sockaddr *)&peer, peer_len);
    out[0] ^= 1;
    sendto(f->udp, out, len, 0, (struct sockaddr *)&peer, peer_len);
}

static void serve_tcp(struct fake_farm *f)
{
    int fd = accept(f->tcp, NULL, NULL);
    uint8_t query[512], out[2 + 1232];
    ssize_t got = recv(fd, query, sizeof query, 0);
    f->tcp_queries++;
    size_t len = got > 2 ? answer(f, query + 2, (size_t)got - 2, false, out + 2, 1232) : 0;
    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    for (size_t i = 0; i < len + 2; i++)
        send(fd, out + i, 1, MSG_NOSIGNAL);
    close(fd);
}

static void serve_http(struct fake_farm *f)
{
    static int silent = -1;
    int fd = accept(f->http, NULL, NULL);
    f->requests++;
    if (f->fail_requests-- > 0) {
        close(fd);
        return;
    }
    if (!f->response) {
        if (silent >= 0)
            close(silent);
        silent = fd;
        return;
    }
    ssize_t got = recv(fd, f->request, sizeof f->request - 1, 0);
    f->request[got > 0 ? got : 0] = 0;
    size_t len = strlen(f->response), half = len / 2;
    send(fd, f->response, half, MSG_NOSIGNAL);
    usleep(1000); /* so that it comes in two pieces */
    send(fd, f->response + half, len - half, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    close(fd);
}

static void *run(void *context)
{
    struct fake_farm *f = context;
    for (;;) {
        struct pollfd p[4] = {{.fd = f->stop[0], .events = POLLIN},
                              {.fd = f->udp, .events = POLLIN},
                              {.fd = f->tcp, .events = POLLIN},
                              {.fd = f->http, .events = POLLIN}};
        poll(p, 4, -1);
        if (p[0].revents)
            return NULL;
        if (p[1].revents)
            serve_udp(f);
        if (p[2].revents)
            serve_tcp(f);
        if (p[3].revents)
            serve_http(f);
    }
}

static void fake_farm_start(struct fake_farm *f)
{
    f->dns_port = f->http_port = 0;
    f->udp_queries = f->tcp_queries = f->requests = 0;
    f->tcp = bind_at(SOCK_STREAM, "127.0.0.1", &f->dns_port);
    f->udp = bind_at(SOCK_DGRAM, "127.0.0.1", &f->dns_port);
    f->http = bind_at(SOCK_STREAM, "127.0.0.2", &f->http_port);
    if (pipe(f->stop) != 0 || pthread_create(&f->thread, NULL, run, f) != 0)
        abort();
}

static void fake_farm_stop(struct fake_farm *f)
{
    close(f->stop[1]);
    pthread_join(f->thread, NULL);
    close(f->stop[0]);
    close(f->udp);
    close(f->tcp);
    close(f->http);
}

#endif
