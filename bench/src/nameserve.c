/* nameserve.c - the name role alone, over a farm that is made up: what a name server costs in a
 * farm of any size, with any number of workers. usage: nameserve ADDRESS SERVERS WORKERS [CHANGES]
 * [weights|limit] SERVERS of 10.0.0.0/8 serve www.bench.test; their users change CHANGES times a
 * second. weights: no two weigh the same. limit: loopback is under a rate limit, which is never
 * reached. CPU n is that of worker n, when the process may run on it. */
#include "role/name/name.h"

#include "io/listen.h"
#include "store/store.h"
#include "util.h"

#include <pthread.h>
#include <stdbool.h>

#define SERVERS_MAX 20000
#define WORKERS_MAX 8
#define ROSTERS 8
#define RATE_NEVER_REACHED 1000000

struct store {
    pthread_mutex_t lock;
    struct roster *roster;
};

static struct name_config config = {
    .zone_count = 1,
    .zones = {"bench.test"},
    .service_count = 1,
    .services = {{.id = "shop", .name = "www.bench.test", .url = "http://www.bench.test"}},
    .ttl_s = 60,
    .addresses = 8,
    .cookies = true,
    .slip = 2,
};

struct roster *store_roster(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    struct roster *r = roster_ref(s->roster);
    pthread_mutex_unlock(&s->lock);
    return r;
}

static struct roster *make_roster(unsigned servers, uint64_t revision, bool weights)
{
    struct roster *r = roster_blank(servers, 1);
    if (!r)
        die("memory");
    r->revision = revision;
    for (unsigned i = 0; i < servers; i++) {
        struct entry *e = r->nodes[i].entry;
        r->nodes[i].status = STATUS_UP;
        snprintf(e->name, sizeof e->name, "s%05u", i);
        e->public = (struct addr){.family = 4,
                                  .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        e->server_count = 1;
        e->servers[0] = (struct server){.service = "shop",
                                        .url_count = 1,
                                        .weight = weights ? 100 + i : 100,
                                        .healthy = true,
                                        .users = (uint32_t)(revision + i) % 1000};
        snprintf(e->servers[0].urls[0], URL_MAX_BYTES, "http://s%05u.bench.test", i);
    }
    return r;
}

struct worker {
    uv_loop_t loop;
    pthread_t thread;
    struct name *name;
    struct name_stats stats[NAME_STATS];
};

static void *work(void *context)
{
    struct worker *w = context;
    uv_run(&w->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* What is made from now on runs there, when it may. */
static void go_to_cpu(const cpu_set_t *allowed, unsigned cpu)
{
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(cpu, &own);
    if (CPU_ISSET(cpu, allowed))
        sched_setaffinity(0, sizeof own, &own);
}

int main(int argc, char **argv)
{
    static struct worker workers[WORKERS_MAX];
    struct roster *rosters[ROSTERS]; /* in turn: making them is not what is measured */
    struct store store = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct addr at;
    cpu_set_t allowed;
    sched_getaffinity(0, sizeof allowed, &allowed);
    if (argc < 4 || !addr_parse(argv[1], 0, &at))
        usage("nameserve ADDRESS SERVERS WORKERS [CHANGES] [weights|limit]");
    unsigned servers = (unsigned)number_parse(argv[2], 1, SERVERS_MAX);
    unsigned count = (unsigned)number_parse(argv[3], 1, WORKERS_MAX);
    unsigned changes = argc > 4 ? (unsigned)number_parse(argv[4], 0, 10000) : 0;
    bool weights = argc > 5 && strcmp(argv[5], "weights") == 0;
    bool limited = argc > 5 && strcmp(argv[5], "limit") == 0;
    for (unsigned i = 0; i < ROSTERS; i++)
        rosters[i] = make_roster(servers, i + 1, weights);
    store.roster = rosters[0];
    config.rate = limited ? RATE_NEVER_REACHED : 1000;
    if (!limited && prefix_parse("127.0.0.0/8", &config.exempt.list[0]))
        config.exempt.count = 1;
    struct name_book *book = name_book_new(&config, &store);
    for (unsigned i = 0; i < count; i++) {
        struct worker *w = &workers[i];
        int udp, tcp;
        go_to_cpu(&allowed, i);
        if (!book || listen_udp(&at, count > 1, &udp) || listen_tcp(&at, count > 1, &tcp) ||
            uv_loop_init(&w->loop) ||
            name_open(&w->loop, &config, book, &udp, &tcp, 1, w->stats, &w->name) ||
            pthread_create(&w->thread, NULL, work, w))
            die("worker");
    }
    sched_setaffinity(0, sizeof allowed, &allowed);
    for (unsigned i = 0;; i++) {
        usleep(changes ? 1000000 / changes : 1000000);
        pthread_mutex_lock(&store.lock);
        store.roster = rosters[changes ? i % ROSTERS : 0];
        pthread_mutex_unlock(&store.lock);
    }
}
