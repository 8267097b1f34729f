/* What the example at the head of stead/stead.h stands in. */
#include <stdio.h>
#include <unistd.h>

#include <stead/stead.h>

void example(const char *url);

static inline void use_and_close(int fd)
{
    char buffer[256];
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
        fwrite(buffer, 1, (size_t)n, stdout);
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        example(argv[1]);
    return 0;
}
