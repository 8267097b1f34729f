/* client_hello.c - records (RFC 8446 section 5.1), the message (section 4.1.2), its extensions. */
#include "core/tcp/client_hello.h"

#include "base/wire.h"

#include <string.h>

#define RECORD_HANDSHAKE 22
#define RECORD_HEADER 5
#define RECORD_MAX 16384
#define MESSAGE_CLIENT_HELLO 1
#define MESSAGE_HEADER 4
#define EXTENSION_SERVER_NAME 0
#define NAME_TYPE_HOST 0
#define RANDOM_BYTES 32
#define SESSION_ID_MAX 32

/* A message may be cut into records anywhere. So its bytes are read one by one through this. */
struct hello {
    const uint8_t *bytes;
    size_t len, at;
    size_t record_end;     /* of the record that `at` is in */
    size_t left;           /* of the message */
    enum client_hello why; /* MORE or NONE once it has failed */
    bool failed;
};

static void fail(struct hello *h, enum client_hello why)
{
    if (!h->failed)
        h->why = why;
    h->failed = true;
}

/* Goes over to the next record. */
static void next_record(struct hello *h)
{
    const uint8_t *r = h->bytes + h->at;
    size_t there = h->len - h->at;
    bool handshake = (there < 1 || r[0] == RECORD_HANDSHAKE) && (there < 2 || r[1] == 3);
    if (!handshake) {
        fail(h, CLIENT_HELLO_NONE);
        return;
    }
    if (there < RECORD_HEADER) {
        fail(h, CLIENT_HELLO_MORE);
        return;
    }
    size_t size = (size_t)(r[3] << 8 | r[4]);
    if (size == 0 || size > RECORD_MAX) {
        fail(h, CLIENT_HELLO_NONE);
        return;
    }
    h->at += RECORD_HEADER;
    h->record_end = h->at + size;
}

static uint8_t next_byte(struct hello *h)
{
    if (!h->failed && h->left == 0)
        fail(h, CLIENT_HELLO_NONE);
    if (!h->failed && h->at == h->record_end)
        next_record(h);
    if (!h->failed && h->at >= h->len)
        fail(h, h->len >= CLIENT_HELLO_MAX ? CLIENT_HELLO_NONE : CLIENT_HELLO_MORE);
    if (h->failed)
        return 0;
    h->left--;
    return h->bytes[h->at++];
}

static size_t number(struct hello *h, unsigned bytes)
{
    size_t v = 0;
    while (bytes--)
        v = v << 8 | next_byte(h);
    return h->failed ? 0 : v;
}

static void skip(struct hello *h, size_t n)
{
    for (; n > 0 && !h->failed; n--)
        next_byte(h);
}

/* A vector of so many bytes must lie within the message, whether it has come already or not. */
static size_t vector(struct hello *h, unsigned length_bytes, size_t least, size_t most,
                     size_t multiple)
{
    size_t n = number(h, length_bytes);
    if (!h->failed && (n < least || n > most || n % multiple || n > h->left))
        fail(h, CLIENT_HELLO_NONE);
    return h->failed ? 0 : n;
}

static bool name_byte(uint8_t *c)
{
    if (*c >= 'A' && *c <= 'Z')
        *c = (uint8_t)(*c - 'A' + 'a');
    return (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '.' ||
           *c == '_';
}

/* The extension has one name of one type in practice; RFC 6066 forbids two of a type. */
static void read_names(struct hello *h, size_t size, char *name)
{
    size_t list = vector(h, 2, 4, size < 2 ? 0 : size - 2, 1);
    if (!h->failed && (list + 2 != size || number(h, 1) != NAME_TYPE_HOST))
        fail(h, CLIENT_HELLO_NONE);
    size_t len = vector(h, 2, 1, CLIENT_HELLO_NAME_MAX, 1);
    if (!h->failed && len + 3 != list)
        fail(h, CLIENT_HELLO_NONE);
    for (size_t i = 0; i < len && !h->failed; i++) {
        uint8_t c = next_byte(h);
        if (!h->failed && !name_byte(&c))
            fail(h, CLIENT_HELLO_NONE);
        name[i] = (char)c;
    }
    name[len] = '\0';
}

static void read_extensions(struct hello *h, char *name, bool *named)
{
    size_t size = vector(h, 2, 0, h->left, 1);
    if (!h->failed && size != h->left)
        fail(h, CLIENT_HELLO_NONE);
    while (!h->failed && h->left > 0) {
        size_t type = number(h, 2), len = vector(h, 2, 0, UINT16_MAX, 1);
        if (type != EXTENSION_SERVER_NAME) {
            skip(h, len);
            continue;
        }
        if (*named)
            fail(h, CLIENT_HELLO_NONE);
        read_names(h, len, name);
        *named = !h->failed;
    }
}

enum client_hello client_hello_name(const void *bytes, size_t len,
                                    char name[CLIENT_HELLO_NAME_MAX + 1])
{
    struct hello h = {.bytes = bytes,
                      .len = len < CLIENT_HELLO_MAX ? len : CLIENT_HELLO_MAX,
                      .left = MESSAGE_HEADER};
    bool named = false;
    name[0] = '\0';
    if (number(&h, 1) != MESSAGE_CLIENT_HELLO)
        fail(&h, CLIENT_HELLO_NONE);
    size_t size = number(&h, 3);
    if (!h.failed && size > CLIENT_HELLO_MAX)
        fail(&h, CLIENT_HELLO_NONE);
    h.left = size;
    skip(&h, 2 + RANDOM_BYTES);
    skip(&h, vector(&h, 1, 0, SESSION_ID_MAX, 1));
    skip(&h, vector(&h, 2, 2, UINT16_MAX - 1, 2)); /* cipher suites */
    skip(&h, vector(&h, 1, 1, UINT8_MAX, 1));      /* compression methods */
    if (!h.failed && h.left > 0)
        read_extensions(&h, name, &named);
    if (!h.failed)
        return named ? CLIENT_HELLO_NAMED : CLIENT_HELLO_NAMELESS;
    name[0] = '\0';
    return h.why;
}
