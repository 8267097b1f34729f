/* mute.c - a member that lives and takes nothing: it joins the farm, keeps its leases by
 * heartbeats, and loses every datagram that is larger than those, as a path with too small an MTU
 * does, or a machine that has no time for more. usage: mute ADDRESS JOIN KEYFILE SECONDS */
#include "base/clock.h"
#include "base/mem.h"
#include "core/farm/farm.h"
#include "io/io.h"
#include "io/listen.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TAKEN_MAX 400 /* bytes; heartbeats and hellos of a small farm are shorter */

struct mute {
    int fd;
    struct entry entry;
    struct farm *farm;
    bool up;
};

static bool read_key(const char *path, uint8_t key[FARM_KEY_BYTES])
{
    char *text;
    size_t len;
    if (io_read_file(path, 4096, &text, &len) != 0)
        return false;
    bool good = len >= 2 * FARM_KEY_BYTES;
    for (size_t i = 0; good && i < FARM_KEY_BYTES; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1]};
        key[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    mem_free(text);
    return good;
}

static bool start(struct mute *m, char **argv)
{
    struct farm_config c = {.name = "shop", .join_count = 1};
    m->entry = (struct entry){
        .revision = 1, .boot = 1, .status = STATUS_JOINING, .holds = true, .name = "mute"};
    member_timing_default(&c.timing);
    io_random(&c.seed, sizeof c.seed);
    io_random(&m->entry.node, sizeof m->entry.node);
    io_random(&m->entry.inc, sizeof m->entry.inc);
    if (!addr_parse(argv[1], 7300, &m->entry.address) || !addr_parse(argv[2], 7300, &c.join[0]) ||
        !read_key(argv[3], c.key) || listen_udp(&m->entry.address, false, &m->fd) != 0)
        return false;
    m->farm = farm_new(&c, &m->entry, io_now_ns());
    return m->farm != NULL;
}

/* Whatever session messages come through are not answered. */
static void obey(struct mute *m, struct farm_actions *a)
{
    struct list *link;
    while ((link = list_pop(&a->datagrams))) {
        struct farm_datagram *d = list_entry(link, struct farm_datagram, link);
        struct sockaddr_storage to;
        socklen_t len = io_sockaddr(&d->to, &to);
        (void)!sendto(m->fd, d->bytes, d->len, 0, (struct sockaddr *)&to, len);
        mem_free(d);
    }
    farm_actions_clear(a);
}

static void receive(struct mute *m)
{
    uint8_t bytes[9216];
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    struct farm_actions a;
    struct addr from;
    for (;;) {
        ssize_t n = recvfrom(m->fd, bytes, sizeof bytes, 0, (struct sockaddr *)&ss, &len);
        if (n < 0)
            return;
        if (n > TAKEN_MAX || !io_from_sockaddr((struct sockaddr *)&ss, &from))
            continue;
        farm_actions_init(&a);
        farm_datagram_in(m->farm, &from, bytes, (size_t)n, io_now_ns(), &a);
        obey(m, &a);
    }
}

static void step(struct mute *m)
{
    struct farm_actions a;
    bool alone;
    if (!m->up && farm_found(m->farm, &alone) && !alone) {
        m->up = true;
        m->entry.status = STATUS_UP;
        farm_actions_init(&a);
        farm_set_self(m->farm, &m->entry, io_now_ns(), &a);
        obey(m, &a);
        puts("up");
        fflush(stdout);
    }
    farm_actions_init(&a);
    farm_tick(m->farm, io_now_ns(), &a);
    obey(m, &a);
}

int main(int argc, char **argv)
{
    struct mute m = {.fd = -1};
    if (argc != 5 || !start(&m, argv))
        return 1;
    uint64_t end = io_now_ns() + strtoull(argv[4], NULL, 10) * NS_PER_S;
    while (io_now_ns() < end) {
        struct pollfd p = {.fd = m.fd, .events = POLLIN};
        poll(&p, 1, 5);
        receive(&m);
        step(&m);
    }
    farm_free(m.farm);
    return 0;
}
