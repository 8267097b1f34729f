/* replay.c - a client that says things early, and holds its Finished back.
 *
 * COPIES servers...: records a first flight, early data in it, and sends the very bytes to all of
 * the servers at once, to each three times, each time with another ticket, until so many copies
 * were sent. Tells how many tickets were resumed by none, by one and by more of the copies, and how
 * often the early data was taken.
 *
 * ask PROTOCOL A B: a session of A's; at B, says early what comes on standard input. Writes what is
 * answered before it has finished, a line "--- finished", and the rest.
 *
 * usage: replay CA NAME COPIES|ask [PROTOCOL] SERVER:PORT SERVER:PORT...  (IPv4) */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVERS_MAX 16
#define COPIES_EACH 3 /* to one server */
#define COPIES_MAX (SERVERS_MAX * COPIES_EACH)
#define FLIGHT_MAX 8192
#define ANSWER_MAX 32768
#define TEXT_MAX 16000
#define TIMEOUT_MS 20000
#define PSK 41 /* the extension pre_shared_key */

struct tally {
    unsigned none, one, more, taken, broken; /* of tickets; broken: copies */
};

struct copy {
    int fd, got;
    size_t len;
    uint8_t answer[ANSWER_MAX];
};

static struct sockaddr_in servers[SERVERS_MAX];
static unsigned server_count;
static SSL_SESSION *tickets[8];
static unsigned ticket_count;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static int dial(unsigned server)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct linger reset = {.l_onoff = 1, .l_linger = 0}; /* leaves no address in TIME_WAIT */
    struct timeval limit = {.tv_sec = TIMEOUT_MS / 1000};
    const struct sockaddr_in *to = &servers[server % server_count];
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) != 0)
        die("connect");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static int on_ticket(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    if (ticket_count == sizeof tickets / sizeof *tickets)
        return 0;
    tickets[ticket_count++] = s;
    return 1;
}

/* A full handshake; its tickets come with the answer. */
static void collect(SSL_CTX *ctx, const char *name, unsigned server)
{
    char text[300], got[4096];
    int fd = dial(server),
        len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    SSL_set_tlsext_host_name(ssl, name);
    if (SSL_connect(ssl) != 1 || SSL_write(ssl, text, len) != len ||
        SSL_read(ssl, got, sizeof got) <= 0) {
        ERR_print_errors_fp(stderr);
        die("handshake");
    }
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    close(fd);
}

/* Does the ServerHello, the first record, go on with the client's session? -1: it is none. */
static int resumes(const uint8_t *at, size_t len)
{
    size_t i = 5 + 4 + 2 + 32;
    if (len < i + 1 || at[0] != 22 || at[5] != 2)
        return -1;
    i += 1u + at[i] + 3;
    if (i + 2 > len)
        return -1;
    size_t end = i + 2 + ((size_t)at[i] << 8 | at[i + 1]);
    for (i += 2; i + 4 <= end && end <= len; i += 4 + ((size_t)at[i + 2] << 8 | at[i + 3]))
        if ((at[i] << 8 | at[i + 1]) == PSK)
            return 1;
    return 0;
}

static int first_record(int fd, uint8_t *at, size_t *len)
{
    *len = 0;
    for (;;) {
        size_t wanted = *len < 5 ? 5 : 5 + ((size_t)at[3] << 8 | at[4]);
        if (*len > 5 && *len >= wanted)
            return resumes(at, wanted);
        ssize_t n = recv(fd, at + *len, ANSWER_MAX - *len, 0);
        if (n <= 0)
            return -1;
        *len += (size_t)n;
    }
}

/* The client goes on at the server that resumed: was its early data taken? */
static bool was_taken(SSL *ssl, int fd, const uint8_t *bytes, size_t len)
{
    uint8_t more[ANSWER_MAX];
    BIO_write(SSL_get_rbio(ssl), bytes, (int)len);
    while (SSL_do_handshake(ssl) != 1) {
        ssize_t n = recv(fd, more, sizeof more, 0);
        if (n <= 0)
            return false;
        BIO_write(SSL_get_rbio(ssl), more, (int)n);
    }
    return SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED;
}

static void send_all(struct copy *copies, unsigned count, const uint8_t *flight, size_t len)
{
    for (unsigned i = 0; i < count; i++)
        if (send(copies[i].fd, flight, len, MSG_NOSIGNAL) != (ssize_t)len)
            die("send");
    for (unsigned i = 0; i < count; i++)
        copies[i].got = first_record(copies[i].fd, copies[i].answer, &copies[i].len);
}

static void count_all(SSL *ssl, const struct copy *copies, unsigned count, struct tally *t)
{
    const struct copy *won = NULL;
    unsigned resumed = 0;
    for (unsigned i = 0; i < count; i++) {
        t->broken += copies[i].got < 0;
        resumed += copies[i].got == 1;
        won = copies[i].got == 1 ? &copies[i] : won;
    }
    t->none += resumed == 0;
    t->one += resumed == 1;
    t->more += resumed > 1;
    if (resumed == 1)
        t->taken += was_taken(ssl, won->fd, won->answer, won->len);
}

