/* A configuration's mistakes are said with file, line and the nearest name; what is right comes out
 * as written. */
#include "core/roster/tally.h"
#include "node/config.h"
#include "node/settings.h"
#include "stead/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD "farm = \"shop\"\nkey-file = \"k\"\nnode \"s1\" { address = \"127.0.0.1\" }\n"
#define SERVICE                                                                                    \
    "service \"shop\" { name = \"www.shop.test\" url = \"http://www.shop.test:8080\" }\n"
#define SERVER(inside)                                                                             \
    "server \"shop\" { urls = {\"http://s1.shop.test:8080\"} forward = "                           \
    "\"127.0.0.1:9000\"\n" inside "}\npublic { listen = \"127.0.0.1:8080\" }\n"

static char folder[] = "/tmp/stead-config-XXXXXX";

static int load(const char *text, struct config *c, char *errors, size_t cap)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/stead.conf", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    FILE *to = fmemopen(errors, cap, "w");
    int status = config_load(path, c, to);
    fclose(to);
    return status;
}

static void expect_mistake(const char *text, const char *line_and_what)
{
    struct config c;
    char errors[4096] = "";
    assert_int_equal(load(text, &c, errors, sizeof(errors)), STEAD_E_CONFIG);
    if (!strstr(errors, line_and_what))
        fail_msg("wanted \"%s\" in:\n%s", line_and_what, errors);
}

static void reads_what_is_written(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "";
    assert_int_equal(load(HEAD SERVICE SERVER("weight = 7 backup = s2\n"
                                              "check { type = http path = \"/health\" interval = "
                                              "250ms }") "sessions { memory = 64m kind purchase { "
                                                         "copies = 3 when-alone = accept } }\n",
                          &c, errors, sizeof(errors)),
                     STEAD_OK);
    assert_string_equal(errors, "");
    assert_int_equal(c.servers[0].weight, 7);
    assert_int_equal(c.servers[0].check.interval_ms, 250);
    assert_int_equal(c.node.address.port, 7300);
    assert_int_equal(c.sessions.memory_bytes, 64 << 20);
    int purchase = kinds_find(&c.sessions.kinds, "purchase");
    assert_int_equal(c.sessions.kinds.kind[purchase].copies, 3);
    assert_int_equal(c.sessions.kinds.kind[purchase].when_alone, ALONE_ACCEPT);
    assert_int_equal(c.sessions.kinds.kind[purchase].ack, ACK_ALL);
    assert_true(c.top.key_file[0] == '/' && strstr(c.top.key_file, "/k"));
}

static void counts_are_numbers_or_words(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "";
    assert_int_equal(
        load(HEAD SERVICE SERVER("") "sessions {\n"
                                     "kind tls { copies = all ack = 1 }\n"
                                     "kind auth { copies = group ack = no }\n"
                                     "kind app { copies = 3 ack = all short = refuse }\n"
                                     "}\n",
             &c, errors, sizeof(errors)),
        STEAD_OK);
    const struct kind *k = c.sessions.kinds.kind;
    const struct kind *tls = &k[kinds_find(&c.sessions.kinds, "tls")];
    const struct kind *auth = &k[kinds_find(&c.sessions.kinds, "auth")];
    const struct kind *app = &k[kinds_find(&c.sessions.kinds, "app")];
    assert_true(tls->copies == COPIES_ALL && !tls->group && tls->ack == 1);
    assert_true(auth->copies == COPIES_ALL && auth->group && auth->ack == 0);
    assert_true(app->copies == 3 && !app->group && app->ack == ACK_ALL && app->short_refuse);
    assert_int_equal(kind_least(tls), 0);
    assert_int_equal(kind_least(auth), 1);
    assert_int_equal(kind_least(app), 2);
    expect_mistake(HEAD SERVICE SERVER("") "sessions { kind app { copies = 10 } }\n",
                   "copies = \"10\": it is out of range (1 to 9, or all|group)");
    expect_mistake(HEAD SERVICE SERVER("") "sessions { kind app { ack = some } }\n",
                   "ack = \"some\": it is not a number (0 to 8, or all|yes|no)");
}

