/* name_fuzz.c - any bytes as a query to a name server with a small roster: an answer has the
 * query's id, fits, and is never larger than its transport allows. */
#include "core/dns/dns.h"
#include "fuzz_check.h"
#include "role/name/name.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct roster *make_roster(void)
{
    struct roster *r = roster_blank(12, ENTRY_SERVERS_MAX);
    CHECK(r);
    for (size_t i = 0; i < r->count; i++) {
        struct entry *e = r->nodes[i].entry;
        r->nodes[i].status = (enum status)(i % 7);
        snprintf(e->name, sizeof e->name, "s%zu", i);
        e->public.family = i % 3 ? 4 : 6;
        e->public.ip[3] = (uint8_t)i;
        e->server_count = 1;
        e->servers[0] = (struct server){
            .service = "a", .url_count = 1, .backup = "s1", .weight = 1, .healthy = true};
        snprintf(e->servers[0].urls[0], URL_MAX_BYTES, "http://s%zu.low.shop.test:80", i);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct name_config config = {
        .zone_count = 2,
        .zones = {"test", "shop.test"},
        .service_count = 2,
        .services = {{"a", "a.test", NAME_SERVERS}, {"a", "www.shop.test", NAME_BOTH}},
        .ttl_s = 5,
    };
    static struct roster *roster;
    static struct name_stats stats;
    uint8_t out[4096];
    if (!roster)
        roster = make_roster();
    for (int tcp = 0; tcp < 2; tcp++) {
        size_t len = name_answer(&config, roster, data, size, tcp, size, out, sizeof out, &stats);
        CHECK(len <= (tcp ? sizeof out : DNS_UDP_MAX));
        CHECK(len == 0 || (len >= 12 && memcmp(out, data, 2) == 0 && out[2] & 0x80));
        CHECK(len == 0 || name_answer(&config, roster, out, len, tcp, 0, out, 512, &stats) == 0);
    }
    return 0;
}
