/* node.c - calls of the session API through libcurl, and the handles that wait to be used again. */
#include "node.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (1u << 20)
#define IDLE_MAX 64 /* handles kept with their connections; more are closed after use */
#define SESSIONS "http://node/v1/sessions/purchase"
#define LOGINS "http://node/v1/sessions/auth"
#define COOKIE "login"

struct node {
    char *socket_path;
    pthread_mutex_t lock;
    CURL *idle[IDLE_MAX];
    size_t idle_count;
};

struct bytes {
    char *at;
    size_t len;
};

struct call {
    const char *method, *url;
    const char *version; /* If-Match, or NULL */
    const json_t *body;  /* or NULL */
    const char *login;   /* who is asked about, or NULL; `user` is theirs */
    char user[USER_MAX + 1];
    long timeout_ms;
};

struct node *node_new(const char *socket_path)
{
    struct node *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->socket_path = strdup(socket_path);
    if (!n->socket_path) {
        free(n);
        return NULL;
    }
    pthread_mutex_init(&n->lock, NULL);
    return n;
}

void node_free(struct node *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->idle_count; i++)
        curl_easy_cleanup(n->idle[i]);
    pthread_mutex_destroy(&n->lock);
    free(n->socket_path);
    free(n);
}

void node_answer_deinit(struct node_answer *a)
{
    json_decref(a->record);
    *a = (struct node_answer){0};
}

bool node_id_valid(const char *id)
{
    size_t len = strlen(id);
    return len >= 16 && len <= NODE_ID_MAX &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static CURL *take_handle(struct node *n)
{
    CURL *c = NULL;
    pthread_mutex_lock(&n->lock);
    if (n->idle_count)
        c = n->idle[--n->idle_count];
    pthread_mutex_unlock(&n->lock);
    if (c)
        curl_easy_reset(c); /* keeps the connection */
    return c ? c : curl_easy_init();
}

static void give_back(struct node *n, CURL *c)
{
    pthread_mutex_lock(&n->lock);
    bool keep = n->idle_count < IDLE_MAX;
    if (keep)
        n->idle[n->idle_count++] = c;
    pthread_mutex_unlock(&n->lock);
    if (!keep)
        curl_easy_cleanup(c);
}

static size_t receive(char *data, size_t size, size_t count, void *context)
{
    struct bytes *b = context;
    size_t n = size * count;
    if (n > ANSWER_MAX - b->len)
        return 0;
    char *at = realloc(b->at, b->len + n);
    if (!at)
        return 0;
    memcpy(at + b->len, data, n);
    b->at = at;
    b->len += n;
    return n;
}

static bool append(struct curl_slist **list, const char *header)
{
    struct curl_slist *longer = curl_slist_append(*list, header);
    if (longer)
        *list = longer;
    return longer != NULL;
}

/* What the node says of a login; "" when it says nothing that would fit. */
static void read_user(CURL *c, char user[USER_MAX + 1])
{
    struct curl_header *h;
    int len = 0;
    user[0] = '\0';
    if (curl_easy_header(c, "Remote-User", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return;
    char *text = curl_easy_unescape(c, h->value, 0, &len);
    if (text && len <= USER_MAX && strlen(text) == (size_t)len)
        memcpy(user, text, (size_t)len + 1);
    curl_free(text);
}

/* The HTTP status, or 0. */
static int transfer(CURL *c, const struct node *n, struct call *call, struct bytes *answer)
{
    struct curl_slist *headers = NULL;
    char match[128], *body = NULL;
    long status = 0;
    bool ok = append(&headers, "Content-Type: application/json") && append(&headers, "Expect:");
    if (call->version) {
        snprintf(match, sizeof match, "If-Match: \"%s\"", call->version);
        ok = ok && append(&headers, match);
    }
    if (call->login) {
        snprintf(match, sizeof match, "Cookie: " COOKIE "=%s", call->login);
        ok = ok && append(&headers, match);
    }
    if (call->body) {
        body = json_dumps(call->body, JSON_COMPACT);
        ok = ok && body;
    }
    if (ok) {
        curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, n->socket_path);
        curl_easy_setopt(c, CURLOPT_URL, call->url);
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, call->method);
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
        if (body)
            curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, call->timeout_ms);
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, answer);
        if (curl_easy_perform(c) == CURLE_OK)
            curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        if (status == 200 && call->login)
            read_user(c, call->user);
    }
    curl_slist_free_all(headers);
    free(body);
    return (int)status;
}

