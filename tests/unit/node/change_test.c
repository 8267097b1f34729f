/* change_test.c - lines that change a configuration, and the lines that a difference gives. */
#include "node/change.h"

#include "base/mem.h"
#include "node/config_diff.h"
#include "node/live.h"
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

#define TEXT                                                                                       \
    "farm = shop\nkey-file = \"/k\"\nstate = \"/var/lib/stead\"\n"                                 \
    "node s1 { address = \"127.0.0.1:7300\" }\n"                                                   \
    "service shop { name = \"www.shop.test\" url = \"http://www.shop.test:8080\" }\n"              \
    "service mail { name = \"mail.shop.test\" url = \"http://mail.shop.test:8080\" }\n"            \
    "server shop { urls = {\"http://s1.shop.test:8080\"} forward = \"127.0.0.1:9000\"\n"           \
    "  check { type = http path = \"/health\" interval = 250ms } }\n"                              \
    "public { listen = \"127.0.0.1:8080\" }\n"

static struct config file, now;

static void load(const char *text, struct config *c)
{
    char path[] = "/tmp/stead-change-XXXXXX", errors[4096] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    FILE *to = fmemopen(errors, sizeof(errors), "w");
    int status = config_load(path, c, to);
    fclose(to);
    unlink(path);
    if (status)
        fail_msg("%s", errors);
}

static int set_up(void **state)
{
    (void)state;
    load(TEXT, &file);
    now = file;
    return 0;
}

static void apply(const char *line)
{
    char why[CHANGE_WHY_MAX];
    if (change_apply(&now, line, 0, NULL, why, sizeof(why)) != STEAD_OK)
        fail_msg("%s: %s", line, why);
}

static void refused(const char *line, int error, const char *says)
{
    char why[CHANGE_WHY_MAX];
    static struct config before;
    before = now;
    assert_int_equal(change_apply(&now, line, 0, NULL, why, sizeof(why)), error);
    assert_memory_equal(&now, &before, sizeof(now));
    if (!strstr(why, says))
        fail_msg("%s: wanted \"%s\" in: %s", line, says, why);
}

static void lines_are(const char *wanted)
{
    static char text[CHANGE_TEXT_MAX];
    assert_true(change_lines(&file, &now, text, sizeof(text)) >= 0);
    assert_string_equal(text, wanted);
}

static void a_pair_is_changed_by_any_of_its_names(void **state)
{
    (void)state;
    apply("server set shop weight=50");
    apply("server set - capacity=200");
    apply("server set http://s1.shop.test:8080 backup=s2 check.interval=2s");
    const struct server_section *s = &now.servers[0];
    assert_true(s->weight == 50 && s->capacity == 200 && s->check.interval_ms == 2000);
    assert_string_equal(s->backup, "s2");
    lines_are("server set shop weight=50 capacity=200 backup=s2 check.interval=2s\n");
    apply("server set shop weight=100 capacity=0 backup=primary check.interval=250ms");
    lines_are("");
}

static void urls_come_and_go(void **state)
{
    (void)state;
    apply("server add shop https://s1.shop.test:8443 weight=7");
    assert_true(now.server_count == 1 && now.servers[0].urls.count == 2);
    assert_int_equal(now.servers[0].weight, 7);
    apply("server add shop https://s1.shop.test:8443"); /* it is there */
    assert_int_equal(now.servers[0].urls.count, 2);
    lines_are("server set shop urls=http://s1.shop.test:8080,https://s1.shop.test:8443 weight=7\n");
    apply("server remove shop http://s1.shop.test:8080");
    assert_string_equal(now.servers[0].urls.text[0], "https://s1.shop.test:8443");
    assert_false(now.servers[0].gone);
    apply("server remove shop https://s1.shop.test:8443"); /* the last one */
    assert_true(now.servers[0].gone);
    lines_are("server remove shop\n");
    refused("server set shop weight=1", STEAD_E_NOT_FOUND, "no server 'shop'");
    apply("server add shop http://s1.shop.test:8080 forward=127.0.0.1:9000 check.type=http "
          "check.path=/health check.interval=250ms");
    assert_true(now.server_count == 1 && !now.servers[0].gone);
    lines_are("");
}

