/* Connects to a server of a farm, says GET, and prints what comes back. */
#include <stead/stead.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char buffer[4096];
    ssize_t n;
    int fd, err = stead_connect(argc > 1 ? argv[1] : "http://www.shop.test:8080/", NULL, &fd, NULL);
    if (err) {
        fprintf(stderr, "no server: %s\n", stead_error_text(err));
        return 1;
    }
    dprintf(fd, "GET / HTTP/1.0\r\n\r\n");
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        fwrite(buffer, 1, (size_t)n, stdout);
    return close(fd);
}
