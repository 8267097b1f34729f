/* gate_report_fuzz.c - any body of a report: it is refused, or within its ranges, and what is shown
 * of it can be shown. */
#include "fuzz_check.h"
#include "role/gate/gate_report_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct told told;
    struct tally_state now = {.from = USERS_REPORT};
    const char *why = NULL;
    if (gate_report_parse(&told, (const char *)data, size, &why)) {
        CHECK(why != NULL && told.what == 0);
        return 0;
    }
    CHECK(size <= GATE_REPORT_BYTES_MAX && told.group_count <= ENTRY_GROUPS_MAX);
    CHECK(told.users <= USERS_MAX && told.percent <= PERCENT_MAX && told.load <= LOAD_MAX);
    CHECK(!(told.drain && told.maint) && !told.down);
    for (size_t i = 0; i < told.group_count; i++)
        CHECK(entry_name_valid(told.groups[i], strlen(told.groups[i]), false));
    char *text = gate_report_json("shop", &told, 1, 1, &now);
    CHECK(text != NULL);
    free(text);
    return 0;
}