static void a_new_server_takes_a_place_that_nobody_uses(void **state)
{
    char why[CHANGE_WHY_MAX], line[256];
    struct change_about about;
    (void)state;
    apply("server add mail http://m1.shop.test:8080 forward=127.0.0.1:9001 weight=3");
    assert_true(now.server_count == 2 && now.servers[1].check.type == CHECK_TCP);
    lines_are("server add mail urls=http://m1.shop.test:8080 forward=127.0.0.1:9001 weight=3\n");
    assert_int_equal(change_apply(&now, "server remove shop", 0, &about, why, sizeof(why)), 0);
    assert_true(about.removes_server);
    assert_string_equal(about.service, "shop");
    apply("service add news name=news.shop.test url=http://news.shop.test:8080");
    apply("service add chat name=chat.shop.test url=http://chat.shop.test:8080");
    snprintf(line, sizeof(line), "server add news http://n.shop.test:8080 forward=127.0.0.1:9002");
    assert_int_equal(change_apply(&now, line, 1, NULL, why, sizeof(why)), 0);
    assert_int_equal(now.server_count, 3); /* a client of the removed one is still there */
    apply("server add chat http://c.shop.test:8080 forward=127.0.0.1:9003");
    assert_int_equal(now.server_count, 3);
    assert_string_equal(now.servers[0].service, "chat");
    assert_false(now.servers[0].gone);
}

static void what_is_wrong_changes_nothing(void **state)
{
    (void)state;
    refused("server add nobody http://x.test forward=127.0.0.1:1", STEAD_E_INVAL, "no service");
    refused("server add mail http://x.test", STEAD_E_INVAL, "forward");
    refused("server add mail forward=127.0.0.1:1", STEAD_E_INVAL, "needs a URL");
    refused("server add mail http://s1.shop.test:8080 forward=127.0.0.1:1", STEAD_E_INVAL,
            "another server's");
    refused("server add mail ftp://x.test forward=127.0.0.1:1", STEAD_E_INVAL, "http or https");
    refused("server set shop weight=much", STEAD_E_INVAL, "not a number");
    refused("server set shop weight=9999999", STEAD_E_INVAL, "out of range");
    refused("server set shop wieght=7", STEAD_E_INVAL, "did you mean 'weight'?");
    refused("server set shop check.type=ping", STEAD_E_INVAL, "none|tcp|http");
    refused("server set shop check.path=nowhere", STEAD_E_INVAL, "begin with '/'");
    refused("server set shop backup=s1", STEAD_E_INVAL, "no backup of its own");
    refused("server set shop users-from=kernel", STEAD_E_INVAL, "needs users-port");
    refused("server set shop forward=", STEAD_E_INVAL, "needs forward");
    refused("server set shop listen=127.0.0.1:1", STEAD_E_UNSUPPORTED, "without a restart");
    refused("service set shop url=tcp://www.shop.test:1", STEAD_E_UNSUPPORTED, "restart");
    refused("server set shop", STEAD_E_INVAL, "what shall be set");
    refused("server set shop seven", STEAD_E_INVAL, "not KEY=VALUE");
    refused("server remove shop http://other.test", STEAD_E_NOT_FOUND, "no URL of it");
    refused("server remove mail", STEAD_E_NOT_FOUND, "no server 'mail'");
    refused("service add shop name=a url=http://a.test", STEAD_E_EXISTS, "already");
    refused("service add new name=a", STEAD_E_INVAL, "url=URL");
    refused("service set shop affinity=always", STEAD_E_INVAL, "affinity");
    refused("service remove shop", STEAD_E_INVAL, "remove it first");
    refused("service remove chat", STEAD_E_NOT_FOUND, "no service");
    refused("node set s1 zone=x", STEAD_E_INVAL, "no change");
    refused("server add", STEAD_E_INVAL, "no change");
    refused("server set shop%0 weight=1", STEAD_E_INVAL, "no change");
    refused("server set shop%00 weight=1", STEAD_E_INVAL, "no change");
    static char line[2 * CHANGE_LINE_MAX];
    memset(line, 'a', sizeof(line) - 1);
    refused(line, STEAD_E_INVAL, "too long");
    line[0] = '\0';
    for (int i = 0; i <= CHANGE_WORDS_MAX; i++)
        strcat(line, "a ");
    refused(line, STEAD_E_INVAL, "no change");
}

