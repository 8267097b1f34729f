/* tls_hello_id_fuzz.c - what of a client's hello asks for a kept session. The first two bytes are
 * the lengths of supported_versions and of the old id; the rest is pre_shared_key. */
#include "fuzz_check.h"
#include "io/tls_internal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t id[TLS_ID_BYTES];
    bool once = false;
    if (size < 2 || size - 2 < (size_t)data[0] + data[1])
        return 0;
    size_t versions = data[0], old = data[1];
    const uint8_t *at = data + 2, *psk = at + versions + old;
    size_t psk_len = size - 2 - versions - old;
    bool found = tls_hello_id(at, versions, psk, psk_len, at + versions, old, id, &once);
    if (found && once)
        CHECK(psk_len >= 4 + TLS_ID_BYTES && memcmp(id, psk + 4, TLS_ID_BYTES) == 0);
    if (found && !once)
        CHECK(old == TLS_ID_BYTES && memcmp(id, at + versions, TLS_ID_BYTES) == 0);
    if (once)
        CHECK(versions >= 3 && memmem(at, versions, "\x03\x04", 2));
    return 0;
}
