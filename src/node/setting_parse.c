/* How the text of each type of setting becomes a value. */
#include "core/http/http.h"
#include "node/config.h"
#include "node/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Digits and one of the units, nothing else. */
static bool parse_quantity(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
    if (!isdigit((unsigned char)*text))
        return false;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].suffix) != 0)
            continue;
        return !__builtin_mul_overflow((uint64_t)n, units[i].factor, out);
    }
    return false;
}

static bool parse_duration(const char *text, uint64_t *out)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    return parse_quantity(text, units, sizeof(units) / sizeof(units[0]), out);
}

static bool parse_size(const char *text, uint64_t *out)
{
    static const struct unit units[] = {
        {"", 1}, {"b", 1}, {"k", 1ull << 10}, {"m", 1ull << 20}, {"g", 1ull << 30}};
    return parse_quantity(text, units, sizeof(units) / sizeof(units[0]), out);
}

static bool valid_name(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-._", *p))
            return false;
    return true;
}

static bool valid_url(const char *text)
{
    struct http_url url;
    char like[CONFIG_TEXT_MAX + 8]; /* an authority is the same behind any scheme */
    if (entry_url_is_tcp(text)) {
        int n = snprintf(like, sizeof(like), "http://%s", text + strlen("tcp://"));
        return n > 0 && (size_t)n < sizeof(like) && http_url_parse(like, (size_t)n, &url) &&
               url.port_given && url.path.len == 0;
    }
    return http_url_parse(text, strlen(text), &url) &&
           (url.path.len == 0 || slice_is(url.path, "/"));
}

static bool copy_text(char *out, size_t size, const char *text, const char **why)
{
    size_t len = strlen(text);
    if (len >= size) {
        *why = "it is too long";
        return false;
    }
    if (out)
        memcpy(out, text, len + 1);
    return true;
}

static bool parse_path(char *out, size_t size, const char *text, const char *base, const char **why)
{
    char full[2 * CONFIG_TEXT_MAX];
    bool relative = *text && *text != '/' && base;
    int n = snprintf(full, sizeof(full), "%s%s%s", relative ? base : "", relative ? "/" : "", text);
    if (n < 0 || (size_t)n >= sizeof(full)) {
        *why = "it is too long";
        return false;
    }
    return copy_text(out, size, full, why);
}

static bool parse_listen(const struct setting *s, const char *text, const char *base, char *out,
                         const char **why)
{
    struct addr a;
    if (strncmp(text, "unix:", 5) != 0) {
        *why = "it is neither unix:PATH nor ADDRESS:PORT";
        return addr_parse(text, 0, &a) && copy_text(out, s->size, text, why);
    }
    char path[CONFIG_TEXT_MAX], full[CONFIG_TEXT_MAX + 8];
    if (!parse_path(path, sizeof(path), text + 5, base, why))
        return false;
    snprintf(full, sizeof(full), "unix:%s", path);
    return copy_text(out, s->size, full, why);
}

static bool parse_choice(const struct setting *s, const char *text, uint32_t *out)
{
    size_t len = strlen(text);
    uint32_t index = 0;
    for (const char *p = s->choices; p; index++) {
        const char *bar = strchr(p, '|');
        size_t n = bar ? (size_t)(bar - p) : strlen(p);
        if (n == len && memcmp(p, text, n) == 0) {
            if (out)
                *out = index;
            return true;
        }
        p = bar ? bar + 1 : NULL;
    }
    return false;
}

static bool parse_bool(const char *text, bool *out)
{
    bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "on") == 0;
    bool no = strcmp(text, "no") == 0 || strcmp(text, "false") == 0 || strcmp(text, "off") == 0;
    if (out)
        *out = yes;
    return yes || no;
}

/* A number in the row's range; unit by type. */
static bool parse_number(const struct setting *s, const char *text, void *out, const char **why)
{
    static const struct unit plain[] = {{"", 1}};
    uint64_t n = 0;
    if (s->type == SETTING_DURATION) {
        *why = "it is not a duration such as 500ms, 5s, 2m, 1h or 7d";
        if (!parse_duration(text, &n))
            return false;
    } else if (s->type == SETTING_SIZE) {
        *why = "it is not a size such as 4096, 64k, 256m or 2g";
        if (!parse_size(text, &n))
            return false;
    } else {
        *why = "it is not a number";
        if (!parse_quantity(text, plain, 1, &n))
            return false;
    }
    *why = "it is out of range";
    if (n < s->min || n > s->max || (s->type != SETTING_SIZE && n > UINT32_MAX))
        return false;
    if (out && s->type == SETTING_SIZE)
        *(uint64_t *)out = n;
    else if (out)
        *(uint32_t *)out = (uint32_t)n;
    return true;
}

