/* config_diff.c - comparing and showing configurations by the table of settings. */
#include "node/config_diff.h"

#include "base/mem.h"
#include "node/config_place.h"
#include "node/live.h"
#include "node/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A list's elements divided by commas. */
static void value_of(const struct setting *s, const void *at, char out[CONFIG_VALUE_MAX])
{
    size_t count = setting_values(s, at), len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && len + 3 < CONFIG_VALUE_MAX; i++) {
        if (i > 0)
            out[len++] = ',';
        setting_format(s, at, i, out + len, CONFIG_VALUE_MAX - len);
        len += strlen(out + len);
    }
}

/* Whole, whatever is cut for people. */
static bool equal(const struct setting *s, const void *a, const void *b)
{
    size_t count = setting_values(s, a);
    if (count != setting_values(s, b))
        return false;
    for (size_t i = 0; i < count; i++) {
        char x[2 * CONFIG_TEXT_MAX], y[2 * CONFIG_TEXT_MAX];
        setting_format(s, a, i, x, sizeof(x));
        setting_format(s, b, i, y, sizeof(y));
        if (strcmp(x, y) != 0)
            return false;
    }
    return true;
}

static struct config_difference *next(struct config_difference *out, size_t *count, size_t max,
                                      const struct config_place *p, const char *name)
{
    static struct config_difference beyond;
    struct config_difference *d = *count < max ? &out[(*count)++] : &beyond;
    *d = (struct config_difference){.section = p->section, .name = name};
    snprintf(d->title, sizeof(d->title), "%.*s", NAME_MAX_BYTES, p->title);
    d->restart = !live_applies(p->section, name);
    return d;
}

static void diff_place(const struct config_place *was, const struct config_place *is,
                       struct config_difference *out, size_t *count, size_t max)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        const char *a = (const char *)was->at + s->offset, *b = (const char *)is->at + s->offset;
        if (strcmp(s->section, was->section) != 0 || equal(s, a, b) || *count == max)
            continue;
        struct config_difference *d = next(out, count, max, was, s->name);
        value_of(s, a, d->was);
        value_of(s, b, d->is);
    }
}

static const struct config_place *find(const struct config_place *list, size_t count,
                                       const struct config_place *like)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].section, like->section) == 0 && strcmp(list[i].title, like->title) == 0)
            return &list[i];
    return NULL;
}

/* Kinds are told apart by their places (kind.h). */
static void diff_kinds(const struct sessions_section *was, const struct sessions_section *is,
                       struct config_difference *out, size_t *count, size_t max)
{
    size_t a = was->kinds.count, b = is->kinds.count;
    for (size_t i = 0; i < (a > b ? a : b) && *count < max; i++) {
        const struct kind *name = i < a ? &was->kinds.kind[i] : &is->kinds.kind[i];
        struct kind_section x, y;
        struct config_place p = {"sessions.kind", name->name, &x}, q = {p.section, p.title, &y};
        bool same = i < a && i < b && strcmp(name->name, is->kinds.kind[i].name) == 0;
        if (!same) {
            struct config_difference *d = next(out, count, max, &p, "");
            snprintf(i < a ? d->was : d->is, CONFIG_VALUE_MAX, "there");
            continue;
        }
        config_kind_rules(was, i, &x);
        config_kind_rules(is, i, &y);
        diff_place(&p, &q, out, count, max);
    }
}

size_t config_diff(const struct config *was, const struct config *is, struct config_difference *out,
                   size_t max)
{
    struct config_place a[CONFIG_PLACES_MAX], b[CONFIG_PLACES_MAX];
    size_t na = config_places(was, a), nb = config_places(is, b), count = 0;
    for (size_t i = 0; i < na; i++) {
        const struct config_place *other = find(b, nb, &a[i]);
        if (other)
            diff_place(&a[i], other, out, &count, max);
        else if (count < max)
            snprintf(next(out, &count, max, &a[i], "")->was, CONFIG_VALUE_MAX, "there");
    }
    for (size_t i = 0; i < nb; i++)
        if (!find(a, na, &b[i]) && count < max)
            snprintf(next(out, &count, max, &b[i], "")->is, CONFIG_VALUE_MAX, "there");
    if (was->sessions.present && is->sessions.present)
        diff_kinds(&was->sessions, &is->sessions, out, &count, max);
    return count;
}

