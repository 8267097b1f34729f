/* admin_test.c - the text of the metrics, the status document, and the pages over both doors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/io.h"
#include "io/listen.h"
#include "role/admin/admin.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static void sample(struct admin_snapshot *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->node, sizeof s->node, "web1");
    snprintf(s->farm, sizeof s->farm, "shop");
    snprintf(s->version, sizeof s->version, "0.1.0");
    snprintf(s->reason, sizeof s->reason, "joining");
    s->node_id = 0xfedcba9876543210ull;
    s->pid = 4711;
    s->uptime_ns = 61500000000ull;
    s->loop_turn_max_ns = 1000001;
    s->status = STATUS_JOINING;
    kinds_default(&s->kinds);
    s->store.sessions.owned = 17;
    s->store.sessions.records_of_kind[1] = 12;
    s->mesh.dropped_replay = 3;
    s->gate_http.requests = 5;
    s->director.redirected = UINT64_MAX;
    s->nodes[STATUS_UP] = 2;
    s->server_count = 1;
    snprintf(s->servers[0].service, sizeof s->servers[0].service, "we\"ird\\");
    snprintf(s->servers[0].urls[0], sizeof s->servers[0].urls[0], "http://web1.example/");
    s->servers[0].url_count = 1;
    s->servers[0].users = 45;
    s->servers[0].healthy = true;
    s->servers[0].weight = 75;
    s->own[0] = (struct tally_state){.from = USERS_REPORT,
                                     .users = 45,
                                     .percent = 75,
                                     .load = 420,
                                     .stale = true,
                                     .age_ns = 20500000000ull};
    s->own_parts.agent_malformed = 6;
    s->tls.failures[TLS_FAIL_CERTIFICATE] = 4;
    s->tls.certificate_count = 1;
    s->tls.certificates[0] =
        (struct admin_certificate){.name = "shop", .subject = "CN=x", .not_after_s = 2000000000};
    s->tickets.due = 1;
    s->tickets.count = 1;
    s->tickets.sets[0] = (struct admin_ticket_set){.name = "web",
                                                   .format = "nginx",
                                                   .file = "/k",
                                                   .why = "told nobody",
                                                   .key_count = 3,
                                                   .keys = {"00000001", "00000002", "00000003"},
                                                   .written = true,
                                                   .due = true};
    s->sessiond.hits = 9;
    s->exchange.answers[2] = 7;
    s->exchange.times[0] = 3;
    s->exchange.times[ADMIN_TIMES - 1] = 2;
    s->exchange.time_us = 1500000;
}

/* -- the text format, read strictly -- */

#define SERIES_MAX 1000

struct series {
    char name[80], id[300];
};

static size_t name_length(const char *line)
{
    return strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789");
}

/* Behind the labels of a sample line. */
static const char *skip_labels(const char *at)
{
    if (*at != '{')
        return at;
    for (at++; *at != '}'; at += *at == ',') {
        size_t n = name_length(at);
        assert_true(n > 0 && at[n] == '=' && at[n + 1] == '"');
        for (at += n + 2; *at != '"'; at++) {
            assert_true(*at != '\n' && *at != '\0');
            if (*at == '\\')
                assert_non_null(strchr("\\\"n", *++at));
        }
        at++;
        assert_true(*at == ',' || *at == '}');
    }
    return at + 1;
}

static void assert_sample(const char *line, const char *end, struct series *seen, size_t *count,
                          const char *family, bool histogram)
{
    static const char *const of_histograms[] = {"", "_bucket", "_sum", "_count"};
    size_t n = name_length(line), whole = strlen(family), more = 0;
    assert_true(n >= whole && memcmp(line, family, whole) == 0);
    while (more < 4 && (n - whole != strlen(of_histograms[more]) ||
                        memcmp(line + whole, of_histograms[more], n - whole) != 0))
        more++;
    assert_true(more == 0 || (more < 4 && histogram));
    const char *value = skip_labels(line + n);
    assert_int_equal(*value, ' ');
    char *behind;
    strtod(value + 1, &behind);
    assert_ptr_equal(behind, end);
    struct series *new = &seen[*count];
    assert_true((size_t)(value - line) < sizeof new->id &&*count < SERIES_MAX);
    memcpy(new->id, line, (size_t)(value - line));
    new->id[value - line] = '\0';
    for (size_t i = 0; i < *count; i++)
        assert_string_not_equal(seen[i].id, new->id);
    ++*count;
}