static void kinds_have_a_size(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "";
    assert_int_equal(load(HEAD SERVICE SERVER("") "sessions { kind auth { size = 4k }\n"
                                                  "kind app { copies = group }\n"
                                                  "kind mine { like = app size = 1m }\n"
                                                  "kind one { like = auth } }\n",
                          &c, errors, sizeof(errors)),
                     STEAD_OK);
    const struct kinds *kinds = &c.sessions.kinds;
    assert_int_equal(kinds->kind[kinds_find(kinds, "auth")].size_bytes, 4096);
    assert_int_equal(kinds->kind[kinds_find(kinds, "purchase")].size_bytes, 256 << 10);
    assert_int_equal(kinds->kind[kinds_find(kinds, "mine")].size_bytes, 1 << 20);
    assert_true(kinds->kind[kinds_find(kinds, "mine")].group);
    assert_int_equal(kinds->kind[kinds_find(kinds, "one")].size_bytes, 4096);
    expect_mistake(HEAD "sessions { kind app { size = 2m } }\n", "out of range");
    expect_mistake(HEAD "sessions { kind app { when-full = evict } }\n", "needs losable = yes");
    expect_mistake(HEAD "sessions { kind app { size = 0 } }\n", "out of range");
}

static void a_repository_has_servers(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "";
    assert_int_equal(load(HEAD "sessions { }\nrepository { engine = redis\n"
                               "address = \"r1.test:6379, [::1]:7000\" }\n",
                          &c, errors, sizeof(errors)),
                     STEAD_OK);
    assert_string_equal(c.repository.prefix, c.node.name);
    expect_mistake(HEAD "sessions { }\nrepository { engine = redis }\n", "it is not \"HOST:PORT");
    expect_mistake(HEAD "sessions { }\nrepository { engine = redis address = \"r1.test\" }\n",
                   "it is not \"HOST:PORT");
    expect_mistake(HEAD "sessions { }\nrepository { address = \"r1.test:6379\" }\n",
                   "are for engine = \"redis\"");
    expect_mistake(HEAD "sessions { }\nrepository { engine = redis address = \"a:1\" user = u }\n",
                   "user needs a password-file");
    expect_mistake(HEAD
                   "sessions { }\nrepository { engine = redis address = \"a:1\" ca-file = c }\n",
                   "are for tls = yes");
    expect_mistake(HEAD "sessions { }\nrepository { engine = redis address = \"a:1\" tls = yes "
                        "certificate = c }\n",
                   "certificate and key go together");
}

static void a_farm_has_kinds_of_its_own(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "", many[2048] = HEAD SERVICE SERVER("") "sessions {";
    assert_int_equal(load(HEAD SERVICE SERVER("") "sessions {\n"
                                                  "kind app { copies = 3 }\n"
                                                  "kind mine { like = app ttl = 90s }\n"
                                                  "kind other { like = mine copies = 2 }\n"
                                                  "}\n",
                          &c, errors, sizeof(errors)),
                     STEAD_OK);
    const struct kinds *kinds = &c.sessions.kinds;
    int app = kinds_find(kinds, "app"), mine = kinds_find(kinds, "mine");
    assert_int_equal(mine, 6); /* behind those that every farm has */
    assert_int_equal(kinds_find(kinds, "other"), 7);
    assert_int_equal(kinds->count, 8);
    assert_int_equal(kinds->kind[mine].copies, 3);
    assert_int_equal(kinds->kind[mine].ttl_ms, 90000);
    assert_int_equal(kinds->kind[mine].deletion, kinds->kind[app].deletion);
    assert_int_not_equal(kinds->kind[app].ttl_ms, 90000);
    assert_int_equal(kinds->kind[7].ttl_ms, 90000);
    assert_int_equal(kinds->kind[7].copies, 2);
    expect_mistake(HEAD "sessions { kind a { like = b } kind b { like = app } }\n",
                   "like = \"b\": there is no such kind before it");
    expect_mistake(HEAD "sessions { kind app { like = tls } }\n", "it is there already");
    expect_mistake(HEAD "sessions { kind \"a b\" { like = app } }\n", "kind \"a b\"");
    expect_mistake(HEAD "sessions { kind a234567890123456789012345678901x { like = app } }\n",
                   "kind \"a2345");
    for (int i = 0; i < 11; i++) {
        size_t n = strlen(many);
        snprintf(many + n, sizeof many - n, "kind k%d { like = app }\n", i);
    }
    strcat(many, "}\n");
    expect_mistake(many, "kind \"k10\": there are 16 kinds already");
}

