/* name_records.c - the file's records: ldns reads them one by one, here they are checked, sorted
 * and made into a table. */
#include "role/name/name_records.h"

#include "base/mem.h"
#include "io/io.h"
#include "role/name/name_builder.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_MAX 16384 /* bytes of one record's data */
#define EXTRA_MAX 16   /* records of one set's additional section */

struct name_records {
    atomic_uint refs;
    struct name_table *table;
};

struct record {
    struct dns_name *owner; /* lower case */
    uint16_t type, len;
    uint32_t ttl_s;
    uint8_t *data;
};

struct reading {
    const struct name_config *config;
    const char *path;
    char *error;
    size_t error_cap;
    int line;
    struct record *list;
    size_t count, cap;
    struct name_builder builder;
    size_t zone_count;
    struct name_zone zones[NAME_ZONES_MAX];
};

struct name_records *name_records_ref(struct name_records *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void name_records_unref(struct name_records *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    name_table_free(r->table);
    mem_free(r);
}

const struct name_table *name_records_table(const struct name_records *r)
{
    return r->table;
}

static bool fail(struct reading *g, const char *what)
{
    if (g->line)
        snprintf(g->error, g->error_cap, "%s:%d: %s", g->path, g->line, what);
    else
        snprintf(g->error, g->error_cap, "%s: %s", g->path, what);
    return false;
}

static const struct name_zone *zone_of(const struct reading *g, const struct dns_name *n,
                                       uint8_t *index)
{
    const struct name_zone *best = NULL;
    for (size_t at = 0;; at += n->bytes[at] + 1u) {
        for (size_t i = 0; i < g->zone_count; i++) {
            const struct dns_name *z = &g->zones[i].name;
            if (z->len != n->len - at || memcmp(z->bytes, n->bytes + at, z->len) != 0)
                continue;
            *index = (uint8_t)i;
            best = &g->zones[i];
        }
        if (best || n->bytes[at] == 0)
            return best;
    }
}

static bool is_refused_type(uint16_t type)
{
    static const uint16_t refused[] = {
        LDNS_RR_TYPE_DNAME, LDNS_RR_TYPE_OPT,        LDNS_RR_TYPE_RRSIG, LDNS_RR_TYPE_NSEC,
        LDNS_RR_TYPE_NSEC3, LDNS_RR_TYPE_NSEC3PARAM, LDNS_RR_TYPE_SIG,   LDNS_RR_TYPE_DNSKEY};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (refused[i] == type)
            return true;
    return type == 0 || (type >= 128 && type <= 255); /* questions and metadata: RFC 6895 */
}

static bool copy_data(struct reading *g, const ldns_rr *rr, struct record *out)
{
    size_t len = 0;
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
        len += ldns_rdf_size(ldns_rr_rdf(rr, i));
    if (len > DATA_MAX)
        return fail(g, "the record is too long");
    out->data = mem_alloc(len);
    if (!out->data)
        return fail(g, "there is no memory");
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *d = ldns_rr_rdf(rr, i);
        memcpy(out->data + out->len, ldns_rdf_data(d), ldns_rdf_size(d));
        out->len = (uint16_t)(out->len + ldns_rdf_size(d));
    }
    return true;
}

static bool make_room(struct reading *g)
{
    if (g->count < g->cap)
        return true;
    if (g->count >= NAME_RECORDS_MAX)
        return fail(g, "there are too many records");
    size_t cap = g->cap ? 2 * g->cap : 64;
    struct record *grown = mem_realloc(g->list, cap * sizeof *grown);
    if (!grown)
        return fail(g, "there is no memory");
    g->list = grown;
    g->cap = cap;
    return true;
}

static bool add_record(struct reading *g, const ldns_rr *rr)
{
    const ldns_rdf *owner = ldns_rr_owner(rr);
    uint8_t zone;
    if (!make_room(g))
        return false;
    if (ldns_rdf_size(owner) == 0 || ldns_rdf_size(owner) > DNS_NAME_MAX)
        return fail(g, "the name is too long");
    struct dns_name *n = mem_alloc(sizeof *n);
    if (!n)
        return fail(g, "there is no memory");
    struct record *r = &g->list[g->count++];
    *r = (struct record){
        .owner = n, .type = (uint16_t)ldns_rr_get_type(rr), .ttl_s = ldns_rr_ttl(rr) & INT32_MAX};
    n->len = ldns_rdf_size(owner);
    memcpy(n->bytes, ldns_rdf_data(owner), n->len);
    dns_name_lower(n->bytes, n->len);
    const struct name_zone *z = zone_of(g, n, &zone);
    if (!z)
        return fail(g, "the name is outside of the farm's zones");
    if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
        return fail(g, "the class is not IN");
    if (is_refused_type(r->type))
        return fail(g, "records of this type cannot be served");
    if (r->type == DNS_SOA && n->len != z->name.len)
        return fail(g, "a SOA record belongs to the zone's own name");
    if (r->type == DNS_CNAME && n->len == z->name.len)
        return fail(g, "the zone's own name cannot be an alias");
    return copy_data(g, rr, r);
}

