/* What the example at the head of stead/client.h stands in. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <stead/client.h>

void example(const char *url);

/* It only hears once: the example leaves the talk, and its end, to the application. */
static inline void talk_on(int fd)
{
    char buffer[256];
    poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 5000);
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n > 0)
        fwrite(buffer, 1, (size_t)n, stdout);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        example(argv[1]);
    return 0;
}
