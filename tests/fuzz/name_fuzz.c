/* name_fuzz.c - any bytes as a query to a name server with a small roster and some records of a
 * file: an answer has the query's id and question, fits, and is never larger than its transport
 * allows; and what comes back is no query. */
#include "fuzz_check.h"
#include "role/name/name_answer.h"

#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct name_config config = {
    .zone_count = 2,
    .zones = {"test", "shop.test"},
    .service_count = 2,
    .services = {{.id = "a", .name = "a.test", .url = "https://a.test"},
                 {.id = "a", .name = "www.shop.test", .mode = NAME_BOTH, .url = "http://x:80"}},
    .site_count = 1,
    .sites = {{.zone = "z", .clients = {1, {{4, 8, {10}}}}}},
    .ttl_s = 5,
    .addresses = 3,
    .subnet = true,
    .cookies = true,
};

static const char records[] = "al CNAME al2\n"
                              "al2 CNAME www.shop.test.\n"
                              "loop CNAME loop2\n"
                              "loop2 CNAME loop\n"
                              "out CNAME away.example.\n"
                              "*.w TXT \"any\"\n"
                              "*.wc CNAME a\n"
                              "sub NS ns.sub\n"
                              "ns.sub A 192.0.2.1\n"
                              "@ MX 5 mail\n"
                              "mail A 192.0.2.2\n";

static struct roster *make_roster(void)
{
    struct roster *r = roster_blank(12, 1);
    CHECK(r);
    for (size_t i = 0; i < r->count; i++) {
        struct entry *e = r->nodes[i].entry;
        r->nodes[i].status = (enum status)(i % (STATUS_LEFT + 1));
        snprintf(e->name, sizeof e->name, "s%zu", i);
        snprintf(e->zone, sizeof e->zone, i % 2 ? "z" : "y");
        e->public.family = i % 3 ? 4 : 6;
        e->public.ip[3] = (uint8_t)i;
        e->server_count = 1;
        e->servers[0] = (struct server){.service = "a",
                                        .url_count = 1,
                                        .backup = "s1",
                                        .weight = (uint32_t)i + 1,
                                        .healthy = true};
        snprintf(e->servers[0].urls[0], URL_MAX_BYTES, "http://s%zu.low.shop.test:80", i);
    }
    return r;
}

static struct name_view *make_view(void)
{
    char path[] = "/tmp/stead-fuzz-XXXXXX", error[256];
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, records, sizeof records - 1) == sizeof records - 1);
    struct name_records *file = name_records_read(path, &config, error, sizeof error);
    CHECK(file);
    CHECK(unlink(path) == 0 && close(fd) == 0);
    struct roster *r = make_roster();
    struct name_view *v = name_view_new(&config, r, file, NULL);
    CHECK(v);
    name_records_unref(file);
    roster_unref(r);
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct name_view *view;
    static struct name_stats stats;
    static uint8_t msg[DNS_TCP_MAX];
    if (!view)
        view = make_view();
    if (size > sizeof msg)
        return 0;
    for (int tcp = 0; tcp < 2; tcp++) {
        struct name_asker by = {.from = {.family = 4, .ip = {10, 1, 1, 1}},
                                .tcp = tcp,
                                .now_s = 1000,
                                .chance = size * 7 + (size ? data[0] : 0u)};
        memcpy(msg, data, size);
        size_t cap = tcp ? sizeof msg : DNS_UDP_MAX;
        size_t len = name_answer(view, &by, msg, size, cap, &stats);
        CHECK(len <= cap);
        if (len == 0)
            continue;
        CHECK(len >= 12 && memcmp(msg, data, 2) == 0 && msg[2] & 0x80);
        if (msg[5]) {
            struct dns_query q;
            dns_parse_query(data, size, &q);
            CHECK(memcmp(msg + 12, data + 12, q.name_len + 4u) == 0);
        }
        CHECK(name_answer(view, &by, msg, len, cap, &stats) == 0);
    }
    return 0;
}
