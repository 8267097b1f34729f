/* proxy_protocol.c - https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, sections 2.1 and
 * 2.2. */
#include "core/tcp/proxy_protocol.h"

#include "base/wire.h"

#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_BYTES 12
#define V1_START "PROXY "
#define FIXED_BYTES 16
#define LOCAL_COMMAND 0x20
#define PROXY_COMMAND 0x21
#define STREAM_INET 0x11
#define STREAM_INET6 0x21

/* -- version 1 -- */

/* The next word, up to a single space or the end. False: it is empty or does not fit. */
static bool next_word(const char **at, const char *end, char *out, size_t cap)
{
    const char *space = memchr(*at, ' ', (size_t)(end - *at));
    size_t len = (size_t)((space ? space : end) - *at);
    if (len == 0 || len >= cap)
        return false;
    memcpy(out, *at, len);
    out[len] = '\0';
    *at = space ? space + 1 : end;
    return !space || space + 1 < end;
}

/* Decimal, without leading zeros. */
static bool parse_port(const char *text, uint16_t *out)
{
    uint32_t v = 0;
    size_t len = strlen(text);
    if (len > 5 || (len > 1 && text[0] == '0'))
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        v = v * 10 + (uint32_t)(*text - '0');
    }
    *out = (uint16_t)v;
    return v <= UINT16_MAX;
}

static bool parse_ip(const char *text, uint8_t family, struct addr *out)
{
    /* Brackets and ports are no part of an address here. */
    return !strpbrk(text, "[]%") && (family == 6 || !strchr(text, ':')) &&
           addr_parse(text, 1, out) && out->family == family;
}

static bool parse_v1_line(const char *at, const char *end, struct proxy_header *out)
{
    char family[8], from[48], to[48], from_port[8], to_port[8];
    if (memchr(at, '\0', (size_t)(end - at)) || !next_word(&at, end, family, sizeof(family)))
        return false;
    if (strcmp(family, "UNKNOWN") == 0) {
        out->local = true; /* what follows is to be ignored */
        return true;
    }
    uint8_t f = strcmp(family, "TCP4") == 0 ? 4 : strcmp(family, "TCP6") == 0 ? 6 : 0;
    return f && next_word(&at, end, from, sizeof(from)) && next_word(&at, end, to, sizeof(to)) &&
           next_word(&at, end, from_port, sizeof(from_port)) &&
           next_word(&at, end, to_port, sizeof(to_port)) && at == end &&
           parse_ip(from, f, &out->client) && parse_ip(to, f, &out->server) &&
           parse_port(from_port, &out->client.port) && parse_port(to_port, &out->server.port);
}

static int parse_v1(const char *bytes, size_t len, struct proxy_header *out)
{
    size_t seen = len < PROXY_PROTOCOL_V1_MAX ? len : PROXY_PROTOCOL_V1_MAX;
    const char *cr = memchr(bytes, '\r', seen);
    if (!cr)
        return seen < PROXY_PROTOCOL_V1_MAX ? 0 : -1;
    if ((size_t)(cr - bytes) + 1 == seen)
        return seen < PROXY_PROTOCOL_V1_MAX ? 0 : -1;
    if (cr[1] != '\n' || !parse_v1_line(bytes + strlen(V1_START), cr, out))
        return -1;
    return (int)(cr - bytes) + 2;
}

/* -- version 2 -- */

static void read_ip(struct wire_reader *r, uint8_t family, struct addr *out)
{
    size_t len = family == 4 ? 4 : 16;
    const uint8_t *ip = wire_bytes(r, len);
    out->family = family;
    if (ip)
        memcpy(out->ip, ip, len);
}

/* Type, two bytes of length, value: they must fill what is left to the byte. */
static bool skip_tlvs(struct wire_reader *r)
{
    size_t len;
    while (wire_left(r) > 0 && wire_ok(r)) {
        wire_u8(r);
        wire_str16(r, &len);
    }
    return wire_done(r);
}