static void services_are_changed(void **state)
{
    (void)state;
    apply("service set shop policy=least-users handoff=cart,login");
    assert_int_equal(now.services[0].policy, POLICY_LEAST_USERS);
    assert_int_equal(now.services[0].handoff.count, 2);
    apply("service remove mail");
    apply("service add news name=news.test url=http://news.test policy=random");
    lines_are("service remove mail\n"
              "service set shop policy=least-users handoff=cart,login\n"
              "service add news name=news.test url=http://news.test policy=random\n");
    apply("service set shop policy=two-choices handoff=");
    lines_are("service remove mail\nservice add news name=news.test url=http://news.test "
              "policy=random\n");
}

/* The lines of a difference lead from one configuration to the other, whatever was changed. */
static void lines_lead_to_what_they_were_made_of(void **state)
{
    static const char *const changes[] = {
        "server set shop weight=5 check.rise=3 agent-check.address=127.0.0.1:99",
        "service add news name=news.test url=http://news.test affinity=cookie:seen",
        "server add news http://n.test http://n2.test forward=[::1]:80 capacity=7",
        "service set mail rebalance=no affinity-life=90s",
        "server add mail http://m.test forward=127.0.0.1:5 agent-check.address=127.0.0.1:98 "
        "agent-check.send=how%20are%20you",
        "server remove shop",
        "service remove shop",
    };
    static char text[CHANGE_TEXT_MAX], again[CHANGE_TEXT_MAX];
    char why[CHANGE_WHY_MAX], *save = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        apply(changes[i]);
        assert_true(change_lines(&file, &now, text, sizeof(text)) > 0);
        static struct config other;
        other = file;
        snprintf(again, sizeof(again), "%s", text);
        for (char *l = strtok_r(again, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
            if (change_apply(&other, l, 0, NULL, why, sizeof(why)))
                fail_msg("%s: %s", l, why);
        struct config_difference d[4];
        assert_int_equal(config_diff(&now, &other, d, 4), 0);
        assert_true(change_lines(&now, &other, again, sizeof(again)) == 0);
    }
    assert_int_equal(change_lines(&file, &now, text, 16), -1);
}

static void a_file_read_again_keeps_places(void **state)
{
    static struct config other;
    struct config_difference d[CONFIG_DIFFERENCES_MAX];
    (void)state;
    load("farm = shop\nkey-file = \"/k\"\nlog-level = debug\nworkers = 4\n"
         "node s1 { address = \"127.0.0.1:7300\" groups = {blue} }\n"
         "service mail { name = \"mail.shop.test\" url = \"http://mail.shop.test:8080\" }\n"
         "server mail { urls = {\"http://m.test\"} forward = \"127.0.0.1:9009\" }\n"
         "public { listen = \"127.0.0.1:8080\" }\n",
         &other);
    assert_true(live_take(&other, &now, 1));
    assert_true(now.server_count == 2 && now.servers[0].gone && !now.servers[1].gone);
    assert_string_equal(now.servers[1].service, "mail");
    assert_true(now.service_count == 1 && now.top.log_level == 3 && now.top.workers == 2);
    assert_string_equal(now.node.groups.text[0], "blue");
    size_t n = config_diff(&other, &now, d, CONFIG_DIFFERENCES_MAX);
    assert_int_equal(n, 1);
    assert_true(d[0].restart);
    assert_string_equal(d[0].name, "workers");
    assert_true(strcmp(d[0].was, "4") == 0 && strcmp(d[0].is, "2") == 0);
    assert_true(live_take(&file, &now, 0));
    assert_true(!now.servers[0].gone && now.servers[1].gone);
}

/* Size, ttl and sliding of a kind are taken up; the rest is named, and so is a new kind. */
static void kinds_of_a_file_read_again(void **state)
{
    static struct config was, other;
    struct config_difference d[CONFIG_DIFFERENCES_MAX];
    (void)state;
    load(TEXT "sessions { kind app { size = 64k } }\n", &was);
    load(TEXT "sessions { kind app { size = 1k copies = 3 private = {\"card\"} }\n"
              "kind auth { ttl = 5m sliding = no } kind mine { like = app } }\n",
         &other);
    now = was;
    assert_int_equal(config_diff(&was, &other, d, CONFIG_DIFFERENCES_MAX), 6);
    assert_true(live_take(&other, &now, 0));
    const struct kinds *k = &now.sessions.kinds;
    const struct kind *app = &k->kind[kinds_find(k, "app")], *auth = &k->kind[1];
    assert_int_equal(app->size_bytes, 1024);
    assert_int_equal(app->copies, 2);
    assert_true(auth->ttl_ms == 300000 && !auth->sliding && auth->size_bytes == 65536);
    assert_int_equal(k->count, 6);
    size_t n = config_diff(&other, &now, d, CONFIG_DIFFERENCES_MAX);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        assert_true(d[i].restart);
        assert_string_equal(d[i].section, "sessions.kind");
    }
    assert_string_equal(d[0].name, "copies");
    assert_string_equal(d[1].name, "private");
    assert_true(strcmp(d[2].title, "mine") == 0 && strcmp(d[2].was, "there") == 0);
}

