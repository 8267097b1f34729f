/* sse.c - lines, then fields, then events. */
#include "client/sse.h"

#include "base/mem.h"
#include "stead/error.h"

#include <string.h>

static int buffer_add(struct sse_buffer *b, const char *bytes, size_t len)
{
    if (len > SSE_EVENT_BYTES_MAX - b->len)
        return STEAD_E_TOO_LARGE;
    if (b->len + len + 1 > b->cap) {
        size_t cap = (b->len + len) * 2 + 64;
        char *grown = mem_realloc(b->bytes, cap);
        if (!grown)
            return STEAD_E_NOMEM;
        b->bytes = grown;
        b->cap = cap;
    }
    if (len)
        memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
    b->bytes[b->len] = 0;
    return STEAD_OK;
}

void sse_deinit(struct sse *s)
{
    if (!s)
        return;
    mem_free(s->line.bytes);
    mem_free(s->data.bytes);
    *s = (struct sse){0};
}

static bool field_is(const char *name, const char *field, size_t len)
{
    return strlen(name) == len && memcmp(name, field, len) == 0;
}

/* A name or id that does not fit is none that is known: it is left out, never cut. */
static void keep_text(char *out, size_t max, const char *value, size_t len)
{
    if (len > max || memchr(value, 0, len))
        len = 0;
    memcpy(out, value, len);
    out[len] = 0;
}

static int take_field(struct sse *s, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    size_t name = colon ? (size_t)(colon - line) : len;
    const char *value = colon ? colon + 1 : line + len;
    if (value < line + len && *value == ' ')
        value++;
    size_t size = (size_t)(line + len - value);
    if (field_is("event", line, name))
        keep_text(s->event, SSE_NAME_MAX, value, size);
    else if (field_is("id", line, name))
        keep_text(s->id, SSE_ID_MAX, value, size);
    else if (field_is("data", line, name)) {
        int err = s->has_data ? buffer_add(&s->data, "\n", 1) : STEAD_OK;
        s->has_data = true;
        return err ? err : buffer_add(&s->data, value, size);
    }
    return STEAD_OK;
}

/* Returns 1 when the line ends an event. */
static int end_line(struct sse *s)
{
    int err = STEAD_OK;
    s->lines++;
    if (s->comment) {
        s->comment = false;
        return STEAD_OK;
    }
    if (s->line.len) {
        err = take_field(s, s->line.bytes, s->line.len);
        s->line.len = 0;
        return err;
    }
    if (s->has_data) {
        s->ready = true;
        return 1;
    }
    s->event[0] = 0;
    return STEAD_OK;
}

/* An event was given out: the next one begins. Memory of a large one is not kept. */
static void begin_event(struct sse *s)
{
    s->ready = s->has_data = false;
    s->event[0] = 0;
    mem_free(s->data.bytes);
    mem_free(s->line.bytes);
    s->data = s->line = (struct sse_buffer){0};
}

int sse_feed(struct sse *s, const char **in, size_t *len)
{
    if (s->ready)
        begin_event(s);
    while (*len) {
        const char *at = *in;
        if (s->after_cr) {
            s->after_cr = false;
            if (*at == '\n') {
                ++*in;
                --*len;
                continue;
            }
        }
        size_t n = 0;
        while (n < *len && at[n] != '\n' && at[n] != '\r')
            n++;
        if (n && !s->comment && s->line.len == 0 && at[0] == ':')
            s->comment = true;
        int r = n && !s->comment ? buffer_add(&s->line, at, n) : STEAD_OK;
        bool ended = n < *len;
        if (ended)
            s->after_cr = at[n] == '\r';
        *in += n + ended;
        *len -= n + ended;
        if (r == STEAD_OK && ended)
            r = end_line(s);
        if (r)
            return r;
    }
    return STEAD_OK;
}
