/* gate_test.c - the session API over a unix socket, before a store of one array whose answers a
 * test can delay and spoil. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gate_bench.h"

/* -- the tests -- */

static void a_session_lives_through_all_calls(void **state)
{
    struct bench b;
    char path[300], sub[320];
    (void)state;
    open_bench(&b, NULL);
    for (int delay = 0; delay <= 1; delay++) {
        b.store.delay = delay;
        created(&b, "{\"ttl\": 60, \"fields\": {\"user\": \"ann\", \"n\": \"1\"}}", path);
        assert_int_equal(strlen(strrchr(path, '/') + 1), 32);
        assert_has("ETag: \"1.1\"\r\n");
        assert_has("\"expires_in\":59");
        assert_has("\"copies\":2");
        snprintf(sub, sizeof sub, "Location: %s\r\n", path);
        assert_has(sub);
        assert_int_equal(ask(&b, "GET", path, "", ""), 200);
        assert_has("\"user\":\"ann\"");
        assert_has("Stead-Origin: local\r\n");
        assert_int_equal(ask(&b, "GET", path, "If-None-Match: \"9.9\", \"1.1\"\r\n", ""), 304);
        assert_int_equal(ask(&b, "GET", path, "If-None-Match: \"11.1\"\r\n", ""), 200);
        assert_int_equal(
            ask(&b, "PATCH", path, "If-Match: \"1.1\"\r\n",
                "{\"set\": {\"cart\": \"tea\"}, \"delete\": [\"user\"], \"add\": {\"n\": 41}}"),
            200);
        assert_has("\"fields\":{\"cart\":\"tea\",\"n\":\"42\"}");
        assert_has("ETag: \"1.2\"");
        assert_int_equal(ask(&b, "PATCH", path, "If-Match: \"1.1\"\r\n", "{}"), 412);
        assert_has("\"CONFLICT\"");
        assert_int_equal(ask(&b, "PATCH", path, "", "{\"add\": {\"cart\": 1}}"), 422);
        snprintf(sub, sizeof sub, "%s/touch", path);
        assert_int_equal(ask(&b, "POST", sub, "", "{\"ttl\": 2}"), 200);
        assert_int_equal(b.store.last_ttl_ms, 2000);
        assert_int_equal(ask(&b, "DELETE", path, "If-Match: \"1.1\"\r\n", ""), 412);
        assert_int_equal(ask(&b, "DELETE", path, "", ""), 204);
        assert_int_equal(ask(&b, "GET", path, "", ""), 404);
        assert_has("\"ENDED\"");
    }
    assert_int_equal(ask(&b, "GET", "/v1/sessions/auth/nobody", "", ""), 404);
    assert_has("\"ABSENT\"");
    close_bench(&b);
}

static void a_renewal_moves_everything_to_a_new_id(void **state)
{
    struct bench b;
    char path[300], fresh[300], sub[320];
    (void)state;
    open_bench(&b, NULL);
    for (int delay = 0; delay <= 1; delay++) {
        b.store.delay = delay;
        created(&b, "{\"ttl\": 60, \"fields\": {\"user\": \"ann\"}}", path);
        snprintf(sub, sizeof sub, "%s/renew", path);
        assert_int_equal(ask(&b, "POST", sub, "", ""), 200);
        assert_has("\"user\":\"ann\"");
        assert_has("\"expires_in\":59");
        snprintf(fresh, sizeof fresh, "/v1/sessions/auth/%s", member("id"));
        assert_string_not_equal(fresh, path);
        assert_int_equal(ask(&b, "GET", path, "", ""), 404);
        assert_int_equal(ask(&b, "GET", fresh, "", ""), 200);
        assert_int_equal(ask(&b, "POST", sub, "", ""), 404);
    }
    assert_int_equal(atomic_load(&b.counters.renewed), 2);
    close_bench(&b);
}

static size_t live(const struct store *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        count += !s->records[i]->ended;
    return count;
}

