/* joiner_bench.c - how fast a joining node gets the copies of COUNT records of 200 bytes under
 * 32-byte keys from the one that owns them all: two stores in this process, with their bulk threads
 * and loopback TCP between them ("bulk"), or the same by rounds, one a record, passed from memory
 * to memory ("rounds": what datagrams could do at best, without a network). Beside it the table
 * alone: the same records made and inserted by one thread ("table").
 *
 * usage: joiner_bench table|bulk|rounds COUNT [SHARDS]
 * Prints "subject/COUNT records_per_s value", and what the threads took per record. */
#include "base/buzhash.h"
#include "base/clock.h"
#include "base/rng.h"
#include "core/session/item.h"
#include "node/bulk.h"
#include "util.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#define KEY_BYTES 32
#define VALUE_BYTES 200
#define TTL_MS 1800000u
#define KIND 1
#define TURN_US 500

static void result(const char *subject, const char *what, unsigned count, double value)
{
    printf("%s/%u %s %.1f\n", subject, count, what, value);
}

static void check(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "joiner_bench: %s\n", what);
    exit(1);
}

static void key_make(struct key *k, uint64_t n)
{
    char text[KEY_BYTES + 1];
    struct rng r;
    rng_init(&r, n);
    snprintf(text, sizeof text, "%016lx%016lx", rng_u64(&r), rng_u64(&r));
    check(key_set(k, KIND, text, KEY_BYTES), "a key");
}

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* -- the table alone -- */

static void bench_table(unsigned count)
{
    uint8_t secret[32] = {1}, value[VALUE_BYTES] = {2};
    static struct buzhash hash;
    buzhash_init(&hash, secret);
    struct table *t = table_new(&hash, now_ns());
    struct key *keys = must_alloc(count, sizeof *keys);
    for (unsigned i = 0; i < count; i++)
        key_make(&keys[i], i);
    uint64_t began = now_ns();
    double cpu = cpu_s();
    for (unsigned i = 0; i < count; i++) {
        struct stamp stamp = {1, 1, 1};
        struct field_op op = {.type = FIELD_SET, .value = value, .value_len = VALUE_BYTES};
        struct record *r = record_new(&keys[i]);
        check(r && record_apply(r, &op, 1, &stamp, 0) == 0, "a record");
        r->ttl_ms = TTL_MS;
        r->holder_count = 1;
        r->holders[0] = 77;
        struct item *item = table_insert(t, r);
        check(item != NULL, "no memory");
        item->role = ROLE_HOLDER;
        item->generation = 1;
        item->life_ns = began + TTL_MS * NS_PER_MS;
        table_expire_at(t, item, item->life_ns);
        table_rest(t, NULL, NULL);
    }
    result("table", "records_per_s", count, (double)count * 1e9 / (double)(now_ns() - began));
    result("table", "cpu_ns", count, (cpu_s() - cpu) * 1e9 / count);
    table_free(t);
    free(keys);
}

/* -- two nodes -- */

struct side {
    struct store *store;
    struct bulk *bulk;
    struct bulk_counters counters;
    struct addr addr;
    int listen_fd;
    uint64_t inc;
};

static struct kinds kinds;

static void side_open(struct side *s, uint64_t inc, unsigned shards)
{
    struct store_config c = {.shards = shards, .mailboxes = 1};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    session_config_default(&c.session);
    c.session.kinds = &kinds;
    c.session.memory_bytes = 16ull << 30;
    c.session.seed = inc;
    c.session.compare_s = 0;
    memset(c.session.bucket_secret, (int)inc, sizeof c.session.bucket_secret);
    s->inc = inc;
    s->store = store_new(&c, now_ns());
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    check(s->store && bind(s->listen_fd, (struct sockaddr *)&in, len) == 0 &&
              listen(s->listen_fd, 16) == 0 &&
              getsockname(s->listen_fd, (struct sockaddr *)&in, &len) == 0,
          "a node");
    s->addr = (struct addr){.family = 4, .port = ntohs(in.sin_port)};
    memcpy(s->addr.ip, &in.sin_addr, 4);
}

static void tell_roster(struct side *to, const struct side *other)
{
    struct roster *r = roster_blank(1, 0);
    check(r != NULL, "a roster");
    r->nodes[0].entry->inc = other->inc;
    r->nodes[0].entry->address = other->addr;
    store_set_roster(to->store, r);
}

