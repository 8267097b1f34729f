/* change_fuzz.c - a line that another node sent: it is refused and changes nothing, or what it made
 * is a configuration whose difference leads to it again. */
#include "fuzz_check.h"
#include "node/change.h"
#include "node/config_diff.h"

#include <stdio.h>
#include <string.h>

static struct config base, changed, again;
static char lines[CHANGE_TEXT_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_base(void)
{
    static const char *const made[] = {
        "service add shop name=www.shop.test url=http://www.shop.test:8080",
        "service add mail name=mail.shop.test url=http://mail.shop.test:8080",
        "server add shop http://s1.shop.test:8080 forward=127.0.0.1:9000",
    };
    char why[CHANGE_WHY_MAX];
    snprintf(base.node.name, sizeof(base.node.name), "s1");
    CHECK(addr_parse("127.0.0.1:8080", 0, &base.public.listen));
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        CHECK(change_apply(&base, made[i], 0, NULL, why, sizeof(why)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[2 * CHANGE_LINE_MAX], why[CHANGE_WHY_MAX], *save = NULL;
    struct config_difference d[1];
    if (base.server_count == 0)
        make_base();
    if (size >= sizeof(line))
        return 0;
    memcpy(line, data, size);
    line[size] = '\0';
    changed = base;
    if (change_apply(&changed, line, 0, NULL, why, sizeof(why)) != 0) {
        CHECK(memcmp(&changed, &base, sizeof(base)) == 0 && *why && strlen(why) < sizeof(why));
        return 0;
    }
    CHECK(change_lines(&base, &changed, lines, sizeof(lines)) >= 0);
    again = base;
    for (char *l = strtok_r(lines, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
        CHECK(change_apply(&again, l, 0, NULL, why, sizeof(why)) == 0);
    CHECK(config_diff(&changed, &again, d, 1) == 0);
    return 0;
}
