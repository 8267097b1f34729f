/* liar.c - a member with the farm's key that floods the others: news that healthy nodes are down or
 * have left, their entries with numbers that cannot be, nodes that do not exist, messages of random
 * bytes on every channel, and its own frames again, cut and out of order. For the rest it is a good
 * member: it proves itself, keeps its contacts, and holds no records.
 * usage: liar ADDRESS JOIN KEYFILE SECONDS [absurd]; absurd: also that others have left, and their
 * entries with numbers as great as there are: what only they themselves can say. */
#include "base/clock.h"
#include "base/mem.h"
#include "core/mesh/mesh.h"
#include "core/roster/member.h"
#include "core/roster/swim_message.h"
#include "io/io.h"
#include "io/listen.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define KEPT 64    /* own frames, to be sent again */
#define TELL_MS 50 /* between bursts of lies */
#define INVENTED_NAME "no"
#define INVENTED 8        /* nodes, in a burst */
#define INVENTED_MAX 300u /* in all: the others remember them for an hour */
#define GARBAGE_MAX 900u
#define PAGE_BYTES 8192u
#define OLD_LIST 3 /* a list of all that a node knows: u8 last, u16 count, records */

struct kept {
    struct addr to;
    size_t len;
    uint8_t bytes[MESH_FRAME_MIN];
};

struct liar {
    int fd;
    struct entry entry;
    struct seal *seal;
    struct mesh *mesh;
    struct membership *members;
    struct mesh_actions mesh_out;
    struct member_actions member_out;
    struct kept kept[KEPT];
    size_t kept_count;
    uint64_t chance;
    uint32_t invented;
    bool up, absurd;
};

static uint64_t chance(struct liar *l)
{
    l->chance ^= l->chance << 13;
    l->chance ^= l->chance >> 7;
    l->chance ^= l->chance << 17;
    return l->chance;
}

static void send_to(struct liar *l, const struct addr *to, const uint8_t *bytes, size_t len)
{
    struct sockaddr_storage ss;
    socklen_t size = io_sockaddr(to, &ss);
    (void)!sendto(l->fd, bytes, len, 0, (struct sockaddr *)&ss, size);
}

static void keep(struct liar *l, const struct mesh_output *o)
{
    struct kept *k = &l->kept[l->kept_count++ % KEPT];
    k->to = o->addr;
    k->len = o->len < sizeof k->bytes ? o->len : sizeof k->bytes;
    memcpy(k->bytes, o->bytes, k->len);
}

static void take_mesh(struct liar *l, const struct mesh_output *o, uint64_t now)
{
    if (o->type == MESH_OUT_DATAGRAM) {
        send_to(l, &o->addr, o->bytes, o->len);
        keep(l, o);
    } else if (o->type == MESH_OUT_PROVEN) {
        membership_proven(l->members, o->inc, o->node, &o->addr, o->bytes, o->len, now,
                          &l->member_out);
    } else if (o->type == MESH_OUT_MESSAGE && o->channel == CHANNEL_ROSTER) {
        membership_message(l->members, o->inc, o->bytes, o->len, now, &l->member_out);
    } else if (o->type == MESH_OUT_MESSAGE) {
        (void)membership_heard(l->members, o->inc, now, &l->member_out);
    }
}

static void take_member(struct liar *l, const struct member_output *o, uint64_t now)
{
    if (o->type == MEMBER_OUT_SEND)
        (void)mesh_send(l->mesh, o->inc, CHANNEL_ROSTER, o->reliable, o->bytes, o->len, now);
    else if (o->type == MEMBER_OUT_HELLO)
        mesh_hello(l->mesh, &o->addr, now, &l->mesh_out);
    else if (o->type == MEMBER_OUT_ADMIT)
        (void)mesh_admit(l->mesh, o->inc, o->node, &o->addr, now);
    else if (o->type == MEMBER_OUT_REMOVE)
        mesh_remove(l->mesh, o->inc);
}

static void pump(struct liar *l, uint64_t now)
{
    struct list *link;
    for (;;) {
        if ((link = list_pop(&l->mesh_out.outputs))) {
            struct mesh_output *o = list_entry(link, struct mesh_output, link);
            take_mesh(l, o, now);
            mesh_output_free(o);
        } else if ((link = list_pop(&l->member_out.outputs))) {
            struct member_output *o = list_entry(link, struct member_output, link);
            take_member(l, o, now);
            mem_free(o);
        } else {
            return;
        }
    }
}

