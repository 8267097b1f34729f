/* idle.c - opens many connections, makes one request on each, and holds them until its input ends.
 * usage: idle ADDRESS COUNT HOST
 * Prints "open N" when all are there; at the end "alive M", those still connected. */
#include "util.h"

int main(int argc, char **argv)
{
    char request[512], answer[4096], byte;
    if (argc != 4)
        usage("idle ADDRESS COUNT HOST");
    struct target t = target_parse(argv[1]);
    unsigned count = (unsigned)number_parse(argv[2], 1, 60000), open = 0, alive = 0;
    int n = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", argv[3]);
    int *fds = must_alloc(count, sizeof *fds);
    files_max();
    for (unsigned i = 0; i < count; i++) {
        fds[i] = target_connect(&t, i);
        if (send(fds[i], request, (size_t)n, MSG_NOSIGNAL) == n &&
            recv(fds[i], answer, sizeof answer, 0) > 12 && memcmp(answer + 9, "200", 3) == 0)
            open++;
    }
    printf("open %u\n", open);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    for (unsigned i = 0; i < count; i++) {
        ssize_t got = recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        alive += got > 0 || (got < 0 && errno == EAGAIN);
    }
    printf("alive %u\n", alive);
    free(fds);
    return open == count && alive == count ? 0 : 1;
}
