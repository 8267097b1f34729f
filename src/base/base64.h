/* base64.h - base64 (RFC 4648): the standard alphabet with padding for values, the URL one without
 * for ids. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters for len bytes, with padding. */
static inline size_t base64_size(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Writes base64_size(len) characters, and no NUL. */
void base64_encode(const uint8_t *bytes, size_t len, char *out);
/* The URL alphabet without padding: writes and returns (len * 4 + 2) / 3 characters. */
size_t base64_encode_url(const uint8_t *bytes, size_t len, char *out);
/* Strict: padded, canonical, nothing else between. out has room for len / 4 * 3 bytes. */
bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len);

#endif
