/* resp_fuzz.c - commands of clients: arguments lie within what was read, and what is read of a cut
 * input is what is read of the whole. */
#include "core/resp/resp.h"
#include "fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct resp_command c, again;
    const char *why = NULL, *text = (const char *)data;
    while (size > 0) {
        int n = resp_parse(text, size, &c, &why);
        CHECK(n <= (int)size);
        CHECK(n >= 0 || why);
        if (n <= 0)
            return 0;
        for (size_t i = 0; i < c.argc; i++)
            CHECK(c.argv[i].at >= text && c.argv[i].at + c.argv[i].len <= text + n);
        CHECK(resp_parse(text, (size_t)n, &again, &why) == n && again.argc == c.argc);
        CHECK(resp_parse(text, (size_t)n - 1, &again, &why) == 0);
        text += n;
        size -= (size_t)n;
    }
    return 0;
}
