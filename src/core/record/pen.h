/* pen.h - numbers of as many bytes as they need, for what stays in this process: written by a pen,
 * which without paper only counts, and read back unchecked. No byte of it comes from outside. */
#ifndef CORE_RECORD_PEN_H
#define CORE_RECORD_PEN_H

#include "core/record/incs.h"

#include <stddef.h>
#include <string.h>

struct pen {
    uint8_t *at; /* NULL: only counts */
    size_t len;
};

static inline void pen_u8(struct pen *p, uint8_t v)
{
    if (p->at)
        p->at[p->len] = v;
    p->len++;
}

static inline void pen_bytes(struct pen *p, const void *bytes, size_t len)
{
    if (p->at && len)
        memcpy(p->at + p->len, bytes, len);
    p->len += len;
}

/* Seven bits a byte, the lowest first (LEB128). */
static inline void pen_number(struct pen *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        pen_u8(p, (uint8_t)(v | 0x80));
    pen_u8(p, (uint8_t)v);
}

/* How far v is from a base: small either way is short. */
static inline void pen_distance(struct pen *p, uint64_t base, uint64_t v)
{
    uint64_t d = base - v;
    pen_number(p, d << 1 ^ (0 - (d >> 63)));
}

static inline void pen_inc(struct pen *p, struct incs *incs, uint64_t inc)
{
    uint16_t number = incs_number(incs, inc);
    pen_number(p, number);
    if (number == 0)
        pen_bytes(p, &inc, sizeof inc);
}

static inline uint64_t read_number(const uint8_t **at)
{
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
}

static inline uint64_t read_distance(const uint8_t **at, uint64_t base)
{
    uint64_t z = read_number(at);
    return base - (z >> 1 ^ (0 - (z & 1)));
}

static inline uint64_t read_inc(const uint8_t **at, const struct incs *incs)
{
    uint64_t inc;
    uint16_t number = (uint16_t)read_number(at);
    if (number != 0)
        return incs_at(incs, number);
    memcpy(&inc, *at, sizeof inc);
    *at += sizeof inc;
    return inc;
}

#endif
