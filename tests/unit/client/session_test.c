/* session_test.c - a server's calls to its node, before a door that says what a test tells it to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/session_internal.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWERS_MAX 8
#define HANG_UP "" /* in place of an answer */

struct door {
    char folder[64], path[96], where[128];
    int listener;
    pthread_t thread;
    const char *answers[ANSWERS_MAX];
    size_t count, accepted;
    bool slow; /* byte by byte */
    char requests[ANSWERS_MAX][4096];
};

/* False: the client is gone. */
static bool read_request(int fd, char *out, size_t cap)
{
    size_t len = 0;
    memset(out, 0, cap);
    for (;;) {
        const char *end = strstr(out, "\r\n\r\n"), *length = strstr(out, "Content-Length: ");
        if (end && length && len >= (size_t)(end + 4 - out) + (size_t)atol(length + 16))
            return true;
        ssize_t n = recv(fd, out + len, cap - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
    }
}

static void say(const struct door *d, int fd, const char *text)
{
    size_t len = strlen(text), step = d->slow ? 1 : len;
    for (size_t at = 0; at < len; at += step)
        (void)send(fd, text + at, step, MSG_NOSIGNAL);
}

static void *serve(void *context)
{
    struct door *d = context;
    for (size_t i = 0; i < d->count;) {
        int fd = accept(d->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        d->accepted++;
        while (i < d->count && read_request(fd, d->requests[i], sizeof d->requests[i])) {
            const char *answer = d->answers[i++];
            if (!*answer)
                break;
            say(d, fd, answer);
        }
        close(fd);
    }
    return NULL;
}

static void open_door(struct door *d, size_t count, const char *const *answers)
{
    memset(d, 0, sizeof *d);
    strcpy(d->folder, "/tmp/stead-session-XXXXXX");
    assert_non_null(mkdtemp(d->folder));
    snprintf(d->path, sizeof d->path, "%s/s", d->folder);
    snprintf(d->where, sizeof d->where, "unix:%s", d->path);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, d->path);
    d->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(d->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(d->listener, 8), 0);
    d->count = count;
    memcpy(d->answers, answers, count * sizeof *answers);
}

static void start(struct door *d)
{
    assert_int_equal(pthread_create(&d->thread, NULL, serve, d), 0);
}

static void close_door(struct door *d)
{
    pthread_join(d->thread, NULL);
    close(d->listener);
    unlink(d->path);
    rmdir(d->folder);
}

#define RECORD(version, fields)                                                                    \
    "{\"id\":\"abc\",\"kind\":\"app\",\"version\":\"" version                                      \
    "\",\"expires_in\":60,\"fields\":" fields "}\n"

/* An answer with its length. */
static const char *answer(int status, const char *body)
{
    static char texts[ANSWERS_MAX][2048];
    static unsigned next;
    char *text = texts[next++ % ANSWERS_MAX];
    snprintf(text, sizeof texts[0],
             "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             status, strlen(body), body);
    return text;
}

static void a_call_is_a_request(void **state)
{
    (void)state;
    const char *const answers[] = {answer(201, RECORD("1.1", "{\"b\":\"2\",\"a\":\"1\"}")),
                                   answer(200, RECORD("1.2", "{\"raw\":{\"base64\":\"/wD+\"}}")),
                                   answer(200, RECORD("1.2", "{\"p\":null}")),
                                   answer(200, RECORD("1.3", "{}")),
                                   answer(200, RECORD("1.4", "{}")),
                                   "HTTP/1.1 204 X\r\n\r\n"};
    struct door d;
    struct stead_sessions *node;
    struct stead_session *s;
    size_t len;
    for (int slow = 0; slow <= 1; slow++) {
        open_door(&d, 6, answers);
        d.slow = slow;
        start(&d);
        assert_int_equal(stead_sessions_new(d.where, "a-token", &node), STEAD_OK);
        const struct stead_field set[] = {
            {"a", "1", 1}, {"raw", "\xff\0\xfe", 3}, {"empty", NULL, 0}};
        struct stead_change change = {
            .size = sizeof change, .set = set, .set_count = 3, .ttl_ms = 1500};
        assert_int_equal(stead_session_create(node, "app", &change, &s), STEAD_OK);
        assert_string_equal(stead_session_id(s), "abc");
        assert_string_equal(stead_session_kind(s), "app");
        assert_string_equal(stead_session_version(s), "1.1");
        assert_int_equal(stead_session_expires_in(s), 60);
        assert_int_equal(stead_session_count(s), 2);
        struct stead_field field;
        assert_true(stead_session_field(s, 0, &field));
        assert_string_equal(field.name, "a");
        assert_false(stead_session_field(s, 2, &field));
        assert_string_equal(stead_session_get(s, "b", &len), "2");
        assert_null(stead_session_get(s, "c", &len));
        stead_session_free(s);
        assert_int_equal(stead_session_read(node, "app", "abc", &s), STEAD_OK);
        assert_memory_equal(stead_session_get(s, "raw", &len), "\xff\0\xfe", 4);
        assert_int_equal(len, 3);
        stead_session_free(s);
        const char *const remove[] = {"b"};
        const struct stead_add add[] = {{"n", -3}};
        change = (struct stead_change){.size = sizeof change,
                                       .set = set,
                                       .set_count = 1,
                                       .remove = remove,
                                       .remove_count = 1,
                                       .add = add,
                                       .add_count = 1,
                                       .version = "1.2"};
        assert_int_equal(stead_session_change(node, "app", "abc", &change, &s), STEAD_OK);
        assert_int_equal(stead_session_count(s), 1);
        assert_null(stead_session_get(s, "p", NULL));
        stead_session_free(s);
        assert_int_equal(stead_session_touch(node, "app", "abc", 2500, NULL), STEAD_OK);
        assert_int_equal(stead_session_renew(node, "app", "abc", NULL), STEAD_OK);
        assert_int_equal(stead_session_end(node, "app", "abc", "1.4"), STEAD_OK);
        stead_sessions_free(node);
        close_door(&d);
        assert_int_equal(d.accepted, 1);
        assert_non_null(strstr(d.requests[0], "POST /v1/sessions/app HTTP/1.1\r\n"));
        assert_non_null(strstr(d.requests[0], "Authorization: Bearer a-token\r\n"));
        assert_non_null(strstr(d.requests[0], "\"ttl\":1.5"));
        assert_non_null(strstr(d.requests[0], "\"raw\":{\"base64\":\"/wD+\"}"));
        assert_non_null(strstr(d.requests[0], "\"empty\":\"\""));
        assert_non_null(strstr(d.requests[1], "GET /v1/sessions/app/abc HTTP/1.1\r\n"));
        assert_non_null(strstr(d.requests[2], "PATCH /v1/sessions/app/abc HTTP/1.1\r\n"));
        assert_non_null(strstr(d.requests[2], "If-Match: \"1.2\"\r\n"));
        assert_non_null(strstr(d.requests[2], "\"delete\":[\"b\"],\"add\":{\"n\":-3}"));
        assert_non_null(strstr(d.requests[3], "/abc/touch HTTP/1.1\r\n"));
        assert_non_null(strstr(d.requests[3], "\"ttl\":2.5"));
        assert_non_null(strstr(d.requests[4], "POST /v1/sessions/app/abc/renew HTTP/1.1\r\n"));
        assert_non_null(strstr(d.requests[5], "DELETE /v1/sessions/app/abc HTTP/1.1\r\n"));
        assert_non_null(strstr(d.requests[5], "If-Match: \"1.4\"\r\n"));
    }
}

static int ask(struct stead_sessions *node, const struct stead_ask *q, int *status,
               const char **body, size_t *len)
{
    int err = stead_sessions_ask(node, q);
    while (!err && (err = stead_sessions_answer(node, status, body, len)) == STEAD_PENDING) {
        struct pollfd p = {stead_sessions_fd(node), stead_sessions_events(node), 0};
        err = poll(&p, 1, stead_sessions_timeout_ms(node)) < 0 ? STEAD_E_IO : STEAD_OK;
    }
    return err;
}

static void any_call_may_be_asked(void **state)
{
    const char *const answers[] = {answer(200, "{\"keys\":[]}"),
                                   "HTTP/1.1 204 X\r\n\r\n",
                                   answer(404, ""),
                                   answer(200, RECORD("1.1", "{}")),
                                   answer(200, "{}"),
                                   HANG_UP,
                                   HANG_UP};
    struct door d;
    struct stead_sessions *node;
    struct stead_session *s;
    const char *body;
    size_t len;
    int status;
    (void)state;
    for (int slow = 0; slow <= 1; slow++) {
        open_door(&d, 7, answers);
        d.slow = slow;
        start(&d);
        assert_int_equal(stead_sessions_new(d.where, "a-token", &node), STEAD_OK);
        struct stead_ask q = {
            .size = sizeof q, .method = "GET", .path = "/v1/x", .deadline_ms = 900};
        assert_int_equal(ask(node, &q, &status, &body, &len), STEAD_OK);
        assert_int_equal(status, 200);
        assert_string_equal(body, "{\"keys\":[]}");
        assert_int_equal(len, strlen(body));
        q = (struct stead_ask){sizeof q, "PUT", "/v1/x/y", "*", "{}", 2, 0};
        assert_int_equal(ask(node, &q, &status, &body, &len), STEAD_OK);
        assert_int_equal(status, 204);
        assert_int_equal(len, 0);
        assert_int_equal(ask(node, &q, &status, &body, &len), STEAD_OK);
        assert_int_equal(status, 404);
        assert_int_equal(stead_sessions_answer(node, &status, &body, &len), STEAD_E_INVAL);
        assert_int_equal(stead_session_read(node, "app", "abc", NULL), STEAD_OK);
        assert_int_equal(ask(node, &q, &status, &body, &len), STEAD_OK);
        assert_string_equal(body, "{}");
        /* What was sent may have been done. */
        assert_int_equal(ask(node, &q, &status, &body, &len), STEAD_E_UNKNOWN);
        assert_int_equal(stead_sessions_ask(node, &q), STEAD_OK);
        assert_int_equal(stead_sessions_ask(node, &q), STEAD_E_BUSY);
        assert_int_equal(stead_session_advance(node, &s), STEAD_E_INVAL);
        while ((status = stead_sessions_answer(node, &status, &body, &len)) == STEAD_PENDING)
            poll(&(struct pollfd){stead_sessions_fd(node), stead_sessions_events(node), 0}, 1, 100);
        assert_int_equal(status, STEAD_E_UNKNOWN);
        stead_sessions_free(node);
        close_door(&d);
        assert_int_equal(d.accepted, 2);
        assert_non_null(strstr(d.requests[0], "GET /v1/x HTTP/1.1\r\n"));
        assert_non_null(strstr(d.requests[0], "Authorization: Bearer a-token\r\n"));
        assert_non_null(strstr(d.requests[0], "Stead-Deadline-Ms: 900\r\n"));
        assert_non_null(strstr(d.requests[1], "If-Match: *\r\n"));
        assert_non_null(strstr(d.requests[1], "\r\n\r\n{}"));
    }
}

static void a_wrong_question_is_not_sent(void **state)
{
    struct stead_sessions *node;
    static char path[600];
    memset(path, '/', sizeof path - 1);
    const struct stead_ask wrong[] = {
        {.size = 1, .method = "GET", .path = "/"},
        {.size = sizeof *wrong, .method = "G T", .path = "/"},
        {.size = sizeof *wrong, .method = "", .path = "/"},
        {.size = sizeof *wrong, .path = "/"},
        {.size = sizeof *wrong, .method = "GET"},
        {.size = sizeof *wrong, .method = "GET", .path = "x"},
        {.size = sizeof *wrong, .method = "GET", .path = "/a\r\nb"},
        {.size = sizeof *wrong, .method = "GET", .path = path},
        {.size = sizeof *wrong, .method = "GET", .path = "/", .match = "a b"},
        {.size = sizeof *wrong, .method = "GET", .path = "/", .body_len = 1}};
    (void)state;
    assert_int_equal(stead_sessions_new("unix:/nowhere", NULL, &node), STEAD_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(stead_sessions_ask(node, &wrong[i]), STEAD_E_INVAL);
    mem_fail_after(1);
    assert_int_equal(
        stead_sessions_ask(
            node, &(struct stead_ask){.size = sizeof *wrong, .method = "GET", .path = "/"}),
        STEAD_E_NOMEM);
    mem_fail_after(0);
    stead_sessions_free(node);
}

static void errors_are_the_nodes(void **state)
{
    (void)state;
    const char *const answers[] = {
        answer(404, "{\"error\": \"ENDED\", \"message\": \"x\"}"),
        answer(503, "{\"error\": \"DEADLINE\", \"message\": \"x\", \"outcome\": \"unknown\"}"),
        answer(503, "{\"error\": \"ALONE\", \"message\": \"x\"}"),
        answer(500, "<html>"),
        answer(200, "{\"id\":\"abc\"}"),
        answer(200, "{\"id\":\"a\",\"kind\":\"k\",\"version\":\"1.1\",\"fields\":{\"a\":7}}"),
        "SSH-2.0-door\r\n\r\n"};
    static const int expected[] = {STEAD_E_ENDED, STEAD_E_UNKNOWN, STEAD_E_ALONE,  STEAD_E_PARSE,
                                   STEAD_E_PARSE, STEAD_E_PARSE,   STEAD_E_UNKNOWN};
    struct door d;
    struct stead_sessions *node;
    struct stead_session *s;
    open_door(&d, 7, answers);
    start(&d);
    assert_int_equal(stead_sessions_new(d.where, NULL, &node), STEAD_OK);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(stead_session_change(node, "app", "abc", NULL, &s), expected[i]);
        assert_null(s);
    }
    stead_sessions_free(node);
    close_door(&d);
    assert_int_equal(stead_sessions_new(d.where, NULL, &node), STEAD_OK);
    assert_int_equal(stead_session_read(node, "app", "abc", &s), STEAD_E_UNREACHABLE);
    stead_sessions_free(node);
}

/* A read whose kept connection was closed is asked again; a change is not made twice. */
static void a_connection_that_breaks(void **state)
{
    (void)state;
    const char *const answers[] = {answer(200, RECORD("1.1", "{}")), HANG_UP,
                                   answer(200, RECORD("1.2", "{}")), HANG_UP, HANG_UP};
    struct door d;
    struct stead_sessions *node;
    open_door(&d, 5, answers);
    start(&d);
    assert_int_equal(stead_sessions_new(d.where, NULL, &node), STEAD_OK);
    assert_int_equal(stead_session_read(node, "app", "abc", NULL), STEAD_OK);
    assert_int_equal(stead_session_read(node, "app", "abc", NULL), STEAD_OK);
    assert_int_equal(stead_session_change(node, "app", "abc", NULL, NULL), STEAD_E_UNKNOWN);
    assert_int_equal(stead_session_read(node, "app", "abc", NULL), STEAD_E_CLOSED);
    stead_sessions_free(node);
    close_door(&d);
    assert_int_equal(d.accepted, 3);
}

static void a_login_is_verified(void **state)
{
    (void)state;
    char soon[256], past[256];
    snprintf(soon, sizeof soon, RECORD("1.1", "{\"user\":\"ann\",\"expires\":\"%lld\"}"),
             (long long)time(NULL) + 60);
    snprintf(past, sizeof past, RECORD("1.1", "{\"user\":\"ann\",\"expires\":\"%lld\"}"),
             (long long)time(NULL) - 1);
    const char *const answers[] = {
        answer(200, soon),
        answer(200, past),
        answer(200, RECORD("1.1", "{\"user\":\"bob\"}")),
        answer(200, RECORD("1.1", "{\"user\":\"bob\",\"expires\":\"1x\"}")),
        answer(200, RECORD("1.1", "{}")),
        answer(404, "{\"error\": \"ABSENT\", \"message\": \"x\"}")};
    static const int expected[] = {STEAD_OK,       STEAD_E_DENIED, STEAD_OK,
                                   STEAD_E_DENIED, STEAD_E_DENIED, STEAD_E_ABSENT};
    struct door d;
    struct stead_sessions *node;
    struct stead_session *s;
    open_door(&d, 6, answers);
    start(&d);
    assert_int_equal(stead_sessions_new(d.where, NULL, &node), STEAD_OK);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(stead_session_verify(node, "abc", &s), expected[i]);
        assert_true((s != NULL) == (expected[i] == STEAD_OK));
        stead_session_free(s);
    }
    stead_sessions_free(node);
    close_door(&d);
    assert_non_null(strstr(d.requests[0], "GET /v1/sessions/auth/abc HTTP/1.1\r\n"));
}

static void it_need_not_wait(void **state)
{
    (void)state;
    const char *const answers[] = {answer(200, RECORD("1.1", "{\"a\":\"1\"}"))};
    struct door d;
    struct stead_sessions *node;
    struct stead_session *s;
    open_door(&d, 1, answers);
    assert_int_equal(stead_sessions_new(d.where, NULL, &node), STEAD_OK);
    assert_int_equal(stead_sessions_timeout_ms(node), -1);
    assert_int_equal(stead_session_advance(node, &s), STEAD_E_INVAL);
    assert_int_equal(stead_session_begin(node, STEAD_SESSION_READ, "app", "abc", NULL), STEAD_OK);
    assert_int_equal(stead_session_begin(node, STEAD_SESSION_READ, "app", "abc", NULL),
                     STEAD_E_BUSY);
    /* Nobody answers yet: it does not block. */
    assert_int_equal(stead_session_advance(node, &s), STEAD_PENDING);
    assert_true(stead_sessions_fd(node) >= 0);
    assert_int_equal(stead_sessions_events(node), POLLIN);
    assert_in_range(stead_sessions_timeout_ms(node), 1, 6000);
    start(&d);
    int err;
    while ((err = stead_session_advance(node, &s)) == STEAD_PENDING) {
        struct pollfd p = {.fd = stead_sessions_fd(node), .events = stead_sessions_events(node)};
        assert_int_equal(poll(&p, 1, stead_sessions_timeout_ms(node)), 1);
    }
    assert_int_equal(err, STEAD_OK);
    assert_string_equal(stead_session_get(s, "a", NULL), "1");
    stead_session_free(s);
    assert_int_equal(stead_sessions_fd(node), -1);
    stead_sessions_free(node);
    close_door(&d);
}

static void what_makes_no_sense_is_not_sent(void **state)
{
    (void)state;
    struct stead_sessions *node;
    assert_int_equal(stead_sessions_new("unix:", NULL, &node), STEAD_E_INVAL);
    assert_int_equal(stead_sessions_new("localhost:80", NULL, &node), STEAD_E_INVAL);
    assert_int_equal(stead_sessions_new(NULL, "a\r\nb", &node), STEAD_E_INVAL);
    assert_null(node);
    assert_int_equal(stead_sessions_new(NULL, NULL, &node), STEAD_OK);
    const char long_id[252] = {[0 ... 250] = 'x'};
    static const char *const ids[] = {"", "a/b", "a b", "a\r\nb", "a?b", "\xc3\xa4", NULL};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        assert_int_equal(stead_session_read(node, "app", ids[i], NULL), STEAD_E_INVAL);
    assert_int_equal(stead_session_read(node, "app", long_id, NULL), STEAD_E_INVAL);
    assert_int_equal(stead_session_read(node, "a/b", "x", NULL), STEAD_E_INVAL);
    assert_int_equal(stead_session_read(node, NULL, "x", NULL), STEAD_E_INVAL);
    assert_int_equal(stead_session_end(node, "app", "x", "1.1\"\r\n"), STEAD_E_INVAL);
    struct stead_field bad = {"\xff", "x", 1};
    struct stead_change c = {.size = sizeof c, .set = &bad, .set_count = 1};
    assert_int_equal(stead_session_create(node, "app", &c, NULL), STEAD_E_INVAL);
    c.size = 1;
    assert_int_equal(stead_session_create(node, "app", &c, NULL), STEAD_E_INVAL);
    stead_sessions_free(node);
}

static void without_memory_nothing_leaks(void **state)
{
    (void)state;
    const char *body = RECORD("1.1", "{\"a\":\"1\",\"b\":{\"base64\":\"AA==\"}}");
    struct stead_session *s = NULL;
    int err = STEAD_E_NOMEM;
    for (unsigned n = 1; err == STEAD_E_NOMEM; n++) {
        assert_true(n < 100);
        mem_fail_after(n);
        err = session_record_parse(body, strlen(body), &s);
        mem_fail_after(0);
    }
    assert_int_equal(err, STEAD_OK);
    stead_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_a_request),
        cmocka_unit_test(any_call_may_be_asked),
        cmocka_unit_test(a_wrong_question_is_not_sent),
        cmocka_unit_test(errors_are_the_nodes),
        cmocka_unit_test(a_connection_that_breaks),
        cmocka_unit_test(a_login_is_verified),
        cmocka_unit_test(it_need_not_wait),
        cmocka_unit_test(what_makes_no_sense_is_not_sent),
        cmocka_unit_test(without_memory_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
