/* entry.c - the bytes of an entry and their validation. What nodes do with entries is in member.c.
 */
#include "core/roster/entry.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static const char *const status_names[] = {
    [STATUS_JOINING] = "joining",   [STATUS_UP] = "up",       [STATUS_FULL] = "full",
    [STATUS_DRAINING] = "draining", [STATUS_MAINT] = "maint", [STATUS_SUSPECT] = "suspect",
    [STATUS_DOWN] = "down",         [STATUS_LEFT] = "left",
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
    return s == STATUS_JOINING || s == STATUS_UP || s == STATUS_DRAINING || s == STATUS_MAINT ||
           s == STATUS_LEFT;
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

/* The length of the scheme at the start, and its port; tcp has none of its own. */
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
    if (len > 6 && strncasecmp(url, "tcp://", 6) == 0) {
        *port = 0;
        return 6;
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
    return *host_len > 0 && url_port(stop, end, port) && *port != 0;
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

bool entry_url_is_tcp(const char *url)
{
    return strncasecmp(url, "tcp://", 6) == 0;
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

enum { NODE_HOLDS = 1, NODE_TWIN = 2, NODE_REPOSITORY = 4, NODE_FLAGS = 7 };
enum { SERVER_HEALTHY = 1, SERVER_MAINT = 2, SERVER_DRAIN = 4, SERVER_FLAGS = 7 };

static void counts_encode(const struct server *s, struct wire_writer *w)
{
    wire_put_u32(w, s->weight);
    wire_put_u32(w, s->capacity);
    wire_put_u32(w, s->users);
    wire_put_u16(w, s->load);
    wire_put_u8(w, (uint8_t)((s->healthy ? SERVER_HEALTHY : 0) | (s->maint ? SERVER_MAINT : 0) |
                             (s->drain ? SERVER_DRAIN : 0)));
}

static void server_encode(const struct server *s, struct wire_writer *w)
{
    put_text(w, s->service);
    wire_put_u8(w, s->url_count);
    for (size_t i = 0; i < s->url_count; i++)
        put_text(w, s->urls[i]);
    put_text(w, s->backup);
    counts_encode(s, w);
}

void entry_encode(const struct entry *e, struct wire_writer *w)
{
    assert(e->group_count <= ENTRY_GROUPS_MAX && e->server_count <= ENTRY_SERVERS_MAX &&
           e->address_count <= ENTRY_ADDRESSES_MAX && e->of_count <= ENTRY_OF_MAX);
    wire_put_u64(w, e->node);
    wire_put_u64(w, e->inc);
    wire_put_u64(w, e->boot);
    wire_put_u64(w, e->revision);
    wire_put_u64(w, e->shape);
    wire_put_u32(w, e->life);
    wire_put_u8(w, (uint8_t)e->status);
    put_text(w, e->name);
    put_text(w, e->zone);
    put_text(w, e->version);
    entry_encode_addr(&e->address, w);
    entry_encode_addr(&e->public, w);
    wire_put_u8(w, e->address_count);
    for (size_t i = 0; i < e->address_count; i++) {
        wire_put_u8(w, (uint8_t)e->addresses[i].network);
        entry_encode_addr(&e->addresses[i].addr, w);
    }
    wire_put_u8(w, (uint8_t)((e->holds ? NODE_HOLDS : 0) | (e->twin != 0 ? NODE_TWIN : 0) |
                             (e->repository ? NODE_REPOSITORY : 0)));
    if (e->twin != 0)
        wire_put_u64(w, e->twin);
    if (e->repository)
        wire_put_u8(w, e->of_count);
    for (size_t i = 0; e->repository && i < e->of_count; i++)
        put_text(w, e->of[i]);
    wire_put_u8(w, e->group_count);
    for (size_t i = 0; i < e->group_count; i++) {
        put_text(w, e->groups[i]);
        wire_put_u32(w, e->group_users[i]);
    }
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

static uint8_t get_count(struct wire_reader *r, uint8_t max)
{
    uint8_t n = wire_u8(r);
    if (n > max)
        wire_fail(r);
    return wire_ok(r) ? n : 0;
}

static void get_flags(struct wire_reader *r, struct entry *out)
{
    uint8_t flags = wire_u8(r);
    out->holds = flags & NODE_HOLDS;
    out->repository = flags & NODE_REPOSITORY;
    out->twin = flags & NODE_TWIN ? wire_u64(r) : 0;
    out->of_count = out->repository ? get_count(r, ENTRY_OF_MAX) : 0;
    for (size_t i = 0; i < out->of_count; i++)
        get_name(r, out->of[i], NAME_MAX_BYTES, false);
    if (flags > NODE_FLAGS || (flags & NODE_TWIN && (out->twin == 0 || out->twin == out->inc)))
        wire_fail(r);
}

static void counts_decode(struct wire_reader *r, struct server *s)
{
    s->weight = wire_u32(r);
    s->capacity = wire_u32(r);
    s->users = wire_u32(r);
    s->load = wire_u16(r);
    uint8_t flags = wire_u8(r);
    if ((s->load > LOAD_MAX && s->load != LOAD_UNKNOWN) || flags > SERVER_FLAGS)
        wire_fail(r);
    s->healthy = flags & SERVER_HEALTHY;
    s->maint = flags & SERVER_MAINT;
    s->drain = flags & SERVER_DRAIN;
}

static void server_decode(struct wire_reader *r, struct server *s)
{
    get_name(r, s->service, NAME_MAX_BYTES, false);
    s->url_count = get_count(r, SERVER_URLS_MAX);
    for (size_t i = 0; i < s->url_count; i++)
        get_url(r, s->urls[i]);
    get_name(r, s->backup, NAME_MAX_BYTES, true);
    counts_decode(r, s);
}

static void addresses_decode(struct wire_reader *r, struct entry *e)
{
    e->address_count = get_count(r, ENTRY_ADDRESSES_MAX);
    for (size_t i = 0; i < e->address_count; i++) {
        uint8_t network = wire_u8(r);
        if (network > NETWORK_OUTSIDE)
            wire_fail(r);
        e->addresses[i].network = (enum network)network;
        entry_decode_addr(r, &e->addresses[i].addr);
        if (e->addresses[i].addr.family == 0)
            wire_fail(r);
    }
}

bool entry_decode(struct wire_reader *r, struct entry *out)
{
    memset(out, 0, sizeof *out);
    out->node = wire_u64(r);
    out->inc = wire_u64(r);
    out->boot = wire_u64(r);
    out->revision = wire_u64(r);
    out->shape = wire_u64(r);
    out->life = wire_u32(r);
    out->status = (enum status)wire_u8(r);
    if (!own_status(out->status) || out->node == 0 || out->inc == 0 || out->shape > out->revision)
        wire_fail(r);
    get_name(r, out->name, NAME_MAX_BYTES, false);
    get_name(r, out->zone, NAME_MAX_BYTES, true);
    get_name(r, out->version, sizeof out->version - 1, true);
    entry_decode_addr(r, &out->address);
    entry_decode_addr(r, &out->public);
    addresses_decode(r, out);
    get_flags(r, out);
    out->group_count = get_count(r, ENTRY_GROUPS_MAX);
    for (size_t i = 0; i < out->group_count; i++) {
        get_name(r, out->groups[i], NAME_MAX_BYTES, false);
        out->group_users[i] = wire_u32(r);
    }
    out->server_count = get_count(r, ENTRY_SERVERS_MAX);
    for (size_t i = 0; i < out->server_count; i++)
        server_decode(r, &out->servers[i]);
    return wire_ok(r);
}

void entry_encode_counts(const struct entry *e, struct wire_writer *w)
{
    wire_put_u64(w, e->inc);
    wire_put_u64(w, e->revision);
    wire_put_u64(w, e->shape);
    wire_put_u32(w, e->life);
    wire_put_u8(w, (uint8_t)e->status);
    wire_put_u8(w, e->group_count);
    for (size_t i = 0; i < e->group_count; i++)
        wire_put_u32(w, e->group_users[i]);
    wire_put_u8(w, e->server_count);
    for (size_t i = 0; i < e->server_count; i++)
        counts_encode(&e->servers[i], w);
}

/* Reads what follows the identity into e, which is of the right shape when `e` is to be kept. */
static bool counts_body(struct wire_reader *r, struct entry *e)
{
    e->life = wire_u32(r);
    e->status = (enum status)wire_u8(r);
    if (!own_status(e->status))
        wire_fail(r);
    e->group_count = get_count(r, ENTRY_GROUPS_MAX);
    for (size_t i = 0; i < e->group_count; i++)
        e->group_users[i] = wire_u32(r);
    e->server_count = get_count(r, ENTRY_SERVERS_MAX);
    for (size_t i = 0; i < e->server_count; i++)
        counts_decode(r, &e->servers[i]);
    return wire_ok(r);
}

bool entry_decode_counts(struct wire_reader *r, struct entry_counts *out)
{
    struct entry scratch = {0};
    out->inc = wire_u64(r);
    out->revision = wire_u64(r);
    out->shape = wire_u64(r);
    out->body = *r;
    if (out->inc == 0 || out->shape > out->revision)
        wire_fail(r);
    return counts_body(r, &scratch);
}

bool entry_apply_counts(struct entry *e, const struct entry_counts *c)
{
    struct entry next = *e;
    struct wire_reader body = c->body;
    if (e->inc != c->inc || e->shape != c->shape || e->revision >= c->revision ||
        !counts_body(&body, &next) || next.group_count != e->group_count ||
        next.server_count != e->server_count)
        return false;
    next.revision = c->revision;
    *e = next;
    return true;
}

static void drop_counts(const struct entry *e, struct entry *out)
{
    *out = *e;
    out->revision = out->shape = 0;
    out->life = 0;
    out->status = STATUS_UP;
    memset(out->group_users, 0, sizeof out->group_users);
    for (size_t i = 0; i < out->server_count; i++) {
        struct server *s = &out->servers[i];
        s->weight = s->capacity = s->users = 0;
        s->load = 0;
        s->healthy = s->maint = s->drain = false;
    }
}

bool entry_same_shape(const struct entry *a, const struct entry *b)
{
    uint8_t bytes[2][ENTRY_BYTES_MAX];
    size_t len[2];
    const struct entry *of[2] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        struct entry bare;
        struct wire_writer w;
        drop_counts(of[i], &bare);
        wire_writer_init(&w, bytes[i], sizeof bytes[i]);
        entry_encode(&bare, &w);
        len[i] = wire_written(&w);
    }
    return len[0] == len[1] && memcmp(bytes[0], bytes[1], len[0]) == 0;
}

static size_t collect_public(const struct entry *e, bool any, enum network n, uint8_t family,
                             const struct addr *out[1 + ENTRY_ADDRESSES_MAX])
{
    size_t count = 0;
    if (e->public.family != 0 && (any || n == NETWORK_INSIDE) &&
        (family == 0 || e->public.family == family))
        out[count++] = &e->public;
    for (size_t i = 0; i < e->address_count; i++) {
        const struct entry_address *a = &e->addresses[i];
        if ((any || a->network == n) && (family == 0 || a->addr.family == family))
            out[count++] = &a->addr;
    }
    return count;
}

size_t entry_public(const struct entry *e, enum network n, uint8_t family,
                    const struct addr *out[1 + ENTRY_ADDRESSES_MAX])
{
    /* An address of the other network may still be reached; one of the other family cannot. */
    if (collect_public(e, false, n, 0, out) > 0)
        return collect_public(e, false, n, family, out);
    return collect_public(e, true, n, family, out);
}

bool entry_valid(const struct entry *e)
{
    uint8_t bytes[ENTRY_BYTES_MAX];
    struct wire_writer w;
    struct wire_reader r;
    struct entry copy;
    if (e->group_count > ENTRY_GROUPS_MAX || e->server_count > ENTRY_SERVERS_MAX ||
        e->address_count > ENTRY_ADDRESSES_MAX || e->of_count > ENTRY_OF_MAX ||
        (e->of_count > 0 && !e->repository))
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
