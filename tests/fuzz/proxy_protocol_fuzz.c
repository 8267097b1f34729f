/* proxy_protocol_fuzz.c - headers: a result hangs only on its own bytes, and is made again alike.
 */
#include "core/tcp/proxy_protocol.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header h, again;
    uint8_t made[PROXY_PROTOCOL_OUT_MAX];
    int n = proxy_protocol_parse(data, size, &h);
    CHECK(n >= -1 && n <= (int)size && n <= PROXY_PROTOCOL_MAX);
    CHECK(n != 0 || size < PROXY_PROTOCOL_MAX);
    if (n <= 0) {
        CHECK(!h.local && h.client.family == 0 && h.server.family == 0);
        return 0;
    }
    CHECK(h.local == (h.client.family == 0) && h.client.family == h.server.family);
    CHECK(proxy_protocol_parse(data, (size_t)n, &again) == n);
    CHECK(memcmp(&h.client, &again.client, sizeof h.client) == 0);
    CHECK(proxy_protocol_parse(data, (size_t)n - 1, &again) == 0);
    for (int v = PROXY_V1; v <= PROXY_V2; v++) {
        size_t m = proxy_protocol_make((enum proxy_protocol)v, &h.client, &h.server, made);
        CHECK(proxy_protocol_parse(made, m, &again) == (int)m);
        CHECK(again.local == h.local && addr_equal(&again.client, &h.client) &&
              addr_equal(&again.server, &h.server));
    }
    return 0;
}
