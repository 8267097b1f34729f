/* dns_response_fuzz.c - responses to the question for a.test, id 0x1234, from a server that may
 * send anything. */
#include "core/dns/dns.h"
#include "fuzz_check.h"

#include "stead/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t types[] = {DNS_A, DNS_AAAA};
    for (size_t i = 0; i < 2; i++) {
        struct addr out[4];
        size_t count = 99;
        int r = dns_parse_addresses(data, size, 0x1234, "a.test", types[i], out, 4, &count);
        CHECK(count <= 4 && (r == STEAD_OK) == (count > 0));
        for (size_t k = 0; k < count; k++)
            CHECK(out[k].family == (i ? 6 : 4) && out[k].port == 0);
    }
    return 0;
}
