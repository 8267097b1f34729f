/* resolve.c - questions to a name server by UDP with repetition, by TCP when the answer does not
 * fit, or to the system's resolver. */
#include "client/resolve.h"

#include "client/net.h"
#include "core/dns/dns.h"
#include "stead/error.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UDP_TRIES 3
#define TCP_ANSWER_MAX 4096
#define QUERY_MAX 512

struct question {
    const char *host;
    uint16_t type;
    uint16_t id;
    const struct addr *server;
    uint32_t timeout_ms;
    uint64_t deadline_ms;
    size_t query_len;
    uint8_t query[QUERY_MAX];
};

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What does not fit the question is not answered to us: go on waiting. */
static int receive_udp(int fd, const struct question *q, uint64_t until, struct addr *out,
                       size_t max, size_t *count)
{
    uint8_t answer[DNS_UDP_MAX];
    for (;;) {
        size_t len;
        int err = net_receive(fd, answer, sizeof answer, until, &len);
        if (err)
            return err;
        err = dns_parse_addresses(answer, len, q->id, q->host, q->type, out, max, count);
        if (err != STEAD_E_PARSE)
            return err;
    }
}

static int ask_udp(const struct question *q, struct addr *out, size_t max, size_t *count)
{
    int fd, err = net_connect(SOCK_DGRAM, q->server, q->deadline_ms, &fd);
    if (err)
        return err;
    for (unsigned i = 0; i < UDP_TRIES; i++) {
        uint64_t until =
            sooner(net_now_ms() + (q->timeout_ms >> (UDP_TRIES - 1 - i)), q->deadline_ms);
        err = net_send(fd, q->query, q->query_len, until);
        if (!err)
            err = receive_udp(fd, q, until, out, max, count);
        /* Refused now, while a name server starts anew, may be well a moment later. */
        if (err == STEAD_E_UNREACHABLE)
            net_sleep(q->timeout_ms >> UDP_TRIES, until);
        else if (err != STEAD_E_DEADLINE)
            break;
    }
    close(fd);
    return err;
}

static int receive_whole(int fd, uint8_t *bytes, size_t len, uint64_t until)
{
    while (len) {
        size_t got;
        int err = net_receive(fd, bytes, len, until, &got);
        if (err)
            return err;
        if (got == 0)
            return STEAD_E_CLOSED;
        bytes += got;
        len -= got;
    }
    return STEAD_OK;
}

static int ask_tcp(const struct question *q, struct addr *out, size_t max, size_t *count)
{
    uint8_t message[2 + TCP_ANSWER_MAX];
    uint64_t until = sooner(net_now_ms() + q->timeout_ms, q->deadline_ms);
    int fd, err = net_connect(SOCK_STREAM, q->server, until, &fd);
    if (err)
        return err;
    message[0] = (uint8_t)(q->query_len >> 8);
    message[1] = (uint8_t)q->query_len;
    memcpy(message + 2, q->query, q->query_len);
    err = net_send(fd, message, q->query_len + 2, until);
    if (!err)
        err = receive_whole(fd, message, 2, until);
    size_t len = (size_t)message[0] << 8 | message[1];
    if (!err && len > TCP_ANSWER_MAX)
        err = STEAD_E_TOO_LARGE;
    if (!err)
        err = receive_whole(fd, message + 2, len, until);
    if (!err)
        err = dns_parse_addresses(message + 2, len, q->id, q->host, q->type, out, max, count);
    close(fd);
    return err;
}

static int ask_type(struct question *q, uint16_t type, struct addr *out, size_t max, size_t *count)
{
    net_random(&q->id, sizeof q->id);
    q->type = type;
    *count = 0;
    q->query_len = dns_build_query(q->query, sizeof q->query, q->id, q->host, type);
    if (q->query_len == 0)
        return STEAD_E_INVAL;
    int err = ask_udp(q, out, max, count);
    return err == STEAD_E_TRUNCATED ? ask_tcp(q, out, max, count) : err;
}

/* One family's failure does not matter while the other has addresses. */
static int ask(struct question *q, struct addr *out, size_t *count)
{
    size_t v4, v6 = 0;
    int err = ask_type(q, DNS_A, out, RESOLVE_MAX, &v4);
    if (err == STEAD_OK || err == STEAD_E_ABSENT) {
        int err6 = ask_type(q, DNS_AAAA, out + v4, RESOLVE_MAX - v4, &v6);
        if (err == STEAD_E_ABSENT)
            err = err6;
    }
    *count = v4 + v6;
    return err == STEAD_E_ABSENT ? STEAD_E_NOT_FOUND : err;
}

static int ask_system(const char *host, struct addr *out, size_t *count)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int r = getaddrinfo(host, NULL, &hints, &list);
    *count = 0;
    if (r == EAI_MEMORY)
        return STEAD_E_NOMEM;
    if (r == EAI_AGAIN || r == EAI_SYSTEM || r == EAI_FAIL)
        return STEAD_E_IO;
    if (r != 0)
        return STEAD_E_NOT_FOUND;
    for (struct addrinfo *i = list; i && *count < RESOLVE_MAX; i = i->ai_next)
        *count += net_from_sockaddr(i->ai_addr, &out[*count]);
    freeaddrinfo(list);
    return *count ? STEAD_OK : STEAD_E_NOT_FOUND;
}

int resolve(const char *host, uint16_t port, const struct addr *server, uint32_t timeout_ms,
            uint64_t deadline_ms, struct addr out[RESOLVE_MAX], size_t *count)
{
    if (addr_parse(host, port, &out[0])) {
        *count = 1;
        return STEAD_OK;
    }
    int err;
    if (server) {
        struct question q = {
            .host = host, .server = server, .timeout_ms = timeout_ms, .deadline_ms = deadline_ms};
        err = ask(&q, out, count);
    } else {
        err = ask_system(host, out, count);
    }
    for (size_t i = 0; i < *count; i++)
        out[i].port = port;
    return err;
}
