/* sessiond_fuzz.c - datagrams: what is taken is all of the datagram, and its value comes back. */
#include "core/sessiond/sessiond.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sessiond_request r;
    uint8_t out[SESSIOND_DATAGRAM_MAX];
    char key[SESSIOND_KEY_BYTES];
    if (sessiond_parse(data, size, &r) != 0) {
        CHECK(r.value == NULL && r.value_len == 0 && r.life_s == 0);
        return 0;
    }
    CHECK(size == SESSIOND_HEAD_BYTES + r.value_len && size <= SESSIOND_DATAGRAM_MAX);
    CHECK((r.verb == SESSIOND_NEW) == (r.value != NULL));
    CHECK(memcmp(r.id, data + 4, SESSIOND_ID_BYTES) == 0);
    size_t len = sessiond_answer(r.id, r.value, r.value_len, out);
    CHECK(len == size && memcmp(out + 4, data + 4, len - 4) == 0);
    CHECK(out[1] == (r.value != NULL ? 0x81 : 0x80));
    sessiond_key(r.id, key);
    for (size_t i = 13; i < sizeof key; i++)
        CHECK((key[i] >= '0' && key[i] <= '9') || (key[i] >= 'a' && key[i] <= 'f'));
    return 0;
}