static void every_line_of_the_metrics_parses(void **state)
{
    static struct series seen[SERIES_MAX];
    static struct series families[SERIES_MAX];
    struct admin_snapshot s;
    size_t len, count = 0, family_count = 0;
    char family[80] = "", type[16] = "";
    (void)state;
    sample(&s);
    char *text = admin_metrics(&s, &len);
    assert_non_null(text);
    assert_int_equal(strlen(text), len);
    assert_int_equal(text[len - 1], '\n');
    for (char *line = text, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        if (strncmp(line, "# HELP ", 7) == 0) {
            size_t n = name_length(line + 7);
            assert_true(n > 6 && n < sizeof family && line[7 + n] == ' ');
            assert_true(end - line > (long)n + 10); /* it says something */
            memcpy(family, line + 7, n);
            family[n] = '\0';
            for (size_t i = 0; i < family_count; i++)
                assert_string_not_equal(families[i].name, family);
            memcpy(families[family_count++].name, family, n + 1);
            assert_memory_equal(end + 1, "# TYPE ", 7);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_memory_equal(line + 7, family, strlen(family));
            assert_int_equal(sscanf(line + 7 + strlen(family), " %15s", type), 1);
            bool total = strlen(family) > 6 && strcmp(family + strlen(family) - 6, "_total") == 0;
            if (strcmp(type, "histogram") != 0)
                assert_string_equal(type, total ? "counter" : "gauge");
            assert_memory_equal(family, "stead_", 6);
        } else {
            assert_sample(line, end, seen, &count, family, strcmp(type, "histogram") == 0);
        }
    }
    assert_true(count > 80);
    mem_free(text);
}

static void numbers_stand_under_their_names(void **state)
{
    static const char *const lines[] = {
        "stead_build_info{version=\"0.1.0\",node=\"web1\",farm=\"shop\"} 1\n",
        "\nstead_ready 0\n",
        "\nstead_uptime_seconds 61.500000000\n",
        "\nstead_loop_turn_max_seconds 0.001000001\n",
        "\nstead_session_owned_records 17\n",
        "\nstead_session_records{kind=\"auth\"} 12\n",
        "\nstead_mesh_dropped_total{reason=\"replay\"} 3\n",
        "\nstead_http_requests_total{door=\"gate\"} 5\n",
        "\nstead_http_requests_total{door=\"public\"} 0\n",
        "\nstead_director_requests_total{verdict=\"redirect\"} 18446744073709551615\n",
        "\nstead_nodes{status=\"up\"} 2\n",
        "\nstead_server_users{server=\"web1\",service=\"we\\\"ird\\\\\"} 45\n",
        "\nstead_server_weight{server=\"web1\",service=\"we\\\"ird\\\\\"} 75\n",
        "\nstead_server_users_stale{server=\"web1\",service=\"we\\\"ird\\\\\",from=\"report\"} 1\n",
        "\nstead_server_users_age_seconds{server=\"web1\",service=\"we\\\"ird\\\\\",from="
        "\"report\"} 20.5\n",
        "\nstead_server_load_ratio{server=\"web1\",service=\"we\\\"ird\\\\\",from=\"report\"} "
        "0.42\n",
        "\nstead_tls_failures_total{reason=\"client-cert\"} 4\n",
        "\nstead_tls_certificate_not_after_seconds{name=\"shop\"} 2000000000\n",
        "\nstead_tickets_due 1\n",
        "\nstead_sessiond_hits_total 9\n",
        "\nstead_agent_asked_total{result=\"malformed\"} 6\n",
        "\nstead_forward_answers_total{class=\"2xx\"} 7\n",
        "\nstead_forward_request_seconds_bucket{le=\"0.0005\"} 3\n",
        "\nstead_forward_request_seconds_bucket{le=\"0.001\"} 3\n",
        "\nstead_forward_request_seconds_bucket{le=\"+Inf\"} 5\n",
        "\nstead_forward_request_seconds_sum 1.500000\n"
        "stead_forward_request_seconds_count 5\n",
        "\nstead_server_healthy{server=\"web1\",service=\"we\\\"ird\\\\\"} 1\n",
    };
    struct admin_snapshot s;
    size_t len;
    (void)state;
    sample(&s);
    char *text = admin_metrics(&s, &len);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(text, lines[i]))
            fail_msg("missing: %s", lines[i]);
    mem_free(text);
    for (unsigned n = 1; n <= 3; n++) {
        mem_fail_after(n);
        text = admin_metrics(&s, &len);
        mem_fail_after(0);
        assert_null(text);
    }
}