static bool parse_strings(const struct setting *s, const char *text, size_t index,
                          struct strings *out, const char **why)
{
    *why = "there are too many in this list";
    if (index >= (s->size - offsetof(struct strings, text)) / CONFIG_TEXT_MAX)
        return false;
    *why = s->type == SETTING_URLS
               ? "it is neither an http or https URL without a path, nor tcp://NAME:PORT"
               : "it may have letters, digits, '-', '.' and '_' only";
    if (s->type == SETTING_URLS && !valid_url(text))
        return false;
    if (s->type == SETTING_NAMES && (!valid_name(text) || !*text))
        return false;
    if (out)
        out->count = index + 1;
    size_t limit = s->type == SETTING_NAMES ? NAME_MAX_BYTES + 1 : CONFIG_TEXT_MAX;
    return copy_text(out ? (char *)out->text + index * CONFIG_TEXT_MAX : NULL, limit, text, why);
}

static bool parse_addresses(const struct setting *s, const char *text, size_t index,
                            struct addresses *out, const char **why)
{
    struct addr a;
    *why = "there are too many in this list";
    if (index >= CONFIG_JOIN_MAX)
        return false;
    *why = "it is not an IP address (with :PORT)";
    if (!addr_parse(text, (uint16_t)s->max, &a))
        return false;
    if (out) {
        out->addr[index] = a;
        out->count = index + 1;
    }
    return true;
}

static bool parse_networks(const char *text, size_t index, struct networks *out, const char **why)
{
    struct prefix p;
    *why = "there are too many in this list";
    if (index >= CONFIG_NETWORKS_MAX)
        return false;
    *why = "it is not a network such as 10.0.0.0/8 or fd00::/8, with no bit set beyond its length";
    if (!prefix_parse(text, &p))
        return false;
    if (out) {
        out->network[index] = p;
        out->count = index + 1;
    }
    return true;
}

bool setting_parse(const struct setting *s, const char *text, size_t index, const char *base,
                   void *out, const char **why)
{
    *why = "";
    switch (s->type) {
    case SETTING_TEXT:
        return copy_text(out, s->size, text, why);
    case SETTING_NAME:
        *why = "it may have letters, digits, '-', '.' and '_' only";
        return valid_name(text) && copy_text(out, s->size, text, why);
    case SETTING_PATH:
        return parse_path(out, s->size, text, base, why);
    case SETTING_URL:
        *why = "it is neither an http or https URL without a path, nor tcp://NAME:PORT";
        return valid_url(text) && copy_text(out, s->size, text, why);
    case SETTING_ADDRESS: {
        struct addr a;
        *why = s->max ? "it is not an IP address (with :PORT)" : "it is not IP:PORT";
        if (!addr_parse(text, (uint16_t)s->max, &a))
            return false;
        if (out)
            memcpy(out, &a, sizeof(a));
        return true;
    }
    case SETTING_LISTEN:
        return parse_listen(s, text, base, out, why);
    case SETTING_DURATION:
    case SETTING_SIZE:
    case SETTING_NUMBER:
        return parse_number(s, text, out, why);
    case SETTING_COUNT:
        if (parse_choice(s, text, out)) {
            if (out)
                *(uint32_t *)out = UINT32_MAX - *(uint32_t *)out;
            return true;
        }
        return parse_number(s, text, out, why);
    case SETTING_BOOL:
        *why = "it is neither yes nor no";
        return parse_bool(text, out);
    case SETTING_CHOICE:
        *why = "it is not one of the words allowed";
        return parse_choice(s, text, out);
    case SETTING_NAMES:
    case SETTING_TEXTS:
    case SETTING_URLS:
        return parse_strings(s, text, index, out, why);
    case SETTING_ADDRESSES:
        return parse_addresses(s, text, index, out, why);
    case SETTING_NETWORKS:
        return parse_networks(text, index, out, why);
    }
    return false;
}

void setting_defaults(const char *section, void *out)
{
    const char *why;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        if (strcmp(s->section, section) == 0 && s->fallback && *s->fallback)
            setting_parse(s, s->fallback, 0, NULL, (char *)out + s->offset, &why);
    }
}
