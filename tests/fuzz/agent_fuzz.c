/* agent_fuzz.c - agents' lines: what is read lies within its bounds, and does not hang on what
 * follows the line. */
#include "core/roster/agent.h"
#include "fuzz_check.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct agent_word w, again;
    const char *text = (const char *)data;
    int n = agent_parse(text, size, &w);
    CHECK(n <= (int)size && n <= AGENT_LINE_MAX);
    if (n <= 0) {
        CHECK(w.told.what == 0);
        return 0;
    }
    CHECK(text[n - 1] == '\n' || text[n - 1] == '\r');
    CHECK(w.unknown <= AGENT_WORDS_MAX && w.told.group_count <= ENTRY_GROUPS_MAX);
    CHECK(w.told.percent <= PERCENT_MAX && w.told.users <= USERS_MAX && w.told.load <= LOAD_MAX);
    CHECK(strlen(w.reason) < sizeof w.reason);
    CHECK(!(w.told.drain && w.told.maint));
    for (size_t i = 0; i < w.told.group_count; i++)
        CHECK(entry_name_valid(w.told.groups[i], strlen(w.told.groups[i]), false));
    CHECK(agent_parse(text, (size_t)n, &again) == n && memcmp(&w, &again, sizeof w) == 0);
    CHECK(agent_parse(text, (size_t)n - 1, &again) == 0);
    return 0;
}
