/* name_service.c - what a service's common name says: addresses, and by the scheme and port of its
 * URL the SRV and HTTPS records. */
#include "role/name/name_farm.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HTTPS_PORT 443
#define HINT_VARIANTS_MAX 8
#define HTTPS_RECORD_MAX (DNS_RECORD_HEAD_BYTES + 16 + NAME_ADDRESSES_MAX * 20)
#define SRV_RECORD_MAX (DNS_RECORD_HEAD_BYTES + 6 + DNS_NAME_MAX)
#define SRV_WEIGHT_MAX 65535u

/* Targets of a place: those of its site if there are any. Everything else stays in f->targets. */
static void near_targets(struct name_farm *f, unsigned place)
{
    f->near.count = f->targets.count;
    f->near.last_resort = f->targets.last_resort;
    memcpy(f->near.list, f->targets.list, f->targets.count * sizeof *f->near.list);
    if (place >= 2)
        name_targets_near(&f->near, f->config->sites[place / 2 - 1].zone);
}

/* Hints beginning with another address each, as many as an answer has of each family. */
static void put_https(struct name_farm *f, uint8_t flags)
{
    const struct addr *hints[2 * NAME_ADDRESSES_MAX];
    struct name_set *s = name_builder_set(&f->builder, DNS_HTTPS);
    if (!s)
        return;
    s->flags = flags;
    size_t variants = f->row_count < HINT_VARIANTS_MAX ? f->row_count : HINT_VARIANTS_MAX;
    for (size_t v = 0; v < variants; v++) {
        size_t count = 0, of[2] = {0};
        for (size_t i = 0; i < f->row_count; i++) {
            const struct addr *a = f->rows[(v * f->row_count / variants + i) % f->row_count].addr;
            if (of[a->family == 6]++ < f->config->addresses)
                hints[count++] = a;
        }
        struct wire_writer w = name_builder_room(&f->builder, HTTPS_RECORD_MAX);
        dns_record_https(&w, f->config->ttl_s, hints, count);
        name_builder_put(&f->builder, &w);
    }
    name_builder_end_set(&f->builder, TURN_ROTATE, 1, true);
}

static enum name_placed placed(const struct name_farm *f)
{
    return f->places == 1 ? PLACED_NOT : f->places == 2 ? PLACED_NETWORK : PLACED_FULLY;
}

enum put { PUT_ADDRESSES = 1, PUT_HTTPS = 2 };

static void fill(struct name_farm *f, uint32_t entry, int zone, unsigned what, bool servfail)
{
    uint8_t flags =
        (uint8_t)((f->targets.last_resort ? SET_LAST_RESORT : 0) | (servfail ? SET_SERVFAIL : 0));
    if (entry == UINT32_MAX)
        return;
    f->builder.table->entries[entry].zone = (uint8_t)zone;
    name_builder_open(&f->builder, entry);
    for (unsigned place = 0; place < f->places; place++) {
        near_targets(f, place);
        name_farm_rows(f, &f->near, place % 2 ? NETWORK_OUTSIDE : NETWORK_INSIDE);
        if (what & PUT_ADDRESSES)
            name_farm_put_addresses(f, f->near.last_resort, servfail);
        if (what & PUT_HTTPS)
            put_https(f, flags);
    }
    name_builder_close(&f->builder, entry, placed(f), f->places);
}

