/* tls_context_test.c - what is read from files, what is refused, and who is shown which
 * certificate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/tls_context.h"
#include "stead/error.h"
#include "tls_kit.h"

#include <sys/wait.h>

static struct kit kit;

static int set_up(void **state)
{
    (void)state;
    kit_open(&kit);
    kit_issue(&kit, "shop", "ignored.test",
              "DNS:www.shop.test,DNS:*.Shop.test,DNS:*.deep.shop.test,IP:127.0.0.1", 10);
    kit_issue(&kit, "two", "two.test", "DNS:two.test,DNS:exact.shop.test,DNS:www.shop.test", 10);
    kit_issue(&kit, "bare", "bare.test", NULL, 10);
    kit_issue(&kit, "late", "late.test", "DNS:late.test", -5);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_close(&kit);
    wait(NULL);
    return 0;
}

static int make(struct kit_rules *r, struct tls_context **out, char error[TLS_ERROR_MAX])
{
    *out = NULL;
    return tls_context_new(&r->rules, out, error);
}

static void expect_mistake(struct kit_rules *r, int code, const char *word)
{
    struct tls_context *c;
    char error[TLS_ERROR_MAX];
    assert_int_equal(make(r, &c, error), code);
    if (!strstr(error, word))
        fail_msg("\"%s\" does not say \"%s\"", error, word);
}

static void names_choose_their_certificate(void **state)
{
    static const char *const certs[] = {"bare", "shop", "two", NULL};
    static const struct {
        const char *name;
        size_t chosen;
    } cases[] = {
        {"www.shop.test", 1},    /* the first of two that have it */
        {"WWW.shop.TEST.", 1},   /* whatever its case, and with its root */
        {"any.shop.test", 1},    /* the wildcard, written in capitals */
        {"exact.shop.test", 2},  /* an exact name before a wildcard */
        {"x.deep.shop.test", 1}, /* a deeper wildcard */
        {"a.b.shop.test", 0},    /* one label only */
        {"shop.test", 0},        /* and not none */
        {".shop.test", 0},       {"two.test", 2}, {"bare.test", 0}, /* by its common name */
        {"ignored.test", 0}, /* not by it, as there are other names */
        {"127.0.0.1", 0},        {"", 0},         {".", 0},         {"*.shop.test", 1},
        {"unknown.example", 0},
    };
    struct kit_rules r;
    struct tls_context *c;
    char error[TLS_ERROR_MAX], longest[400];
    (void)state;
    kit_rules(&kit, &r, certs);
    assert_int_equal(make(&r, &c, error), STEAD_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tls_context_choose(c, cases[i].name) != cases[i].chosen)
            fail_msg("%s: %zu", cases[i].name, tls_context_choose(c, cases[i].name));
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(tls_context_choose(c, longest), 0);
    assert_int_equal(tls_context_count(c), 3);
    const struct tls_certificate *x = tls_context_certificate(c, 1);
    assert_string_equal(x->name, "shop");
    assert_string_equal(x->subject, "CN=ignored.test");
    assert_true(x->not_after > time(NULL) + 9 * 86400 && x->not_after < time(NULL) + 11 * 86400);
    assert_int_equal(x->ocsp_until, 0);
    tls_context_unref(c);
    tls_context_unref(NULL);
}

static void an_expired_certificate_is_still_one(void **state)
{
    static const char *const certs[] = {"late", NULL};
    struct kit_rules r;
    struct tls_context *c;
    char error[TLS_ERROR_MAX];
    (void)state;
    kit_rules(&kit, &r, certs);
    assert_int_equal(make(&r, &c, error), STEAD_OK);
    assert_true(tls_context_certificate(c, 0)->not_after < time(NULL));
    tls_context_unref(c);
}

