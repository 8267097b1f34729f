/* keys_file.c - the text of a key file. docs/keys.md, The file. */
#include "core/mesh/keys.h"

#include "stead/error.h"

#include <stdio.h>
#include <string.h>

#define HEX_CHARS (2 * KEY_SECRET_BYTES)
#define WORDS_MAX 6

static const char *const state_words[] = {
    [KEY_ACCEPTED] = "accepted", [KEY_RETIRED] = "retired", [KEY_FORGOTTEN] = "forgotten"};
static const char *const lasting_words[] = {
    [LASTING_PLACEMENT] = "placement", [LASTING_VISIT] = "visit", [LASTING_NAMES] = "names"};

struct word {
    const char *at;
    size_t len;
};

static bool is(struct word w, const char *text)
{
    return w.len == strlen(text) && memcmp(w.at, text, w.len) == 0;
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool hex(struct word w, uint8_t *out, size_t len)
{
    bool good = w.len == 2 * len;
    for (size_t i = 0; good && i < len; i++) {
        int high = digit(w.at[2 * i]), low = digit(w.at[2 * i + 1]);
        good = high >= 0 && low >= 0;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return good;
}

static bool number(struct word w, uint32_t max, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < w.len; i++) {
        if (w.at[i] < '0' || w.at[i] > '9' || w.len > 10)
            return false;
        uint64_t next = (uint64_t)*out * 10 + (uint64_t)(w.at[i] - '0');
        if (next > max)
            return false;
        *out = (uint32_t)next;
    }
    return w.len > 0;
}

static size_t split(const char *line, size_t len, struct word words[WORDS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < len;) {
        size_t start = i;
        while (i < len && line[i] != ' ')
            i++;
        if (count == WORDS_MAX)
            return WORDS_MAX + 1;
        if (i > start)
            words[count++] = (struct word){line + start, i - start};
        i += i < len;
    }
    return count;
}

/* generation NUMBER STATE MARK [SECRET|DATA] [quiet] */
static bool read_generation(struct keys *k, const struct word *w, size_t count)
{
    uint32_t n;
    uint8_t mark[8];
    struct wire_reader r;
    if (k->count == KEYS_MAX || count < 4 || !number(w[1], UINT8_MAX, &n) || n == 0 ||
        !hex(w[3], mark, sizeof mark))
        return false;
    struct key_generation *g = &k->list[k->count];
    wire_reader_init(&r, mark, sizeof mark);
    *g = (struct key_generation){.number = (uint8_t)n, .mark = wire_u64(&r)};
    while (g->state <= KEY_FORGOTTEN && !is(w[2], state_words[g->state]))
        if (g->state++ == KEY_FORGOTTEN)
            return false;
    bool has_bytes = count > 4;
    g->quiet = count == 6 && is(w[5], "quiet");
    if ((count == 6 && !g->quiet) || has_bytes != (g->state == KEY_ACCEPTED || count == 5) ||
        (g->state != KEY_ACCEPTED && g->quiet) || (g->state == KEY_FORGOTTEN && has_bytes))
        return false;
    g->has_data = has_bytes;
    if (!has_bytes) {
        k->count++;
        return true;
    }
    if (g->state == KEY_RETIRED && !hex(w[4], g->data, sizeof g->data))
        return false;
    if (g->state == KEY_ACCEPTED) {
        struct keys one;
        uint8_t secret[KEY_SECRET_BYTES];
        if (!hex(w[4], secret, sizeof secret))
            return false;
        keys_init(&one, secret);
        bool good = one.active == g->mark;
        memcpy(g->secret, one.list[0].secret, sizeof g->secret);
        memcpy(g->data, one.list[0].data, sizeof g->data);
        keys_wipe(&one);
        explicit_bzero(secret, sizeof secret);
        if (!good)
            return false;
    }
    k->count++;
    return true;
}

/* What stands in a file beside the generations. */
struct rest {
    unsigned lasting; /* bits */
    uint32_t count;   /* so many generations follow: a file that was cut off is no key file */
};

static bool read_line(struct keys *k, const char *line, size_t len, struct rest *rest)
{
    struct word w[WORDS_MAX];
    uint8_t mark[8];
    struct wire_reader r;
    size_t count = split(line, len, w);
    if (count == 0 || line[0] == '#')
        return true;
    if (count > WORDS_MAX)
        return false;
    if (is(w[0], "generation"))
        return read_generation(k, w, count);
    if (is(w[0], "active") && count == 4 && k->active == 0 && hex(w[1], mark, sizeof mark)) {
        wire_reader_init(&r, mark, sizeof mark);
        k->active = wire_u64(&r);
        return number(w[2], KEYS_TURN_MAX, &k->turn) && number(w[3], KEYS_MAX, &rest->count);
    }
    for (unsigned i = 0; i < LASTING_COUNT; i++)
        if (count == 2 && is(w[0], lasting_words[i]) && !(rest->lasting & 1u << i)) {
            rest->lasting |= 1u << i;
            return hex(w[1], k->lasting[i], KEY_SECRET_BYTES);
        }
    return false;
}

static bool whole(const struct keys *k, const struct rest *rest)
{
    const struct key_generation *active = keys_find(k, k->active);
    size_t accepted = 0;
    for (size_t i = 0; i < k->count; i++) {
        const struct key_generation *g = &k->list[i], *before = i ? g - 1 : NULL;
        accepted += g->state == KEY_ACCEPTED;
        if (keys_find(k, g->mark) != g ||
            (before && (before->number > g->number ||
                        (before->number == g->number && before->mark >= g->mark))))
            return false;
    }
    return active && active->state == KEY_ACCEPTED && accepted <= KEYS_ACCEPTED_MAX &&
           rest->lasting == (1u << LASTING_COUNT) - 1 && rest->count == k->count;
}

int keys_read(struct keys *k, const char *text, size_t len)
{
    uint8_t secret[KEY_SECRET_BYTES];
    struct rest rest = {0};
    *k = (struct keys){0};
    size_t bare = len > 0 && text[len - 1] == '\n' ? len - 1 : len;
    if (hex((struct word){text, bare}, secret, sizeof secret)) {
        keys_init(k, secret);
        explicit_bzero(secret, sizeof secret);
        return STEAD_OK;
    }
    explicit_bzero(secret, sizeof secret);
    bool good = len < KEYS_TEXT_MAX && memchr(text, '\0', len) == NULL;
    for (size_t i = 0; good && i < len;) {
        const char *end = memchr(text + i, '\n', len - i);
        size_t line = end ? (size_t)(end - text) - i : len - i;
        good = read_line(k, text + i, line, &rest);
        i += line + 1;
    }
    if (!good || !whole(k, &rest)) {
        keys_wipe(k);
        return STEAD_E_PARSE;
    }
    k->lasting_known = true;
    return STEAD_OK;
}

static size_t put_hex(char *out, const uint8_t *bytes)
{
    for (size_t i = 0; i < KEY_SECRET_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return HEX_CHARS;
}

_Static_assert(128 + LASTING_COUNT * 80 + KEYS_MAX * 128 < KEYS_TEXT_MAX, "the longest file fits");

size_t keys_write(const struct keys *k, char out[KEYS_TEXT_MAX])
{
    size_t n = 0;
    if (k->count == 1 && k->turn == 0 && k->list[0].number == 1) {
        n = put_hex(out, k->list[0].secret);
        return n + (size_t)snprintf(out + n, KEYS_TEXT_MAX - n, "\n");
    }
    n = (size_t)snprintf(out, KEYS_TEXT_MAX,
                         "# keys of a stead farm: 'stead key' changes them\n"
                         "active %016llx %u %zu\n",
                         (unsigned long long)k->active, (unsigned)k->turn, k->count);
    for (int i = 0; i < LASTING_COUNT; i++) {
        n += (size_t)snprintf(out + n, KEYS_TEXT_MAX - n, "%s ", lasting_words[i]);
        n += put_hex(out + n, k->lasting[i]);
        out[n++] = '\n';
    }
    for (size_t i = 0; i < k->count; i++) {
        const struct key_generation *g = &k->list[i];
        n += (size_t)snprintf(out + n, KEYS_TEXT_MAX - n, "generation %u %s %016llx", g->number,
                              state_words[g->state], (unsigned long long)g->mark);
        if (g->has_data) {
            out[n++] = ' ';
            n += put_hex(out + n, g->state == KEY_ACCEPTED ? g->secret : g->data);
        }
        n += (size_t)snprintf(out + n, KEYS_TEXT_MAX - n, "%s\n",
                              g->quiet && g->state == KEY_ACCEPTED ? " quiet" : "");
    }
    return n;
}