static bool read_file(struct reading *g, FILE *file)
{
    ldns_rdf *origin = ldns_dname_new_frm_str(g->config->zones[0]), *previous = NULL;
    uint32_t ttl_s = g->config->ttl_s;
    bool good = origin != NULL || fail(g, "there is no memory");
    while (good && !feof(file)) {
        ldns_rr *rr = NULL;
        ldns_status s = ldns_rr_new_frm_fp_l(&rr, file, &ttl_s, &origin, &previous, &g->line);
        if (s == LDNS_STATUS_OK)
            good = add_record(g, rr);
        else if (s != LDNS_STATUS_SYNTAX_EMPTY && s != LDNS_STATUS_SYNTAX_TTL &&
                 s != LDNS_STATUS_SYNTAX_ORIGIN)
            good = fail(g, ldns_get_errorstr_by_id(s));
        ldns_rr_free(rr);
    }
    ldns_rdf_deep_free(origin);
    ldns_rdf_deep_free(previous);
    g->line = 0;
    return good;
}

static int compare_names(const struct dns_name *a, const struct dns_name *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return memcmp(a->bytes, b->bytes, a->len);
}

static int compare_keys(const struct record *a, const struct record *b)
{
    int order = compare_names(a->owner, b->owner);
    return order ? order : (a->type > b->type) - (a->type < b->type);
}

