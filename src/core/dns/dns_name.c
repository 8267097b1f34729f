/* dns_name.c - names on the wire: reading with compression, comparing, lower case, hashes, and the
 * way from text. */
#include "core/dns/dns_name.h"

#include <stddef.h>

#define ONES 0x0101010101010101u

size_t dns_name_read(const uint8_t *msg, size_t len, size_t at, struct dns_name *out)
{
    size_t after = 0, limit = at;
    out->len = 0;
    while (at < len) {
        uint8_t head = msg[at];
        if (head >= 0xc0) {
            if (len - at < 2)
                return 0;
            size_t to = (size_t)(head & 0x3f) << 8 | msg[at + 1];
            if (to >= limit)
                return 0;
            after = after ? after : at + 2;
            limit = at = to;
            continue;
        }
        size_t label = (size_t)head + 1;
        if (head > DNS_LABEL_MAX || label > len - at || label > DNS_NAME_MAX - out->len)
            return 0;
        memcpy(out->bytes + out->len, msg + at, label);
        out->len += label;
        at += label;
        if (head == 0)
            return after ? after : at;
    }
    return 0;
}

bool dns_name_from_text(const char *text, struct dns_name *out)
{
    out->len = 0;
    if (strcmp(text, ".") == 0)
        text++;
    while (*text) {
        size_t label = strcspn(text, ".");
        if (label == 0 || label > DNS_LABEL_MAX || label + 2 > DNS_NAME_MAX - out->len)
            return false;
        out->bytes[out->len] = (uint8_t)label;
        memcpy(out->bytes + out->len + 1, text, label);
        out->len += label + 1;
        text += label;
        if (*text == '.')
            text++;
    }
    out->bytes[out->len++] = 0;
    return true;
}

bool dns_name_prepend(struct dns_name *n, const char *label, size_t len)
{
    if (len == 0 || len > DNS_LABEL_MAX || n->len + len + 1 > DNS_NAME_MAX)
        return false;
    memmove(n->bytes + len + 1, n->bytes, n->len);
    n->bytes[0] = (uint8_t)len;
    memcpy(n->bytes + 1, label, len);
    n->len += len + 1;
    return true;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool dns_name_equal(const uint8_t *a, const uint8_t *b)
{
    for (;;) {
        uint8_t label = *a;
        if (label != *b)
            return false;
        if (label == 0)
            return true;
        for (a++, b++; label; label--)
            if (lower(*a++) != lower(*b++))
                return false;
    }
}

/* Eight letters at once: the sums carry into a byte's top bit when it is above 'Z', or at least
 * 'A'. */
static uint64_t lower_word(uint64_t w)
{
    uint64_t low = w & ~(ONES * 0x80);
    uint64_t above_z = low + ONES * (0x7f - 'Z'), from_a = low + ONES * (0x80 - 'A');
    uint64_t upper = ~w & (above_z ^ from_a) & ONES * 0x80;
    return w | upper >> 2;
}

void dns_name_lower(uint8_t *name, size_t len)
{
    memset(name + len, 0, 8);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t w;
        memcpy(&w, name + i, 8);
        w = lower_word(w);
        memcpy(name + i, &w, 8);
    }
}

static uint64_t hash_word(uint64_t h, uint64_t w)
{
    h = (h ^ w) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static uint32_t hash_end(uint64_t h)
{
    return (uint32_t)(h * 0xc4ceb9fe1a85ec53u >> 32);
}

uint32_t dns_name_hash(const uint8_t *name, size_t len)
{
    uint64_t h = len, w;
    for (size_t i = 0; i < len; i += 8) {
        memcpy(&w, name + i, 8);
        h = hash_word(h, le64toh(w) & dns_name_mask(len, i));
    }
    return hash_end(h);
}

uint32_t dns_name_fold(const uint8_t *name, size_t len, size_t readable, uint8_t *out)
{
    uint64_t h = len, w;
    for (size_t i = 0; i < len; i += 8) {
        /* The last word may have to be read from further left. */
        ptrdiff_t at = readable - i >= 8 ? (ptrdiff_t)i : (ptrdiff_t)readable - 8;
        memcpy(&w, name + at, 8);
        w = le64toh(w) >> 8 * ((ptrdiff_t)i - at);
        w = lower_word(w & dns_name_mask(len, i));
        h = hash_word(h, w);
        w = htole64(w);
        memcpy(out + i, &w, 8);
    }
    return hash_end(h);
}

unsigned dns_name_labels(const uint8_t *name)
{
    unsigned count = 0;
    for (; *name; name += *name + 1)
        count++;
    return count;
}