/* Somebody changes the old record whenever a new one has been made. */
static void meddle(struct store *s, const struct session_op *op)
{
    struct field_op set = {.type = FIELD_SET,
                           .name = (const uint8_t *)"late",
                           .name_len = 4,
                           .value = (const uint8_t *)"x",
                           .value_len = 1};
    if (op->type != SESSION_CREATE)
        return;
    struct stamp next = {1, s->records[0]->stamp.version + 1, 1};
    assert_int_equal(record_apply(s->records[0], &set, 1, &next, 0), STEAD_OK);
}

static void meddle_once(struct store *s, const struct session_op *op)
{
    meddle(s, op);
    if (op->type == SESSION_CREATE)
        s->before = NULL;
}

static void a_renewal_loses_no_change_made_meanwhile(void **state)
{
    struct bench b;
    char path[300], sub[320];
    (void)state;
    open_bench(&b, NULL);
    snprintf(sub, sizeof sub, "%s/renew", created(&b, "{}", path));
    b.store.before = meddle_once;
    assert_int_equal(ask(&b, "POST", sub, "", ""), 200);
    assert_has("\"late\":\"x\"");
    assert_int_equal(live(&b.store), 1);
    close_bench(&b);
    /* Changed again and again: it is given up, and the old one stays. */
    open_bench(&b, NULL);
    snprintf(sub, sizeof sub, "%s/renew", created(&b, "{}", path));
    b.store.before = meddle;
    assert_int_equal(ask(&b, "POST", sub, "", ""), 412);
    assert_int_equal(b.store.count, 1 + 5);
    assert_int_equal(live(&b.store), 1);
    assert_int_equal(ask(&b, "GET", path, "", ""), 200);
    close_bench(&b);
}

static void a_failed_renewal_leaves_the_old_session(void **state)
{
    static const struct {
        enum session_op_type at;
        int err;
    } cases[] = {{SESSION_READ, STEAD_E_UNREACHABLE},
                 {SESSION_CREATE, STEAD_E_ALONE},
                 {SESSION_CREATE, STEAD_E_DEADLINE},
                 {SESSION_END, STEAD_E_ALONE},
                 {SESSION_END, STEAD_E_BUSY}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench b;
        char path[300], sub[320];
        open_bench(&b, NULL);
        snprintf(sub, sizeof sub, "%s/renew", created(&b, "{}", path));
        b.store.spoil[cases[i].at] = cases[i].err;
        assert_int_equal(ask(&b, "POST", sub, "", ""), 503);
        assert_has("Retry-After: 1\r\n");
        assert_null(strstr(answer, "outcome"));
        assert_int_equal(live(&b.store), 1);
        assert_int_equal(ask(&b, "GET", path, "", ""), 200);
        close_bench(&b);
    }
}

static void a_renewal_whose_end_is_uncertain_finds_out(void **state)
{
    static const int open[] = {STEAD_E_UNKNOWN, STEAD_E_DEADLINE, STEAD_E_FENCED,
                               STEAD_E_UNREACHABLE};
    struct bench b;
    char path[300], sub[320];
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        open_bench(&b, NULL);
        snprintf(sub, sizeof sub, "%s/renew", created(&b, "{}", path));
        b.store.spoil[SESSION_END] = open[i / 2];
        b.store.done[SESSION_END] = i % 2;
        assert_int_equal(ask(&b, "POST", sub, "", ""), 200);
        assert_int_equal(live(&b.store), 1);
        assert_int_equal(ask(&b, "GET", path, "", ""), 404);
        close_bench(&b);
    }
}

static int reads_to_spoil;

static void spoil_second_read(struct store *s, const struct session_op *op)
{
    if (op->type == SESSION_READ && reads_to_spoil++ == 1)
        s->spoil[SESSION_READ] = STEAD_E_UNREACHABLE;
}