static void says_every_mistake_with_its_line(void **state)
{
    (void)state;
    expect_mistake("farm = \"shop\"\nstat = \"x\"\n",
                   "stead.conf:2: no such option 'stat'; did you mean 'state'?");
    expect_mistake(HEAD "node \"s2\" { adress = \"127.0.0.1\" }\n",
                   ":4: no such option 'adress'; did you mean 'address'?");
    expect_mistake(HEAD "farm = \"again\"\n", ":4: 'farm' is set twice");
    expect_mistake(HEAD "dns { listen = \"127.0.0.1:53\" }\ndns { listen = \"127.0.0.1:54\" }\n",
                   "section 'dns' stands here twice");
    expect_mistake("farm = \"${HOME}\"\n", ":1: ${...} is not expanded here");
    expect_mistake("farm = \"shop\"\n", "'key-file' is required");
    expect_mistake("farm = \"shop\"\nkey-file = \"k\"\n", "node \"NAME\" { ... } is required");
    expect_mistake(HEAD SERVICE SERVER("weight = 5000000"),
                   ":6: weight = \"5000000\": it is out of range (0 to 1000000)");
    expect_mistake(HEAD SERVICE SERVER("check { interval = \"1 s\" }"),
                   ":6: interval = \"1 s\": it is not a duration");
    expect_mistake(HEAD SERVICE SERVER("check { type = \"htp\" }"), "is not one of none|tcp|http");
    expect_mistake(HEAD SERVER(""), "there is no service of that name");
    expect_mistake(HEAD "sessions { kind \"purchse\" { copies = 2 } }\n", "there is no such kind");
    expect_mistake(HEAD "sessions { listen = \"127.0.0.1:9\" }\n", "needs a token-file");
    expect_mistake(HEAD "admin { listen = \"192.0.2.1:7380\" }\n", "must be a loopback address");
    expect_mistake(HEAD "include(\"nowhere.conf\")\n", "nowhere.conf: cannot be read");
    expect_mistake("node \"s1\" {\n", ":");
}

#define GROUPED(address, group)                                                                    \
    "farm = \"shop\"\nkey-file = \"k\"\nnode \"s1\" { address = \"" address                        \
    "\" multicast = \"" group "\" }\n" SERVICE

static void a_group_is_read(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "";
    assert_int_equal(load(GROUPED("10.0.0.1", "239.1.2.3:7301"), &c, errors, sizeof(errors)),
                     STEAD_OK);
    assert_string_equal(errors, "");
    assert_true(c.node.multicast.family == 4 && c.node.multicast.port == 7301 &&
                c.node.multicast.ip[0] == 239);
    assert_int_equal(load(GROUPED("[fd00::1]", "[ff05::7]:7301"), &c, errors, sizeof(errors)),
                     STEAD_OK);
    assert_int_equal(load(HEAD SERVICE, &c, errors, sizeof(errors)), STEAD_OK);
    assert_int_equal(c.node.multicast.family, 0);
    expect_mistake(GROUPED("10.0.0.1", "239.1.2.3"), "it is not IP:PORT");
    expect_mistake(GROUPED("10.0.0.1", "10.0.0.2:7301"), "it must be a group");
    expect_mistake(GROUPED("10.0.0.1", "[ff05::7]:7301"), "must both be IPv4, or both IPv6");
}