static void what_is_shown_is_read_again(void **state)
{
    static struct config other;
    struct config_difference d[4];
    (void)state;
    apply("server set shop agent-check.address=127.0.0.1:99 agent-check.send=a%20\"b\"%5c");
    apply("service set shop handoff=a,b affinity=query:user");
    char *text = config_show(&now);
    assert_non_null(text);
    load(text, &other);
    size_t n = config_diff(&now, &other, d, 4);
    if (n)
        fail_msg("%s %s: %s, not %s in:\n%s", d[0].section, d[0].name, d[0].is, d[0].was, text);
    free(text);
}

static void without_memory_nothing_changes(void **state)
{
    char why[CHANGE_WHY_MAX];
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        mem_fail_after(n);
        assert_int_equal(change_apply(&now, "server set shop weight=1", 0, NULL, why, sizeof(why)),
                         STEAD_E_NOMEM);
        mem_fail_after(0);
        assert_int_equal(now.servers[0].weight, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_pair_is_changed_by_any_of_its_names, set_up),
        cmocka_unit_test_setup(urls_come_and_go, set_up),
        cmocka_unit_test_setup(a_new_server_takes_a_place_that_nobody_uses, set_up),
        cmocka_unit_test_setup(what_is_wrong_changes_nothing, set_up),
        cmocka_unit_test_setup(services_are_changed, set_up),
        cmocka_unit_test_setup(lines_lead_to_what_they_were_made_of, set_up),
        cmocka_unit_test_setup(a_file_read_again_keeps_places, set_up),
        cmocka_unit_test_setup(kinds_of_a_file_read_again, set_up),
        cmocka_unit_test_setup(kinds_of_a_file_read_again, set_up),
        cmocka_unit_test_setup(what_is_shown_is_read_again, set_up),
        cmocka_unit_test_setup(without_memory_nothing_changes, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