static void a_renewal_that_cannot_find_out_names_both_ids(void **state)
{
    struct bench b;
    char path[300], sub[320];
    (void)state;
    open_bench(&b, NULL);
    snprintf(sub, sizeof sub, "%s/renew", created(&b, "{}", path));
    b.store.spoil[SESSION_END] = STEAD_E_UNKNOWN;
    b.store.done[SESSION_END] = true;
    reads_to_spoil = 0;
    b.store.before = spoil_second_read;
    assert_int_equal(ask(&b, "POST", sub, "", ""), 503);
    assert_string_equal(member("outcome"), "unknown");
    snprintf(path, sizeof path, "/v1/sessions/auth/%s", member("new_id"));
    assert_int_equal(ask(&b, "GET", path, "", ""), 200);
    assert_int_equal(atomic_load(&b.counters.unknown), 1);
    close_bench(&b);
}

static void failures_have_their_status_and_name(void **state)
{
    static const struct {
        int err, status;
    } cases[] = {{STEAD_E_ALONE, 503},     {STEAD_E_UNREACHABLE, 503}, {STEAD_E_BUSY, 503},
                 {STEAD_E_FENCED, 503},    {STEAD_E_UNKNOWN, 503},     {STEAD_E_DEADLINE, 503},
                 {STEAD_E_TOO_LARGE, 413}, {STEAD_E_FULL, 507},        {STEAD_E_NOMEM, 503}};
    struct bench b;
    char path[300];
    (void)state;
    open_bench(&b, NULL);
    created(&b, "{}", path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        b.store.spoil[SESSION_CHANGE] = cases[i].err;
        assert_int_equal(ask(&b, "PATCH", path, "", "{}"), cases[i].status);
        assert_string_equal(member("error"), stead_error_name(cases[i].err));
        bool open = cases[i].err == STEAD_E_UNKNOWN || cases[i].err == STEAD_E_DEADLINE ||
                    cases[i].err == STEAD_E_FENCED;
        assert_true(open == (strstr(answer, "\"outcome\": \"unknown\"") != NULL));
        assert_true((cases[i].status == 503) == (strstr(answer, "Retry-After: 1") != NULL));
    }
    b.store.spoil[SESSION_READ] = STEAD_E_DEADLINE;
    assert_int_equal(ask(&b, "GET", path, "", ""), 503);
    assert_null(strstr(answer, "outcome"));
    close_bench(&b);
}

static void wrong_requests_never_reach_the_store(void **state)
{
    static const struct {
        const char *method, *path, *headers, *body;
        int status;
        const char *says;
    } cases[] = {
        {"GET", "/", "", "", 404, "NOT_FOUND"},
        {"GET", "/v1/sessions", "", "", 404, "NOT_FOUND"},
        {"GET", "/v1/sessions/auth/x/y/z/u/v", "", "", 404, "NOT_FOUND"},
        {"POST", "/v1/sessions/nokind", "", "{}", 404, "auth"},
        {"GET", "/v1/sessions/auth", "", "", 405, "Allow: POST\r\n"},
        {"PUT", "/v1/sessions/auth/x", "", "", 405, "Allow: GET, HEAD, PATCH, DELETE\r\n"},
        {"POST", "/v1/kinds", "", "", 405, "Allow: GET, HEAD\r\n"},
        {"GET", "/v1/sessions/auth/", "", "", 400, "INVAL"},
        {"GET", "/v1/sessions/auth/a%00b", "", "", 400, "INVAL"},
        {"GET", "/v1/sessions/auth/x?at_least=1", "", "", 400, "at_least"},
        {"GET", "/v1/sessions/auth/x?other=1", "", "", 400, "at_least"},
        {"PATCH", "/v1/sessions/auth/x", "If-Match: 1.1\r\n", "{}", 400, "If-Match"},
        {"PATCH", "/v1/sessions/auth/x", "If-Match: W/\"1.1\"\r\n", "{}", 400, "If-Match"},
        {"PATCH", "/v1/sessions/auth/x", "", "[]", 400, "PARSE"},
        {"POST", "/v1/sessions/auth", "", "{\"id\": \"mine\"}", 400, "INVAL"},
        {"POST", "/v1/sessions/auth/x/renew", "", "{\"ttl\": 5}", 400, "no ttl"},
        {"GET", "/v1/sessions/auth/x", "Stead-Deadline-Ms: 0\r\n", "", 400, "Deadline"},
        {"GET", "/v1/sessions/auth/x", "Stead-Deadline-Ms: 1x\r\n", "", 400, "Deadline"},
    };
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = ask(&b, cases[i].method, cases[i].path, cases[i].headers, cases[i].body);
        if (status != cases[i].status)
            print_error("%s %s: %s\n", cases[i].method, cases[i].path, answer);
        assert_int_equal(status, cases[i].status);
        assert_has(cases[i].says);
        json_t *j = json_loads(strstr(answer, "\r\n\r\n") + 4, 0, NULL);
        assert_non_null(json_object_get(j, "error"));
        assert_non_null(json_object_get(j, "message"));
        json_decref(j);
    }
    assert_int_equal(b.store.last_deadline_ns, 0);
    assert_int_equal(atomic_load(&b.counters.calls), 0);
    assert_int_equal(atomic_load(&b.counters.invalid), sizeof cases / sizeof *cases);
    close_bench(&b);
}

