/* dns_cookie.c - server cookies: version, time, and SipHash-2-4 (Aumasson and Bernstein 2012) of
 * these, the client's cookie and its address. */
#include "core/dns/dns_cookie.h"

#include "base/wire.h"

#include <endian.h>
#include <string.h>

#define VERSION 1
#define SERVER_MIN 8
#define SERVER_MAX 32
#define HASHED_BYTES 16 /* of the cookie; then comes the address */

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

static uint64_t le64(const uint8_t *at)
{
    uint64_t w;
    memcpy(&w, at, 8);
    return le64toh(w);
}

static void sip_rounds(uint64_t v[4], int rounds)
{
    while (rounds--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = ROTATE(v[1], 13) ^ v[0];
        v[3] = ROTATE(v[3], 16) ^ v[2];
        v[0] = ROTATE(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = ROTATE(v[1], 17) ^ v[2];
        v[3] = ROTATE(v[3], 21) ^ v[0];
        v[2] = ROTATE(v[2], 32);
    }
}

static uint64_t siphash(const uint8_t key[16], const uint8_t *bytes, size_t len)
{
    uint64_t k0 = le64(key), k1 = le64(key + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    uint8_t last[8] = {0};
    size_t whole = len & ~(size_t)7;
    memcpy(last, bytes + whole, len - whole);
    last[7] = (uint8_t)len;
    for (size_t i = 0; i <= whole; i += 8) {
        uint64_t m = le64(i < whole ? bytes + i : last);
        v[3] ^= m;
        sip_rounds(v, 2);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The last 8 bytes of a cookie whose first 16 are there. */
static void seal(const uint8_t key[DNS_COOKIE_KEY_BYTES], const uint8_t *cookie,
                 const struct addr *from, uint8_t out[8])
{
    uint8_t input[HASHED_BYTES + 16];
    size_t ip = from->family == 4 ? 4 : 16;
    memcpy(input, cookie, HASHED_BYTES);
    memcpy(input + HASHED_BYTES, from->ip, ip);
    uint64_t h = htole64(siphash(key, input, HASHED_BYTES + ip));
    memcpy(out, &h, 8);
}

static bool is_ours(const uint8_t key[DNS_COOKIE_KEY_BYTES], const uint8_t *cookie, size_t len,
                    const struct addr *from)
{
    uint8_t expected[8], difference = 0;
    if (len != DNS_COOKIE_BYTES || cookie[DNS_COOKIE_CLIENT_BYTES] != VERSION)
        return false;
    seal(key, cookie, from, expected);
    for (int i = 0; i < 8; i++)
        difference |= expected[i] ^ cookie[HASHED_BYTES + i];
    return difference == 0;
}

static void make(const uint8_t key[DNS_COOKIE_KEY_BYTES], const uint8_t *client, uint32_t now_s,
                 const struct addr *from, uint8_t out[DNS_COOKIE_BYTES])
{
    struct wire_writer w;
    wire_writer_init(&w, out, HASHED_BYTES);
    wire_put_bytes(&w, client, DNS_COOKIE_CLIENT_BYTES);
    wire_put_u32(&w, (uint32_t)VERSION << 24);
    wire_put_u32(&w, now_s);
    seal(key, out, from, out + HASHED_BYTES);
}

enum dns_cookie dns_cookie_check(const uint8_t key[DNS_COOKIE_KEY_BYTES], const uint8_t *option,
                                 size_t len, const struct addr *from, uint32_t now_s,
                                 uint8_t out[DNS_COOKIE_BYTES])
{
    size_t server = len - DNS_COOKIE_CLIENT_BYTES;
    if (len < DNS_COOKIE_CLIENT_BYTES ||
        (server != 0 && (server < SERVER_MIN || server > SERVER_MAX)))
        return DNS_COOKIE_MALFORMED;
    if (is_ours(key, option, len, from)) {
        struct wire_reader r;
        wire_reader_init(&r, option + 12, 4);
        /* Serial arithmetic: the clock may wrap in 2106. */
        int32_t age_s = (int32_t)(now_s - wire_u32(&r));
        bool good = age_s <= DNS_COOKIE_LIFE_S && age_s >= -DNS_COOKIE_AHEAD_MAX_S;
        if (good && age_s < DNS_COOKIE_RENEW_S)
            memcpy(out, option, DNS_COOKIE_BYTES);
        else
            make(key, option, now_s, from, out);
        return good ? DNS_COOKIE_GOOD : DNS_COOKIE_NEW;
    }
    make(key, option, now_s, from, out);
    return DNS_COOKIE_NEW;
}
