/* tls_setup_test.c - from settings to certificates, and what a reload counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../io/tls_kit.h"
#include "base/mem.h"
#include "node/tls_setup.h"

#include <sys/wait.h>

static struct kit kit;

static int set_up(void **state)
{
    struct config *c = mem_alloc(sizeof *c);
    struct tls_certificate_section *s = &c->tls.certificates[0];
    kit_open(&kit);
    kit_issue(&kit, "shop", "www.shop.test", "DNS:www.shop.test", 10);
    c->public.listen_tls.family = 4;
    c->tls.certificate_count = 1;
    snprintf(s->name, sizeof s->name, "shop");
    snprintf(s->chain, sizeof s->chain, "%s/shop.pem", kit.dir);
    snprintf(s->key, sizeof s->key, "%s/shop.key", kit.dir);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    mem_free(*state);
    kit_close(&kit);
    wait(NULL);
    return 0;
}

static void without_a_listener_there_is_no_door(void **state)
{
    struct config *c = *state;
    struct tls_setup s = {0};
    char error[TLS_ERROR_MAX];
    c->public.listen_tls.family = 0;
    c->tls.certificates[0].chain[0] = '\0';
    assert_true(tls_setup_check(c, error));
    assert_int_equal(tls_setup_open(&s, c), STEAD_OK);
    assert_null(s.door);
    tls_setup_reload(&s, c, true);
    assert_int_equal(s.reloads + s.reloads_failed, 0);
    tls_setup_close(&s);
}

static void a_bad_file_keeps_the_node_from_starting(void **state)
{
    struct config *c = *state;
    struct tls_setup s = {0};
    char error[TLS_ERROR_MAX], path[KIT_PATH];
    chmod(kit_path(&kit, "shop.key", path), 0604);
    assert_false(tls_setup_check(c, error));
    assert_non_null(strstr(error, "shop.key"));
    assert_int_equal(tls_setup_open(&s, c), STEAD_E_CONFIG);
    assert_null(s.door);
}

static void reloads_are_counted(void **state)
{
    struct config *c = *state;
    struct tls_setup s = {0};
    char error[TLS_ERROR_MAX];
    assert_true(tls_setup_check(c, error));
    assert_int_equal(tls_setup_open(&s, c), STEAD_OK);
    tls_setup_reload(&s, c, false); /* nothing has changed */
    assert_int_equal(s.reloads + s.reloads_failed, 0);
    tls_setup_reload(&s, c, true);
    assert_int_equal(s.reloads, 1);
    kit_write(&kit, "shop.pem", "rubbish", 7);
    tls_setup_reload(&s, c, false);
    assert_int_equal(s.reloads_failed, 1);
    struct tls_context *still = tls_door_context(s.door);
    assert_string_equal(tls_context_certificate(still, 0)->subject, "CN=www.shop.test");
    tls_context_unref(still);
    kit_issue(&kit, "shop", "shop.test", "DNS:shop.test", 10);
    tls_setup_reload(&s, c, false);
    assert_int_equal(s.reloads, 2);
    tls_setup_close(&s);
}

static void settings_become_rules(void **state)
{
    struct config *c = *state;
    char error[TLS_ERROR_MAX];
    snprintf(c->tls.ciphers, sizeof c->tls.ciphers, "NONE-SUCH");
    assert_false(tls_setup_check(c, error));
    assert_non_null(strstr(error, "NONE-SUCH"));
    c->tls.ciphers[0] = '\0';
    snprintf(c->tls.groups, sizeof c->tls.groups, "P-1");
    assert_false(tls_setup_check(c, error));
    c->tls.groups[0] = '\0';
    c->tls.client = TLS_CLIENTS_REQUIRED;
    assert_false(tls_setup_check(c, error));
    snprintf(c->tls.client_ca, sizeof c->tls.client_ca, "%s/ca.pem", kit.dir);
    assert_true(tls_setup_check(c, error));
}

static void a_service_may_change_the_rules(void **state)
{
    struct config *c = *state, *other = mem_dup(c, sizeof *c);
    assert_non_null(other);
    assert_false(tls_setup_differs(c, other));
    other->service_count = 1;
    assert_false(tls_setup_differs(c, other));
    other->services[0].early_data = true;
    assert_true(tls_setup_differs(c, other));
    other->services[0].early_data = false;
    other->tls.tickets = TLS_RESUMPTION_OFF;
    assert_true(tls_setup_differs(c, other));
    mem_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_listener_there_is_no_door, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_file_keeps_the_node_from_starting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reloads_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settings_become_rules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_service_may_change_the_rules, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
