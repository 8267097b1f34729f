/* reply.c - framing of a response body (RFC 9112, section 6). */
#include "client/reply.h"

#include "stead/error.h"

#include <string.h>
#include <strings.h>

static bool is_event_stream(const struct http_response_head *h)
{
    static const char type[] = "text/event-stream";
    const struct http_header *x = http_find(h->headers, h->header_count, "Content-Type");
    size_t len = sizeof type - 1;
    return x && x->value.len >= len && strncasecmp(x->value.at, type, len) == 0 &&
           (x->value.len == len || x->value.at[len] == ';' || x->value.at[len] == ' ');
}

/* More of the head. Returns 1 when it is whole. */
static int take_head(struct reply *r, struct slice *in)
{
    struct http_response_head h;
    const char *why;
    size_t room = sizeof r->head - r->have, n = in->len < room ? in->len : room;
    if (n)
        memcpy(r->head + r->have, in->at, n);
    r->have += n;
    in->at += n;
    in->len -= n;
    int got = http_parse_response(r->head, r->have, &h, &why);
    if (got == 0)
        return r->have == sizeof r->head ? STEAD_E_TOO_LARGE : 0;
    if (got < 0)
        return got == -431 ? STEAD_E_TOO_LARGE : STEAD_E_PARSE;
    r->has_head = true;
    r->status = h.status;
    r->chunked = h.chunked;
    r->has_length = h.has_length;
    r->left = h.length;
    r->event_stream = is_event_stream(&h);
    r->rest = (struct slice){r->head + h.head_bytes, r->have - h.head_bytes};
    http_chunked_init(&r->chunks);
    return 1;
}

static int take_body(struct reply *r, struct slice *in, struct slice *data)
{
    if (r->chunked) {
        int got = http_chunked_step(&r->chunks, in, data);
        return got < 0 ? STEAD_E_PARSE : got;
    }
    *data = *in;
    if (r->has_length && data->len > r->left)
        data->len = (size_t)r->left;
    in->at += data->len;
    in->len -= data->len;
    if (r->has_length)
        r->left -= data->len;
    if (data->len)
        return 1;
    return r->has_length && r->left == 0 ? 2 : 0;
}

int reply_feed(struct reply *r, struct slice *in, struct slice *data)
{
    *data = (struct slice){NULL, 0};
    if (!r->has_head) {
        int got = take_head(r, in);
        if (got <= 0)
            return got;
    }
    for (;;) {
        bool rest = r->rest.len > 0;
        int got = take_body(r, rest ? &r->rest : in, data);
        if (got != 0 || !rest || in->len == 0)
            return got;
    }
}

int reply_end(const struct reply *r)
{
    return r->has_head && !r->chunked && (!r->has_length || r->left == 0) ? STEAD_OK
                                                                          : STEAD_E_CLOSED;
}

int reply_status(const struct reply *r)
{
    switch (r->status) {
    case 200:
        return STEAD_OK;
    case 401:
    case 403:
        return STEAD_E_DENIED;
    case 404:
        return STEAD_E_NOT_FOUND;
    case 503:
        return STEAD_E_NO_SERVER;
    default:
        return STEAD_E_UNSUPPORTED;
    }
}