/* *out gets the JSON of any answer. */
static int do_call(struct node *n, struct call *call, json_t **out)
{
    struct bytes answer = {0};
    *out = NULL;
    CURL *c = take_handle(n);
    if (!c)
        return 0;
    int status = transfer(c, n, call, &answer);
    give_back(n, c);
    if (answer.len)
        *out = json_loadb(answer.at, answer.len, JSON_REJECT_DUPLICATES, NULL);
    free(answer.at);
    return status;
}

static void session_call(struct node *n, struct call *call, struct node_answer *out)
{
    json_t *json;
    call->timeout_ms = NODE_TIMEOUT_MS;
    int status = do_call(n, call, &json);
    bool reads = strcmp(call->method, "GET") == 0;
    bool done = status == 200 || status == 201;
    *out = (struct node_answer){.status = status};
    if (done && !json_is_object(json_object_get(json, "fields")))
        out->status = 0; /* cut off, or not a node at all */
    out->unknown = !reads && (out->status == 0 || json_object_get(json, "outcome"));
    if (out->status && (done || out->unknown))
        out->record = json_incref(json);
    json_decref(json);
}

void node_read(struct node *n, const char *id, struct node_answer *out)
{
    char url[sizeof SESSIONS + NODE_ID_MAX + 2];
    snprintf(url, sizeof url, SESSIONS "/%s", id);
    session_call(n, &(struct call){.method = "GET", .url = url}, out);
}

void node_create(struct node *n, json_t *fields, struct node_answer *out)
{
    json_t *body = json_pack("{s:o}", "fields", fields);
    *out = (struct node_answer){0};
    if (body)
        session_call(n, &(struct call){.method = "POST", .url = SESSIONS, .body = body}, out);
    json_decref(body);
}

void node_change(struct node *n, const char *id, const char *version, json_t *change,
                 struct node_answer *out)
{
    char url[sizeof SESSIONS + NODE_ID_MAX + 2];
    snprintf(url, sizeof url, SESSIONS "/%s", id);
    *out = (struct node_answer){0};
    if (change)
        session_call(
            n, &(struct call){.method = "PATCH", .url = url, .version = version, .body = change},
            out);
    json_decref(change);
}

/* It is not known whether the new id has taken the old one's place: ask for both. */
static void settle_renewal(struct node *n, const char *id, struct node_answer *out)
{
    char new_id[NODE_ID_MAX + 1];
    const char *given = json_string_value(json_object_get(out->record, "new_id"));
    struct node_answer old;
    if (!given || !node_id_valid(given))
        return;
    snprintf(new_id, sizeof new_id, "%s", given);
    node_read(n, id, &old);
    if (old.status == 404) {
        node_answer_deinit(out);
        node_read(n, new_id, out);
    }
    node_answer_deinit(&old);
}

void node_renew(struct node *n, const char *id, struct node_answer *out)
{
    char url[sizeof SESSIONS + NODE_ID_MAX + 16];
    json_t *body = json_object();
    snprintf(url, sizeof url, SESSIONS "/%s/renew", id);
    session_call(n, &(struct call){.method = "POST", .url = url, .body = body}, out);
    json_decref(body);
    if (out->status != 200 && out->unknown)
        settle_renewal(n, id, out);
}

void node_end(struct node *n, const char *id, struct node_answer *out)
{
    char url[sizeof SESSIONS + NODE_ID_MAX + 2];
    snprintf(url, sizeof url, SESSIONS "/%s", id);
    session_call(n, &(struct call){.method = "DELETE", .url = url}, out);
}

void node_log_in(struct node *n, const char *user, struct node_answer *out)
{
    json_t *body = json_pack("{s:s, s:[s]}", "user", user, "methods", "pwd");
    *out = (struct node_answer){0};
    if (body)
        session_call(
            n, &(struct call){.method = "POST", .url = "http://node/v1/auth", .body = body}, out);
    json_decref(body);
}

int node_who(struct node *n, const char *id, char user[USER_MAX + 1])
{
    json_t *json;
    struct call call = {.method = "GET",
                        .url = "http://node/v1/auth?cookie=" COOKIE,
                        .login = id,
                        .timeout_ms = NODE_TIMEOUT_MS};
    int status = do_call(n, &call, &json);
    json_decref(json);
    memcpy(user, call.user, sizeof call.user);
    return status;
}

void node_log_out(struct node *n, const char *id, struct node_answer *out)
{
    char url[sizeof LOGINS + NODE_ID_MAX + 2];
    snprintf(url, sizeof url, LOGINS "/%s", id);
    session_call(n, &(struct call){.method = "DELETE", .url = url}, out);
}

bool node_answers(struct node *n)
{
    json_t *json;
    struct call call = {.method = "GET", .url = "http://node/v1/whoami", .timeout_ms = 1000};
    int status = do_call(n, &call, &json);
    json_decref(json);
    return status == 200;
}
