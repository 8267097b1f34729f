/* prefix.c - networks of addresses. */
#include "base/prefix.h"

#include <stdlib.h>
#include <string.h>

static bool parse_bits(const char *text, unsigned max, uint8_t *out)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long bits = strtoul(text, &end, 10);
    if (*end || bits > max)
        return false;
    *out = (uint8_t)bits;
    return true;
}

bool prefix_parse(const char *text, struct prefix *out)
{
    char ip[ADDR_TEXT_MAX];
    struct addr a;
    size_t len = strcspn(text, "/");
    if (len >= sizeof(ip) || strchr(text, '['))
        return false;
    memcpy(ip, text, len);
    ip[len] = '\0';
    /* Port 1 by default; one that is said has no place here. */
    if (!addr_parse(ip, 1, &a) || (a.family == 4 && strchr(ip, ':')))
        return false;
    struct prefix p = {.family = a.family, .bits = a.family == 4 ? 32 : 128};
    if (text[len] && !parse_bits(text + len + 1, p.bits, &p.bits))
        return false;
    memcpy(p.ip, a.ip, sizeof(p.ip));
    for (size_t i = 0; i < sizeof(p.ip); i++) {
        unsigned kept = p.bits > 8 * i ? p.bits - 8 * (unsigned)i : 0;
        if (kept < 8 && (p.ip[i] & 0xff >> kept))
            return false;
    }
    *out = p;
    return true;
}

unsigned prefix_common(const struct prefix *p, const struct addr *a)
{
    unsigned bits = 0;
    for (size_t i = 0; bits < p->bits; i++) {
        unsigned difference = p->ip[i] ^ a->ip[i];
        if (difference) {
            bits += (unsigned)__builtin_clz(difference) - 24;
            break;
        }
        bits += 8;
    }
    return bits < p->bits ? bits : p->bits;
}

bool prefix_has(const struct prefix *p, const struct addr *a)
{
    return p->family == a->family && prefix_common(p, a) == p->bits;
}