static void receive(struct liar *l)
{
    uint8_t bytes[9216];
    struct sockaddr_storage ss;
    struct addr from;
    for (;;) {
        socklen_t len = sizeof ss;
        ssize_t n = recvfrom(l->fd, bytes, sizeof bytes, 0, (struct sockaddr *)&ss, &len);
        if (n < 0)
            return;
        if (!io_from_sockaddr((struct sockaddr *)&ss, &from))
            continue;
        mesh_datagram(l->mesh, &from, bytes, (size_t)n, io_now_ns(), &l->mesh_out);
        pump(l, io_now_ns());
    }
}

static void step(struct liar *l)
{
    uint8_t card[MESH_CARD_MAX];
    uint64_t now = io_now_ns();
    bool alone;
    if (!l->up && membership_found(l->members, &alone) && !alone) {
        l->up = true;
        l->entry.status = STATUS_UP;
        membership_set_self(l->members, &l->entry, now, &l->member_out);
        mesh_set_card(l->mesh, card, membership_card(l->members, card, sizeof card));
    }
    membership_tick(l->members, now, &l->member_out);
    pump(l, now);
    mesh_flush(l->mesh, now, &l->mesh_out);
    pump(l, now);
}

/* -- lies -- */

/* A number that is greater than the true one: a little, or as much as there is. */
static uint32_t greater(struct liar *l, uint32_t is)
{
    uint64_t more = chance(l) % 4;
    return more == 3 && l->absurd ? UINT32_MAX : is + (uint32_t)more;
}

static void distort(struct liar *l, struct entry *e)
{
    e->revision = chance(l) % 2 ? UINT64_MAX - chance(l) % 3 : e->revision + 1 + chance(l) % 5;
    e->life = greater(l, e->life);
    e->status = (enum status)(chance(l) % (STATUS_LEFT + 1));
    for (size_t i = 0; i < e->server_count; i++) {
        e->servers[i].users = e->servers[i].weight = UINT32_MAX;
        e->servers[i].healthy = false;
        e->servers[i].maint = chance(l) % 2;
    }
}

static void invent(struct liar *l, struct entry *e)
{
    entry_copy(membership_self(l->members), e);
    l->invented++;
    e->node = chance(l) | 1;
    e->inc = chance(l) | 1;
    e->boot = chance(l);
    e->status = STATUS_UP;
    snprintf(e->name, sizeof e->name, INVENTED_NAME "%06x", (unsigned)(chance(l) & 0xffffff));
    e->address.port = (uint16_t)(20000 + chance(l) % 20000);
}

static void lie_state(struct liar *l, uint64_t to, const struct entry *about, uint64_t now)
{
    uint8_t bytes[SWIM_FLEETING_BYTES];
    uint64_t accusers[2] = {chance(l) | 1, chance(l) | 1};
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    swim_put_head(&w, SWIM_NEWS, 0, 0, 0);
    (void)swim_put_state(&w, about->inc, greater(l, about->life),
                         (enum swim_rank)(SWIM_SUSPECT + chance(l) % (l->absurd ? 3 : 2)), accusers,
                         2);
    struct entry e = *about;
    if (l->absurd)
        distort(l, &e);
    (void)swim_put_entry(&w, &e, e.life, (enum swim_rank)(chance(l) % (l->absurd ? 4 : 3)));
    (void)mesh_send(l->mesh, to, CHANNEL_ROSTER, false, bytes, wire_written(&w), now);
}

/* A page of nodes that do not exist; `old` in the bytes of plain lists. */
static void lie_page(struct liar *l, uint64_t to, bool old, const struct entry *about, uint64_t now)
{
    uint8_t *page = mem_alloc(PAGE_BYTES);
    struct wire_writer w;
    struct entry e = *about;
    if (!page)
        return;
    wire_writer_init(&w, page, PAGE_BYTES);
    if (old) {
        wire_put_u8(&w, OLD_LIST);
        wire_put_u8(&w, 1);
        wire_put_u16(&w, INVENTED + 1);
    } else {
        swim_start_page(&w, SWIM_ENTRIES, 0);
    }
    if (l->absurd)
        distort(l, &e);
    for (size_t i = 0; i <= INVENTED; i++) {
        if (old) {
            wire_put_u8(&w, i % 2 ? STATUS_UP : STATUS_DOWN);
            wire_put_u32(&w, (uint32_t)chance(l) % 1000);
            entry_encode_addr(&e.address, &w);
            entry_encode(&e, &w);
        } else {
            (void)swim_put_page_entry(&w, &e, greater(l, e.life),
                                      (enum swim_rank)(i % (l->absurd ? 4 : 3)), 0);
        }
        invent(l, &e);
    }
    if (!old)
        swim_finish_page(&w, INVENTED + 1);
    (void)mesh_send(l->mesh, to, CHANNEL_ROSTER, true, page, wire_written(&w), now);
    mem_free(page);
}

