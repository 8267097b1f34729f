/* tls_session_fuzz.c - a TLS session as it comes back from where it was kept: the first 32 bytes
 * are the id that was asked for. What is taken is that session, whole, and written as it came. */
#include "fuzz_check.h"
#include "io/tls_internal.h"

#include <openssl/err.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < TLS_ID_BYTES)
        return 0;
    SSL_SESSION *s = tls_sessions_read(data + TLS_ID_BYTES, size - TLS_ID_BYTES, data);
    ERR_clear_error();
    if (!s)
        return 0;
    unsigned len;
    const uint8_t *id = SSL_SESSION_get_id(s, &len);
    CHECK(len == TLS_ID_BYTES && memcmp(id, data, TLS_ID_BYTES) == 0);
    CHECK(size - TLS_ID_BYTES <= TLS_SESSION_BYTES_MAX);
    CHECK(i2d_SSL_SESSION(s, NULL) > 0);
    SSL_SESSION_free(s);
    return 0;
}
