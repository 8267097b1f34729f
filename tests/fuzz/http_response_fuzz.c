/* http_response_fuzz.c - response heads, and the URLs and cookies that come in them. */
#include "core/http/http.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(struct slice value)
{
    struct http_url url;
    struct slice cookie = http_cookie(value, "stead");
    CHECK(!cookie.at || (cookie.at >= value.at && cookie.at + cookie.len <= value.at + value.len));
    if (http_url_parse(value.at, value.len, &url)) {
        CHECK(url.host.len > 0 && url.port != 0);
        CHECK(url.path.at + url.path.len == value.at + value.len);
        CHECK(memchr(url.host.at, '@', url.host.len) == NULL);
    }
    if (http_path_safe(value))
        CHECK(value.at[0] == '/' && !memchr(value.at, '\r', value.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_response_head head, again;
    const char *bytes = (const char *)data, *why = NULL;
    int r = http_parse_response(bytes, size, &head, &why);
    if (r > 0) {
        CHECK((size_t)r == head.head_bytes && (size_t)r <= size && r <= HTTP_HEAD_MAX);
        CHECK(head.status >= 100 && head.status <= 599);
        CHECK(!(head.chunked && head.has_length));
        CHECK(http_parse_response(bytes, (size_t)r - 1, &again, &why) == 0);
        for (size_t i = 0; i < head.header_count; i++)
            check_value(head.headers[i].value);
    } else if (r < 0) {
        CHECK(why != NULL);
    } else {
        CHECK(size < HTTP_HEAD_MAX);
    }
    return 0;
}