static void headers_reach_the_store(void **state)
{
    struct bench b;
    char path[300], with[320];
    (void)state;
    open_bench(&b, NULL);
    created(&b, "{}", path);
    assert_int_equal(b.store.last_deadline_ns, 5000000000ull);
    snprintf(with, sizeof with, "%s?at_least=4.17", path);
    assert_int_equal(ask(&b, "GET", with, "Stead-Deadline-Ms: 250\r\n", ""), 200);
    assert_int_equal(b.store.last_deadline_ns, 250000000ull);
    assert_int_equal(b.store.last_min_version, 17);
    assert_int_equal(ask(&b, "GET", path, "Stead-Deadline-Ms: 60000\r\n", ""), 200);
    assert_int_equal(b.store.last_deadline_ns, 5000000000ull);
    assert_int_equal(ask(&b, "GET", "/v1/whoami", "", ""), 200);
    assert_string_equal(member("node"), "n1");
    assert_string_equal(member("farm"), "shop");
    assert_int_equal(ask(&b, "GET", "/v1/kinds", "", ""), 200);
    json_t *j = json_loads(strstr(answer, "\r\n\r\n") + 4, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(j, "kinds")), b.store.kinds.count);
    json_decref(j);
    close_bench(&b);
}

/* A request of one's own Host line. */
static int ask_host(struct bench *b, const char *host, const char *headers)
{
    char text[512];
    int n =
        snprintf(text, sizeof text, "GET /v1/whoami HTTP/1.1\r\nHost: %s\r\n%s\r\n", host, headers);
    assert_int_equal(send(b->client, text, (size_t)n, MSG_NOSIGNAL), n);
    return hear(b);
}

static void by_tcp_the_token_and_the_host_are_asked_for(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, "s3cret");
    static const char right[] = "Authorization: Bearer s3cret\r\n";
    assert_int_equal(ask_host(&b, "localhost:8080", right), 200);
    assert_int_equal(ask_host(&b, "127.0.0.1", right), 200);
    assert_int_equal(ask_host(&b, "[::1]:9", right), 200);
    assert_int_equal(ask_host(&b, "evil.example", right), 403);
    assert_int_equal(ask_host(&b, "localhost.evil.example", right), 403);
    assert_int_equal(ask_host(&b, "192.0.2.1", right), 403);
    assert_int_equal(ask_host(&b, "localhost", ""), 401);
    assert_has("WWW-Authenticate: Bearer\r\n");
    assert_int_equal(ask_host(&b, "localhost", "Authorization: Bearer s3cre\r\n"), 401);
    assert_int_equal(ask_host(&b, "localhost", "Authorization: Bearer s3crets3cret\r\n"), 401);
    assert_int_equal(ask_host(&b, "localhost", "Authorization: Bearer \r\n"), 401);
    assert_int_equal(ask_host(&b, "localhost", "Authorization: Basic s3cret\r\n"), 401);
    assert_int_equal(atomic_load(&b.counters.denied), 8);
    close_bench(&b);
}

