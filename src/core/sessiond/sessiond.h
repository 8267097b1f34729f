/* sessiond.h - datagrams of stunnel's session cache (its option sessiond): a server's TLS sessions,
 * kept by another program that its sisters ask too.
 *
 * A request is a version (1), a verb, the session's life in seconds (16 bits, big-endian), its id
 * with zeros up to 32 bytes, and for NEW the session as OpenSSL writes it (DER). Only GET is
 * answered: the same head with another verb, and the session when there is one. The asking thread
 * stands still meanwhile, for 3 ms or so; then it goes on without. There is no authentication. */
#ifndef CORE_SESSIOND_H
#define CORE_SESSIOND_H

#include <stddef.h>
#include <stdint.h>

#define SESSIOND_ID_BYTES 32
#define SESSIOND_HEAD_BYTES 36
#define SESSIOND_VALUE_MAX 512 /* stunnel sends no larger one */
#define SESSIOND_DATAGRAM_MAX (SESSIOND_HEAD_BYTES + SESSIOND_VALUE_MAX)
/* The key of a session's record: "stunnel-sess:" and its id in lower-case hexadecimal digits. */
#define SESSIOND_KEY_BYTES (13 + 2 * SESSIOND_ID_BYTES)

enum sessiond_verb { SESSIOND_NEW, SESSIOND_GET, SESSIOND_REMOVE };

struct sessiond_request {
    enum sessiond_verb verb;
    uint16_t life_s; /* NEW; 0: not told */
    uint8_t id[SESSIOND_ID_BYTES];
    const uint8_t *value; /* NEW: in the datagram; else NULL */
    size_t value_len;
};

/* STEAD_OK or STEAD_E_PARSE. */
int sessiond_parse(const uint8_t *bytes, size_t len, struct sessiond_request *out)
    __attribute__((warn_unused_result));
/* The answer to a GET; value NULL: there is none. Returns its length; 0: the value is too long. */
size_t sessiond_answer(const uint8_t id[SESSIOND_ID_BYTES], const void *value, size_t value_len,
                       uint8_t out[SESSIOND_DATAGRAM_MAX]);
void sessiond_key(const uint8_t id[SESSIOND_ID_BYTES], char out[SESSIOND_KEY_BYTES]);

#endif