static int parse_v2(const uint8_t *bytes, size_t len, struct proxy_header *out)
{
    if (len < FIXED_BYTES)
        return 0;
    uint8_t command = bytes[12], family = bytes[13];
    size_t all = FIXED_BYTES + (size_t)(bytes[14] << 8 | bytes[15]);
    if ((command != LOCAL_COMMAND && command != PROXY_COMMAND) || all > PROXY_PROTOCOL_MAX)
        return -1;
    if (len < all)
        return 0;
    struct wire_reader r;
    wire_reader_init(&r, bytes + FIXED_BYTES, all - FIXED_BYTES);
    out->local = command == LOCAL_COMMAND || family == 0 || family == 0x31; /* 0x31: unix */
    if (out->local)
        return (int)all;
    if (family != STREAM_INET && family != STREAM_INET6)
        return -1;
    read_ip(&r, family == STREAM_INET ? 4 : 6, &out->client);
    read_ip(&r, family == STREAM_INET ? 4 : 6, &out->server);
    out->client.port = wire_u16(&r);
    out->server.port = wire_u16(&r);
    return skip_tlvs(&r) ? (int)all : -1;
}

int proxy_protocol_parse(const void *bytes, size_t len, struct proxy_header *out)
{
    size_t v1 = strlen(V1_START);
    int n = -1;
    *out = (struct proxy_header){0};
    if (len == 0)
        return 0;
    if (memcmp(bytes, V1_START, len < v1 ? len : v1) == 0)
        n = len < v1 ? 0 : parse_v1(bytes, len, out);
    else if (memcmp(bytes, SIGNATURE, len < SIGNATURE_BYTES ? len : SIGNATURE_BYTES) == 0)
        n = parse_v2(bytes, len, out);
    if (n <= 0)
        *out = (struct proxy_header){0};
    return n;
}

/* -- making -- */

static size_t put_text(char *out, size_t at, const char *text)
{
    size_t len = strlen(text);
    memcpy(out + at, text, len);
    return at + len;
}

static size_t put_port(char *out, size_t at, uint16_t port)
{
    char digits[6];
    size_t n = sizeof(digits) - 1;
    digits[n] = '\0';
    do
        digits[--n] = (char)('0' + port % 10);
    while (port /= 10);
    return put_text(out, at, digits + n);
}

static size_t make_v1(const struct addr *client, const struct addr *server, bool known, char *out)
{
    char ip[ADDR_TEXT_MAX];
    if (!known)
        return put_text(out, 0, "PROXY UNKNOWN\r\n");
    size_t n = put_text(out, 0, client->family == 4 ? "PROXY TCP4 " : "PROXY TCP6 ");
    n = put_text(out, n, addr_format_ip(client, ip));
    n = put_text(out, n, " ");
    n = put_text(out, n, addr_format_ip(server, ip));
    n = put_text(out, n, " ");
    n = put_port(out, n, client->port);
    n = put_text(out, n, " ");
    n = put_port(out, n, server->port);
    return put_text(out, n, "\r\n");
}

static size_t make_v2(const struct addr *client, const struct addr *server, bool known,
                      uint8_t *out)
{
    struct wire_writer w;
    size_t ip = client->family == 4 ? 4 : 16;
    wire_writer_init(&w, out, PROXY_PROTOCOL_OUT_MAX);
    wire_put_bytes(&w, SIGNATURE, SIGNATURE_BYTES);
    wire_put_u8(&w, known ? PROXY_COMMAND : LOCAL_COMMAND);
    wire_put_u8(&w, !known ? 0 : client->family == 4 ? STREAM_INET : STREAM_INET6);
    wire_put_u16(&w, known ? (uint16_t)(2 * ip + 4) : 0);
    if (known) {
        wire_put_bytes(&w, client->ip, ip);
        wire_put_bytes(&w, server->ip, ip);
        wire_put_u16(&w, client->port);
        wire_put_u16(&w, server->port);
    }
    return wire_written(&w);
}

size_t proxy_protocol_make(enum proxy_protocol version, const struct addr *client,
                           const struct addr *server, uint8_t out[PROXY_PROTOCOL_OUT_MAX])
{
    bool known = client->family != 0 && client->family == server->family;
    if (version == PROXY_V1)
        return make_v1(client, server, known, (char *)out);
    return version == PROXY_V2 ? make_v2(client, server, known, out) : 0;
}