void config_difference_name(const struct config_difference *d, char *out, size_t cap)
{
    bool dot = *d->section && *d->name;
    snprintf(out, cap, "%s%s%s", d->section, dot ? "." : "", d->name);
}

/* -- showing -- */

static bool is_default(const struct setting *s, const void *at)
{
    _Alignas(16) char fallback[sizeof(struct networks)] = {0};
    const char *why;
    if (!s->fallback || s->size > sizeof(fallback))
        return false;
    if (*s->fallback && !setting_parse(s, s->fallback, 0, "/", fallback, &why))
        return false;
    return equal(s, at, fallback);
}

static void show_value(FILE *to, const char *text)
{
    fputc('"', to);
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fputc('\\', to);
        fputc(*p, to);
    }
    fputc('"', to);
}

static void show_settings(FILE *to, const struct config_place *p, const char *indent)
{
    char text[2 * CONFIG_TEXT_MAX];
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        const char *at = (const char *)p->at + s->offset;
        if (strcmp(s->section, p->section) != 0 || is_default(s, at))
            continue;
        size_t count = setting_values(s, at);
        bool list = s->type >= SETTING_NAMES;
        fprintf(to, "%s%s = %s", indent, s->name, list ? "{" : "");
        for (size_t v = 0; v < count; v++) {
            setting_format(s, at, v, text, sizeof(text));
            fprintf(to, "%s", v ? ", " : "");
            show_value(to, text);
        }
        fprintf(to, "%s\n", list ? "}" : count ? "" : "\"\"");
    }
}

static bool has_title(const char *section)
{
    const struct section *s = section_find(section);
    return s && s->title;
}

static bool nested(const struct config_place *inner, const struct config_place *outer)
{
    size_t n = strlen(outer->section);
    return n > 0 && strncmp(inner->section, outer->section, n) == 0 && inner->section[n] == '.' &&
           (strcmp(inner->title, outer->title) == 0 || has_title(inner->section));
}

static void show_inner(FILE *to, const struct config_place *p)
{
    fprintf(to, "    %s", strchr(p->section, '.') + 1);
    if (has_title(p->section)) {
        fputc(' ', to);
        show_value(to, p->title);
    }
    fprintf(to, " {\n");
    show_settings(to, p, "        ");
    fprintf(to, "    }\n");
}

static void show_place(FILE *to, const struct config_place *places, size_t count, size_t i)
{
    const struct config_place *p = &places[i];
    if (!*p->section) {
        show_settings(to, p, "");
        return;
    }
    if (strchr(p->section, '.'))
        return;
    fprintf(to, "%s", p->section);
    if (has_title(p->section)) {
        fputc(' ', to);
        show_value(to, p->title);
    }
    fprintf(to, " {\n");
    show_settings(to, p, "    ");
    for (size_t k = i + 1; k < count; k++)
        if (nested(&places[k], p))
            show_inner(to, &places[k]);
    fprintf(to, "}\n");
}

char *config_show(const struct config *c)
{
    struct config_place places[CONFIG_PLACES_MAX];
    size_t count = config_places(c, places), len = 0;
    char *text = NULL;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        return NULL;
    for (size_t i = 0; i < count; i++)
        show_place(to, places, count, i);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

static json_t *difference_json(const struct config_difference *d)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "section", d->section, "title", d->title, "name",
                     d->name, "file", d->was, "now", d->is);
}

json_t *config_json(const struct config *file, const struct config *now)
{
    struct config_difference *list = mem_alloc(CONFIG_DIFFERENCES_MAX * sizeof(*list));
    char *text = config_show(now);
    json_t *changes = json_array(), *restart = json_array(), *out = NULL;
    size_t count = list ? config_diff(file, now, list, CONFIG_DIFFERENCES_MAX) : 0;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list[i].restart ? restart : changes, difference_json(&list[i]));
    if (list && text)
        out = json_pack("{s:s, s:O, s:O}", "config", text, "changes", changes, "restart", restart);
    json_decref(changes);
    json_decref(restart);
    free(text);
    mem_free(list);
    return out;
}