static void a_gate_may_close_with_results_on_their_way(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    b.store.delay = true;
    say(&b, "POST", "/v1/sessions/auth", "", "{}");
    for (int i = 0; i < 50 && list_empty(&b.store.waiting); i++)
        uv_run(&b.loop, UV_RUN_NOWAIT);
    assert_false(list_empty(&b.store.waiting));
    assert_int_equal(atomic_load(&b.counters.waiting), 1);
    close_bench(&b);
}

static void log_in(struct bench *b, const char *body, char cookie[300])
{
    assert_int_equal(ask(b, "POST", "/v1/auth", "Content-Type: application/json\r\n", body), 201);
    snprintf(cookie, 300, "Cookie: a=b; sid=%s\r\n", member("id"));
}

static void a_login_is_told_to_web_servers(void **state)
{
    struct bench b;
    char cookie[300], bearer[300];
    (void)state;
    open_bench(&b, NULL);
    for (int delay = 0; delay <= 1; delay++) {
        b.store.delay = delay;
        log_in(&b,
               "{\"user\": \"ann\", \"methods\": [\"pwd\", \"otp\"], \"ttl\": 60, "
               "\"claims\": {\"groups\": \"staff admin\", \"odd name\": \"x\"}}",
               cookie);
        assert_has("\"user\":\"ann\"");
        assert_int_equal(ask(&b, "GET", "/v1/auth", cookie, ""), 200);
        assert_has("\r\nRemote-User: ann\r\n");
        assert_has("\r\nRemote-Groups: staff admin\r\n");
        assert_has("\r\nStead-Auth-Methods: pwd otp\r\n");
        assert_null(strstr(answer, "odd"));
        /* Envoy puts the request's own method and path behind. */
        assert_int_equal(ask(&b, "DELETE", "/v1/auth/any/path?cookie=x&user=bob", cookie, ""), 200);
        assert_int_equal(ask(&b, "GET", "/v1/auth?claim=groups:admin", cookie, ""), 200);
        assert_int_equal(ask(&b, "GET", "/v1/auth?claim=groups:adm", cookie, ""), 403);
        assert_int_equal(ask(&b, "GET", "/v1/auth?user=bob", cookie, ""), 403);
        snprintf(bearer, sizeof bearer, "Authorization: bearer %s",
                 strstr(cookie, "sid=") + strlen("sid="));
        assert_int_equal(ask(&b, "GET", "/v1/auth?cookie=other", bearer, ""), 200);
        assert_int_equal(ask(&b, "GET", "/v1/auth?cookie=other", cookie, ""), 401);
        assert_has("\r\nWWW-Authenticate: Bearer realm=\"shop\"\r\n");
    }
    assert_int_equal(ask(&b, "GET", "/v1/auth", "Cookie: sid=nobody\r\n", ""), 401);
    assert_int_equal(ask(&b, "GET", "/v1/auth", "Cookie: sid=\r\n", ""), 401);
    assert_int_equal(atomic_load(&b.counters.known), 8);
    b.store.spoil[SESSION_READ] = STEAD_E_UNREACHABLE;
    assert_int_equal(ask(&b, "GET", "/v1/auth", cookie, ""), 503);
    close_bench(&b);
}