static void bad_files_are_named(void **state)
{
    static const char *const certs[] = {"shop", NULL};
    struct kit_rules r;
    char path[KIT_PATH], key[KIT_PATH];
    (void)state;
    kit_rules(&kit, &r, certs);
    r.files[0].chain = "/nonexistent/chain.pem";
    expect_mistake(&r, STEAD_E_NOT_FOUND, "/nonexistent/chain.pem");
    kit_rules(&kit, &r, certs);
    r.files[0].key = "/nonexistent/key.pem";
    expect_mistake(&r, STEAD_E_NOT_FOUND, "/nonexistent/key.pem");
    r.files[0].key = kit_path(&kit, "two.key", key);
    expect_mistake(&r, STEAD_E_CONFIG, "two.key: the key is not the certificate's");
    r.files[0].key = kit_path(&kit, "shop.pem", key); /* written by a lenient umask */
    chmod(key, 0644);
    expect_mistake(&r, STEAD_E_DENIED, "others may read the key");
    chmod(key, 0600);
    expect_mistake(&r, STEAD_E_CONFIG, "there is no key in it");
    kit_rules(&kit, &r, certs);
    kit_write(&kit, "empty.pem", "", 0);
    r.files[0].chain = kit_path(&kit, "empty.pem", path);
    expect_mistake(&r, STEAD_E_CONFIG, "empty.pem: there is no certificate");
    kit_write(&kit, "half.pem", "-----BEGIN CERTIFICATE-----\nMIIB", 32);
    r.files[0].chain = kit_path(&kit, "half.pem", path);
    expect_mistake(&r, STEAD_E_CONFIG, "half.pem: there is no certificate");
    r.rules.count = 0;
    expect_mistake(&r, STEAD_E_CONFIG, "1 to 32");
}

static void an_encrypted_key_is_refused_without_a_question(void **state)
{
    static const char *const certs[] = {"shop", NULL};
    struct kit_rules r;
    char path[KIT_PATH];
    (void)state;
    kit_rules(&kit, &r, certs);
    FILE *f = fopen(kit_path(&kit, "locked.key", path), "w");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
    fclose(f);
    EVP_PKEY_free(key);
    chmod(path, 0600);
    r.files[0].key = path;
    expect_mistake(&r, STEAD_E_CONFIG, "without a password");
}

static void a_key_may_stand_behind_its_chain(void **state)
{
    static const char *const certs[] = {"both", NULL};
    struct kit_rules r;
    struct tls_context *c;
    char error[TLS_ERROR_MAX], path[KIT_PATH], key[KIT_PATH], buffer[8192];
    (void)state;
    kit_issue(&kit, "both", "both.test", "DNS:both.test", 10);
    FILE *from = fopen(kit_path(&kit, "both.key", key), "r");
    FILE *to = fopen(kit_path(&kit, "both.pem", path), "a");
    size_t n = fread(buffer, 1, sizeof buffer, from);
    fwrite(buffer, 1, n, to);
    fclose(from);
    fclose(to);
    chmod(path, 0640); /* a group may read it */
    kit_rules(&kit, &r, certs);
    r.files[0].key = "";
    assert_int_equal(make(&r, &c, error), STEAD_OK);
    tls_context_unref(c);
}

static void wrong_rules_are_said(void **state)
{
    static const char *const certs[] = {"shop", NULL};
    struct kit_rules r;
    char path[KIT_PATH];
    (void)state;
    kit_rules(&kit, &r, certs);
    r.rules.ciphers = "NO-SUCH-CIPHER";
    expect_mistake(&r, STEAD_E_CONFIG, "NO-SUCH-CIPHER");
    r.rules.ciphers = "";
    r.rules.groups = "P-255";
    expect_mistake(&r, STEAD_E_CONFIG, "P-255");
    r.rules.groups = NULL;
    r.rules.protocols = "h2,,http/1.1";
    expect_mistake(&r, STEAD_E_CONFIG, "protocols");
    r.rules.protocols = "a-protocol-with-a-long-name";
    expect_mistake(&r, STEAD_E_CONFIG, "protocols");
    r.rules.protocols = NULL;
    r.rules.clients = TLS_CLIENTS_REQUIRED;
    expect_mistake(&r, STEAD_E_CONFIG, "client-ca");
    r.rules.client_ca = kit_path(&kit, "shop.key", path);
    expect_mistake(&r, STEAD_E_CONFIG, "shop.key");
}