static int compare_records(const void *x, const void *y)
{
    const struct record *a = x, *b = y;
    int order = compare_keys(a, b);
    if (order == 0)
        order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static void free_record(struct record *r)
{
    mem_free(r->owner);
    mem_free(r->data);
}

/* Of equal records one is enough. */
static void sort_records(struct reading *g)
{
    size_t kept = 0;
    if (g->count)
        qsort(g->list, g->count, sizeof *g->list, compare_records);
    for (size_t i = 0; i < g->count; i++) {
        if (kept && compare_records(&g->list[kept - 1], &g->list[i]) == 0)
            free_record(&g->list[i]);
        else
            g->list[kept++] = g->list[i];
    }
    g->count = kept;
}

/* The first record of a name and type, or where it would be. */
static size_t find_record(const struct reading *g, const struct dns_name *owner, uint16_t type)
{
    size_t low = 0, high = g->count;
    const struct record key = {.owner = (struct dns_name *)(uintptr_t)owner, .type = type};
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare_keys(&g->list[mid], &key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void add_addresses(struct reading *g, const struct dns_name *host, uint16_t type,
                          unsigned *left)
{
    const struct record key = {.owner = (struct dns_name *)(uintptr_t)host, .type = type};
    for (size_t i = find_record(g, host, type);
         i < g->count && *left && compare_keys(&g->list[i], &key) == 0; i++, --*left) {
        const struct record *r = &g->list[i];
        struct wire_writer w = name_builder_room(&g->builder, host->len + 10u + r->len);
        dns_record_raw(&w, host, type, r->ttl_s, r->data, r->len);
        name_builder_extra(&g->builder, &w);
    }
}

/* The addresses of the hosts that a set of NS, MX or SRV records names. */
static void add_extra(struct reading *g, size_t first, size_t end)
{
    unsigned left = EXTRA_MAX;
    for (size_t i = first; i < end; i++) {
        const struct record *r = &g->list[i];
        size_t at = r->type == DNS_NS ? 0 : r->type == DNS_MX ? 2 : r->type == DNS_SRV ? 6 : r->len;
        struct dns_name host;
        if (at >= r->len || dns_name_read(r->data, r->len, at, &host) != r->len)
            continue;
        dns_name_lower(host.bytes, host.len);
        add_addresses(g, &host, DNS_A, &left);
        add_addresses(g, &host, DNS_AAAA, &left);
    }
}

/* Records first to end are one name's of one type: all with the least TTL (RFC 2181, 5.2). */
static void add_set(struct reading *g, size_t first, size_t end)
{
    uint32_t ttl_s = UINT32_MAX;
    if (!name_builder_set(&g->builder, g->list[first].type))
        return;
    for (size_t i = first; i < end; i++)
        ttl_s = g->list[i].ttl_s < ttl_s ? g->list[i].ttl_s : ttl_s;
    for (size_t i = first; i < end; i++) {
        const struct record *r = &g->list[i];
        struct wire_writer w = name_builder_room(&g->builder, DNS_RECORD_HEAD_BYTES + r->len);
        dns_record_raw(&w, NULL, r->type, ttl_s, r->data, r->len);
        name_builder_put(&g->builder, &w);
    }
    name_builder_end_set(&g->builder, TURN_ROTATE, UINT32_MAX, true);
    add_extra(g, first, end);
}

static size_t end_of(const struct reading *g, size_t first, bool name_only)
{
    size_t end = first;
    while (end < g->count &&
           (name_only ? compare_names(g->list[end].owner, g->list[first].owner) == 0
                      : compare_keys(&g->list[end], &g->list[first]) == 0))
        end++;
    return end;
}

/* All records of one name. False: an alias with company. */
static bool add_name(struct reading *g, size_t first, size_t end)
{
    uint8_t zone;
    const struct name_zone *z = zone_of(g, g->list[first].owner, &zone);
    uint32_t entry = name_builder_name(&g->builder, g->list[first].owner);
    bool alias = false, delegated = false;
    if (entry == UINT32_MAX || !z)
        return fail(g, "there is no memory");
    for (size_t i = first; i < end; i++) {
        alias |= g->list[i].type == DNS_CNAME;
        delegated |= g->list[i].type == DNS_NS;
    }
    if (alias && end - first > 1)
        return fail(g, "an alias (CNAME) has further records");
    if (g->list[first].owner->len == z->name.len)
        g->builder.table->entries[entry].flags |= ENTRY_APEX;
    else if (delegated)
        g->builder.table->entries[entry].flags |= ENTRY_CUT;
    g->builder.table->entries[entry].zone = zone;
    name_builder_open(&g->builder, entry);
    for (size_t at = first; at < end;) {
        size_t next = end_of(g, at, false);
        if (g->list[at].type == DNS_SOA && next - at > 1)
            return fail(g, "there is more than one SOA record");
        add_set(g, at, next);
        at = next;
    }
    name_builder_close(&g->builder, entry, PLACED_NOT, 1);
    return true;
}

/* Below a cut nothing is this zone's any more; of nested cuts the highest counts. */
static void cover(struct reading *g, uint32_t index)
{
    struct name_table *t = g->builder.table;
    struct name_entry *e = &t->entries[index];
    struct dns_name n = {.len = e->name_len};
    memcpy(n.bytes, t->bytes + e->name, n.len);
    while (n.len > g->zones[e->zone].name.len) {
        size_t label = n.bytes[0] + 1u;
        n.len -= label;
        memmove(n.bytes, n.bytes + label, n.len);
        uint32_t above = name_builder_find(&g->builder, &n);
        if (above == UINT32_MAX || !(t->entries[above].flags & ENTRY_CUT))
            continue;
        e->flags |= ENTRY_COVERED;
        e->cut = above;
    }
}

static bool build(struct reading *g)
{
    if (!name_builder_init(&g->builder))
        return fail(g, "there is no memory");
    for (size_t at = 0; at < g->count;) {
        size_t next = end_of(g, at, true);
        if (!add_name(g, at, next))
            return false;
        at = next;
    }
    struct name_table *t = g->builder.table;
    for (uint32_t i = 0; !g->builder.failed && i < t->entry_count; i++)
        name_builder_above(&g->builder, i, &g->zones[t->entries[i].zone], t->entries[i].zone);
    for (uint32_t i = 0; !g->builder.failed && i < t->entry_count; i++)
        cover(g, i);
    return !g->builder.failed || fail(g, "there is no memory");
}

static struct name_records *finish(struct reading *g)
{
    struct name_records *out = mem_alloc(sizeof *out);
    struct name_table *t = name_builder_done(&g->builder);
    if (!out || !t) {
        mem_free(out);
        name_table_free(t);
        fail(g, "there is no memory");
        return NULL;
    }
    atomic_init(&out->refs, 1);
    out->table = t;
    return out;
}

struct name_records *name_records_read(const char *path, const struct name_config *c, char *error,
                                       size_t cap)
{
    struct reading g = {.config = c, .path = path, .error = error, .error_cap = cap};
    struct name_records *out = NULL;
    FILE *file = fopen(path, "re");
    if (!file) {
        fail(&g, io_error_text(errno));
        return NULL;
    }
    for (size_t i = 0; i < c->zone_count; i++) {
        struct dns_name *n = &g.zones[g.zone_count].name;
        if (!dns_name_from_text(c->zones[i], n))
            continue;
        dns_name_lower(n->bytes, n->len);
        g.zone_count++;
    }
    if (g.zone_count == 0)
        fail(&g, "there is no zone for these records");
    else if (read_file(&g, file)) {
        sort_records(&g);
        if (build(&g))
            out = finish(&g);
    }
    fclose(file);
    name_builder_deinit(&g.builder);
    for (size_t i = 0; i < g.count; i++)
        free_record(&g.list[i]);
    mem_free(g.list);
    return out;
}

bool name_file_check(const struct name_config *c, const char *path, char *error, size_t cap)
{
    struct name_records *r = name_records_read(path, c, error, cap);
    name_records_unref(r);
    return r != NULL;
}