static void strangers_are_led_to_the_login(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(ask(&b, "GET", "/v1/auth?login=https%3A%2F%2Flogin.example%2F%3Fx%3D1",
                         "X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n"
                         "X-Forwarded-Uri: /p?q=1&r\r\n",
                         ""),
                     302);
    assert_has("\r\nLocation: https://login.example/?x=1&return=https%3A%2F%2Fa.example%2Fp%3Fq%3D1"
               "%26r\r\n");
    assert_int_equal(ask(&b, "GET", "/v1/auth?login=ftp%3A%2F%2Fx", "", ""), 400);
    assert_int_equal(ask(&b, "GET", "/v1/auth?claim=x", "", ""), 400);
    close_bench(&b);
}

static void a_login_that_is_none(void **state)
{
    struct bench b;
    char cookie[300];
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"user\": \"\"}",
                                      "{\"user\": \"a\", \"password\": \"x\"}",
                                      "{\"user\": \"a\", \"methods\": \"pwd\"}",
                                      "{\"user\": \"a\", \"methods\": [\"p w\"]}",
                                      "{\"user\": \"a\", \"claims\": {\"n\": 1}}",
                                      "{\"user\": \"a\", \"expires_in\": 0}",
                                      "{\"user\": \"a\", \"ttl\": \"x\"}",
                                      "{\"user\": \"a\", \"user\": \"b\"}"};
    open_bench(&b, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ask(&b, "POST", "/v1/auth", "", bad[i]), 400);
    /* A record without a user, or whose end has passed, is nobody. */
    assert_int_equal(ask(&b, "POST", "/v1/sessions/auth", "", "{\"fields\": {\"cart\": \"x\"}}"),
                     201);
    snprintf(cookie, sizeof cookie, "Cookie: sid=%s\r\n", member("id"));
    assert_int_equal(ask(&b, "GET", "/v1/auth", cookie, ""), 401);
    assert_int_equal(ask(&b, "POST", "/v1/sessions/auth", "",
                         "{\"fields\": {\"user\": \"a\\r\\nB: c\", \"expires\": \"1\"}}"),
                     201);
    snprintf(cookie, sizeof cookie, "Cookie: sid=%s\r\n", member("id"));
    assert_int_equal(ask(&b, "GET", "/v1/auth", cookie, ""), 401);
    assert_int_equal(
        ask(&b, "POST", "/v1/sessions/auth", "", "{\"fields\": {\"user\": \"a\\r\\nB: c\"}}"), 201);
    snprintf(cookie, sizeof cookie, "Cookie: sid=%s\r\n", member("id"));
    assert_int_equal(ask(&b, "GET", "/v1/auth", cookie, ""), 200);
    assert_has("\r\nRemote-User: a%0D%0AB: c\r\n");
    close_bench(&b);
}

static const struct field *kept(struct bench *b, const char *name)
{
    for (size_t i = 0; i < b->store.count; i++) {
        const struct field *f = record_get(b->store.records[i], name, strlen(name));
        if (f && !b->store.records[i]->ended)
            return f;
    }
    fail();
    return NULL;
}

static void a_kind_has_its_size(void **state)
{
    struct bench b;
    char path[300];
    (void)state;
    open_bench(&b, NULL);
    int kind = kinds_find(&b.store.kinds, "auth");
    b.store.kinds.kind[kind].size_bytes = 8;
    private_rules.kind[kind].count = 1;
    private_rules.kind[kind].names[0] = (struct slice){"billing.*", 9};
    created(&b, "{\"fields\": {\"a\": \"1234567\"}}", path);
    assert_int_equal(ask(&b, "PATCH", path, "", "{\"set\": {\"a\": \"12345678\"}}"), 413);
    assert_has("\"TOO_LARGE\"");
    assert_int_equal(ask(&b, "PATCH", path, "", "{\"set\": {\"b\": \"\"}}"), 413);
    assert_int_equal(ask(&b, "PATCH", path, "", "{\"set\": {\"b\": \"123\", \"a\": \"123\"}}"),
                     200);
    assert_int_equal(
        ask(&b, "POST", "/v1/sessions/auth", "", "{\"fields\": {\"a\": \"12345678\"}}"), 413);
    assert_int_equal(ask(&b, "POST", "/v1/auth", "", "{\"user\": \"ann\"}"), 413);
    assert_int_equal(ask(&b, "GET", "/v1/kinds", "", ""), 200);
    assert_has("\"size\": 8,");
    assert_has("\"size\": 262144,");
    assert_has("\"billing.*\"");
    private_rules.kind[kind].count = 0;
    close_bench(&b);
}