static void sources_of_users_are_read(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "";
    assert_int_equal(
        load(HEAD SERVICE SERVER("users-from = kernel users-port = 9000 users-address = "
                                 "\"10.0.0.1\"\n"
                                 "agent-check { address = \"127.0.0.1:9777\" send = \"shop\" "
                                 "}") "agent { listen = \"10.0.0.1:7381\" service = shop "
                                      "}\nagent { listen = \"[::1]:7381\" }\n",
             &c, errors, sizeof(errors)),
        STEAD_OK);
    assert_string_equal(errors, "");
    const struct server_section *s = &c.servers[0];
    assert_true(s->users_from == USERS_KERNEL && s->users_port == 9000 &&
                s->users_address.family == 4);
    assert_true(s->users_interval_ms == 200 && s->users_max_age_ms == 15000);
    assert_true(s->agent_check.address.port == 9777 && s->agent_check.interval_ms == 2000);
    assert_string_equal(s->agent_check.send, "shop");
    assert_int_equal(c.agent_count, 2);
    assert_string_equal(c.agents[0].service, "shop");
    assert_int_equal(c.agents[1].listen.family, 6);
    expect_mistake(HEAD SERVICE SERVER("users-from = guess"),
                   "is not one of forward|kernel|report|agent");
    expect_mistake(HEAD SERVICE SERVER("users-from = kernel"), "it needs users-port");
    expect_mistake(HEAD SERVICE SERVER("users-port = 9000"),
                   "are for users-from = \"kernel\" only");
    expect_mistake(
        HEAD SERVICE SERVER("users-from = kernel users-port = 1 users-address = \"10.0.0.1:9\""),
        "the port is set by users-port");
    expect_mistake(HEAD SERVICE SERVER("users-from = agent"), "it needs agent-check");
    expect_mistake(HEAD SERVICE SERVER("users-from = report"), "it needs sessions");
    expect_mistake(HEAD SERVICE SERVER("agent-check { }"),
                   "server.agent-check: 'address' is required");
    expect_mistake(HEAD SERVICE SERVER("agent-check { adress = \"127.0.0.1:1\" }"),
                   "did you mean 'address'?");
    expect_mistake(HEAD SERVICE SERVER("") "agent { listen = \"127.0.0.1:1\" service = mail }\n",
                   "no such own server to speak for");
    expect_mistake(HEAD "agent { listen = \"127.0.0.1:1\" }\n", "no such own server to speak for");
}

static void two_mistakes_are_both_said(void **state)
{
    (void)state;
    expect_mistake(HEAD SERVICE SERVER("weight = x capacity = y"), "weight = \"x\"");
    expect_mistake(HEAD SERVICE SERVER("weight = x capacity = y"), "capacity = \"y\"");
}

/* The table is what everything reads: every row must parse its own default and name a known
 * section. */
static void expect_exposure(const char *public, enum exposure wanted)
{
    struct config c;
    char text[1024], errors[4096] = "";
    snprintf(text, sizeof(text), HEAD "public { %s }\n", public);
    if (load(text, &c, errors, sizeof(errors)) != STEAD_OK)
        fail_msg("%s: %s", public, errors);
    if (c.public.exposure != (uint32_t)wanted)
        fail_msg("%s gives %u", public, c.public.exposure);
}

static void strangers_learn_less_by_default(void **state)
{
    (void)state;
    expect_exposure("listen = \"127.0.0.1:80\"", EXPOSURE_OPEN);
    expect_exposure("listen = \"10.1.2.3:80\"", EXPOSURE_OPEN);
    expect_exposure("listen = \"[fd00::1]:80\"", EXPOSURE_OPEN);
    expect_exposure("listen = \"192.0.2.1:80\"", EXPOSURE_COARSE);
    expect_exposure("listen = \"0.0.0.0:80\"", EXPOSURE_COARSE);
    expect_exposure("listen = \"[::]:80\"", EXPOSURE_COARSE);
    expect_exposure("listen = \"192.0.2.1:80\" exposure = open", EXPOSURE_OPEN);
    expect_exposure("listen = \"127.0.0.1:80\" exposure = coarse", EXPOSURE_COARSE);
    expect_exposure("listen = \"127.0.0.1:80\" exposure = authenticated token-file = t",
                    EXPOSURE_AUTHENTICATED);
}

