/* decide_bench.c - the director's decision alone, in this process, as the farm grows: a request for
 * the service's common name, which draws a server, and one for another server's own URL.
 *
 * usage: decide_bench SERVERS yes|no     whether the snapshot is settled, as a node's always is
 * Prints "load metric value": primary and other, ns per decision. */
#include "role/director/decide.h"
#include "util.h"

#include <stdbool.h>

#define DECISIONS 20000u
#define SERVERS_MAX 10000u

static struct roster *farm_of(size_t count)
{
    struct roster *r = roster_blank(count, 1);
    if (!r)
        die("no memory");
    for (size_t i = 0; i < count; i++) {
        struct roster_node *n = &r->nodes[i];
        struct server *s = &n->entry->servers[0];
        snprintf(n->entry->name, sizeof n->entry->name, "s%05zu", i);
        n->status = STATUS_UP;
        n->entry->server_count = 1;
        snprintf(s->service, sizeof s->service, "shop");
        s->url_count = 1;
        snprintf(s->urls[0], sizeof s->urls[0], "http://s%05zu.bench.test:8080", i);
        s->weight = 10 + (uint32_t)(i % 5);
        s->users = (uint32_t)(i % 100);
        s->healthy = true;
    }
    return r;
}

static double decisions_ns(const struct roster *r, const char *host, enum decide_verdict expected)
{
    static struct http_head head;
    static struct decision decision;
    char text[256];
    const char *why;
    const struct decide_service service = {
        .name = "shop", .url = "http://www.bench.test:8080", .policy = POLICY_TWO_CHOICES};
    const struct decide_config config = {.services = &service, .service_count = 1, .port = 8080};
    int n = snprintf(text, sizeof text, "GET /some/path?x=1 HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    if (http_parse_request(text, (size_t)n, &head, &why) <= 0)
        die(why);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < DECISIONS; i++) {
        struct decide_view view = {
            .roster = r, .self_name = "director", .chance = i * 0x9e3779b97f4a7c15u};
        decide(&config, &view, &head, &decision);
        if (decision.verdict != expected)
            die("another verdict than expected");
    }
    return (double)(now_ns() - start) / DECISIONS;
}

int main(int argc, char **argv)
{
    char host[64];
    if (argc != 3)
        usage("decide_bench SERVERS yes|no");
    size_t count = (size_t)number_parse(argv[1], 1, SERVERS_MAX);
    struct roster *r = farm_of(count);
    if (argv[2][0] == 'y')
        roster_settle(r);
    snprintf(host, sizeof host, "s%05zu.bench.test:8080", count * 2 / 3);
    decisions_ns(r, "www.bench.test:8080", DECIDE_REDIRECT); /* warm, and the index is made */
    printf("primary ns %.1f\n", decisions_ns(r, "www.bench.test:8080", DECIDE_REDIRECT));
    printf("other ns %.1f\n", decisions_ns(r, host, DECIDE_MISDIRECTED));
    roster_unref(r);
}
