/* change_lines.c - the difference of two configurations, as the lines that lead from one to the
 * other. */
#include "node/change.h"
#include "node/settings.h"

#include <stdio.h>
#include <string.h>

#define VALUE_MAX 1300 /* a list of four URLs */

struct lines {
    char *out;
    size_t cap, len;
    bool full;
};

static void put(struct lines *l, const char *text)
{
    size_t n = strlen(text);
    if (l->full || n >= l->cap - l->len) {
        l->full = true;
        return;
    }
    memcpy(l->out + l->len, text, n + 1);
    l->len += n;
}

static void put_word(struct lines *l, const char *word)
{
    char escaped[3 * VALUE_MAX];
    if (!change_escape(word, escaped, sizeof(escaped)))
        l->full = true;
    else
        put(l, escaped);
}

static void value_of(const struct setting *s, const void *at, char out[VALUE_MAX])
{
    size_t count = setting_values(s, at), len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && len + CONFIG_TEXT_MAX + 2 < VALUE_MAX; i++) {
        if (i > 0)
            out[len++] = ',';
        setting_format(s, at, i, out + len, VALUE_MAX - len);
        len += strlen(out + len);
    }
}

/* KEY=VALUE of every setting that differs; `prefix` goes before KEY. Returns how many. */
static size_t put_section(struct lines *l, const char *section, const char *prefix,
                          const void *from, const void *to)
{
    size_t count = 0;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings[i];
        char was[VALUE_MAX], is[VALUE_MAX];
        if (strcmp(s->section, section) != 0)
            continue;
        value_of(s, (const char *)from + s->offset, was);
        value_of(s, (const char *)to + s->offset, is);
        if (strcmp(was, is) == 0)
            continue;
        put(l, " ");
        put(l, prefix);
        put(l, s->name);
        put(l, "=");
        put_word(l, is);
        count++;
    }
    return count;
}

static size_t put_server(struct lines *l, const struct server_section *from,
                         const struct server_section *to)
{
    return put_section(l, "server", "", from, to) +
           put_section(l, "server.check", "check.", &from->check, &to->check) +
           put_section(l, "server.agent-check", "agent-check.", &from->agent_check,
                       &to->agent_check);
}

static const struct server_section *server_in(const struct config *c, const char *service)
{
    for (size_t i = 0; i < c->server_count; i++)
        if (!c->servers[i].gone && strcmp(c->servers[i].service, service) == 0)
            return &c->servers[i];
    return NULL;
}

static const struct service_section *service_in(const struct config *c, const char *id)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].id, id) == 0)
            return &c->services[i];
    return NULL;
}

/* A line that turns out to say nothing is taken back. */
static void begin(struct lines *l, const char *what, const char *name)
{
    put(l, what);
    put_word(l, name);
}

static void removed(struct lines *l, const struct config *from, const struct config *to)
{
    for (size_t i = 0; i < from->server_count; i++)
        if (!from->servers[i].gone && !server_in(to, from->servers[i].service)) {
            begin(l, "server remove ", from->servers[i].service);
            put(l, "\n");
        }
    for (size_t i = 0; i < from->service_count; i++)
        if (!service_in(to, from->services[i].id)) {
            begin(l, "service remove ", from->services[i].id);
            put(l, "\n");
        }
}

static void changed_services(struct lines *l, const struct config *from, const struct config *to)
{
    for (size_t i = 0; i < to->service_count; i++) {
        const struct service_section *is = &to->services[i], *was = service_in(from, is->id);
        struct service_section blank = {.id = ""};
        size_t start = l->len;
        setting_defaults("service", &blank);
        begin(l, was ? "service set " : "service add ", is->id);
        if (put_section(l, "service", "", was ? was : &blank, is) == 0 && !l->full)
            l->len = start;
        else
            put(l, "\n");
    }
}

static void changed_servers(struct lines *l, const struct config *from, const struct config *to)
{
    for (size_t i = 0; i < to->server_count; i++) {
        const struct server_section *is = &to->servers[i];
        const struct server_section *was = is->gone ? NULL : server_in(from, is->service);
        static const struct server_section nothing;
        struct server_section blank = nothing;
        size_t start = l->len;
        if (is->gone)
            continue;
        setting_defaults("server", &blank);
        setting_defaults("server.check", &blank.check);
        begin(l, was ? "server set " : "server add ", is->service);
        if (put_server(l, was ? was : &blank, is) == 0 && !l->full)
            l->len = start;
        else
            put(l, "\n");
    }
}

long change_lines(const struct config *from, const struct config *to, char *out, size_t cap)
{
    struct lines l = {.out = out, .cap = cap};
    out[0] = '\0';
    removed(&l, from, to);
    changed_services(&l, from, to);
    changed_servers(&l, from, to);
    if (l.full)
        return -1;
    out[l.len] = '\0';
    return (long)l.len;
}