static void a_staple_is_checked_before_it_is_shown(void **state)
{
    static const char *const certs[] = {"shop", NULL};
    static const struct {
        const char *of;
        int status;
        long from, until;
        const char *mistake; /* NULL: it is stapled */
    } cases[] = {
        {"shop", V_OCSP_CERTSTATUS_GOOD, -3600, 3600, NULL},
        {"shop", V_OCSP_CERTSTATUS_GOOD, -7200, -3600, "out of date"},
        {"shop", V_OCSP_CERTSTATUS_REVOKED, -3600, 3600, "not good"},
        {"shop", V_OCSP_CERTSTATUS_UNKNOWN, -3600, 3600, "not good"},
        {"two", V_OCSP_CERTSTATUS_GOOD, -3600, 3600, "another certificate"},
    };
    struct kit_rules r;
    struct tls_context *c;
    char error[TLS_ERROR_MAX], path[KIT_PATH];
    (void)state;
    kit_rules(&kit, &r, certs);
    r.files[0].ocsp = kit_path(&kit, "staple.der", path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kit_ocsp(&kit, cases[i].of, "staple.der", cases[i].status, cases[i].from, cases[i].until);
        assert_int_equal(make(&r, &c, error), STEAD_OK);
        const struct tls_certificate *x = tls_context_certificate(c, 0);
        assert_true((x->ocsp_until > time(NULL)) == !cases[i].mistake);
        if (cases[i].mistake)
            assert_non_null(strstr(x->ocsp_mistake, cases[i].mistake));
        else
            assert_null(x->ocsp_mistake);
        tls_context_unref(c);
    }
    kit_write(&kit, "staple.der", "rubbish", 7);
    expect_mistake(&r, STEAD_E_CONFIG, "no OCSP response");
    kit_write(&kit, "staple.der", "\x30\x03\x0a\x01\x06",
              5); /* "unauthorized", as responders say */
    assert_int_equal(make(&r, &c, error), STEAD_OK);
    assert_non_null(tls_context_certificate(c, 0)->ocsp_mistake);
    tls_context_unref(c);
    unlink(path);
    expect_mistake(&r, STEAD_E_NOT_FOUND, "staple.der");
}

static void names_are_bounded(void **state)
{
    static const char *const certs[] = {"many", NULL};
    struct kit_rules r;
    static char names[TLS_NAMES_MAX * 20 + 100];
    size_t len = 0;
    (void)state;
    for (int i = 0; i <= TLS_NAMES_MAX; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%sDNS:n%d.test", i ? "," : "", i);
    kit_issue(&kit, "many", "many.test", names, 10);
    kit_rules(&kit, &r, certs);
    expect_mistake(&r, STEAD_E_CONFIG, "more than 1024 names");
}

static void no_memory_is_an_error_and_nothing_is_lost(void **state)
{
    static const char *const certs[] = {"shop", "two", NULL};
    struct kit_rules r;
    struct tls_context *c;
    char error[TLS_ERROR_MAX], path[KIT_PATH];
    int e = STEAD_E_NOMEM;
    (void)state;
    kit_rules(&kit, &r, certs);
    kit_ocsp(&kit, "shop", "ok.der", V_OCSP_CERTSTATUS_GOOD, -3600, 3600);
    r.files[0].ocsp = kit_path(&kit, "ok.der", path);
    for (unsigned n = 1; e != STEAD_OK; n++) {
        assert_true(n < 100);
        mem_fail_after(n);
        e = make(&r, &c, error);
        mem_fail_after(0);
        assert_true(e == STEAD_OK || e == STEAD_E_NOMEM);
    }
    tls_context_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_choose_their_certificate),
        cmocka_unit_test(an_expired_certificate_is_still_one),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(an_encrypted_key_is_refused_without_a_question),
        cmocka_unit_test(a_key_may_stand_behind_its_chain),
        cmocka_unit_test(wrong_rules_are_said),
        cmocka_unit_test(a_staple_is_checked_before_it_is_shown),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(no_memory_is_an_error_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