static void who_is_inside(void **state)
{
    (void)state;
    static struct config c;
    char errors[4096] = "";
    assert_int_equal(
        load(HEAD "public { listen = \"127.0.0.1:80\" }\n", &c, errors, sizeof(errors)), STEAD_OK);
    assert_true(c.public.inside.count >= 5);
    assert_int_equal(
        load(
            HEAD
            "public { listen = \"127.0.0.1:80\" inside = {\"192.0.2.0/24\", \"2001:db8::/32\"} }\n",
            &c, errors, sizeof(errors)),
        STEAD_OK);
    assert_int_equal(c.public.inside.count, 2);
    struct addr a;
    assert_true(addr_parse("192.0.2.77", 1, &a) && prefix_has(&c.public.inside.network[0], &a));
    assert_true(addr_parse("2001:db8::5", 1, &a) && prefix_has(&c.public.inside.network[1], &a));
    assert_true(addr_parse("10.0.0.1", 1, &a));
    assert_false(prefix_has(&c.public.inside.network[0], &a) ||
                 prefix_has(&c.public.inside.network[1], &a));
#define PUBLIC(more) HEAD "public { listen = \"127.0.0.1:80\" " more " }\n"
    expect_mistake(PUBLIC("inside = {\"10.0.0.1/8\"}"), "it is not a network such as 10.0.0.0/8");
    expect_mistake(PUBLIC("outside = {\"192.0.2.1\"}"), "outside = \"192.0.2.1\"");
    expect_mistake(
        PUBLIC("outside = {\"192.0.2.1:1\", \"192.0.2.1:2\", \"192.0.2.1:3\", \"192.0.2.1:4\"}"),
        "outside: there are more than 3 addresses");
    expect_mistake(PUBLIC("exposure = authenticated"),
                   "exposure = authenticated needs a token-file");
    expect_mistake(PUBLIC("cors = \"shop.example\""), "cors = \"shop.example\": origins such as");
    expect_mistake(PUBLIC("retry-min = 2s retry-max = 1s"), "retry-min is more than retry-max");
}

static void name_server(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "";
    assert_int_equal(load(HEAD "dns { listen = \"127.0.0.1:53\" }\n", &c, errors, sizeof(errors)),
                     STEAD_OK);
    assert_int_equal(c.dns.listen.count, 1);
    assert_int_equal(c.dns.addresses, 8);
    assert_int_equal(c.dns.order, NAME_ORDER_WEIGHTED);
    assert_int_equal(c.dns.when_none, NAME_NOBODY_ALL);
    assert_true(c.dns.cookies && !c.dns.client_subnet);
    assert_int_equal(c.dns.rate_limit, 1000);
    assert_int_equal(load(HEAD "dns { listen = {\"127.0.0.1:53\", \"[::1]:53\"}\n"
                               "records = more.zone order = least-users when-none = servfail\n"
                               "rate-exempt = {\"10.0.0.0/8\"} name-servers = {ns1.shop.test}\n"
                               "site east { clients = {\"10.1.0.0/16\", \"2001:db8::/32\"} }\n"
                               "site west { clients = {\"10.2.0.0/16\"} } }\n",
                          &c, errors, sizeof(errors)),
                     STEAD_OK);
    assert_int_equal(c.dns.listen.count, 2);
    assert_int_equal(c.dns.listen.addr[1].family, 6);
    assert_true(c.dns.records[0] == '/' && strstr(c.dns.records, "/more.zone"));
    assert_int_equal(c.dns.order, NAME_ORDER_LEAST_USERS);
    assert_int_equal(c.dns.when_none, NAME_NOBODY_SERVFAIL);
    assert_int_equal(c.dns.site_count, 2);
    assert_string_equal(c.dns.sites[0].zone, "east");
    assert_int_equal(c.dns.sites[0].clients.count, 2);
    assert_int_equal(c.dns.rate_exempt.count, 1);
    expect_mistake(HEAD "dns { }\n", "dns: 'listen' is required");
    expect_mistake(HEAD "dns { listen = {\"127.0.0.1:1\", \"127.0.0.1:2\", \"127.0.0.1:3\", "
                        "\"127.0.0.1:4\", \"127.0.0.1:5\"} }\n",
                   "there are more than 4 addresses");
    expect_mistake(HEAD "dns { listen = \"127.0.0.1:53\"\nsite east { } }\n",
                   "'clients' is required");
    expect_mistake(HEAD "dns { listen = \"127.0.0.1:53\"\naddresses = 17 }\n", "stead.conf:5");
}

