/* exchange_head_fuzz.c - heads as they are passed on, of requests and of answers: what is made is a
 * head for the next parser, with the same framing, and without fields for one hop. */
#include "core/http/http_hop.h"
#include "fuzz_check.h"
#include "role/director/exchange_head.h"
#include "role/director/forwarded.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const char *bytes, size_t size)
{
    static struct http_head head, again;
    static char out[HTTP_HEAD_MAX + FORWARDED_ADDED_MAX];
    const char *why;
    struct addr peer;
    CHECK(addr_parse("[2001:db8::ffff:ffff:ffff:ffff]:65535", 0, &peer));
    /* CONNECT, and requests without a host, are not passed on. */
    if (http_parse_request(bytes, size, &head, &why) <= 0 || !head.path.len || !head.host.len)
        return;
    const struct tls_identity anna = {"CN=anna", "c0ffee"};
    const struct forwarded f = {
        .client = &peer, .tls = true, .make_trace = true, .node = "node-1", .identity = &anna};
    size_t len = forwarded_head(&head, &f, out);
    if (len == 0)
        return;
    CHECK(len <= head.head_bytes + FORWARDED_ADDED_MAX);
    int n = http_parse_request(out, len, &again, &why);
    /* What is added may make it longer than a head may be, or give it more lines. */
    CHECK(n == (int)len || n == -431);
    if (n < 0)
        return;
    CHECK(again.minor == 1 && again.keep_alive);
    CHECK(again.chunked == head.chunked && again.length == head.length);
    CHECK(again.path.len == head.path.len && again.host.len == head.host.len);
    CHECK(again.upgrade == forwarded_upgrades(&head));
    CHECK(!http_find(again.headers, again.header_count, "keep-alive"));
    CHECK(!http_find(again.headers, again.header_count, "proxy-authorization"));
}

static void check_way(const struct http_response_head *head, const char *bytes,
                      const struct exchange_way *way)
{
    static struct http_response_head again;
    static char out[HTTP_HEAD_MAX + EXCHANGE_HEAD_ADDED_MAX];
    const char *why;
    size_t len = exchange_head(head, bytes, way, out);
    if (len == 0)
        return;
    CHECK(len <= head->head_bytes + EXCHANGE_HEAD_ADDED_MAX);
    int n = http_parse_response(out, len, &again, &why);
    CHECK(n == (int)len || n == -431);
    if (n < 0)
        return;
    CHECK(again.status == head->status);
    CHECK(again.chunked == (head->chunked && !way->old_client));
    CHECK(head->status < 200 || again.has_length == head->has_length);
    CHECK(again.length == head->length);
    CHECK(!way->closes || way->upgrades || !again.keep_alive);
    CHECK(!http_find(again.headers, again.header_count, "keep-alive"));
}

static void check_answer(const char *bytes, size_t size)
{
    static struct http_response_head head;
    const char *why;
    if (http_parse_response(bytes, size, &head, &why) <= 0)
        return;
    for (unsigned i = 0; i < 8; i++) {
        const struct exchange_way way = {
            .old_client = i & 1, .closes = i & 2, .upgrades = (i & 4) && head.status == 101};
        check_way(&head, bytes, &way);
        if (exchange_head_passes(&head, bytes, &way))
            for (size_t k = 0; k < head.header_count; k++)
                CHECK(http_hop_of(head.headers[k].name) == HTTP_HOP_END || head.chunked);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_request((const char *)data, size);
    check_answer((const char *)data, size);
    return 0;
}
