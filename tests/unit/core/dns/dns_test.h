/* dns_test.h - messages written by hand, for the tests of core/dns. */
#ifndef DNS_TEST_H
#define DNS_TEST_H

#include "base/wire.h"

#include <string.h>

struct message {
    uint8_t bytes[2048];
    size_t len;
};

static inline void message_add(struct message *m, const void *bytes, size_t len)
{
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}

#define message_lit(m, text) message_add((m), (text), sizeof(text) - 1)

static inline struct message message_head(uint16_t flags, uint16_t questions, uint16_t answers,
                                          uint16_t additionals)
{
    struct message m = {.len = 12};
    struct wire_writer w;
    wire_writer_init(&w, m.bytes, 12);
    wire_put_u16(&w, 0x1234);
    wire_put_u16(&w, flags);
    wire_put_u16(&w, questions);
    wire_put_u16(&w, answers);
    wire_put_u16(&w, 0);
    wire_put_u16(&w, additionals);
    return m;
}

#endif
