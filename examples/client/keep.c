/* Keeps a connection to a farm, whatever happens to its servers, and prints every line that it hears
 * there. Any event loop does: this one is poll(). */
#include <stead/client.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* 0: the server has closed the connection, or it broke. */
static int print_what_is_there(int fd)
{
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n > 0)
        fwrite(buffer, 1, (size_t)n, stdout);
    fflush(stdout);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void say(const struct stead_event *e)
{
    if (e->kind == STEAD_TROUBLE)
        fprintf(stderr, "%s: %s\n", e->server, stead_error_text(e->error));
    else if (e->kind != STEAD_HEARD)
        fprintf(stderr, "%s %s\n", e->kind == STEAD_MOVED ? "moved to" : "connected to", e->server);
}

int main(int argc, char **argv)
{
    struct stead_client *client;
    struct stead_event event = {.size = sizeof event};
    int fd = -1;
    int err = stead_client_new(argc > 1 ? argv[1] : "http://www.shop.test:8080/", NULL, &client);
    while (err >= 0) {
        while ((err = stead_client_step(client, &event)) > 0) {
            say(&event);
            if (event.old_fd >= 0)
                print_what_is_there(event.old_fd);
            fd = event.fd;
        }
        struct pollfd p[2] = {{.fd = stead_client_fd(client), .events = POLLIN},
                              {.fd = fd, .events = POLLIN}};
        if (err == 0 && poll(p, 2, stead_client_timeout_ms(client)) > 0 && p[1].revents &&
            !print_what_is_there(fd)) {
            stead_client_lost(client);
            fd = -1;
        }
    }
    fprintf(stderr, "no server: %s\n", stead_error_text(err));
    stead_client_free(client);
    return 1;
}
