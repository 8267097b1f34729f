/* bulk_link_fuzz.c - what comes over a connection for many messages. The first byte says how: as it
 * stands, from the first byte of the greeting on, or as the body of a frame of somebody who has the
 * secret, so that what is behind the seal is met too. */
#include "base/clock.h"
#include "fuzz_check.h"
#include "node/bulk_link.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[BULK_SECRET_BYTES] = {3};
static const struct bulk_hello hello = {.from = 7, .to = 8, .nonce = {1}};

static void take(void *context, uint64_t from, const struct session_slice *slices, size_t count)
{
    size_t *sum = context;
    CHECK(from != 0 && count > 0 && count <= STORE_BATCH_MAX);
    for (size_t n = 0; n < count; n++) {
        CHECK(slices[n].len <= BULK_BODY_MAX);
        for (size_t i = 0; i < slices[n].len; i++)
            *sum += slices[n].bytes[i];
    }
}

static void put(int fd, const void *bytes, size_t len)
{
    CHECK(len == 0 || send(fd, bytes, len, MSG_DONTWAIT) == (ssize_t)len);
}

/* Greets as one should; NULL: it was not answered. */
static struct bulk_seal *greet(int fd, struct bulk_link *l, const struct link_own *own, size_t *sum)
{
    uint8_t bytes[BULK_HELLO_BYTES], answer[BULK_NONCE_BYTES];
    bulk_hello_put(&hello, bytes);
    put(fd, bytes, sizeof bytes);
    CHECK(bulk_link_go(l, own, POLLIN, take, sum));
    CHECK(recv(fd, answer, sizeof answer, MSG_DONTWAIT) == sizeof answer);
    return bulk_seal_new(secret, &hello, answer, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t frame[BULK_FRAME_MAX];
    const struct link_own own = {.inc = 8, .secret = secret};
    struct bulk_link l;
    size_t sum = 0;
    int fds[2], room = 1 << 20;
    if (size == 0)
        return 0;
    bool sealed = data[0] & 1;
    data++;
    size = size - 1 > BULK_BODY_MAX ? BULK_BODY_MAX : size - 1;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    CHECK(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
    CHECK(bulk_link_accept(&l, fds[0], 1) == 0);
    if (sealed) {
        struct bulk_seal *s = greet(fds[1], &l, &own, &sum);
        CHECK(s);
        memcpy(frame + BULK_HEAD_BYTES, data, size);
        put(fds[1], frame, bulk_seal_put(s, frame, size));
        bulk_seal_free(s);
    } else {
        put(fds[1], data, size);
    }
    for (int i = 0; i < 8 && bulk_link_go(&l, &own, POLLIN, take, &sum); i++)
        continue;
    CHECK(sealed || sum == 0);
    CHECK(l.state != LINK_OPEN || sealed);
    bulk_link_close(&l);
    close(fds[1]);
    return 0;
}
