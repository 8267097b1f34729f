/* sessiond.c - requests and answers of stunnel's session cache. */
#include "core/sessiond/sessiond.h"

#include "base/wire.h"
#include "stead/error.h"

#include <string.h>

#define VERSION 1
#define FOUND 0x81
#define NOT_FOUND 0x80

static const char prefix[] = "stunnel-sess:";
_Static_assert(sizeof prefix - 1 + 2 * SESSIOND_ID_BYTES == SESSIOND_KEY_BYTES, "it is all of it");

int sessiond_parse(const uint8_t *bytes, size_t len, struct sessiond_request *out)
{
    struct wire_reader r;
    *out = (struct sessiond_request){0};
    wire_reader_init(&r, bytes, len);
    uint8_t version = wire_u8(&r), verb = wire_u8(&r);
    uint16_t life_s = wire_u16(&r);
    const uint8_t *id = wire_bytes(&r, SESSIOND_ID_BYTES);
    size_t value_len = wire_left(&r);
    if (!wire_ok(&r) || version != VERSION || verb > SESSIOND_REMOVE ||
        value_len > SESSIOND_VALUE_MAX || (verb == SESSIOND_NEW) != (value_len > 0))
        return STEAD_E_PARSE;
    out->verb = (enum sessiond_verb)verb;
    out->life_s = verb == SESSIOND_NEW ? life_s : 0;
    memcpy(out->id, id, SESSIOND_ID_BYTES);
    out->value_len = value_len;
    out->value = value_len > 0 ? wire_bytes(&r, value_len) : NULL;
    return STEAD_OK;
}

size_t sessiond_answer(const uint8_t id[SESSIOND_ID_BYTES], const void *value, size_t value_len,
                       uint8_t out[SESSIOND_DATAGRAM_MAX])
{
    struct wire_writer w;
    wire_writer_init(&w, out, SESSIOND_DATAGRAM_MAX);
    wire_put_u8(&w, VERSION);
    wire_put_u8(&w, value != NULL ? FOUND : NOT_FOUND);
    wire_put_u16(&w, 0);
    wire_put_bytes(&w, id, SESSIOND_ID_BYTES);
    if (value != NULL)
        wire_put_bytes(&w, value, value_len);
    return wire_put_ok(&w) ? wire_written(&w) : 0;
}

void sessiond_key(const uint8_t id[SESSIOND_ID_BYTES], char out[SESSIOND_KEY_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char *at = out + sizeof prefix - 1;
    memcpy(out, prefix, sizeof prefix - 1);
    for (size_t i = 0; i < SESSIOND_ID_BYTES; i++) {
        *at++ = digits[id[i] >> 4];
        *at++ = digits[id[i] & 15];
    }
}
