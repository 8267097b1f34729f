/* dns_name.c - names on the wire: reading with compression, comparing, and the way from and to
 * text. */
#include "core/dns/dns_name.h"

#include <string.h>

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

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

void dns_name_to_text(const uint8_t *name, char out[DNS_NAME_MAX + 1])
{
    size_t n = 0;
    while (*name) {
        if (n)
            out[n++] = '.';
        for (uint8_t left = *name++; left; left--) {
            uint8_t c = lower(*name++);
            bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                         c == '*';
            out[n++] = plain ? (char)c : '?';
        }
    }
    out[n] = 0;
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