/* The words of the table are those of the name role, in its order. */
static void name_orders_have_their_words(void **state)
{
    (void)state;
    static const char *const words[] = {[NAME_ORDER_WEIGHTED] = "weighted",
                                        [NAME_ORDER_ROTATE] = "rotate",
                                        [NAME_ORDER_RANDOM] = "random",
                                        [NAME_ORDER_TWO_CHOICES] = "two-choices",
                                        [NAME_ORDER_LEAST_USERS] = "least-users"};
    const char *why;
    for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        uint32_t order = UINT32_MAX;
        assert_true(setting_parse(setting_find("dns", "order"), words[i], 0, NULL, &order, &why));
        assert_int_equal(order, i);
    }
}

static void table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        const char *why;
        assert_non_null(section_find(s->section));
        assert_ptr_equal(setting_find(s->section, s->name), s);
        if (s->fallback && *s->fallback && !setting_parse(s, s->fallback, 0, "/", NULL, &why))
            fail_msg("%s.%s: its default %s: %s", s->section, s->name, s->fallback, why);
        assert_true(strlen(s->help) > 0);
    }
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "%s/stead.conf", folder);
    unlink(path);
    return rmdir(folder);
}

#define DB "service \"db\" { name = \"db.test\" url = \"tcp://db.test:5432\" affinity = source }\n"

static void reads_tcp_services(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "";
    assert_int_equal(
        load(HEAD DB
             "server \"db\" { urls = {\"tcp://s1.db.test:5432\"} listen = \"127.0.0.1:5432\"\n"
             "forward = \"127.0.0.1:5433\" proxy-protocol = v1 }\n"
             "tcp \"tls\" { listen = \"127.0.0.1:443\" services = {db} proxy-from = "
             "{\"10.0.0.0/8\"} }\n",
             &c, errors, sizeof(errors)),
        STEAD_OK);
    assert_string_equal(errors, "");
    assert_int_equal(c.servers[0].tcp.listen.port, 5432);
    assert_int_equal(c.servers[0].tcp.proxy_out, 1);
    assert_int_equal(c.tcp[0].proxies.count, 1);
    assert_int_equal(
        load(HEAD DB
             "server \"db\" { urls = {\"tcp://10.1.0.2:5432\"} address = \"10.1.0.2:5432\" }\n"
             "inline { interfaces = {eth0} }\n",
             &c, errors, sizeof(errors)),
        STEAD_OK);
    assert_int_equal(c.servers[0].forward.port, 5432);
}

static void says_what_is_wrong_of_tcp(void **state)
{
    (void)state;
    expect_mistake(HEAD "service \"db\" { name = \"db.test\" url = \"tcp://db.test\" }\n",
                   "nor tcp://NAME:PORT");
    expect_mistake(
        HEAD "service \"db\" { name = \"db.test\" url = \"tcp://db.test:1\" affinity = cookie }\n",
        "none, source or sni");
    expect_mistake(
        HEAD DB
        "server \"db\" { urls = {\"tcp://s1.db.test:5432\"} forward = \"127.0.0.1:5433\" }\n",
        ":5: server: listen: a tcp service needs one");
    expect_mistake(HEAD DB "server \"db\" { urls = {\"http://s1.db.test\"} forward = "
                           "\"127.0.0.1:5433\" listen = \"127.0.0.1:1\" }\n",
                   "only then");
    expect_mistake(HEAD SERVICE SERVER("listen = \"127.0.0.1:1\""),
                   "listen: only before a service whose URL is tcp");
    expect_mistake(HEAD SERVICE SERVER("address = \"127.0.0.1:1\""), "it needs a section inline");
    expect_mistake(HEAD SERVICE SERVER("") "inline { }\n", "before whom does it stand");
    expect_mistake(HEAD SERVICE "tcp \"x\" { listen = \"127.0.0.1:1\" services = {shop} }\n",
                   ":5: tcp: services: each must");
    expect_mistake(HEAD SERVICE "server \"shop\" { urls = {\"http://s1.shop.test\"} }\npublic { "
                                "listen = \"127.0.0.1:80\" }\n",
                   "'forward' is required");
}

#define SESSIONS_HERE "sessions { listen = \"unix:/run/s.sock\" }\n"
#define PUBLIC_TLS "public { listen = \"127.0.0.1:80\" listen-tls = \"127.0.0.1:443\" }\n"
#define CERTIFICATE "certificate \"shop\" { chain = \"tls/shop.pem\" key = \"/k/shop.key\" }\n"