/* The first byte is a type now and then; on the channel of orders never, lest it be a good one. */
static void babble(struct liar *l, uint64_t to, uint64_t now)
{
    uint8_t bytes[GARBAGE_MAX];
    size_t len = 1 + chance(l) % GARBAGE_MAX;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)chance(l);
    enum mesh_channel channel = (enum mesh_channel)(CHANNEL_ROSTER + chance(l) % 3);
    bytes[0] = channel == CHANNEL_ORDER ? 0xff : (uint8_t)(bytes[0] % 25);
    (void)mesh_send(l->mesh, to, channel, chance(l) % 2, bytes, len, now);
}

static void replay(struct liar *l)
{
    size_t have = l->kept_count < KEPT ? l->kept_count : KEPT;
    for (size_t i = 0; have > 0 && i < 8; i++) {
        const struct kept *k = &l->kept[chance(l) % have];
        send_to(l, &k->to, k->bytes, k->len);
        send_to(l, &k->to, k->bytes, chance(l) % (k->len + 1));
    }
}

/* Its own inventions are told to it too. */
static bool is_real(const struct roster_node *n)
{
    return !n->self && strncmp(n->entry->name, INVENTED_NAME, strlen(INVENTED_NAME)) != 0;
}

/* One burst, to everybody, about everybody. */
static void lie(struct liar *l)
{
    uint64_t now = io_now_ns();
    struct roster *r = membership_roster(l->members, now);
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++) {
        for (size_t j = 0; j < r->count; j++) {
            struct entry about;
            if (!is_real(&r->nodes[i]) || !is_real(&r->nodes[j]))
                continue;
            entry_copy(r->nodes[j].entry, &about);
            lie_state(l, r->nodes[i].entry->inc, &about, now);
            if (chance(l) % 4 == 0 && l->invented < INVENTED_MAX)
                lie_page(l, r->nodes[i].entry->inc, chance(l) % 2, &about, now);
            babble(l, r->nodes[i].entry->inc, now);
        }
    }
    roster_unref(r);
    replay(l);
}

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

static bool make(struct liar *l, struct member_config *members, const uint8_t *key)
{
    struct mesh_config c;
    uint8_t card[MESH_CARD_MAX];
    mesh_actions_init(&l->mesh_out);
    member_actions_init(&l->member_out);
    mesh_config_default(&c);
    c.node = l->entry.node;
    c.inc = l->entry.inc;
    c.seed = members->seed;
    c.seal = l->seal = seal_new(members->farm, key, c.node, c.inc);
    if (!l->seal || !(l->mesh = mesh_new(&c)) ||
        !(l->members = membership_new(members, &l->entry, io_now_ns())))
        return false;
    mesh_set_card(l->mesh, card, membership_card(l->members, card, sizeof card));
    return true;
}

static bool start(struct liar *l, char **argv)
{
    struct member_config c = {.farm = "shop", .join_count = 1};
    uint8_t key[FARM_KEY_BYTES];
    l->entry = (struct entry){.revision = 1, .boot = 1, .status = STATUS_JOINING, .name = "liar"};
    member_timing_default(&c.timing);
    io_random(&c.seed, sizeof c.seed);
    io_random(&l->entry.node, sizeof l->entry.node);
    io_random(&l->entry.inc, sizeof l->entry.inc);
    l->chance = c.seed | 1;
    return addr_parse(argv[1], 7300, &l->entry.address) && addr_parse(argv[2], 7300, &c.join[0]) &&
           read_key(argv[3], key) && listen_udp(&l->entry.address, false, &l->fd) == 0 &&
           make(l, &c, key);
}

int main(int argc, char **argv)
{
    static struct liar l = {.fd = -1};
    if (argc < 5 || !start(&l, argv))
        return 1;
    l.absurd = argc > 5 && strcmp(argv[5], "absurd") == 0;
    uint64_t end = io_now_ns() + strtoull(argv[4], NULL, 10) * NS_PER_S, next = 0;
    while (io_now_ns() < end) {
        struct pollfd p = {.fd = l.fd, .events = POLLIN};
        poll(&p, 1, 5);
        receive(&l);
        step(&l);
        if (l.up && io_now_ns() >= next) {
            lie(&l);
            next = io_now_ns() + TELL_MS * NS_PER_MS;
        }
    }
    mesh_actions_clear(&l.mesh_out);
    member_actions_clear(&l.member_out);
    membership_free(l.members);
    mesh_free(l.mesh);
    seal_free(l.seal);
    return 0;
}