static void the_status_says_who_and_how(void **state)
{
    struct admin_snapshot s;
    (void)state;
    sample(&s);
    char *text = admin_status_json(&s);
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "node")), "web1");
    assert_string_equal(json_string_value(json_object_get(j, "id")), "fedcba9876543210");
    assert_string_equal(json_string_value(json_object_get(j, "status")), "joining");
    assert_true(json_is_false(json_object_get(j, "ready")));
    assert_string_equal(json_string_value(json_object_get(j, "reason")), "joining");
    assert_true(json_real_value(json_object_get(j, "uptime_seconds")) == 61.5);
    json_t *sessions = json_object_get(j, "sessions");
    assert_int_equal(json_integer_value(json_object_get(sessions, "owned")), 17);
    json_t *tls = json_object_get(j, "tls");
    assert_int_equal(json_integer_value(json_object_get(tls, "failed")), 4);
    json_t *shown = json_array_get(json_object_get(tls, "certificates"), 0);
    assert_string_equal(json_string_value(json_object_get(shown, "subject")), "CN=x");
    json_t *set = json_array_get(json_object_get(j, "tickets"), 0);
    json_t *keys = json_object_get(set, "keys");
    assert_string_equal(json_string_value(json_object_get(set, "why")), "told nobody");
    assert_true(json_is_true(json_object_get(set, "due")));
    assert_int_equal(json_array_size(keys), 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(keys, i), "state")),
                            ((const char *[]){"next", "seals", "opens"})[i]);
    json_t *kind = json_array_get(json_object_get(j, "kinds"), 1);
    assert_int_equal(json_integer_value(json_object_get(kind, "records")), 12);
    assert_int_equal(json_integer_value(json_object_get(kind, "copies")), 2);
    kind = json_array_get(json_object_get(j, "kinds"), 0);
    assert_string_equal(json_string_value(json_object_get(kind, "copies")), "all");
    assert_null(json_object_get(j, "repository"));
    json_t *server = json_array_get(json_object_get(j, "servers"), 0);
    assert_int_equal(json_integer_value(json_object_get(server, "users")), 45);
    assert_string_equal(json_string_value(json_object_get(server, "users_from")), "report");
    assert_true(json_is_true(json_object_get(server, "users_stale")));
    assert_true(json_real_value(json_object_get(server, "users_age_seconds")) == 20.5);
    assert_true(json_real_value(json_object_get(server, "load")) == 0.42);
    assert_int_equal(json_integer_value(json_object_get(server, "weight_percent")), 75);
    assert_int_equal(json_array_size(json_object_get(server, "urls")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "nodes"), "up")), 2);
    json_decref(j);
    free(text);
    s.ready = true;
    s.repository = (struct repository_stats){.there = 1, .records = 5, .lag_ms = 90};
    text = admin_status_json(&s);
    assert_non_null(strstr(text, "\"reason\": \"\""));
    j = json_loads(text, 0, NULL);
    json_t *repository = json_object_get(j, "repository");
    assert_int_equal(json_integer_value(json_object_get(repository, "up")), 0);
    assert_int_equal(json_integer_value(json_object_get(repository, "records")), 5);
    assert_int_equal(json_integer_value(json_object_get(repository, "lag_ms")), 90);
    json_decref(j);
    free(text);
}

/* -- the pages -- */

struct bench {
    struct admin *admin;
    struct addr address;
    char dir[32], path[64], culled[128];
    atomic_bool ready;
    atomic_int ordered; /* the last verb */
    atomic_bool forced;
    char server[NAME_MAX_BYTES + 1];
    struct ordered answer;
    atomic_int looks;      /* until it has come */
    atomic_ullong turn_ns; /* reset by reading, as the node's is */
    struct roster *roster;
};

static void collect(void *context, struct admin_snapshot *out)
{
    struct bench *b = context;
    sample(out);
    memset(out->nodes, 0, sizeof out->nodes);
    out->ready = b->ready;
    out->loop_turn_max_ns = atomic_exchange(&b->turn_ns, 0);
}

static struct roster *get_roster(void *context)
{
    struct bench *b = context;
    return b->roster ? roster_ref(b->roster) : NULL;
}

static uint64_t order(void *context, const char *server, enum order_verb verb, bool force,
                      const char *text)
{
    (void)text;
    struct bench *b = context;
    b->ordered = (int)verb;
    b->forced = force;
    snprintf(b->server, sizeof b->server, "%s", server);
    return strcmp(server, "crowded") == 0 ? 0 : 7;
}

