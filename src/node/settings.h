/* settings.h - the one table of settings: section, name, type, unit, default, range and help. The
 * parser, `stead check`, `stead settings`, the manual page and the defaults all read it. */
#ifndef NODE_SETTINGS_H
#define NODE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum setting_type {
    SETTING_TEXT,    /* char[] of `size` bytes */
    SETTING_NAME,    /* as TEXT: letters, digits, '-', '.', '_' */
    SETTING_PATH,    /* as TEXT: relative to the folder of the config file */
    SETTING_URL,     /* as TEXT: http, https or tcp */
    SETTING_ADDRESS, /* struct addr; a port of `max` when none is given, 0 = the port is required */
    SETTING_LISTEN,  /* as TEXT: "unix:PATH" or "ADDRESS:PORT" */
    SETTING_DURATION,  /* uint32_t milliseconds: "500ms", "5s", "2m", "1h", "7d" */
    SETTING_SIZE,      /* uint64_t bytes: "4096", "64k", "256m", "2g" */
    SETTING_NUMBER,    /* uint32_t */
    SETTING_COUNT,     /* uint32_t: a number, or UINT32_MAX - i for word i of `choices` */
    SETTING_BOOL,      /* bool: yes or no */
    SETTING_CHOICE,    /* uint32_t: index into `choices`, words divided by '|' */
    SETTING_NAMES,     /* struct strings, or voters: a list of names */
    SETTING_TEXTS,     /* struct strings: a list of texts */
    SETTING_URLS,      /* struct strings: a list of URLs */
    SETTING_ADDRESSES, /* struct addresses */
    SETTING_NETWORKS   /* struct networks */
};

/* One row. section "" is the top level; "server.check" is check inside of server. */
struct setting {
    const char *section, *name;
    enum setting_type type;
    const char *fallback; /* as it would be written; NULL = required; "" = empty */
    uint64_t min, max; /* of DURATION (ms), SIZE (bytes), NUMBER; max = default port of addresses */
    const char *choices;
    size_t offset, size; /* in the section's struct */
    const char *help;
};

struct section {
    const char *name;
    const char *title; /* what its title names, NULL = it has none */
    bool many;
    const char *help;
};

extern const struct setting settings[];
extern const size_t settings_count;
extern const struct section sections[];
extern const size_t sections_count;

const struct setting *setting_find(const char *section, const char *name);
const struct section *section_find(const char *name);
/* The setting or section of that section whose name is nearest to `name`, or NULL when none is
 * near. */
const char *setting_nearest(const char *section, const char *name);
/* Parses text into *out (NULL: only checks). False: *why says what is wrong (static text). base:
 * the folder that relative paths are under. Lists are parsed element by element (index). */
bool setting_parse(const struct setting *s, const char *text, size_t index, const char *base,
                   void *out, const char **why);
/* Sets every setting of a section to its default; relative paths stay so. */
void setting_defaults(const char *section, void *out);
/* The reverse: how many values there are (0: none, as empty text or no address; 1 unless it is a
 * list), and value `index` as it would be written, in the largest unit that divides it. */
size_t setting_values(const struct setting *s, const void *value);
void setting_format(const struct setting *s, const void *value, size_t index, char *out,
                    size_t cap);
/* "duration", "size", ... for people. */
const char *setting_type_name(enum setting_type t);

#endif