static void reads_tls(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "", path[512];
    assert_int_equal(
        load(HEAD PUBLIC_TLS
             "tls { client = \"required\" client-ca = \"ca.pem\" minimum = \"1.3\"\n" CERTIFICATE
             "certificate \"two\" { chain = \"two.pem\" ocsp = \"two.der\" } }\n",
             &c, errors, sizeof(errors)),
        STEAD_OK);
    assert_string_equal(errors, "");
    assert_int_equal(c.public.listen_tls.port, 443);
    assert_int_equal(c.tls.certificate_count, 2);
    snprintf(path, sizeof(path), "%s/tls/shop.pem", folder);
    assert_string_equal(c.tls.certificates[0].chain, path);
    assert_string_equal(c.tls.certificates[0].key, "/k/shop.key");
    assert_string_equal(c.tls.certificates[1].name, "two");
    assert_string_equal(c.tls.certificates[1].key, "");
    assert_int_equal(c.tls.client, TLS_CLIENTS_REQUIRED);
    assert_int_equal(c.tls.minimum, TLS_MINIMUM_13);
    assert_int_equal(c.tls.handshake_ms, 10000);
    assert_string_equal(c.tls.groups, TLS_GROUPS);
}

static void says_what_is_wrong_of_tls(void **state)
{
    char text[8192] = HEAD "tls {\n";
    (void)state;
    expect_mistake(HEAD PUBLIC_TLS, ":4: listen-tls needs a section tls");
    expect_mistake(HEAD SESSIONS_HERE "redis { listen = \"127.0.0.1:6379\" tls = yes }\n",
                   "redis: tls = yes needs a section tls");
    expect_mistake(HEAD SESSIONS_HERE "memcached { listen = \"unix:/run/m\" tls = yes }\n",
                   "on a unix socket there is none");
    expect_mistake(HEAD PUBLIC_TLS "tls { minimum = \"1.2\" }\n", "it needs certificate");
    expect_mistake(HEAD PUBLIC_TLS "tls { " CERTIFICATE "client = \"optional\" }\n",
                   "needs client-ca");
    expect_mistake(HEAD PUBLIC_TLS "tls { " CERTIFICATE CERTIFICATE "}\n", "shop");
    expect_mistake(HEAD "admin { listen = \"127.0.0.1:7380\" tls = yes }\n",
                   "admin: tls = yes needs a section tls");
    expect_mistake(HEAD "admin { listen = \"192.0.2.1:7380\" }\n",
                   "unless there are tls and client-ca");
    expect_mistake(HEAD PUBLIC_TLS "tls { " CERTIFICATE
                                   "}\nadmin { listen = \"192.0.2.1:7380\" tls = yes }\n",
                   "unless there are tls and client-ca");
    expect_mistake(HEAD "admin { listen = \"127.0.0.1:7380\" client-ca = \"ca.pem\" }\n",
                   "admin: client-ca needs tls = yes");
    expect_mistake(HEAD "sessions { listen = \"127.0.0.1:7390\" token-file = \"t\" tls = yes }\n",
                   "sessions: tls = yes needs a section tls");
    expect_mistake(HEAD PUBLIC_TLS "tls { " CERTIFICATE "}\nsessions { tls = yes }\n",
                   "on a unix socket there is none");
#define EARLY(more)                                                                                \
    "service \"shop\" { name = \"www.shop.test\" url = \"https://www.shop.test\" early-data = "    \
    "yes " more "}\n"
    expect_mistake(HEAD EARLY("") PUBLIC_TLS "tls { " CERTIFICATE "}\n",
                   "early-data = yes needs tls { tickets = single-use }");
    expect_mistake(HEAD PUBLIC_TLS "tls { tickets = single-use " CERTIFICATE
                                   "}\n" EARLY("mode = tunnel "),
                   "early-data: there is none with mode = tunnel");
    expect_mistake(HEAD PUBLIC_TLS "tls { certificate \"x\" { key = \"k\" } }\n",
                   "'chain' is required");
    expect_mistake(HEAD PUBLIC_TLS "tls { " CERTIFICATE "minimum = \"1.1\" }\n", "1.2|1.3");
    for (int i = 0; i <= TLS_CERTIFICATES_MAX; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "certificate \"c%d\" { chain = \"c\" }\n", i);
    strncat(text, "}\n", 3);
    expect_mistake(text, "more than 32 certificates");
}

