/* self_connect.c - both ends of a connection compared. */
#include "role/director/self_connect.h"

#include "base/addr.h"
#include "io/io.h"

bool self_connected(int fd)
{
    struct sockaddr_storage a = {0}, b = {0};
    socklen_t a_len = sizeof(a), b_len = sizeof(b);
    struct addr own, peer;
    if (getsockname(fd, (struct sockaddr *)&a, &a_len) != 0 ||
        getpeername(fd, (struct sockaddr *)&b, &b_len) != 0 ||
        !io_from_sockaddr((struct sockaddr *)&a, &own) ||
        !io_from_sockaddr((struct sockaddr *)&b, &peer))
        return true;
    return addr_equal(&own, &peer);
}
