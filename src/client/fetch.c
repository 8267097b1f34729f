/* fetch.c - a GET and its answer: the length by Content-Length, by chunks, or by the connection's
 * end. */
#include "client/fetch.h"

#include "base/mem.h"
#include "client/net.h"
#include "core/http/http.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_MAX 1024
#define READ_BYTES 16384

struct body {
    char *bytes;
    size_t len, cap, max;
};

static int body_add(struct body *b, const char *bytes, size_t len)
{
    if (len > b->max - b->len)
        return STEAD_E_TOO_LARGE;
    if (b->len + len > b->cap) {
        size_t cap = (b->len + len) * 2;
        char *grown = mem_realloc(b->bytes, cap);
        if (!grown)
            return STEAD_E_NOMEM;
        b->bytes = grown;
        b->cap = cap;
    }
    if (len)
        memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
    return STEAD_OK;
}

/* Reads until the head is whole; what came after it is left in the buffer from head->head_bytes on.
 */
static int receive_head(int fd, char buffer[HTTP_HEAD_MAX], size_t *have, uint64_t deadline_ms,
                        struct http_response_head *head)
{
    const char *why;
    *have = 0;
    for (;;) {
        size_t got;
        int err = net_receive(fd, buffer + *have, HTTP_HEAD_MAX - *have, deadline_ms, &got);
        if (err)
            return err;
        if (got == 0)
            return STEAD_E_CLOSED;
        *have += got;
        int r = http_parse_response(buffer, *have, head, &why);
        if (r < 0)
            return r == -431 ? STEAD_E_TOO_LARGE : STEAD_E_PARSE;
        if (r > 0)
            return STEAD_OK;
    }
}

static int fold_status(int status)
{
    switch (status) {
    case 200:
        return STEAD_OK;
    case 404:
        return STEAD_E_NOT_FOUND;
    case 503:
        return STEAD_E_NO_SERVER;
    default:
        return STEAD_E_UNSUPPORTED;
    }
}

/* Takes a piece of the message's body. Returns 1 when the body is complete, 0 when more is to come.
 */
static int take(struct body *b, const struct http_response_head *head, struct http_chunked *chunked,
                const char *bytes, size_t len)
{
    if (!head->chunked) {
        uint64_t left = head->has_length ? head->length - b->len : UINT64_MAX;
        int err = body_add(b, bytes, left < len ? (size_t)left : len);
        return err ? err : head->has_length && b->len == head->length;
    }
    struct slice in = {bytes, len}, data;
    int r, err = STEAD_OK;
    while (!err && (r = http_chunked_step(chunked, &in, &data)) == 1)
        err = body_add(b, data.at, data.len);
    if (err)
        return err;
    return r < 0 ? STEAD_E_PARSE : r == 2;
}

static int receive_body(int fd, char buffer[READ_BYTES], const char *first, size_t first_len,
                        const struct http_response_head *head, uint64_t deadline_ms, struct body *b)
{
    struct http_chunked chunked;
    http_chunked_init(&chunked);
    if (head->has_length && head->length > b->max)
        return STEAD_E_TOO_LARGE;
    int r = take(b, head, &chunked, first, first_len);
    while (r == 0) {
        size_t got;
        int err = net_receive(fd, buffer, READ_BYTES, deadline_ms, &got);
        if (err)
            return err;
        if (got == 0)
            return head->chunked || head->has_length ? STEAD_E_CLOSED : STEAD_OK;
        r = take(b, head, &chunked, buffer, got);
    }
    return r < 0 ? r : STEAD_OK;
}

static int exchange(int fd, const char *request, size_t len, uint64_t deadline_ms, char *buffer,
                    struct http_response_head *head, struct body *b)
{
    size_t have;
    int err = net_send(fd, request, len, deadline_ms);
    if (!err)
        err = receive_head(fd, buffer, &have, deadline_ms, head);
    if (!err)
        err = fold_status(head->status);
    if (err)
        return err;
    /* The rest of the buffer is read anew only when its bytes have been taken. */
    return receive_body(fd, buffer, buffer + head->head_bytes, have - head->head_bytes, head,
                        deadline_ms, b);
}

int fetch(const struct addr *to, const char *authority, const char *target, size_t max,
          uint64_t deadline_ms, char **out, size_t *out_len)
{
    char request[REQUEST_MAX];
    struct body b = {.max = max};
    int fd, n = snprintf(request, sizeof request,
                         "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: libstead/" STEAD_VERSION "\r\n"
                         "Accept: application/json\r\nConnection: close\r\n\r\n",
                         target, authority);
    if (n < 0 || (size_t)n >= sizeof request)
        return STEAD_E_TOO_LARGE;
    _Static_assert(READ_BYTES == HTTP_HEAD_MAX, "one buffer serves both");
    char *buffer = mem_alloc(READ_BYTES);
    struct http_response_head *head = mem_alloc(sizeof *head);
    int err = buffer && head ? STEAD_OK : STEAD_E_NOMEM;
    if (!err)
        err = net_connect(SOCK_STREAM, to, deadline_ms, &fd);
    if (!err) {
        err = exchange(fd, request, (size_t)n, deadline_ms, buffer, head, &b);
        close(fd);
    }
    mem_free(buffer);
    mem_free(head);
    if (err) {
        mem_free(b.bytes);
        return err;
    }
    *out = b.bytes;
    *out_len = b.len;
    return STEAD_OK;
}