static bool ordered(void *context, uint64_t id, struct ordered *out)
{
    struct bench *b = context;
    assert_int_equal(id, 7);
    *out = b->answer;
    return strcmp(b->server, "silent") != 0 && atomic_fetch_sub(&b->looks, 1) <= 0;
}

static char *decision(void *context, const char *id)
{
    (void)context;
    return strcmp(id, "abc@web1") == 0 ? strdup("{\"id\": \"abc@web1\"}") : NULL;
}

static char *snapshot(void *context, bool load, const char *path, int *error)
{
    (void)context;
    *error = path && *path != '/' ? STEAD_E_INVAL : STEAD_OK;
    return *error ? NULL : strdup(!path ? "none" : load ? "load" : "save");
}

static char *verify(void *context, bool begin, bool repair)
{
    (void)context;
    return strdup(repair ? "{\"repair\": 1}" : begin ? "{\"begin\": 1}" : "{}");
}

static char *cull(void *context, const char *kind, const char *field, const char *value, int *error)
{
    struct bench *b = context;
    *error = strcmp(kind, "none") == 0 ? STEAD_E_NOT_FOUND : STEAD_OK;
    if (value)
        snprintf(b->culled, sizeof b->culled, "%s %s=%s", kind, field, value);
    return *error ? NULL : strdup("{}");
}

