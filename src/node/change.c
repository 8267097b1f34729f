/* change.c - lines that change a configuration. What has been changed is made into lines again by
 * change_lines.c. */
#include "node/change.h"

#include "base/mem.h"
#include "node/config_place.h"
#include "node/settings.h"
#include "stead/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct words {
    size_t count;
    char *at[CHANGE_WORDS_MAX];
    char text[CHANGE_LINE_MAX];
};

/* The change under way, on a copy of the configuration. */
struct changing {
    struct config *config;
    struct words words;
    unsigned busy;
    struct change_about about;
    char *why;
    size_t cap;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct changing *g, int error,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(g->why, g->cap, format, args);
    va_end(args);
    return error;
}

/* -- words -- */

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool plain(char c)
{
    return c > ' ' && c < 127 && c != '%' && c != '"' && c != '\\';
}

bool change_escape(const char *word, char *out, size_t cap)
{
    size_t len = 0;
    for (const char *p = word; *p; p++) {
        if (len + 4 > cap)
            return false;
        if (plain(*p))
            out[len++] = *p;
        else
            len += (size_t)snprintf(out + len, 4, "%%%02x", (unsigned char)*p);
    }
    if (len >= cap)
        return false;
    out[len] = '\0';
    return true;
}

/* Undoes the escapes of one word in its place. */
static bool unescape(char *word)
{
    char *to = word;
    for (const char *p = word; *p; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        int high = hex_value(p[1]), low = high < 0 ? -1 : hex_value(p[2]);
        if (low < 0 || high * 16 + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        p += 2;
    }
    *to = '\0';
    return true;
}

static bool split(struct words *w, const char *line)
{
    char *save = NULL;
    if (strlen(line) >= sizeof(w->text))
        return false;
    memcpy(w->text, line, strlen(line) + 1);
    w->count = 0;
    for (char *p = strtok_r(w->text, " \n", &save); p; p = strtok_r(NULL, " \n", &save)) {
        if (w->count == CHANGE_WORDS_MAX || !unescape(p))
            return false;
        w->at[w->count++] = p;
    }
    return w->count >= 3;
}

/* -- one setting -- */

/* The section's struct that KEY is of, and KEY without the section's name. */
static void *find_section(const char *section, void *outer, const char **key, const char **found)
{
    struct server_section *s = outer;
    *found = section;
    if (strcmp(section, "server") != 0)
        return outer;
    if (strncmp(*key, "check.", 6) == 0) {
        *key += 6;
        *found = "server.check";
        return &s->check;
    }
    if (strncmp(*key, "agent-check.", 12) == 0) {
        *key += 12;
        *found = "server.agent-check";
        if (s->agent_check.interval_ms == 0)
            setting_defaults("server.agent-check", &s->agent_check);
        return &s->agent_check;
    }
    return outer;
}

static int set_value(struct changing *g, const struct setting *s, const char *text, void *to)
{
    char copy[CHANGE_LINE_MAX], *save = NULL;
    const char *why;
    size_t index = 0;
    memset(to, 0, s->size);
    if (s->type < SETTING_NAMES) {
        if (!*text && s->fallback)
            text = s->fallback;
        if (!*text && s->type <= SETTING_LISTEN)
            return s->fallback ? STEAD_OK : refuse(g, STEAD_E_INVAL, "%s is required", s->name);
        return setting_parse(s, text, 0, "/", to, &why)
                   ? STEAD_OK
                   : refuse(g, STEAD_E_INVAL, "%s = \"%.64s\": %s%s%s", s->name, text, why,
                            s->choices ? ": " : "", s->choices ? s->choices : "");
    }
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
        if (!setting_parse(s, p, index++, "/", to, &why))
            return refuse(g, STEAD_E_INVAL, "%s: \"%.64s\": %s", s->name, p, why);
    return STEAD_OK;
}

static int set(struct changing *g, const char *section, void *outer, char *word)
{
    char *equals = strchr(word, '=');
    *equals = '\0';
    const char *key = word, *found;
    void *at = find_section(section, outer, &key, &found);
    const struct setting *s = setting_find(found, key);
    if (!s) {
        const char *nearest = setting_nearest(found, key);
        return refuse(g, STEAD_E_INVAL, "section %s has no setting '%.32s'%s%s%s", found, key,
                      nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
    }
    return set_value(g, s, equals + 1, (char *)at + s->offset);
}

static bool is_url(const char *word)
{
    const char *scheme = strstr(word, "://"), *equals = strchr(word, '=');
    return scheme && (!equals || equals > scheme);
}

/* Every word from `first` on that is KEY=VALUE; the others are passed over. */
static int set_all(struct changing *g, const char *section, void *outer, size_t first)
{
    int err = STEAD_OK;
    for (size_t i = first; !err && i < g->words.count; i++) {
        if (strchr(g->words.at[i], '=') && !is_url(g->words.at[i]))
            err = set(g, section, outer, g->words.at[i]);
    }
    return err;
}

/* -- servers -- */

static bool has_url(const struct server_section *s, const char *url)
{
    for (size_t i = 0; i < s->urls.count; i++)
        if (strcmp(s->urls.text[i], url) == 0)
            return true;
    return false;
}

/* By service, by URL, or the only one. */
static struct server_section *find_server(struct config *c, const char *name)
{
    struct server_section *only = NULL;
    size_t count = 0;
    for (size_t i = 0; i < c->server_count; i++) {
        struct server_section *s = &c->servers[i];
        if (s->gone)
            continue;
        only = s;
        count++;
        if (strcmp(s->service, name) == 0 || has_url(s, name))
            return s;
    }
    return strcmp(name, "-") == 0 && count == 1 ? only : NULL;
}

/* Its own place if it was here before, so that who is still connected is counted; else one that
 * nobody uses. */
static struct server_section *place_for(struct changing *g, const char *service)
{
    struct config *c = g->config;
    for (size_t i = 0; i < c->server_count; i++)
        if (c->servers[i].gone && strcmp(c->servers[i].service, service) == 0)
            return &c->servers[i];
    for (size_t i = 0; i < c->server_count; i++)
        if (c->servers[i].gone && !(g->busy >> i & 1))
            return &c->servers[i];
    return c->server_count < ENTRY_SERVERS_MAX ? &c->servers[c->server_count++] : NULL;
}

static int new_server(struct changing *g, const char *service, struct server_section **out)
{
    struct server_section *s = place_for(g, service);
    if (!s)
        return refuse(g, STEAD_E_FULL,
                      "a node has %d servers at most, clients of a removed one counted",
                      ENTRY_SERVERS_MAX);
    if (strlen(service) > NAME_MAX_BYTES)
        return refuse(g, STEAD_E_INVAL, "service: it is too long");
    memset(s, 0, sizeof(*s));
    setting_defaults("server", s);
    setting_defaults("server.check", &s->check);
    snprintf(s->service, sizeof(s->service), "%s", service);
    *out = s;
    return STEAD_OK;
}

static int add_urls(struct changing *g, struct server_section *s)
{
    const struct setting *urls = setting_find("server", "urls");
    const char *why;
    for (size_t i = 3; i < g->words.count; i++) {
        const char *word = g->words.at[i];
        if (!is_url(word) && !strchr(word, '='))
            return refuse(g, STEAD_E_INVAL, "'%.64s' is neither a URL nor KEY=VALUE", word);
        if (!is_url(word) || has_url(s, word))
            continue;
        if (!setting_parse(urls, word, s->urls.count, "/", &s->urls, &why))
            return refuse(g, STEAD_E_INVAL, "urls: \"%.64s\": %s", word, why);
    }
    return STEAD_OK;
}

static int check_server(struct changing *g, const struct server_section *s)
{
    if (g->config->public.listen.family == 0 && g->config->public.listen_tls.family == 0)
        return refuse(g, STEAD_E_INVAL, "this node has no public { listen = ... } before a server");
    for (size_t i = 0; i < s->urls.count; i++)
        if (!config_server_fixed(g->config, s) && entry_url_is_tcp(s->urls.text[i]))
            return refuse(g, STEAD_E_INVAL, "urls: %s is not of this service", s->urls.text[i]);
    for (size_t i = 0; i < s->urls.count; i++)
        if (!entry_url_valid(s->urls.text[i], strlen(s->urls.text[i])))
            return refuse(g, STEAD_E_INVAL, "urls: %s: it must be http:// or https:// and a host",
                          s->urls.text[i]);
    if (s->urls.count == 0)
        return refuse(g, STEAD_E_INVAL, "a server needs a URL");
    if (s->forward.family == 0 && !config_server_fixed(g->config, s))
        return refuse(g, STEAD_E_INVAL, "a server needs forward=ADDRESS:PORT");
    if (s->agent_check.interval_ms == 0 && s->agent_check.address.family)
        return refuse(g, STEAD_E_INVAL, "agent-check: interval and timeout are required");
    return config_server_mistake(g->config, s, g->why, g->cap) ? STEAD_E_INVAL : STEAD_OK;
}

static int refuse_fixed(struct changing *g, const struct server_section *s)
{
    return refuse(g, STEAD_E_UNSUPPORTED,
                  "server \"%s\": over TCP or in line only weight, capacity, users and checks "
                  "change without a restart",
                  s->service);
}

/* What the listeners of the start were made from has not changed? */
static bool same_fixed(const struct server_section *a, const struct server_section *b)
{
    return memcmp(&a->urls, &b->urls, sizeof(a->urls)) == 0 &&
           memcmp(&a->tcp, &b->tcp, sizeof(a->tcp)) == 0 && addr_equal(&a->forward, &b->forward) &&
           strcmp(a->backup, b->backup) == 0;
}

static int server_add(struct changing *g)
{
    const char *service = g->words.at[2];
    struct server_section *s = find_server(g->config, service);
    int err = s ? STEAD_OK : new_server(g, service, &s);
    if (!err && config_server_fixed(g->config, s))
        return refuse_fixed(g, s);
    if (!err)
        err = add_urls(g, s);
    if (!err)
        err = set_all(g, "server", s, 3);
    return err ? err : check_server(g, s);
}

static int server_set(struct changing *g)
{
    struct server_section *s = find_server(g->config, g->words.at[2]);
    if (!s)
        return refuse(g, STEAD_E_NOT_FOUND, "this node has no server '%.128s'", g->words.at[2]);
    for (size_t i = 3; i < g->words.count; i++)
        if (!strchr(g->words.at[i], '='))
            return refuse(g, STEAD_E_INVAL, "'%.64s' is not KEY=VALUE", g->words.at[i]);
    if (g->words.count < 4)
        return refuse(g, STEAD_E_INVAL, "what shall be set?");
    struct server_section before = *s;
    bool fixed = config_server_fixed(g->config, s);
    int err = set_all(g, "server", s, 3);
    if (!err && (fixed || config_server_fixed(g->config, s)) && !same_fixed(&before, s))
        return refuse_fixed(g, s);
    return err ? err : check_server(g, s);
}

static int server_remove(struct changing *g)
{
    struct server_section *s = find_server(g->config, g->words.at[2]);
    if (!s)
        return refuse(g, STEAD_E_NOT_FOUND, "this node has no server '%.128s'", g->words.at[2]);
    if (config_server_fixed(g->config, s))
        return refuse_fixed(g, s);
    struct strings left = {0};
    for (size_t i = 3; i < g->words.count; i++)
        if (!has_url(s, g->words.at[i]))
            return refuse(g, STEAD_E_NOT_FOUND, "%.128s is no URL of it", g->words.at[i]);
    for (size_t u = 0; g->words.count > 3 && u < s->urls.count; u++) {
        bool named = false;
        for (size_t i = 3; i < g->words.count; i++)
            named |= strcmp(s->urls.text[u], g->words.at[i]) == 0;
        if (!named)
            memcpy(left.text[left.count++], s->urls.text[u], CONFIG_TEXT_MAX);
    }
    if (left.count > 0) {
        s->urls = left;
        return STEAD_OK;
    }
    s->gone = true;
    g->about.removes_server = true;
    snprintf(g->about.service, sizeof(g->about.service), "%s", s->service);
    return STEAD_OK;
}

/* -- services -- */

static struct service_section *find_service(struct config *c, const char *id)
{
    for (size_t i = 0; i < c->service_count; i++)
        if (strcmp(c->services[i].id, id) == 0)
            return &c->services[i];
    return NULL;
}

static int check_service(struct changing *g, const struct service_section *s)
{
    if (!*s->name || !*s->url)
        return refuse(g, STEAD_E_INVAL, "a service needs name=NAME and url=URL");
    if (entry_url_is_tcp(s->url))
        return refuse(g, STEAD_E_UNSUPPORTED, "services over TCP change with a restart");
    return config_service_mistake(g->config, s, g->why, g->cap) ? STEAD_E_INVAL : STEAD_OK;
}

static int service_add(struct changing *g)
{
    struct config *c = g->config;
    const struct setting id = {.type = SETTING_NAME, .size = NAME_MAX_BYTES + 1};
    const char *why;
    if (find_service(c, g->words.at[2]))
        return refuse(g, STEAD_E_EXISTS, "there is a service '%.63s' already", g->words.at[2]);
    if (c->service_count == CONFIG_SERVICES_MAX)
        return refuse(g, STEAD_E_FULL, "there are %d services at most", CONFIG_SERVICES_MAX);
    struct service_section *s = &c->services[c->service_count++];
    memset(s, 0, sizeof(*s));
    setting_defaults("service", s);
    if (!setting_parse(&id, g->words.at[2], 0, NULL, s->id, &why))
        return refuse(g, STEAD_E_INVAL, "service: %s", why);
    int err = set_all(g, "service", s, 3);
    return err ? err : check_service(g, s);
}

static int service_set(struct changing *g)
{
    struct service_section *s = find_service(g->config, g->words.at[2]);
    if (!s)
        return refuse(g, STEAD_E_NOT_FOUND, "there is no service '%.63s'", g->words.at[2]);
    int err = set_all(g, "service", s, 3);
    return err ? err : check_service(g, s);
}

static int service_remove(struct changing *g)
{
    struct config *c = g->config;
    struct service_section *s = find_service(c, g->words.at[2]);
    if (!s)
        return refuse(g, STEAD_E_NOT_FOUND, "there is no service '%.63s'", g->words.at[2]);
    if (find_server(c, s->id))
        return refuse(g, STEAD_E_INVAL, "this node has a server of '%.63s': remove it first",
                      s->id);
    size_t i = (size_t)(s - c->services);
    memmove(s, s + 1, (c->service_count - i - 1) * sizeof(*s));
    c->service_count--;
    memset(&c->services[c->service_count], 0, sizeof(*s));
    return STEAD_OK;
}

static const struct {
    const char *noun, *verb;
    int (*apply)(struct changing *g);
} kinds[] = {
    {"server", "add", server_add},       {"server", "set", server_set},
    {"server", "remove", server_remove}, {"service", "add", service_add},
    {"service", "set", service_set},     {"service", "remove", service_remove},
};

static int apply(struct changing *g, const char *line)
{
    if (!split(&g->words, line))
        return refuse(g, STEAD_E_INVAL, "it is no change, or too long a one");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(g->words.at[0], kinds[i].noun) == 0 &&
            strcmp(g->words.at[1], kinds[i].verb) == 0)
            return kinds[i].apply(g);
    return refuse(g, STEAD_E_INVAL, "'%.32s %.32s' is no change", g->words.at[0], g->words.at[1]);
}

int change_apply(struct config *c, const char *line, unsigned busy, struct change_about *about,
                 char *why, size_t cap)
{
    struct changing *g = mem_alloc(sizeof(*g));
    struct config *copy = mem_dup(c, sizeof(*c));
    int err = g && copy ? STEAD_OK : STEAD_E_NOMEM;
    why[0] = '\0';
    if (!err) {
        *g = (struct changing){.config = copy, .busy = busy, .why = why, .cap = cap};
        err = apply(g, line);
    }
    if (!err)
        *c = *copy;
    if (!err && about)
        *about = g->about;
    if (err && !*why)
        snprintf(why, cap, "%s", stead_error_text(err));
    mem_free(copy);
    mem_free(g);
    return err;
}
