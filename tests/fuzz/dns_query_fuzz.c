/* dns_query_fuzz.c - queries: every one that is read can be answered in its own buffer, and the
 * client's half reads the answer. */
#include "core/dns/dns_record.h"
#include "fuzz_check.h"

#include "stead/error.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The name as text, when it has nothing but letters and digits. */
static bool plain_text(const struct dns_query *q, char text[DNS_NAME_MAX + 1])
{
    size_t n = 0;
    for (const uint8_t *at = q->lower; *at;) {
        for (uint8_t left = *at++; left; left--, at++) {
            if ((*at < 'a' || *at > 'z') && (*at < '0' || *at > '9'))
                return false;
            text[n++] = (char)*at;
        }
        text[n++] = '.';
    }
    text[n] = 0;
    return true;
}

static void check_answer(const struct dns_query *q, uint8_t *msg, const struct dns_options *o)
{
    struct dns_answer a;
    uint8_t record[64];
    struct wire_writer w;
    struct addr address = {.family = q->type == DNS_A ? 4 : 6, .ip = {1}}, out[2];
    size_t count;
    char text[DNS_NAME_MAX + 1];
    wire_writer_init(&w, record, sizeof record);
    dns_record_address(&w, NULL, &address, 5);
    dns_answer_begin(&a, q, o, msg, DNS_UDP_MAX);
    CHECK(dns_answer_add(&a, DNS_ANSWER, record, wire_written(&w), 1));
    size_t len = dns_answer_end(&a, q, o, DNS_NOERROR);
    CHECK(len <= DNS_UDP_MAX);
    if ((q->type != DNS_A && q->type != DNS_AAAA) || q->class != 1 || !plain_text(q, text))
        return;
    CHECK(dns_parse_addresses(msg, len, q->id, text, q->type, out, 2, &count) == STEAD_OK);
    CHECK(count == 1 && addr_equal(&out[0], &address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dns_query q;
    static uint8_t msg[DNS_TCP_MAX];
    struct dns_options o = {.cookie_len = 24};
    struct dns_answer a;
    int r = dns_parse_query(data, size, &q);
    if (r < 0 || size > sizeof msg)
        return 0;
    CHECK(size >= 12 && q.udp_size >= DNS_UDP_PLAIN && q.name_len <= DNS_NAME_MAX);
    CHECK(q.opcode < 16);
    if (q.name_len) {
        CHECK(q.hash == dns_name_hash(q.lower, q.name_len));
        CHECK(q.labels == dns_name_labels(q.lower));
        CHECK(dns_name_equal(q.lower, data + DNS_HEADER_BYTES));
    }
    if (q.cookie)
        CHECK(q.cookie > data && q.cookie + q.cookie_len <= data + size);
    if (q.subnet) {
        CHECK(q.subnet > data && q.subnet + q.subnet_len <= data + size);
        if (!dns_subnet_parse(q.subnet, q.subnet_len, &o.subnet))
            o.subnet.family = 0;
    }
    memcpy(msg, data, size);
    if (r == DNS_NOERROR) {
        CHECK(q.name_len > 0 || q.cookie);
        if (q.name_len)
            check_answer(&q, msg, &o);
    } else {
        dns_answer_begin(&a, &q, NULL, msg, DNS_UDP_PLAIN);
        CHECK(dns_answer_end(&a, &q, NULL, (unsigned)r) <= 12 + q.name_len + 4u + 11);
    }
    return 0;
}
