/* slice.c - comparing slices. */
#include "base/slice.h"

#include <string.h>
#include <strings.h>

bool slice_is(struct slice s, const char *text)
{
    return s.len == strlen(text) && (s.len == 0 || memcmp(s.at, text, s.len) == 0);
}

bool slice_is_nocase(struct slice s, const char *text)
{
    return s.len == strlen(text) && (s.len == 0 || strncasecmp(s.at, text, s.len) == 0);
}

/* When the text differs, the last * takes one character more. */
bool slice_fits(struct slice s, struct slice glob)
{
    size_t g = 0, t = 0, star = glob.len, from = 0;
    while (t < s.len) {
        if (g < glob.len && glob.at[g] == '*') {
            star = g++;
            from = t;
        } else if (g < glob.len && glob.at[g] == s.at[t]) {
            g++;
            t++;
        } else if (star < glob.len) {
            g = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (g < glob.len && glob.at[g] == '*')
        g++;
    return g == glob.len;
}
