/* base64.c - RFC 4648, both alphabets. */
#include "base/base64.h"

#include <string.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(const char *alphabet, const uint8_t *bytes, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= have > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= have > 2 ? bytes[i + 2] : 0;
        for (size_t k = 0; k <= have; k++)
            out[n++] = alphabet[group >> (18 - 6 * k) & 63];
    }
    return n;
}

void base64_encode(const uint8_t *bytes, size_t len, char *out)
{
    size_t n = encode(standard, bytes, len, out);
    memset(out + n, '=', base64_size(len) - n);
}

size_t base64_encode_url(const uint8_t *bytes, size_t len, char *out)
{
    return encode(url, bytes, len, out);
}

static int digit(char c)
{
    const char *at = c ? strchr(standard, c) : NULL;
    return at ? (int)(at - standard) : -1;
}

bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    size_t n = 0;
    if (len % 4)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        bool last = i + 4 == len;
        size_t padding = !last || text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            int d = k < 4 - padding ? digit(text[i + k]) : 0;
            if (d < 0)
                return false;
            group = group << 6 | (uint32_t)d;
        }
        if ((padding && group & 0xff) || (padding == 2 && group & 0xff00))
            return false; /* bits that no encoder sets */
        for (size_t k = 0; k < 3 - padding; k++)
            out[n++] = (uint8_t)(group >> (16 - 8 * k));
    }
    *out_len = n;
    return true;
}
