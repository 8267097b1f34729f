/* http_trace.c - traceparent and request ids. Who is told of them is the callers'. */
#include "core/http/http_trace.h"

#include <string.h>

#define ID_AT 3
#define PARENT_AT 36
#define FLAGS_AT 53
#define OWN_ID_DIGITS 16

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex(const char *at, size_t digits, uint64_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < digits; i++) {
        int d = digit(at[i]);
        if (d < 0)
            return false;
        n = n << 4 | (unsigned)d;
    }
    *out = n;
    return true;
}

static void put_hex(char *at, size_t digits, uint64_t n)
{
    for (size_t i = digits; i-- > 0; n >>= 4)
        at[i] = "0123456789abcdef"[n & 15];
}

bool trace_parse(struct slice value, struct trace *out)
{
    uint64_t version, flags;
    const char *v = value.at;
    if (!v || value.len < TRACE_TEXT_MAX - 1 || !hex(v, 2, &version) || version == 0xff)
        return false;
    bool longer = value.len >= TRACE_TEXT_MAX;
    if (longer && (version == 0 || v[TRACE_TEXT_MAX - 1] != '-'))
        return false;
    if (v[2] != '-' || v[PARENT_AT - 1] != '-' || v[FLAGS_AT - 1] != '-')
        return false;
    if (!hex(v + ID_AT, 16, &out->id[0]) || !hex(v + ID_AT + 16, 16, &out->id[1]) ||
        !hex(v + PARENT_AT, 16, &out->parent) || !hex(v + FLAGS_AT, 2, &flags))
        return false;
    out->flags = (uint8_t)flags;
    return (out->id[0] | out->id[1]) != 0 && out->parent != 0;
}

void trace_begin(struct trace *t, const uint64_t random[2])
{
    *t = (struct trace){.id = {random[0], random[1] | 1}, .parent = random[0] | 1};
}

void trace_step(struct trace *t, uint64_t random)
{
    t->parent = random ? random : 1;
}

void trace_format(const struct trace *t, char out[TRACE_TEXT_MAX])
{
    memcpy(out, "00-", ID_AT);
    put_hex(out + ID_AT, 16, t->id[0]);
    put_hex(out + ID_AT + 16, 16, t->id[1]);
    out[PARENT_AT - 1] = '-';
    put_hex(out + PARENT_AT, 16, t->parent);
    out[FLAGS_AT - 1] = '-';
    put_hex(out + FLAGS_AT, 2, t->flags & 1u);
    out[TRACE_TEXT_MAX - 1] = '\0';
}

size_t request_id_make(uint64_t chance, const char *node, char out[REQUEST_ID_CHARS_MAX + 1])
{
    size_t len = strnlen(node, REQUEST_ID_CHARS_MAX - OWN_ID_DIGITS - 1);
    put_hex(out, OWN_ID_DIGITS, chance);
    out[OWN_ID_DIGITS] = '@';
    memcpy(out + OWN_ID_DIGITS + 1, node, len);
    len += OWN_ID_DIGITS + 1;
    out[len] = '\0';
    return len;
}

bool request_id_valid(struct slice id)
{
    if (!id.at || id.len == 0 || id.len > REQUEST_ID_CHARS_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!plain && (c == '\0' || !strchr("-._~+/=:@", c)))
            return false;
    }
    return true;
}
