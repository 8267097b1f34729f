/* roster_query_fuzz.c - any request head that parses: its parameters are names and numbers, or
 * refused. */
#include "fuzz_check.h"
#include "role/director/cors.h"
#include "role/director/roster_query.h"
#include "stead/error.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head head;
    struct roster_query q;
    char cors[CORS_HEADERS_MAX];
    const char *why = NULL;
    if (http_parse_request((const char *)data, size, &head, &why) <= 0)
        return 0;
    why = NULL;
    int err = roster_query_parse(&head, &q, &why);
    CHECK(err == STEAD_OK || (err == STEAD_E_INVAL && why != NULL));
    if (err == STEAD_OK) {
        CHECK(entry_name_valid(q.service, strlen(q.service), true));
        CHECK(entry_name_valid(q.on, strlen(q.on), true));
        CHECK(entry_name_valid(q.after, strlen(q.after), true));
        CHECK(q.limit <= 999999 && q.format <= ROSTER_SSE);
    }
    cors_headers("https://a.example *", &head, cors);
    CHECK(strstr(cors, "\r\n\r\n") == NULL);
    if (cors_preflight("https://a.example", &head, cors))
        CHECK(strstr(cors, "https://a.example\r\n") != NULL);
    return 0;
}
