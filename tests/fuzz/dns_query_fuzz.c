/* dns_query_fuzz.c - queries: every one that is read can be answered, and the client's half reads
 * the answer. */
#include "core/dns/dns.h"
#include "fuzz_check.h"

#include "stead/error.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(const struct dns_query *q)
{
    static uint8_t buf[DNS_UDP_MAX];
    struct dns_answer a;
    struct addr address = {.family = q->type == DNS_A ? 4 : 6, .ip = {1}}, out[2];
    size_t count;
    dns_answer_begin(&a, q, buf, sizeof buf, true);
    dns_answer_address(&a, NULL, &address, 5);
    size_t len = dns_answer_end(&a, q, DNS_NOERROR);
    CHECK(len <= sizeof buf && !a.truncated);
    CHECK(memcmp(buf + 12, q->wire_name, q->wire_len) == 0);
    if ((q->type != DNS_A && q->type != DNS_AAAA) || q->class != 1 || strchr(q->name, '?'))
        return;
    CHECK(dns_parse_addresses(buf, len, q->id, q->name, q->type, out, 2, &count) == STEAD_OK);
    CHECK(count == 1 && addr_equal(&out[0], &address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dns_query q;
    static uint8_t buf[DNS_UDP_PLAIN];
    struct dns_answer a;
    int r = dns_parse_query(data, size, &q);
    if (r < 0)
        return 0;
    CHECK(size >= 12 && q.udp_size >= DNS_UDP_PLAIN && q.wire_len <= DNS_NAME_MAX);
    CHECK(strlen(q.name) <= DNS_NAME_MAX - 2 && q.opcode < 16);
    if (r == DNS_NOERROR) {
        CHECK(q.wire_len > 0 && q.question_bytes == q.wire_len + 4);
        check_answer(&q);
    } else {
        dns_answer_begin(&a, &q, buf, sizeof buf, false);
        CHECK(dns_answer_end(&a, &q, (unsigned)r) <= 12 + q.question_bytes + 11);
    }
    return 0;
}
