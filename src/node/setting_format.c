/* How a value of each type of setting becomes text again: what setting_parse() reads. */
#include "node/config.h"
#include "node/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    uint64_t factor;
    const char *suffix;
};

/* In the largest unit that divides it. */
static void format_quantity(uint64_t n, const struct unit *units, size_t count, char *out,
                            size_t cap)
{
    size_t i = 0;
    while (i + 1 < count && (n == 0 || n % units[i].factor != 0))
        i++;
    snprintf(out, cap, "%" PRIu64 "%s", n / units[i].factor, units[i].suffix);
}

static void format_duration(uint32_t ms, char *out, size_t cap)
{
    static const struct unit units[] = {
        {86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    if (ms == 0)
        snprintf(out, cap, "0s");
    else
        format_quantity(ms, units, sizeof(units) / sizeof(units[0]), out, cap);
}

static void format_size(uint64_t bytes, char *out, size_t cap)
{
    static const struct unit units[] = {
        {1ull << 30, "g"}, {1ull << 20, "m"}, {1ull << 10, "k"}, {1, ""}};
    format_quantity(bytes, units, sizeof(units) / sizeof(units[0]), out, cap);
}

static void format_choice(const char *choices, uint32_t index, char *out, size_t cap)
{
    const char *p = choices;
    for (uint32_t i = 0; p && i < index; i++) {
        p = strchr(p, '|');
        p = p ? p + 1 : NULL;
    }
    snprintf(out, cap, "%.*s", p ? (int)strcspn(p, "|") : 0, p ? p : "");
}

/* A word of `choices` counts from the greatest number down. */
static void format_count(const struct setting *s, uint32_t n, char *out, size_t cap)
{
    if (n > s->max && s->choices)
        format_choice(s->choices, UINT32_MAX - n, out, cap);
    else
        snprintf(out, cap, "%" PRIu32, n);
}

/* Port 1 stands for "none was given" where the setting has no port. */
static void format_address(const struct addr *a, uint16_t usual_port, char *out, size_t cap)
{
    char text[ADDR_TEXT_MAX];
    if (a->family == 0)
        snprintf(out, cap, "%s", "");
    else if (usual_port == 1 && a->port == 1)
        snprintf(out, cap, "%s", addr_format_ip(a, text));
    else
        snprintf(out, cap, "%s", addr_format(a, text));
}

static void format_network(const struct prefix *p, char *out, size_t cap)
{
    char text[ADDR_TEXT_MAX];
    struct addr a = {.family = p->family};
    memcpy(a.ip, p->ip, sizeof(a.ip));
    snprintf(out, cap, "%s/%u", addr_format_ip(&a, text), p->bits);
}

size_t setting_values(const struct setting *s, const void *value)
{
    switch (s->type) {
    case SETTING_NAMES:
    case SETTING_TEXTS:
    case SETTING_URLS:
        return ((const struct strings *)value)->count;
    case SETTING_ADDRESSES:
        return ((const struct addresses *)value)->count;
    case SETTING_NETWORKS:
        return ((const struct networks *)value)->count;
    case SETTING_ADDRESS:
        return ((const struct addr *)value)->family != 0;
    case SETTING_TEXT:
    case SETTING_NAME:
    case SETTING_PATH:
    case SETTING_URL:
    case SETTING_LISTEN:
        return *(const char *)value != '\0';
    case SETTING_DURATION:
    case SETTING_SIZE:
    case SETTING_NUMBER:
    case SETTING_COUNT:
    case SETTING_BOOL:
    case SETTING_CHOICE:
        return 1;
    }
    return 0;
}

void setting_format(const struct setting *s, const void *value, size_t index, char *out, size_t cap)
{
    uint16_t port = s->max <= UINT16_MAX ? (uint16_t)s->max : 0;
    switch (s->type) {
    case SETTING_TEXT:
    case SETTING_NAME:
    case SETTING_PATH:
    case SETTING_URL:
    case SETTING_LISTEN:
        snprintf(out, cap, "%s", (const char *)value);
        return;
    case SETTING_ADDRESS:
        format_address(value, port, out, cap);
        return;
    case SETTING_DURATION:
        format_duration(*(const uint32_t *)value, out, cap);
        return;
    case SETTING_SIZE:
        format_size(*(const uint64_t *)value, out, cap);
        return;
    case SETTING_NUMBER:
        snprintf(out, cap, "%" PRIu32, *(const uint32_t *)value);
        return;
    case SETTING_COUNT:
        format_count(s, *(const uint32_t *)value, out, cap);
        return;
    case SETTING_BOOL:
        snprintf(out, cap, "%s", *(const bool *)value ? "yes" : "no");
        return;
    case SETTING_CHOICE:
        format_choice(s->choices, *(const uint32_t *)value, out, cap);
        return;
    case SETTING_NAMES:
    case SETTING_TEXTS:
    case SETTING_URLS:
        snprintf(out, cap, "%s",
                 (const char *)((const struct strings *)value)->text + index * CONFIG_TEXT_MAX);
        return;
    case SETTING_ADDRESSES:
        format_address(&((const struct addresses *)value)->addr[index], port, out, cap);
        return;
    case SETTING_NETWORKS:
        format_network(&((const struct networks *)value)->network[index], out, cap);
        return;
    }
}
