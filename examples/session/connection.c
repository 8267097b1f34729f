/* connection.c - keeps the state of a TCP connection at one node and reads it at another.
 *
 *     connection unix:/run/stead/s1.sock unix:/run/stead/s2.sock
 *
 * The connection is one of its own over loopback, with bytes that nobody has read yet. Looking at
 * it takes CAP_NET_ADMIN. */
#include <stead/tcp.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM_BYTES (1 << 20)

static void check(int err, const char *what)
{
    if (!err)
        return;
    fprintf(stderr, "%s: %s: %s\n", stead_error_name(err), what, stead_error_text(err));
    exit(1);
}

/* A connection whose other end has read nothing. */
static int connection(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof to;
    char bytes[5000];
    int door = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(bytes, 'x', sizeof bytes);
    if (bind(door, (struct sockaddr *)&to, len) || listen(door, 1) ||
        getsockname(door, (struct sockaddr *)&to, &len) ||
        connect(fd, (struct sockaddr *)&to, len) ||
        send(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        perror("connection");
        exit(1);
    }
    int end = accept(door, NULL, NULL);
    char byte;
    if (recv(end, &byte, 1, 0) != 1) /* now it is there */
        exit(1);
    close(door);
    return end;
}

static bool is_same(const struct stead_tcp *a, const struct stead_tcp *b)
{
    return memcmp(a, b, offsetof(struct stead_tcp, unacked)) == 0 &&
           a->unacked_len == b->unacked_len && a->unsent_len == b->unsent_len &&
           a->unread_len == b->unread_len && memcmp(a->unread, b->unread, a->unread_len) == 0;
}

int main(int argc, char **argv)
{
    struct stead_tcp is = {.size = sizeof is}, kept = {.size = sizeof kept};
    struct stead_sessions *one, *other;
    struct stead_session *made, *read;
    char *room = malloc(ROOM_BYTES);
    if (argc != 3 || !room)
        return 2;
    check(stead_sessions_new(argv[1], NULL, &one), argv[1]);
    check(stead_sessions_new(argv[2], NULL, &other), argv[2]);
    check(stead_tcp_read(connection(), &is, room, ROOM_BYTES), "the connection");
    check(stead_session_tcp_create(one, &is, 0, &made), "keeping it");
    check(stead_session_read(other, "tcp", stead_session_id(made), &read), "reading it");
    check(stead_session_tcp_get(read, &kept), "its state");
    printf("%s %s %zu bytes\n", stead_session_id(made), is_same(&is, &kept) ? "same" : "other",
           kept.unread_len);
    is.unread_len = 0; /* read by now */
    check(stead_session_tcp_change(other, stead_session_id(made), &is, NULL, NULL), "changing it");
    is.snd_nxt++;
    if (stead_session_tcp_change(one, stead_session_id(made), &is, NULL, NULL) != STEAD_E_INVAL)
        return 1;
    stead_session_free(made);
    stead_session_free(read);
    stead_sessions_free(one);
    stead_sessions_free(other);
    free(room);
    return 0;
}