static void private_fields_are_sealed_when_they_arrive(void **state)
{
    struct bench b;
    char path[300], sub[320];
    (void)state;
    open_bench(&b, NULL);
    int kind = kinds_find(&b.store.kinds, "auth");
    private_rules.kind[kind].count = 1;
    private_rules.kind[kind].names[0] = (struct slice){"billing.*", 9};
    created(&b, "{\"fields\": {\"user\": \"ann\", \"billing.street\": \"Elm 7\"}}", path);
    assert_has("\"billing.street\":\"Elm 7\"");
    const struct field *f = kept(&b, "billing.street");
    assert_null(memmem(field_value(f), f->value_len, "Elm", 3));
    assert_memory_equal(field_value(kept(&b, "user")), "ann", 3);
    assert_int_equal(ask(&b, "PATCH", path, "", "{\"set\": {\"billing.city\": \"\\u00dcr\"}}"),
                     200);
    assert_has("\"billing.street\":\"Elm 7\"");
    assert_int_equal(ask(&b, "PATCH", path, "", "{\"add\": {\"billing.n\": 1}}"), 422);
    snprintf(sub, sizeof sub, "%s/renew", path);
    assert_int_equal(ask(&b, "POST", sub, "", ""), 200);
    assert_has("\"billing.street\":\"Elm 7\"");
    assert_has("\"billing.city\":\"\xc3\x9cr\"");
    snprintf(sub, sizeof sub, "/v1/sessions/auth/%s", member("id"));
    /* A value that was moved from another record does not open. */
    f = kept(&b, "billing.street");
    struct field_op op = {.type = FIELD_SET,
                          .name = (const uint8_t *)"billing.city",
                          .name_len = 12,
                          .value = field_value(f),
                          .value_len = f->value_len};
    struct record *r = b.store.records[b.store.count - 1];
    struct stamp next = {r->stamp.term, r->stamp.version + 1, 1};
    assert_int_equal(record_apply(r, &op, 1, &next, 0), STEAD_OK);
    assert_int_equal(ask(&b, "GET", sub, "", ""), 200);
    assert_has("\"billing.city\":null");
    private_rules.kind[kind].count = 0;
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_lives_through_all_calls),
        cmocka_unit_test(a_login_is_told_to_web_servers),
        cmocka_unit_test(strangers_are_led_to_the_login),
        cmocka_unit_test(a_login_that_is_none),
        cmocka_unit_test(a_kind_has_its_size),
        cmocka_unit_test(private_fields_are_sealed_when_they_arrive),
        cmocka_unit_test(a_renewal_moves_everything_to_a_new_id),
        cmocka_unit_test(a_renewal_loses_no_change_made_meanwhile),
        cmocka_unit_test(a_failed_renewal_leaves_the_old_session),
        cmocka_unit_test(a_renewal_whose_end_is_uncertain_finds_out),
        cmocka_unit_test(a_renewal_that_cannot_find_out_names_both_ids),
        cmocka_unit_test(failures_have_their_status_and_name),
        cmocka_unit_test(wrong_requests_never_reach_the_store),
        cmocka_unit_test(headers_reach_the_store),
        cmocka_unit_test(by_tcp_the_token_and_the_host_are_asked_for),
        cmocka_unit_test(a_gate_may_close_with_results_on_their_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
