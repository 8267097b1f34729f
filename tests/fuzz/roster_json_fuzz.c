/* roster_json_fuzz.c - a snapshot that is read can be written, and read again as the same. */
#include "core/roster/pick.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct roster *r, *back;
    if (roster_parse_json((const char *)data, size, &r) != 0)
        return 0;
    char *text = roster_json(r, NULL);
    CHECK(text != NULL);
    CHECK(roster_parse_json(text, strlen(text), &back) == 0);
    CHECK(back->count == r->count && back->revision == r->revision);
    char *again = roster_json(back, NULL);
    CHECK(again != NULL && strcmp(text, again) == 0);
    if (r->count > 0) {
        struct pick_filter f = {.service = r->nodes[0].entry->servers[0].service};
        struct pick_choice c;
        (void)pick(r, &f, POLICY_TWO_CHOICES, true, size, &c);
    }
    free(again);
    free(text);
    roster_unref(back);
    roster_unref(r);
    return 0;
}
