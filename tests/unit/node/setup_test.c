/* What start-up owes the system and the farm: sockets as the mesh needs them, limits raised,
 * secrets kept from core dumps, and one clear sentence when it cannot start. */
#include "node/setup.h"
#include "stead/error.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/stead-setup-XXXXXX";

static void configure(struct config *c, const char *address)
{
    *c = (struct config){.top = {.farm = "shop", .workers = 2},
                         .node = {.name = "s1"},
                         .server_count = 1,
                         .public.listen.family = 0};
    assert_true(addr_parse(address, 0, &c->node.address));
    snprintf(c->top.key_file, sizeof(c->top.key_file), "%s/key", folder);
    snprintf(c->top.state, sizeof(c->top.state), "%s/state", folder);
    snprintf(c->admin.socket, sizeof(c->admin.socket), "%s/admin.sock", folder);
    struct server_section *s = &c->servers[0];
    snprintf(s->service, sizeof(s->service), "shop");
    snprintf(s->backup, sizeof(s->backup), "primary");
    snprintf(s->urls.text[0], sizeof(s->urls.text[0]), "http://s1.shop.test:8080");
    s->urls.count = 1;
    s->weight = 100;
    assert_true(addr_parse("127.0.0.1:9000", 0, &s->forward));
}

/* Opens and expects it to fail with this sentence on standard error. */
static void expect_failure(const struct config *c, int err, const char *sentence)
{
    struct setup s;
    char said[1024] = "";
    char path[64];
    snprintf(path, sizeof(path), "%s/stderr", folder);
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    assert_non_null(freopen(path, "w", stderr));
    int got = setup_open(c, &s);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
    fclose(f);
    assert_int_equal(got, err);
    if (!strstr(said, sentence))
        fail_msg("wanted \"%s\" in: %s", sentence, said);
    assert_int_equal(s.mesh_fd, -1);
    assert_int_equal(s.state.lock_fd, -1);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void the_mesh_never_fragments(void **state)
{
    (void)state;
    struct config c;
    struct setup s;
    configure(&c, "127.0.0.1:0");
    assert_int_equal(setup_open(&c, &s), STEAD_OK);
    assert_int_equal(option_of(s.mesh_fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE);
    assert_true(option_of(s.mesh_fd, SOL_SOCKET, SO_RCVBUF) > 212992);
    setup_close(&s);
    configure(&c, "[::1]:0");
    int err = setup_open(&c, &s);
    if (err == STEAD_OK) /* a host may have no IPv6 */
        assert_int_equal(option_of(s.mesh_fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER),
                         IPV6_PMTUDISC_PROBE);
    setup_close(&s);
}

static void bulk_is_listened_for_where_it_is_wished(void **state)
{
    (void)state;
    struct config c;
    struct setup s;
    configure(&c, "127.0.0.1:0");
    c.node.bulk = true;
    assert_int_equal(setup_open(&c, &s), STEAD_OK);
    assert_int_equal(option_of(s.bulk_fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    setup_close(&s);
    c.node.bulk = false;
    assert_int_equal(setup_open(&c, &s), STEAD_OK);
    assert_int_equal(s.bulk_fd, -1);
    setup_close(&s);
}

static void limits_are_raised_and_no_core_is_written(void **state)
{
    (void)state;
    struct config c;
    struct setup s;
    struct rlimit files;
    configure(&c, "127.0.0.1:0");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max / 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    prctl(PR_SET_DUMPABLE, 1);
    assert_int_equal(setup_open(&c, &s), STEAD_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(files.rlim_cur, files.rlim_max);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    setup_close(&s);
    prctl(PR_SET_DUMPABLE, 1);
    c.top.core_dumps = true;
    assert_int_equal(setup_open(&c, &s), STEAD_OK);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
    setup_close(&s);
}

static void says_what_other_nodes_would_refuse(void **state)
{
    (void)state;
    struct config c;
    configure(&c, "127.0.0.1:0");
    snprintf(c.servers[0].urls.text[0], sizeof(c.servers[0].urls.text[0]), "http://a b/");
    expect_failure(&c, STEAD_E_CONFIG, "server: urls http://a b/");
    configure(&c, "127.0.0.1:0");
    c.node.name[0] = '\0';
    expect_failure(&c, STEAD_E_CONFIG, "it needs a name and an address");
    configure(&c, "127.0.0.1:0");
    snprintf(c.node.zone, sizeof(c.node.zone), "a zone");
    expect_failure(&c, STEAD_E_CONFIG, "other nodes would refuse");
}

static void says_what_is_in_its_way(void **state)
{
    (void)state;
    struct config c, other;
    struct setup s;
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);
    configure(&c, "127.0.0.1:0");
    assert_int_equal(setup_open(&c, &s), STEAD_OK);
    expect_failure(&c, STEAD_E_IN_USE, "another stead runs as this node");
    assert_int_equal(getsockname(s.mesh_fd, (struct sockaddr *)&sa, &len), 0);
    other = c;
    snprintf(other.top.state, sizeof(other.top.state), "%s/other", folder);
    other.node.address.port = ntohs(sa.sin_port);
    expect_failure(&other, STEAD_E_IN_USE, "node: address 127.0.0.1:");
    setup_close(&s);
    snprintf(c.top.key_file, sizeof(c.top.key_file), "%s/nokey", folder);
    expect_failure(&c, STEAD_E_NOT_FOUND, "stead keygen");
}

static int make_folder(void **state)
{
    char key[64];
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(key, sizeof(key), "%s/key", folder);
    return key_make(key);
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"key",        "stderr", "state/lock", "state/node",
                                        "admin.sock", "state",  "other/lock", "other/node",
                                        "other",      ""};
    char path[64];
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        remove(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mesh_never_fragments),
        cmocka_unit_test(bulk_is_listened_for_where_it_is_wished),
        cmocka_unit_test(limits_are_raised_and_no_core_is_written),
        cmocka_unit_test(says_what_other_nodes_would_refuse),
        cmocka_unit_test(says_what_is_in_its_way),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