#define STORE "sessions { listen = \"unix:s\" }\n"

static void a_door_for_stunnel(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "";
    assert_int_equal(load(HEAD STORE, &c, errors, sizeof(errors)), STEAD_OK);
    assert_int_equal(c.sessiond.listen.family, 0);
    assert_int_equal(
        load(HEAD STORE "sessiond { listen = \"[::1]:7399\" }\n", &c, errors, sizeof(errors)),
        STEAD_OK);
    assert_int_equal(c.sessiond.listen.port, 7399);
    assert_string_equal(c.sessiond.kind, "tls");
    expect_mistake(HEAD STORE "sessiond { }\n", "sessiond: 'listen' is required");
    expect_mistake(HEAD "sessiond { listen = \"127.0.0.1:7399\" }\n", "needs a section sessions");
    expect_mistake(HEAD STORE "sessiond { listen = \"192.0.2.1:7399\" }\n",
                   "must be a loopback address");
    expect_mistake(HEAD STORE "sessiond { listen = \"127.0.0.1:7399\" kind = tsl }\n",
                   "there is no such kind");
}

#define TICKETS(title, inside) "tickets \"" title "\" { " inside " }\n"

static void ticket_keys_for_others(void **state)
{
    (void)state;
    struct config c;
    char errors[4096] = "", many[4096] = HEAD;
    assert_int_equal(load(HEAD TICKETS("a", "format = nginx file = \"/k/a\" pid-file = \"/p\"")
                              TICKETS("b", "format = haproxy file = \"/k/b\" socket = \"/s\"")
                                  TICKETS("c", "format = apache file = \"/k/c\" reload = "
                                               "\"/usr/sbin/apachectl graceful\""),
                          &c, errors, sizeof(errors)),
                     STEAD_OK);
    assert_int_equal(c.tickets_count, 3);
    assert_int_equal(c.tickets[2].format, TICKET_APACHE);
    assert_string_equal(c.tickets[1].socket, "/s");
    assert_string_equal(c.tickets[0].pid_file, "/p");
    expect_mistake(HEAD TICKETS("a", "format = nginx"), "'file' is required");
    expect_mistake(HEAD TICKETS("a", "file = \"/k\""), "'format' is required");
    expect_mistake(HEAD TICKETS("a", "format = iis file = \"/k\""), "nginx|haproxy|apache");
    expect_mistake(HEAD TICKETS("a", "format = nginx file = \"/k\" reload = \"reload; me\""),
                   "reload: it must be a command with an absolute path");
    expect_mistake(HEAD TICKETS("a", "format = nginx file = \"/k\"")
                       TICKETS("b", "format = nginx file = \"/k\""),
                   "another section has that file");
    for (int i = 0; i <= TICKETS_SECTIONS_MAX; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many),
                 TICKETS("t%d", "format = nginx file = \"/k/%d\""), i, i);
    expect_mistake(many, "there are more than 8 sections 'tickets'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_written),
        cmocka_unit_test(reads_tcp_services),
        cmocka_unit_test(says_what_is_wrong_of_tcp),
        cmocka_unit_test(counts_are_numbers_or_words),
        cmocka_unit_test(reads_tls),
        cmocka_unit_test(says_what_is_wrong_of_tls),
        cmocka_unit_test(kinds_have_a_size),
        cmocka_unit_test(a_repository_has_servers),
        cmocka_unit_test(a_farm_has_kinds_of_its_own),
        cmocka_unit_test(says_every_mistake_with_its_line),
        cmocka_unit_test(a_group_is_read),
        cmocka_unit_test(sources_of_users_are_read),
        cmocka_unit_test(two_mistakes_are_both_said),
        cmocka_unit_test(strangers_learn_less_by_default),
        cmocka_unit_test(who_is_inside),
        cmocka_unit_test(name_server),
        cmocka_unit_test(name_orders_have_their_words),
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(a_door_for_stunnel),
        cmocka_unit_test(ticket_keys_for_others),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
