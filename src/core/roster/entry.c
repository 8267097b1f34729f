/* entry.c - the bytes of an entry and their validation. What nodes do with entries is in member.c.
 */
#include "core/roster/entry.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static const char *const status_names[] = {
    [STATUS_JOINING] = "joining",   [STATUS_UP] = "up",           [STATUS_FULL] = "full",
    [STATUS_DRAINING] = "draining", [STATUS_SUSPECT] = "suspect", [STATUS_DOWN] = "down",
    [STATUS_LEFT] = "left",
};

#define STATUS_COUNT (sizeof status_names / sizeof status_names[0])

const char *status_name(enum status s)
{
    return (size_t)s < STATUS_COUNT ? status_names[s] : "unknown";
}

bool status_parse(const char *text, enum status *out)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (strcmp(text, status_names[i]) == 0) {
            *out = (enum status)i;
            return true;
        }
    }
    return false;
}

/* What a node may say of itself; the rest is for others to judge. */
static bool own_status(enum status s)
{
    return s == STATUS_JOINING || s == STATUS_UP || s == STATUS_DRAINING || s == STATUS_LEFT;
}

bool entry_name_valid(const char *name, size_t len, bool empty)
{
    if (len == 0)
        return empty;
    if (len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '\'' || c == '/' || c == '\\')
            return false;
    }
    return true;
}

/* The length of "http://" or "https://" at the start, and the scheme's port. */
static size_t url_scheme(const char *url, size_t len, uint16_t *port)
{
    if (len > 7 && strncasecmp(url, "http://", 7) == 0) {
        *port = 80;
        return 7;
    }
    if (len > 8 && strncasecmp(url, "https://", 8) == 0) {
        *port = 443;
        return 8;
    }
    return 0;
}

/* Reads ":port" up to end; nothing there leaves *port. */
static bool url_port(const char *at, const char *end, uint16_t *port)
{
    if (at == end)
        return true;
    if (*at++ != ':' || at == end || end - at > 5)
        return false;
    uint32_t v = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        v = v * 10 + (uint32_t)(*at - '0');
    }
    if (v == 0 || v > UINT16_MAX)
        return false;
    *port = (uint16_t)v;
    return true;
}

