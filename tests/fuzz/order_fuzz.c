/* order_fuzz.c - any bytes as a message of the order channel: what is taken says the same when it
 * is written again. */
#include "core/roster/order.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct order o;
    struct ordered a;
    uint8_t bytes[ORDER_BYTES_MAX];
    struct wire_writer w;
    enum order_message m = order_decode(data, size, &o, &a);
    if (m == ORDER_MALFORMED)
        return 0;
    wire_writer_init(&w, bytes, sizeof bytes);
    if (m == ORDER_ASKED)
        order_encode(&o, &w);
    else
        ordered_encode(&a, &w);
    CHECK(wire_put_ok(&w) && wire_written(&w) == size);
    CHECK(memcmp(bytes, data, size) == 0);
    return 0;
}
