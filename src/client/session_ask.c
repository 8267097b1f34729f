/* session_ask.c - any call of the session API, by its path: for those that know its manual. */
#include "client/session_internal.h"

#include "base/mem.h"
#include "client/net.h"

#include <stdio.h>
#include <string.h>

#define HEAD_MAX 2048

static bool is_text(const char *text, size_t max)
{
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    return *text && strlen(text) <= max;
}

static bool is_valid(const struct stead_ask *q)
{
    return q->size == sizeof *q && q->method && is_text(q->method, 16) && q->path &&
           q->path[0] == '/' && is_text(q->path, SESSION_PATH_ASK_MAX) &&
           (!q->match || is_text(q->match, 64)) && (q->body || !q->body_len);
}

static int put_request(struct stead_sessions *s, const struct stead_ask *q, uint32_t deadline_ms)
{
    char head[HEAD_MAX];
    const char *bearer = s->token;
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s%s%s%s"
                     "Stead-Deadline-Ms: %u\r\nContent-Length: %zu\r\n\r\n",
                     q->method, q->path, bearer ? "Authorization: Bearer " : "",
                     bearer ? bearer : "", bearer ? "\r\n" : "", q->match ? "If-Match: " : "",
                     q->match ? q->match : "", q->match ? "\r\n" : "", deadline_ms, q->body_len);
    if (n < 0 || (size_t)n >= sizeof head)
        return STEAD_E_INVAL;
    s->request = mem_alloc((size_t)n + q->body_len + 1);
    if (!s->request)
        return STEAD_E_NOMEM;
    memcpy(s->request, head, (size_t)n);
    if (q->body_len)
        memcpy(s->request + n, q->body, q->body_len);
    s->len = (size_t)n + q->body_len;
    explicit_bzero(head, sizeof head);
    return STEAD_OK;
}

int stead_sessions_ask(struct stead_sessions *s, const struct stead_ask *q)
{
    uint32_t ms = q->deadline_ms && q->deadline_ms < STEAD_SESSION_DEADLINE_MS
                      ? q->deadline_ms
                      : STEAD_SESSION_DEADLINE_MS;
    if (s->verb)
        return STEAD_E_BUSY;
    if (!is_valid(q))
        return STEAD_E_INVAL;
    session_call_clear(s);
    int err = put_request(s, q, ms);
    if (err)
        return err;
    s->verb = SESSION_ASK;
    s->reply = (struct reply){0};
    s->asks_to_read = strcmp(q->method, "GET") == 0;
    s->until_ms = net_now_ms() + ms;
    return STEAD_OK;
}

int stead_sessions_answer(struct stead_sessions *s, int *status, const char **body, size_t *len)
{
    *status = 0;
    *body = "";
    *len = 0;
    if (s->verb != SESSION_ASK)
        return STEAD_E_INVAL;
    int err = session_go_on(s);
    if (err == STEAD_PENDING)
        return err;
    s->verb = 0;
    if (err) {
        session_call_clear(s);
        return err;
    }
    *status = s->reply.status;
    *len = s->body_len;
    if (s->body)
        *body = s->body;
    explicit_bzero(&s->reply, sizeof s->reply); /* the body's beginning is in it */
    return STEAD_OK;
}