static bool url_split(const char *url, size_t len, const char **host, size_t *host_len,
                      uint16_t *port)
{
    size_t scheme = url_scheme(url, len, port);
    if (scheme == 0)
        return false;
    const char *at = url + scheme, *end = at;
    while (end < url + len && *end != '/' && *end != '?' && *end != '#')
        end++;
    if (memchr(at, '@', (size_t)(end - at)) != NULL)
        return false;
    const char *stop;
    if (at < end && *at == '[') {
        const char *close = memchr(at, ']', (size_t)(end - at));
        if (close == NULL)
            return false;
        *host = at + 1;
        *host_len = (size_t)(close - at - 1);
        stop = close + 1;
    } else {
        stop = memchr(at, ':', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        *host = at;
        *host_len = (size_t)(stop - at);
    }
    return *host_len > 0 && url_port(stop, end, port);
}

bool entry_url_valid(const char *url, size_t len)
{
    const char *host;
    size_t host_len;
    uint16_t port;
    if (len == 0 || len > URL_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (url[i] <= ' ' || url[i] > '~' || strchr("\"'<>\\", url[i]) != NULL)
            return false;
    }
    return url_split(url, len, &host, &host_len, &port);
}

bool entry_url_host(const char *url, const char **host, size_t *host_len, uint16_t *port)
{
    return url_split(url, strlen(url), host, host_len, port);
}

void entry_encode_addr(const struct addr *a, struct wire_writer *w)
{
    wire_put_u8(w, a->family);
    if (a->family == 0)
        return;
    wire_put_bytes(w, a->ip, a->family == 4 ? 4 : 16);
    wire_put_u16(w, a->port);
}

void entry_decode_addr(struct wire_reader *r, struct addr *out)
{
    memset(out, 0, sizeof *out);
    uint8_t family = wire_u8(r);
    if (family == 0)
        return;
    if (family != 4 && family != 6) {
        wire_fail(r);
        return;
    }
    const uint8_t *ip = wire_bytes(r, family == 4 ? 4 : 16);
    uint16_t port = wire_u16(r);
    if (!wire_ok(r))
        return;
    out->family = family;
    memcpy(out->ip, ip, family == 4 ? 4 : 16);
    out->port = port;
}

static void put_text(struct wire_writer *w, const char *text)
{
    wire_put_str8(w, text, strlen(text));
}

static void server_encode(const struct server *s, struct wire_writer *w)
{
    put_text(w, s->service);
    wire_put_u8(w, s->url_count);
    for (size_t i = 0; i < s->url_count; i++)
        put_text(w, s->urls[i]);
    put_text(w, s->backup);
    wire_put_u32(w, s->weight);
    wire_put_u32(w, s->capacity);
    wire_put_u32(w, s->users);
    wire_put_u8(w, s->healthy);
}

void entry_encode(const struct entry *e, struct wire_writer *w)
{
    assert(e->group_count <= ENTRY_GROUPS_MAX && e->server_count <= ENTRY_SERVERS_MAX);
    wire_put_u64(w, e->node);
    wire_put_u64(w, e->inc);
    wire_put_u64(w, e->boot);
    wire_put_u64(w, e->revision);
    wire_put_u8(w, (uint8_t)e->status);
    put_text(w, e->name);
    put_text(w, e->zone);
    put_text(w, e->version);
    entry_encode_addr(&e->address, w);
    entry_encode_addr(&e->public, w);
    wire_put_u8(w, e->holds);
    wire_put_u8(w, e->group_count);
    for (size_t i = 0; i < e->group_count; i++)
        put_text(w, e->groups[i]);
    wire_put_u8(w, e->server_count);
    for (size_t i = 0; i < e->server_count; i++)
        server_encode(&e->servers[i], w);
}

/* out has room for max + 1 bytes and is zeroed. */
static void get_name(struct wire_reader *r, char *out, size_t max, bool empty)
{
    size_t len;
    const uint8_t *text = wire_str8(r, &len);
    if (!wire_ok(r))
        return;
    if (len > max || !entry_name_valid((const char *)text, len, empty))
        wire_fail(r);
    else
        memcpy(out, text, len);
}

static void get_url(struct wire_reader *r, char *out)
{
    size_t len;
    const uint8_t *text = wire_str8(r, &len);
    if (!wire_ok(r))
        return;
    if (!entry_url_valid((const char *)text, len))
        wire_fail(r);
    else
        memcpy(out, text, len);
}

static bool get_bool(struct wire_reader *r)
{
    uint8_t v = wire_u8(r);
    if (v > 1)
        wire_fail(r);
    return v == 1;
}

static uint8_t get_count(struct wire_reader *r, uint8_t max)
{
    uint8_t n = wire_u8(r);
    if (n > max)
        wire_fail(r);
    return wire_ok(r) ? n : 0;
}

static void server_decode(struct wire_reader *r, struct server *s)
{
    get_name(r, s->service, NAME_MAX_BYTES, false);
    s->url_count = get_count(r, SERVER_URLS_MAX);
    for (size_t i = 0; i < s->url_count; i++)
        get_url(r, s->urls[i]);
    get_name(r, s->backup, NAME_MAX_BYTES, true);
    s->weight = wire_u32(r);
    s->capacity = wire_u32(r);
    s->users = wire_u32(r);
    s->healthy = get_bool(r);
}

bool entry_decode(struct wire_reader *r, struct entry *out)
{
    memset(out, 0, sizeof *out);
    out->node = wire_u64(r);
    out->inc = wire_u64(r);
    out->boot = wire_u64(r);
    out->revision = wire_u64(r);
    out->status = (enum status)wire_u8(r);
    if (!own_status(out->status) || out->node == 0 || out->inc == 0)
        wire_fail(r);
    get_name(r, out->name, NAME_MAX_BYTES, false);
    get_name(r, out->zone, NAME_MAX_BYTES, true);
    get_name(r, out->version, sizeof out->version - 1, true);
    entry_decode_addr(r, &out->address);
    entry_decode_addr(r, &out->public);
    out->holds = get_bool(r);
    out->group_count = get_count(r, ENTRY_GROUPS_MAX);
    for (size_t i = 0; i < out->group_count; i++)
        get_name(r, out->groups[i], NAME_MAX_BYTES, false);
    out->server_count = get_count(r, ENTRY_SERVERS_MAX);
    for (size_t i = 0; i < out->server_count; i++)
        server_decode(r, &out->servers[i]);
    return wire_ok(r);
}

bool entry_valid(const struct entry *e)
{
    uint8_t bytes[ENTRY_BYTES_MAX];
    struct wire_writer w;
    struct wire_reader r;
    struct entry copy;
    if (e->group_count > ENTRY_GROUPS_MAX || e->server_count > ENTRY_SERVERS_MAX)
        return false;
    wire_writer_init(&w, bytes, sizeof bytes);
    entry_encode(e, &w);
    if (!wire_put_ok(&w))
        return false;
    wire_reader_init(&r, bytes, wire_written(&w));
    return entry_decode(&r, &copy) && wire_done(&r);
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int entry_compare(const struct entry *a, const struct entry *b)
{
    int order = compare_u64(a->boot, b->boot);
    if (order == 0)
        order = compare_u64(a->inc, b->inc);
    return order != 0 ? order : compare_u64(a->revision, b->revision);
}
