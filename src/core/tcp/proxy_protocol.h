/* proxy_protocol.h - the header by which a proxy tells a server who the client is: HAProxy's PROXY
 * protocol, versions 1 (text) and 2 (binary). It stands before the first byte of a connection.
 *
 * Whoever may send it can claim any address, so a receiver reads it only from those it was told to
 * trust, and then from each connection of theirs: a header that is optional is one that can be
 * forged. */
#ifndef CORE_TCP_PROXY_PROTOCOL_H
#define CORE_TCP_PROXY_PROTOCOL_H

#include "base/addr.h"

#define PROXY_PROTOCOL_V1_MAX 107 /* with CR LF, as the specification has it */
/* Of a header that is read: 16 bytes, addresses and TLVs. Longer ones are refused. */
#define PROXY_PROTOCOL_MAX 1024
#define PROXY_PROTOCOL_OUT_MAX PROXY_PROTOCOL_V1_MAX

enum proxy_protocol { PROXY_NONE, PROXY_V1, PROXY_V2 };

struct proxy_header {
    /* The proxy speaks for itself (LOCAL), or does not know (UNKNOWN, UNSPEC, a unix socket): both
     * ends are those of the connection. */
    bool local;
    struct addr client, server; /* family 0 with local */
};

/* Reads a header at the start of len bytes: its length; 0: more bytes are needed to know; -1: it is
 * none, is malformed, or is too long. TLVs are skipped. Version 2 must say a stream. */
int proxy_protocol_parse(const void *bytes, size_t len, struct proxy_header *out);
/* Writes a header; returns its length, 0 for PROXY_NONE. Addresses of two families, or none, are
 * told as unknown (v1) or local (v2). */
size_t proxy_protocol_make(enum proxy_protocol version, const struct addr *client,
                           const struct addr *server, uint8_t out[PROXY_PROTOCOL_OUT_MAX]);

#endif
