/* wire.h - bounds-checked cursors over bytes, big-endian, with a sticky error.
 *
 * A reader or writer that met its end stays failed: reads give zero, writes do nothing. So a decoder
 * reads all its fields and asks wire_ok() once, before any state changes. Nothing is copied by a
 * reader: wire_bytes() points into the input. */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_reader {
    const uint8_t *at, *end;
    bool failed;
};

struct wire_writer {
    uint8_t *start, *at, *end;
    bool failed;
};

void wire_reader_init(struct wire_reader *r, const void *bytes, size_t len);
uint8_t wire_u8(struct wire_reader *r);
uint16_t wire_u16(struct wire_reader *r);
uint32_t wire_u32(struct wire_reader *r);
uint64_t wire_u64(struct wire_reader *r);
/* The next len bytes, or NULL with the error set. */
const uint8_t *wire_bytes(struct wire_reader *r, size_t len);
/* A string with its length before it, in one or two or four bytes. NULL on error; len is always set. */
const uint8_t *wire_str8(struct wire_reader *r, size_t *len);
const uint8_t *wire_str16(struct wire_reader *r, size_t *len);
const uint8_t *wire_str32(struct wire_reader *r, size_t *len);
size_t wire_left(const struct wire_reader *r);
void wire_fail(struct wire_reader *r);
bool wire_ok(const struct wire_reader *r);
/* No error and nothing left over. */
bool wire_done(const struct wire_reader *r);

void wire_writer_init(struct wire_writer *w, void *bytes, size_t len);
void wire_put_u8(struct wire_writer *w, uint8_t v);
void wire_put_u16(struct wire_writer *w, uint16_t v);
void wire_put_u32(struct wire_writer *w, uint32_t v);
void wire_put_u64(struct wire_writer *w, uint64_t v);
void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t len);
/* Fails when len does not fit its prefix. */
void wire_put_str8(struct wire_writer *w, const void *bytes, size_t len);
void wire_put_str16(struct wire_writer *w, const void *bytes, size_t len);
void wire_put_str32(struct wire_writer *w, const void *bytes, size_t len);
size_t wire_written(const struct wire_writer *w);
bool wire_put_ok(const struct wire_writer *w);

#endif
