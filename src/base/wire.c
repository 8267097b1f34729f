/* wire.c - the cursors over bytes. Every read and write goes through take() or room(), the only
 * places that check bounds. */
#include "base/wire.h"

#include <string.h>

void wire_reader_init(struct wire_reader *r, const void *bytes, size_t len)
{
    /* A NULL with no length is a valid empty input; point at something so that end - at is defined.
     */
    static const uint8_t nothing[1];
    r->at = bytes ? bytes : nothing;
    r->end = r->at + (bytes ? len : 0);
    r->failed = !bytes && len != 0;
}

static const uint8_t *take(struct wire_reader *r, size_t len)
{
    if (r->failed || len > (size_t)(r->end - r->at)) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *from = r->at;
    r->at += len;
    return from;
}

static uint64_t take_number(struct wire_reader *r, size_t bytes)
{
    const uint8_t *p = take(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; p && i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t wire_u8(struct wire_reader *r)
{
    return (uint8_t)take_number(r, 1);
}

uint16_t wire_u16(struct wire_reader *r)
{
    return (uint16_t)take_number(r, 2);
}

uint32_t wire_u32(struct wire_reader *r)
{
    return (uint32_t)take_number(r, 4);
}

uint64_t wire_u64(struct wire_reader *r)
{
    return take_number(r, 8);
}

const uint8_t *wire_bytes(struct wire_reader *r, size_t len)
{
    return take(r, len);
}

static const uint8_t *take_str(struct wire_reader *r, size_t prefix, size_t *len)
{
    size_t n = (size_t)take_number(r, prefix);
    const uint8_t *p = take(r, n);
    *len = p ? n : 0;
    return p;
}

const uint8_t *wire_str8(struct wire_reader *r, size_t *len)
{
    return take_str(r, 1, len);
}

const uint8_t *wire_str16(struct wire_reader *r, size_t *len)
{
    return take_str(r, 2, len);
}

const uint8_t *wire_str32(struct wire_reader *r, size_t *len)
{
    return take_str(r, 4, len);
}

size_t wire_left(const struct wire_reader *r)
{
    return r->failed ? 0 : (size_t)(r->end - r->at);
}

void wire_fail(struct wire_reader *r)
{
    r->failed = true;
}

bool wire_ok(const struct wire_reader *r)
{
    return !r->failed;
}

bool wire_done(const struct wire_reader *r)
{
    return !r->failed && r->at == r->end;
}

void wire_writer_init(struct wire_writer *w, void *bytes, size_t len)
{
    static uint8_t nothing[1];
    w->start = w->at = bytes ? bytes : nothing;
    w->end = w->start + (bytes ? len : 0);
    w->failed = false;
}

static uint8_t *room(struct wire_writer *w, size_t len)
{
    if (w->failed || len > (size_t)(w->end - w->at)) {
        w->failed = true;
        return NULL;
    }
    uint8_t *to = w->at;
    w->at += len;
    return to;
}

static void put_number(struct wire_writer *w, uint64_t v, size_t bytes)
{
    uint8_t *p = room(w, bytes);
    for (size_t i = bytes; p && i > 0; i--, v >>= 8)
        p[i - 1] = (uint8_t)v;
}

void wire_put_u8(struct wire_writer *w, uint8_t v)
{
    put_number(w, v, 1);
}

void wire_put_u16(struct wire_writer *w, uint16_t v)
{
    put_number(w, v, 2);
}

void wire_put_u32(struct wire_writer *w, uint32_t v)
{
    put_number(w, v, 4);
}

void wire_put_u64(struct wire_writer *w, uint64_t v)
{
    put_number(w, v, 8);
}

void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t len)
{
    uint8_t *p = room(w, len);
    if (p && len)
        memcpy(p, bytes, len);
}

static void put_str(struct wire_writer *w, size_t prefix, const void *bytes, size_t len)
{
    if ((uint64_t)len >> (prefix * 8) != 0) {
        w->failed = true;
        return;
    }
    put_number(w, len, prefix);
    wire_put_bytes(w, bytes, len);
}

void wire_put_str8(struct wire_writer *w, const void *bytes, size_t len)
{
    put_str(w, 1, bytes, len);
}

void wire_put_str16(struct wire_writer *w, const void *bytes, size_t len)
{
    put_str(w, 2, bytes, len);
}

void wire_put_str32(struct wire_writer *w, const void *bytes, size_t len)
{
    put_str(w, 4, bytes, len);
}

size_t wire_written(const struct wire_writer *w)
{
    return (size_t)(w->at - w->start);
}

bool wire_put_ok(const struct wire_writer *w)
{
    return !w->failed;
}