static void tell_view(struct side *to, enum peer_state self, const struct side *other,
                      enum peer_state state)
{
    uint64_t now = now_ns();
    struct peer_view p = {.inc = other ? other->inc : 0,
                          .node = other ? other->inc : 0,
                          .state = state,
                          .holds = true,
                          .lease_until_ns = now + 3600 * NS_PER_S};
    struct session_view v = {.self_inc = to->inc,
                             .self_node = to->inc,
                             .self_state = self,
                             .self_holds = true,
                             .peer_count = other ? 1 : 0,
                             .peers = &p};
    store_set_view(to->store, &v, now);
}

static void fill(struct side *s, unsigned count)
{
    uint8_t value[VALUE_BYTES] = {2};
    struct field_op set = {.type = FIELD_SET, .value = value, .value_len = VALUE_BYTES};
    for (unsigned i = 0; i < count; i++) {
        struct key k;
        struct session_result *r;
        key_make(&k, i);
        struct session_op op = {.type = SESSION_CREATE,
                                .key = &k,
                                .ttl_ms = TTL_MS,
                                .ops = &set,
                                .op_count = 1,
                                .bare = true,
                                .deadline_ns = now_ns() + NS_PER_S};
        check(store_submit(s->store, 0, &op, now_ns(), &r) == STEAD_OK && r->status == STEAD_OK,
              "a record could not be made");
        session_result_free(r);
    }
}

/* What does not go in bulk, from memory to memory. */
static void pass(struct side *from, struct side *to, bool rounds)
{
    struct list messages, *link;
    list_init(&messages);
    store_take_sends(from->store, &messages);
    while ((link = list_pop(&messages))) {
        struct msg *m = list_entry(link, struct msg, link);
        m->peer = from->inc;
        if (!(rounds && m->bulk))
            store_deliver(to->store, m, now_ns());
        msg_free(m);
    }
}

static void start_bulk(struct side *s)
{
    struct bulk_config c = {
        .store = s->store, .listen_fd = s->listen_fd, .inc = s->inc, .counters = &s->counters};
    check(bulk_start(&c, &s->bulk) == STEAD_OK, "a bulk thread");
}

static void bench_join(const char *subject, unsigned count, unsigned shards, bool rounds)
{
    static struct side a, b;
    struct store_stats stats;
    side_open(&a, 1, shards);
    side_open(&b, 2, shards);
    tell_view(&a, PEER_UP, NULL, PEER_UP);
    fill(&a, count);
    tell_roster(&a, &b);
    tell_roster(&b, &a);
    if (!rounds) {
        start_bulk(&a);
        start_bulk(&b);
    }
    uint64_t began = now_ns();
    double cpu = cpu_s();
    tell_view(&b, PEER_JOINING, &a, PEER_UP);
    tell_view(&a, PEER_UP, &b, PEER_JOINING);
    do {
        store_tick(a.store, now_ns());
        store_tick(b.store, now_ns());
        pass(&a, &b, rounds);
        pass(&b, &a, rounds);
        if (!rounds)
            usleep(TURN_US);
        check(now_ns() < began + 300 * NS_PER_S, "it takes too long");
    } while (!store_synced(b.store));
    uint64_t took = now_ns() - began;
    store_stats(b.store, &stats);
    check(stats.sessions.records == count, "records are missing");
    result(subject, "records_per_s", count, (double)count * 1e9 / (double)took);
    result(subject, "cpu_ns", count, (cpu_s() - cpu) * 1e9 / count);
    result(subject, "in_bulk", count, (double)stats.sessions.bulk_taken);
    bulk_stop(a.bulk);
    bulk_stop(b.bulk);
    store_free(a.store);
    store_free(b.store);
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4)
        usage("joiner_bench table|bulk|rounds COUNT [SHARDS]");
    unsigned count = (unsigned)number_parse(argv[2], 1, 1e8);
    unsigned shards = argc > 3 ? (unsigned)number_parse(argv[3], 1, 64) : 8;
    kinds_default(&kinds);
    kinds.kind[KIND].when_alone = ALONE_ACCEPT; /* what it makes before the other comes */
    if (strcmp(argv[1], "table") == 0)
        bench_table(count);
    else
        bench_join(argv[1], count, shards, strcmp(argv[1], "rounds") == 0);
    return 0;
}
