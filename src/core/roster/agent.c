/* agent.c - reading and writing the agent check's line. Asking and answering is role/director's. */
#include "core/roster/agent.h"

#include "base/slice.h"
#include "stead/error.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Decimal digits only; beyond max it is max. */
static bool read_number(struct slice s, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.at[i] - '0');
        if (v > max)
            v = max;
    }
    *out = (uint32_t)v;
    return true;
}

static bool read_percent(struct slice s, uint32_t max, uint32_t *out)
{
    return s.len > 1 && s.at[s.len - 1] == '%' &&
           read_number((struct slice){s.at, s.len - 1}, max, out);
}

/* What is behind "name:"; at == NULL when the word is another one. */
static struct slice behind(struct slice word, const char *name)
{
    size_t n = strlen(name);
    if (word.len <= n || strncasecmp(word.at, name, n) != 0)
        return (struct slice){0};
    return (struct slice){word.at + n, word.len - n};
}

/* "blue=3" */
static bool read_group(struct slice s, struct told *t)
{
    uint32_t users;
    const char *equals = s.at ? memchr(s.at, '=', s.len) : NULL;
    if (!equals)
        return false;
    size_t len = (size_t)(equals - s.at);
    if (t->group_count == ENTRY_GROUPS_MAX || !entry_name_valid(s.at, len, false) ||
        !read_number((struct slice){equals + 1, s.len - len - 1}, USERS_MAX, &users))
        return false;
    memcpy(t->groups[t->group_count], s.at, len);
    t->group_users[t->group_count++] = users;
    t->what |= TOLD_GROUPS;
    return true;
}

static bool read_state(struct slice word, struct told *t)
{
    static const char *const downs[] = {"down", "stopped", "fail"};
    bool ready = slice_is_nocase(word, "ready"), drain = slice_is_nocase(word, "drain"),
         maint = slice_is_nocase(word, "maint"), up = slice_is_nocase(word, "up"), down = false;
    for (size_t i = 0; i < sizeof downs / sizeof *downs; i++)
        down |= slice_is_nocase(word, downs[i]);
    if (ready || drain || maint) {
        t->what |= TOLD_ADMIN;
        t->drain = drain;
        t->maint = maint;
    }
    if (up || down) {
        t->what |= TOLD_DOWN;
        t->down = down;
    }
    return ready || drain || maint || up || down;
}

static bool read_word(struct slice word, struct told *t)
{
    uint32_t n;
    if (read_state(word, t))
        return true;
    if (read_percent(word, PERCENT_MAX, &n)) {
        t->what |= TOLD_PERCENT;
        t->percent = n;
    } else if (read_number(behind(word, "maxconn:"), USERS_MAX, &n)) {
        t->what |= TOLD_CAPACITY;
        t->capacity = n;
    } else if (read_number(behind(word, "users:"), USERS_MAX, &n)) {
        t->what |= TOLD_USERS;
        t->users = n;
    } else if (read_percent(behind(word, "load:"), 100, &n)) {
        t->what |= TOLD_LOAD;
        t->load = (uint16_t)(n * 10);
    } else {
        return read_group(behind(word, "group:"), t);
    }
    return true;
}

static bool divides(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

static bool read_words(struct slice line, struct agent_word *out)
{
    unsigned words = 0;
    for (size_t i = 0; i < line.len;) {
        if (divides(line.at[i])) {
            i++;
            continue;
        }
        size_t start = i;
        while (i < line.len && !divides(line.at[i]))
            i++;
        if (++words > AGENT_WORDS_MAX)
            return false;
        out->unknown += !read_word((struct slice){line.at + start, i - start}, &out->told);
    }
    return words > 0;
}

static void read_reason(struct slice rest, struct agent_word *out)
{
    while (rest.len > 0 && (rest.at[0] == ' ' || rest.at[0] == '#')) {
        rest.at++;
        rest.len--;
    }
    if (rest.len >= sizeof out->reason)
        rest.len = sizeof out->reason - 1;
    memcpy(out->reason, rest.at, rest.len);
}

int agent_parse(const char *bytes, size_t len, struct agent_word *out)
{
    size_t most = len < AGENT_LINE_MAX ? len : AGENT_LINE_MAX, end = 0;
    *out = (struct agent_word){0};
    while (end < most && bytes[end] != '\n' && bytes[end] != '\r') {
        if (bytes[end] != '\t' && (bytes[end] < ' ' || bytes[end] > '~'))
            return STEAD_E_PARSE;
        end++;
    }
    if (end == most)
        return most == AGENT_LINE_MAX ? STEAD_E_TOO_LARGE : 0;
    const char *sharp = memchr(bytes, '#', end);
    size_t words = sharp ? (size_t)(sharp - bytes) : end;
    if (!read_words((struct slice){bytes, words}, out)) {
        *out = (struct agent_word){0};
        return STEAD_E_PARSE;
    }
    read_reason((struct slice){bytes + words, end - words}, out);
    return (int)end + 1;
}

size_t agent_print(enum status s, uint32_t percent, char out[AGENT_ANSWER_MAX])
{
    int n = 0;
    switch (s) {
    case STATUS_UP:
        n = snprintf(out, AGENT_ANSWER_MAX, "up ready %u%%\n",
                     percent < PERCENT_MAX ? percent : PERCENT_MAX);
        break;
    case STATUS_FULL: /* those who are there go on, as with a weight of 0 */
        n = snprintf(out, AGENT_ANSWER_MAX, "up ready 0%%\n");
        break;
    case STATUS_DRAINING:
        n = snprintf(out, AGENT_ANSWER_MAX, "up drain\n");
        break;
    case STATUS_MAINT:
        n = snprintf(out, AGENT_ANSWER_MAX, "maint\n");
        break;
    case STATUS_SUSPECT:
        n = snprintf(out, AGENT_ANSWER_MAX, "down # the real server does not answer\n");
        break;
    default:
        n = snprintf(out, AGENT_ANSWER_MAX, "stopped # the node is %s\n", status_name(s));
    }
    return (size_t)n;
}