static void open_bench(struct bench *b)
{
    memset(b, 0, sizeof *b);
    b->ordered = -1;
    struct admin_config c = {.source = {.context = b,
                                        .collect = collect,
                                        .roster = get_roster,
                                        .order = order,
                                        .ordered = ordered,
                                        .decision = decision,
                                        .verify = verify,
                                        .cull = cull,
                                        .snapshot = snapshot,
                                        .node = "web1"}};
    snprintf(b->dir, sizeof b->dir, "/tmp/stead-admin-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->path, sizeof b->path, "%s/s", b->dir);
    assert_int_equal(listen_unix(b->path, 0660, &c.unix_fd), STEAD_OK);
    assert_true(addr_parse("127.0.0.1:0", 0, &b->address));
    assert_int_equal(listen_tcp(&b->address, false, &c.tcp_fd), STEAD_OK);
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    assert_int_equal(getsockname(c.tcp_fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(io_from_sockaddr((struct sockaddr *)&sa, &b->address));
    b->roster = roster_blank(1, ENTRY_SERVERS_MAX);
    b->roster->revision = 42;
    snprintf(b->roster->nodes[0].entry->name, sizeof b->roster->nodes[0].entry->name, "web1");
    b->roster->nodes[0].status = STATUS_UP;
    assert_int_equal(admin_start(&c, &b->admin), STEAD_OK);
}

static void close_bench(struct bench *b)
{
    admin_stop(b->admin);
    roster_unref(b->roster);
    unlink(b->path);
    rmdir(b->dir);
}

static char answer[65536];

static int ask_at(struct bench *b, bool local, const char *head)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = io_sockaddr(&b->address, &sa);
    if (local) {
        struct sockaddr un = {.sa_family = AF_UNIX};
        memcpy(&sa, &un, sizeof un.sa_family);
        memcpy((char *)&sa + sizeof un.sa_family, b->path, strlen(b->path) + 1);
        len = (socklen_t)(sizeof un.sa_family + strlen(b->path) + 1);
    }
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    char text[512];
    int n = snprintf(text, sizeof text, "%s\r\nConnection: close\r\n\r\n", head);
    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
    memset(answer, 0, sizeof answer);
    size_t have = 0;
    ssize_t got;
    while ((got = recv(fd, answer + have, sizeof answer - 1 - have, 0)) > 0)
        have += (size_t)got;
    assert_int_equal(got, 0);
    close(fd);
    assert_memory_equal(answer, "HTTP/1.1 ", 9);
    return (int)strtol(answer + 9, NULL, 10);
}

static int ask(struct bench *b, bool local, const char *request)
{
    char head[256];
    snprintf(head, sizeof head, "%s HTTP/1.1\r\nHost: localhost", request);
    return ask_at(b, local, head);
}

static void probes_and_documents_are_at_both_doors(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    for (int local = 0; local <= 1; local++) {
        b.ready = false;
        assert_int_equal(ask(&b, local, "GET /livez"), 200);
        assert_int_equal(ask(&b, local, "GET /readyz"), 503);
        assert_non_null(strstr(answer, "\r\n\r\njoining\n"));
        b.ready = true;
        assert_int_equal(ask(&b, local, "GET /readyz"), 200);
        assert_non_null(strstr(answer, "\r\n\r\nready\n"));
        assert_int_equal(ask(&b, local, "GET /metrics"), 200);
        assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4"));
        assert_non_null(strstr(answer, "\nstead_nodes{status=\"up\"} 1\n"));
        assert_null(strstr(answer, "\nstead_http_requests_total{door=\"admin\"} 0\n"));
        assert_int_equal(ask(&b, local, "GET /v1/status"), 200);
        assert_non_null(strstr(answer, "\"roster_revision\": 42"));
        assert_int_equal(ask(&b, local, "GET /v1/roster"), 200);
        assert_non_null(strstr(answer, "ETag: \"42\""));
        assert_int_equal(
            ask_at(&b, local,
                   "GET /v1/roster HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"42\""),
            304);
        assert_int_equal(ask(&b, local, "POST /livez"), 405);
        assert_non_null(strstr(answer, "Allow: GET, HEAD"));
        assert_int_equal(ask(&b, local, "GET /v1/drain"), 405);
        assert_int_equal(ask(&b, local, "GET /"), 404);
    }
    close_bench(&b);
}

static void only_the_unix_socket_drains(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    assert_int_equal(ask(&b, false, "POST /v1/drain"), 403);
    assert_int_equal(ask(&b, false, "POST /v1/undrain"), 403);
    assert_int_equal(ask(&b, false, "POST /v1/maint"), 403);
    assert_int_equal(ask(&b, false, "POST /v1/unmaint"), 403);
    assert_int_equal(b.ordered, -1);
    assert_int_equal(ask(&b, false, "GET /v1/progress"), 200);
    assert_int_equal(ask(&b, false, "GET /v1/decision?id=abc%40web1"), 200);
    assert_int_equal(ask(&b, false, "GET /v1/decision?id=abd%40web1"), 404);
    assert_int_equal(ask(&b, false, "GET /v1/decision"), 400);
    assert_int_equal(ask(&b, false, "GET /v1/verify"), 403); /* it names keys */
    assert_int_equal(ask(&b, false, "POST /v1/verify"), 403);
    assert_int_equal(ask(&b, true, "GET /v1/verify"), 200);
    assert_int_equal(ask(&b, true, "POST /v1/verify?repair=1"), 200);
    assert_non_null(strstr(answer, "repair"));
    assert_int_equal(ask(&b, false, "POST /v1/session-end?user=ann"), 403);
    assert_int_equal(ask(&b, true, "POST /v1/session-end"), 400);
    assert_int_equal(ask(&b, true, "POST /v1/session-end?user=ann&kind=none"), 404);
    assert_int_equal(ask(&b, true, "POST /v1/session-end?user=a%26n&field=who"), 200);
    assert_string_equal(b.culled, "auth who=a&n");
    assert_int_equal(ask(&b, true, "GET /v1/session-end"), 200);
    assert_int_equal(ask(&b, true, "PUT /v1/verify"), 405);
    assert_int_equal(ask(&b, false, "POST /v1/snapshot?what=save&file=%2Ftmp%2Fx"), 403);
    assert_int_equal(ask(&b, false, "GET /v1/snapshot"), 403); /* it names a path */
    assert_int_equal(ask(&b, true, "POST /v1/snapshot?what=keep&file=%2Ftmp%2Fx"), 400);
    assert_int_equal(ask(&b, true, "POST /v1/snapshot?what=save"), 400);
    assert_int_equal(ask(&b, true, "POST /v1/snapshot?what=save&file=x"), 400);
    assert_int_equal(ask(&b, true, "POST /v1/snapshot?what=load&file=%2Ftmp%2Fx"), 200);
    assert_non_null(strstr(answer, "load"));
    assert_int_equal(ask(&b, true, "GET /v1/snapshot"), 200);
    assert_int_equal(ask(&b, true, "POST /v1/drain"), 200);
    assert_int_equal(b.ordered, ORDER_DRAIN);
    assert_string_equal(b.server, "web1");
    assert_false(b.forced);
    assert_int_equal(ask(&b, true, "POST /v1/undrain?server=a%2db&force=1"), 200);
    assert_int_equal(b.ordered, ORDER_UNDRAIN);
    assert_string_equal(b.server, "a-b");
    assert_true(b.forced);
    assert_int_equal(ask(&b, true, "POST /v1/maint"), 200);
    assert_int_equal(b.ordered, ORDER_MAINT);
    assert_int_equal(ask(&b, true, "POST /v1/unmaint"), 200);
    assert_int_equal(b.ordered, ORDER_UNMAINT);
    assert_int_equal(ask_at(&b, false, "GET /v1/status HTTP/1.1\r\nHost: evil.example"), 403);
    close_bench(&b);
}

static void an_order_is_answered_when_its_node_has_answered(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    b.looks = 3;
    b.answer = (struct ordered){
        .status = STATUS_DRAINING, .draining = true, .drained = true, .users = 2, .records = 9};
    assert_int_equal(ask(&b, true, "GET /v1/progress?server=web2"), 200);
    assert_non_null(strstr(answer, "\"server\": \"web2\""));
    assert_non_null(strstr(answer, "\"status\": \"draining\", \"draining\": true"));
    assert_non_null(strstr(answer, "\"users\": 2, \"records\": 9, \"drained\": true"));
    assert_non_null(strstr(answer, "\"safe\": false"));
    b.answer.users = 0;
    assert_int_equal(ask(&b, true, "GET /v1/progress?server=web2"), 200);
    assert_non_null(strstr(answer, "\"safe\": true"));
    close_bench(&b);
}

static void what_went_wrong_has_a_status_of_its_own(void **state)
{
    static const struct {
        int error, status;
    } cases[] = {{STEAD_E_NO_SERVER, 409}, {STEAD_E_NOT_FOUND, 404}, {STEAD_E_UNREACHABLE, 502},
                 {STEAD_E_DEADLINE, 504},  {STEAD_E_IO, 500},        {STEAD_E_BUSY, 503}};
    struct bench b;
    (void)state;
    open_bench(&b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        b.answer.error = cases[i].error;
        assert_int_equal(ask(&b, true, "POST /v1/drain"), cases[i].status);
        assert_non_null(strstr(answer, stead_error_name(cases[i].error)));
    }
    assert_int_equal(ask(&b, true, "POST /v1/drain?server=crowded"), 503);
    assert_int_equal(ask(&b, true, "POST /v1/drain?server=a%2fb"), 400);
    assert_int_equal(ask(&b, true, "POST /v1/drain?server=a%2"), 400);
    assert_int_equal(ask(&b, true, "POST /v1/drain?server=a%00b"), 400);
    assert_int_equal(ask(&b, true, "POST /v1/drain?server="), 400);
    assert_int_equal(ask(&b, true, "POST /v1/drain?force=2"), 400);
    close_bench(&b);
}

static void who_waits_when_it_stops_is_told(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, b.path, strlen(b.path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
    const char *text = "GET /v1/progress?server=silent HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    while (b.ordered != ORDER_TELL)
        usleep(1000);
    close_bench(&b);
    memset(answer, 0, sizeof answer);
    ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
    assert_true(got == 0 || strncmp(answer, "HTTP/1.1 503", 12) == 0);
    close(fd);
}

static void a_probe_does_not_hide_a_long_turn_from_the_scrape(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    b.turn_ns = 2000000000ull;
    assert_int_equal(ask(&b, true, "GET /readyz"), 503);
    assert_int_equal(ask(&b, true, "GET /metrics"), 200);
    assert_non_null(strstr(answer, "\nstead_loop_turn_max_seconds 2.000000000\n"));
    assert_int_equal(ask(&b, true, "GET /metrics"), 200);
    assert_non_null(strstr(answer, "\nstead_loop_turn_max_seconds 0.000000000\n"));
    close_bench(&b);
}

static void without_a_roster_it_says_so(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b);
    struct roster *r = b.roster;
    b.roster = NULL;
    assert_int_equal(ask(&b, true, "GET /v1/roster"), 503);
    assert_int_equal(ask(&b, true, "GET /v1/status"), 200);
    b.roster = r;
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_of_the_metrics_parses),
        cmocka_unit_test(numbers_stand_under_their_names),
        cmocka_unit_test(the_status_says_who_and_how),
        cmocka_unit_test(probes_and_documents_are_at_both_doors),
        cmocka_unit_test(only_the_unix_socket_drains),
        cmocka_unit_test(an_order_is_answered_when_its_node_has_answered),
        cmocka_unit_test(what_went_wrong_has_a_status_of_its_own),
        cmocka_unit_test(who_waits_when_it_stops_is_told),
        cmocka_unit_test(a_probe_does_not_hide_a_long_turn_from_the_scrape),
        cmocka_unit_test(without_a_roster_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
