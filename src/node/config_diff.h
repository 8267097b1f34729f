/* config_diff.h - two configurations compared setting by setting, and one written down as its file
 * would have it. */
#ifndef NODE_CONFIG_DIFF_H
#define NODE_CONFIG_DIFF_H

#include "node/config.h"

#include <jansson.h>

#define CONFIG_VALUE_MAX 320 /* longer ones are cut, for people */
#define CONFIG_DIFFERENCES_MAX 128

/* A section that is only in one of the two: name "", and `was` or `is` is "". */
struct config_difference {
    const char *section; /* of the table */
    char title[NAME_MAX_BYTES + 1];
    const char *name; /* of the setting */
    char was[CONFIG_VALUE_MAX], is[CONFIG_VALUE_MAX];
    bool restart; /* it is not taken up while the node runs */
};

/* Returns how many; what is beyond max is left out. */
size_t config_diff(const struct config *was, const struct config *is, struct config_difference *out,
                   size_t max);
/* "server.weight" or "server" of a difference, into out. */
void config_difference_name(const struct config_difference *d, char *out, size_t cap);
/* What differs from its default, as text that config_load() reads. free(); NULL without memory. */
char *config_show(const struct config *c);
/* {"config": text, "changes": [...], "restart": [...]}: what is in effect, where it differs from
 * the file by what operators said, and where the file waits for a restart. NULL without memory. */
json_t *config_json(const struct config *file, const struct config *now);

#endif