/* One ticket, shown everywhere. The copies sent. */
static unsigned try_one(SSL_CTX *ctx, const char *name, SSL_SESSION *ticket, unsigned turn,
                        struct tally *t)
{
    static struct copy copies[COPIES_MAX];
    unsigned count = server_count * COPIES_EACH;
    char text[300];
    uint8_t flight[FLIGHT_MAX];
    size_t n, len = (size_t)snprintf(text, sizeof text, "GET /%u HTTP/1.1\r\nHost: %s\r\n\r\n",
                                     turn, name);
    SSL *ssl = SSL_new(ctx);
    for (unsigned i = 0; i < count; i++) /* another one is the first each time */
        copies[i].fd = dial(turn + i);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_tlsext_host_name(ssl, name);
    SSL_set_connect_state(ssl);
    SSL_set_session(ssl, ticket);
    if (SSL_write_early_data(ssl, text, len, &n) != 1)
        die("early data");
    int bytes = BIO_read(SSL_get_wbio(ssl), flight, sizeof flight);
    if (bytes <= 0 || bytes == sizeof flight)
        die("flight");
    send_all(copies, count, flight, (size_t)bytes);
    count_all(ssl, copies, count, t);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    for (unsigned i = 0; i < count; i++)
        close(copies[i].fd);
    return count;
}

/* -- one that asks -- */

static bool finished;

/* Between the memory and the socket; the Finished waits until it is wanted. False: the end. */
static bool carry(SSL *ssl, int fd)
{
    uint8_t bytes[ANSWER_MAX];
    int n = finished ? BIO_read(SSL_get_wbio(ssl), bytes, sizeof bytes) : 0;
    if (n > 0 && send(fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
        return false;
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got > 0)
        BIO_write(SSL_get_rbio(ssl), bytes, (int)got);
    return got > 0;
}

/* Until there is nothing more within the socket's time. */
static void hear(SSL *ssl, int fd)
{
    char text[ANSWER_MAX];
    for (;;) {
        int n = SSL_read(ssl, text, sizeof text);
        if (n > 0)
            fwrite(text, 1, (size_t)n, stdout);
        else if (SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ || !carry(ssl, fd))
            return;
    }
}

static void ask(SSL_CTX *ctx, const char *name)
{
    char text[TEXT_MAX];
    uint8_t flight[2 * TEXT_MAX];
    struct timeval pause = {.tv_usec = 700000};
    size_t n, len = fread(text, 1, sizeof text, stdin);
    collect(ctx, name, 0);
    if (ticket_count == 0)
        die("no ticket");
    usleep(300000); /* the session is written behind */
    int fd = dial(1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause);
    SSL *ssl = SSL_new(ctx);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_tlsext_host_name(ssl, name);
    SSL_set_connect_state(ssl);
    SSL_set_session(ssl, tickets[0]);
    if (SSL_write_early_data(ssl, text, len, &n) != 1)
        die("early data");
    int bytes = BIO_read(SSL_get_wbio(ssl), flight, sizeof flight);
    if (bytes <= 0 || send(fd, flight, (size_t)bytes, MSG_NOSIGNAL) != bytes)
        die("send");
    while (SSL_do_handshake(ssl) != 1)
        if (!carry(ssl, fd))
            die("handshake");
    hear(ssl, fd);
    printf("\n--- finished\n");
    finished = true;
    (void)carry(ssl, fd);
    hear(ssl, fd);
    printf("\n--- early data: %s\n",
           SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED ? "accepted" : "rejected");
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    close(fd);
    while (ticket_count)
        SSL_SESSION_free(tickets[--ticket_count]);
}

static void offer(SSL_CTX *ctx, const char *protocol)
{
    unsigned char wire[64];
    wire[0] = (unsigned char)snprintf((char *)wire + 1, sizeof wire - 1, "%s", protocol);
    if (SSL_CTX_set_alpn_protos(ctx, wire, wire[0] + 1u) != 0)
        die("protocol");
}

static void parse_servers(int from, int argc, char **argv)
{
    for (int i = from; i < argc && server_count < SERVERS_MAX; i++) {
        struct sockaddr_in *to = &servers[server_count++];
        char *colon = strchr(argv[i], ':');
        *to = (struct sockaddr_in){.sin_family = AF_INET};
        if (!colon)
            die("no SERVER:PORT");
        *colon = '\0';
        to->sin_port = htons((uint16_t)atoi(colon + 1));
        if (inet_pton(AF_INET, argv[i], &to->sin_addr) != 1)
            die("no IPv4 address");
    }
}

int main(int argc, char **argv)
{
    struct tally t = {0};
    if (argc < 6) {
        fprintf(stderr, "usage: replay CA NAME COPIES|ask [PROTOCOL] SERVER:PORT SERVER:PORT...\n");
        return 2;
    }
    unsigned wanted = (unsigned)atoi(argv[3]), turn = 0, sent = 0;
    signal(SIGPIPE, SIG_IGN);
    bool asks = strcmp(argv[3], "ask") == 0;
    parse_servers(asks ? 5 : 4, argc, argv);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || !SSL_CTX_load_verify_file(ctx, argv[1]))
        die("CA");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_ticket);
    if (asks) {
        offer(ctx, argv[4]);
        ask(ctx, argv[2]);
        SSL_CTX_free(ctx);
        return 0;
    }
    for (unsigned visit = 0; sent < wanted; visit++) {
        SSL_SESSION *mine[8];
        ticket_count = 0;
        collect(ctx, argv[2], visit);
        unsigned count = ticket_count;
        memcpy(mine, tickets, sizeof mine);
        if (!count)
            die("no tickets");
        for (unsigned i = 0; i < count; i++, turn++) {
            ticket_count = 8; /* further ones are not kept */
            sent += try_one(ctx, argv[2], mine[i], turn, &t);
            SSL_SESSION_free(mine[i]);
        }
    }
    SSL_CTX_free(ctx);
    printf("copies=%u tickets=%u none=%u one=%u more=%u taken=%u broken=%u\n", sent, turn, t.none,
           t.one, t.more, t.taken, t.broken);
    return t.more ? 1 : 0;
}