/* The name by which a server is reached from outside; false for one that is only an address. */
static bool srv_target(const struct name_target *t, struct dns_name *host, uint16_t *port)
{
    const char *text;
    size_t len;
    struct prefix address;
    char copy[URL_MAX_BYTES + 1];
    if (!t->server || t->server->url_count == 0 ||
        !entry_url_host(t->server->urls[0], &text, &len, port) || len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return !prefix_parse(copy, &address) && name_farm_name(text, len, host);
}

/* Weights fit into 16 bits, and none becomes 0 that was not. */
static uint16_t srv_weight(uint32_t weight, uint32_t most)
{
    if (most > SRV_WEIGHT_MAX)
        weight = (uint32_t)((uint64_t)weight * (SRV_WEIGHT_MAX - 1) / most + (weight > 0));
    return (uint16_t)weight;
}

static void put_srv_extra(struct name_farm *f, const struct name_targets *t, enum network network)
{
    const struct addr *found[1 + ENTRY_ADDRESSES_MAX];
    struct dns_name host;
    uint16_t port;
    for (size_t i = 0; i < t->count; i++) {
        if (!srv_target(&t->list[i], &host, &port) || name_farm_zone(f, &host) < 0)
            continue;
        size_t n = name_node_addresses(t->list[i].node, network, 0, found);
        for (size_t k = 0; k < n; k++) {
            struct wire_writer w = name_builder_room(&f->builder, host.len + 26);
            dns_record_address(&w, &host, found[k], f->config->ttl_s);
            name_builder_extra(&f->builder, &w);
        }
    }
}

static void put_srv(struct name_farm *f, const struct name_targets *t, enum network network,
                    uint8_t flags)
{
    struct name_set *s = name_builder_set(&f->builder, DNS_SRV);
    uint32_t most = 1, count = 0;
    struct dns_name host;
    uint16_t port;
    if (!s)
        return;
    s->flags = flags;
    for (size_t i = 0; i < t->count; i++)
        if (t->list[i].server && t->list[i].server->weight > most)
            most = t->list[i].server->weight;
    for (size_t i = 0; i < t->count; i++) {
        if (!srv_target(&t->list[i], &host, &port))
            continue;
        struct wire_writer w = name_builder_room(&f->builder, SRV_RECORD_MAX);
        dns_record_srv(&w, f->config->ttl_s, 0, srv_weight(t->list[i].server->weight, most), port,
                       &host);
        name_builder_put(&f->builder, &w);
        count++;
    }
    name_builder_end_set(&f->builder, TURN_ROTATE, f->config->addresses, true);
    if (count && count <= f->config->addresses)
        put_srv_extra(f, t, network);
}

static void add_srv(struct name_farm *f, const struct dns_name *name, int zone, const char *scheme,
                    bool servfail)
{
    struct dns_name at = *name;
    char label[16];
    int n = snprintf(label, sizeof label, "_%s", scheme);
    if (!dns_name_prepend(&at, "_tcp", 4) || !dns_name_prepend(&at, label, (size_t)n))
        return;
    dns_name_lower(at.bytes, at.len);
    uint32_t entry = name_builder_name(&f->builder, &at);
    if (entry == UINT32_MAX)
        return;
    uint8_t flags =
        (uint8_t)((f->targets.last_resort ? SET_LAST_RESORT : 0) | (servfail ? SET_SERVFAIL : 0));
    f->builder.table->entries[entry].zone = (uint8_t)zone;
    name_builder_open(&f->builder, entry);
    for (unsigned place = 0; place < f->places; place++) {
        near_targets(f, place);
        put_srv(f, &f->near, place % 2 ? NETWORK_OUTSIDE : NETWORK_INSIDE, flags);
    }
    name_builder_close(&f->builder, entry, placed(f), f->places);
}

/* RFC 9460, 9.1: a port other than 443 is in the name. */
static void add_https_port(struct name_farm *f, const struct dns_name *name, int zone,
                           uint16_t port, bool servfail)
{
    struct dns_name at = *name;
    char label[16];
    int n = snprintf(label, sizeof label, "_%u", port);
    if (!dns_name_prepend(&at, "_https", 6) || !dns_name_prepend(&at, label, (size_t)n))
        return;
    dns_name_lower(at.bytes, at.len);
    fill(f, name_builder_name(&f->builder, &at), zone, PUT_HTTPS, servfail);
}

void name_farm_service(struct name_farm *f, const struct name_service *s)
{
    struct dns_name name;
    const char *host;
    size_t len;
    uint16_t port = 0;
    bool secure = s->url && strncasecmp(s->url, "https:", 6) == 0;
    bool has_url = s->url && entry_url_host(s->url, &host, &len, &port);
    if (!name_farm_name(s->name, strlen(s->name), &name) ||
        name_builder_find(&f->builder, &name) != UINT32_MAX)
        return;
    int zone = name_farm_zone(f, &name);
    if (zone < 0)
        return;
    name_targets_service(&f->targets, f->roster, s, f->config->nobody);
    bool servfail = f->targets.last_resort && f->config->nobody == NAME_NOBODY_SERVFAIL;
    bool here = secure && port == HTTPS_PORT;
    fill(f, name_builder_name(&f->builder, &name), zone, PUT_ADDRESSES | (here ? PUT_HTTPS : 0),
         servfail);
    if (has_url && !entry_url_is_tcp(s->url)) /* a service of its own has an SRV name of its own */
        add_srv(f, &name, zone, secure ? "https" : "http", servfail);
    if (has_url && secure && !here)
        add_https_port(f, &name, zone, port, servfail);
}
