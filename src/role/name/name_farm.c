/* name_farm.c - the table of a roster, part by part, and sets of addresses. What a service has is
 * in name_service.c, servers' own names are in name_host.c. */
#include "role/name/name_farm.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define ADDRESS_RECORD_MAX 28
#define SOA_REFRESH_S 3600
#define SOA_RETRY_S 600
#define SOA_EXPIRE_S 86400

bool name_farm_name(const char *text, size_t len, struct dns_name *out)
{
    char copy[DNS_NAME_MAX + 1];
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (!dns_name_from_text(copy, out))
        return false;
    dns_name_lower(out->bytes, out->len);
    return true;
}

static bool is_within(const struct dns_name *n, const struct dns_name *zone)
{
    if (n->len < zone->len)
        return false;
    /* The tail must begin where a label does. */
    size_t at = 0;
    while (at < n->len - zone->len)
        at += n->bytes[at] + 1u;
    return at == n->len - zone->len && memcmp(n->bytes + at, zone->bytes, zone->len) == 0;
}

int name_farm_zone(const struct name_farm *f, const struct dns_name *lower)
{
    const struct name_table *t = f->builder.table;
    int best = -1;
    for (size_t i = 0; i < t->zone_count; i++)
        if (is_within(lower, &t->zones[i].name) &&
            (best < 0 || t->zones[i].name.len > t->zones[best].name.len))
            best = (int)i;
    return best;
}

/* At least twice as many places as there may be rows. */
static uint32_t seen_mask(size_t targets)
{
    uint32_t mask = 15;
    while (mask < 2 * targets * (1 + ENTRY_ADDRESSES_MAX))
        mask = mask * 2 + 1;
    return mask;
}

/* The row of an address; nodes that share one are named once, with all their weight. */
static struct addr_row *row_of(struct name_farm *f, const struct addr *a, uint32_t mask)
{
    uint32_t hash = a->family;
    for (size_t i = 0; i < sizeof a->ip; i += 4) {
        uint32_t word;
        memcpy(&word, a->ip + i, 4);
        hash = (hash ^ word) * 0x9e3779b1u;
        hash ^= hash >> 15;
    }
    uint32_t at = hash & mask;
    for (; f->seen[at]; at = (at + 1) & mask)
        if (addr_same_ip(f->rows[f->seen[at] - 1].addr, a))
            return &f->rows[f->seen[at] - 1];
    f->seen[at] = (uint32_t)++f->row_count;
    f->rows[f->row_count - 1] = (struct addr_row){.addr = a};
    return &f->rows[f->row_count - 1];
}

void name_farm_rows(struct name_farm *f, const struct name_targets *t, enum network network)
{
    const struct addr *found[1 + ENTRY_ADDRESSES_MAX];
    uint32_t mask = seen_mask(t->count);
    struct name_share mean = name_targets_mean(t);
    memset(f->seen, 0, (mask + 1) * sizeof *f->seen);
    f->row_count = 0;
    for (size_t i = 0; i < t->count; i++) {
        for (uint8_t family = 4; family <= 6; family += 2) {
            size_t n = name_node_addresses(t->list[i].node, network, family, found);
            for (size_t k = 0; k < n; k++) {
                struct addr_row *row = row_of(f, found[k], mask);
                struct name_share own = name_target_share(&t->list[i], &mean);
                bool fits = !__builtin_add_overflow(row->weight, own.weight, &row->weight);
                row->weight = fits ? row->weight : UINT32_MAX;
                row->load = own.load;
            }
        }
    }
}

static int by_load(const void *a, const void *b)
{
    const struct addr_row *x = a, *y = b;
    if (x->load.users != y->load.users)
        return x->load.users < y->load.users ? -1 : 1;
    return (x->load.report > y->load.report) - (x->load.report < y->load.report);
}

static bool weigh_the_same(const struct addr_row *rows, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (rows[i].weight != rows[0].weight)
            return false;
    return true;
}

/* The set that was just put has these rows. Rows with equal chances need no lot. */
static void put_turn(struct name_farm *f, size_t count)
{
    enum name_order order = f->config->order;
    enum name_turn turn = order == NAME_ORDER_TWO_CHOICES ? TURN_LOAD : TURN_WEIGHT;
    if (order == NAME_ORDER_ROTATE ||
        (order == NAME_ORDER_WEIGHTED && weigh_the_same(f->chosen, count)))
        turn = TURN_ROTATE;
    name_builder_end_set(&f->builder, turn, f->config->addresses, true);
    if (turn == TURN_ROTATE)
        return;
    for (size_t i = 0; i < count; i++) {
        f->weights[i] = order == NAME_ORDER_RANDOM ? 1 : f->chosen[i].weight;
        f->loads[i] = f->chosen[i].load;
    }
    name_builder_draws(&f->builder, f->weights, f->loads);
}

/* How many of the chosen stand in the set, the least loaded first: as many as an answer has; or all
 * that tie for the first place, when these are more. */
static size_t keep_least(struct name_farm *f, size_t count, uint32_t *ties)
{
    qsort(f->chosen, count, sizeof *f->chosen, by_load);
    for (*ties = 0; *ties < count && by_load(&f->chosen[*ties], &f->chosen[0]) == 0;)
        ++*ties;
    size_t most = *ties > f->config->addresses ? *ties : f->config->addresses;
    return count < most ? count : most;
}

/* Those that tie for the first place have it in turn. */
static void put_least(struct name_farm *f, uint32_t ties)
{
    name_builder_end_set(&f->builder, TURN_HEAD, f->config->addresses, true);
    if (!f->builder.failed)
        f->builder.table->sets[f->builder.table->set_count - 1].ties = ties ? ties : 1;
}

static void put_family(struct name_farm *f, uint8_t family, uint8_t flags)
{
    size_t count = 0;
    struct name_set *s = name_builder_set(&f->builder, family == 4 ? DNS_A : DNS_AAAA);
    if (!s)
        return;
    s->flags = flags;
    for (size_t i = 0; i < f->row_count; i++)
        if (f->rows[i].addr->family == family)
            f->chosen[count++] = f->rows[i];
    bool least = f->config->order == NAME_ORDER_LEAST_USERS;
    uint32_t ties = 0;
    if (least)
        count = keep_least(f, count, &ties);
    for (size_t i = 0; i < count; i++) {
        struct wire_writer w = name_builder_room(&f->builder, ADDRESS_RECORD_MAX);
        dns_record_address(&w, NULL, f->chosen[i].addr, f->config->ttl_s);
        name_builder_put(&f->builder, &w);
    }
    if (least)
        put_least(f, ties);
    else
        put_turn(f, count);
}

void name_farm_put_addresses(struct name_farm *f, bool last_resort, bool servfail)
{
    uint8_t flags = (uint8_t)((last_resort ? SET_LAST_RESORT : 0) | (servfail ? SET_SERVFAIL : 0));
    put_family(f, 4, flags);
    put_family(f, 6, flags);
}

static bool file_has(const struct name_farm *f, const struct dns_name *lower, uint16_t type)
{
    if (!f->file)
        return false;
    const struct name_entry *e =
        name_table_find(f->file, lower->bytes, lower->len, dns_name_hash(lower->bytes, lower->len));
    return e && name_table_set(f->file, e, 0, type);
}

static void add_zone(struct name_farm *f, const char *text)
{
    struct name_table *t = f->builder.table;
    struct name_zone *z = &t->zones[t->zone_count];
    if (!name_farm_name(text, strlen(text), &z->name))
        return;
    t->zone_count++;
}

/* "There is none" is believed for the lesser of the record's TTL and its last field (RFC 2308, 5).
 */
static void put_negative(struct wire_writer *w, const uint8_t *soa, size_t len)
{
    const uint8_t *ttl = soa + 6, *minimum = soa + len - 4;
    wire_put_bytes(w, soa, 6);
    wire_put_bytes(w, memcmp(ttl, minimum, 4) < 0 ? ttl : minimum, 4);
    wire_put_bytes(w, soa + 10, len - 10);
}

/* The file's SOA, or else one of this node's making. */
static void put_soa(struct name_farm *f, struct name_zone *z, const struct dns_name *ns)
{
    struct dns_soa soa = {.mname = *ns,
                          .rname = z->name,
                          .serial = (uint32_t)f->roster->revision,
                          .refresh_s = SOA_REFRESH_S,
                          .retry_s = SOA_RETRY_S,
                          .expire_s = SOA_EXPIRE_S,
                          .negative_s = f->config->ttl_s};
    struct wire_writer w;
    /* A zone whose name leaves no room for hostmaster.ZONE is its own contact. */
    (void)!dns_name_prepend(&soa.rname, "hostmaster", 10);
    if (file_has(f, &z->name, DNS_SOA)) {
        const struct name_entry *e = name_table_find(f->file, z->name.bytes, z->name.len,
                                                     dns_name_hash(z->name.bytes, z->name.len));
        const struct name_set *s = name_table_set(f->file, e, 0, DNS_SOA);
        w = name_builder_room(&f->builder, s->size);
        put_negative(&w, f->file->bytes + s->records, s->size);
    } else {
        w = name_builder_room(&f->builder, DNS_RECORD_HEAD_BYTES + 2 * DNS_NAME_MAX + 20);
        dns_record_soa(&w, f->config->ttl_s, &soa);
    }
    z->soa_bytes = (uint32_t)wire_written(&w);
    z->soa = name_builder_bytes(&f->builder, &w);
}

/* Addresses of name servers in this farm go with their names. */
static void put_ns_extra(struct name_farm *f, const struct dns_name *ns)
{
    for (size_t i = 0; i < f->row_count && i < f->config->addresses; i++) {
        struct wire_writer w = name_builder_room(&f->builder, ns->len + ADDRESS_RECORD_MAX);
        dns_record_address(&w, ns, f->rows[i].addr, f->config->ttl_s);
        name_builder_extra(&f->builder, &w);
    }
}

static void put_ns(struct name_farm *f, const struct dns_name *own, bool with_addresses)
{
    const struct name_config *c = f->config;
    struct dns_name ns = *own;
    if (!name_builder_set(&f->builder, DNS_NS))
        return;
    for (size_t i = 0; i < (c->server_count ? c->server_count : 1); i++) {
        struct wire_writer w = name_builder_room(&f->builder, DNS_RECORD_HEAD_BYTES + DNS_NAME_MAX);
        if (c->server_count && !dns_name_from_text(c->servers[i], &ns))
            continue;
        dns_record_name(&w, DNS_NS, c->ttl_s, &ns);
        name_builder_put(&f->builder, &w);
    }
    name_builder_end_set(&f->builder, TURN_NONE, UINT32_MAX, true);
    if (with_addresses)
        put_ns_extra(f, own);
}

/* SOA and NS at the apex, and the addresses of ns.ZONE. */
static void fill_zone(struct name_farm *f, uint8_t index)
{
    struct name_table *t = f->builder.table;
    struct name_zone *z = &t->zones[index];
    struct dns_name ns = z->name;
    uint32_t apex = name_builder_name(&f->builder, &z->name), host = UINT32_MAX;
    (void)!dns_name_prepend(&ns, "ns", 2);
    dns_name_lower(ns.bytes, ns.len);
    name_targets_nodes(&f->targets, f->roster);
    name_farm_rows(f, &f->targets, NETWORK_OUTSIDE);
    if (!f->config->server_count && name_builder_find(&f->builder, &ns) == UINT32_MAX)
        host = name_builder_name(&f->builder, &ns);
    put_soa(f, z, &ns);
    if (f->builder.failed)
        return;
    t->entries[apex].zone = index;
    t->entries[apex].flags |= ENTRY_APEX;
    name_builder_open(&f->builder, apex);
    if (!file_has(f, &z->name, DNS_NS))
        put_ns(f, &ns, host != UINT32_MAX);
    if (!file_has(f, &z->name, DNS_SOA) && name_builder_set(&f->builder, DNS_SOA)) {
        struct wire_writer w = name_builder_room(&f->builder, z->soa_bytes);
        wire_put_bytes(&w, t->bytes + z->soa, z->soa_bytes);
        name_builder_put(&f->builder, &w);
        name_builder_end_set(&f->builder, TURN_NONE, 1, true);
    }
    name_builder_close(&f->builder, apex, PLACED_NOT, 1);
    if (host == UINT32_MAX || f->builder.failed)
        return;
    t->entries[host].zone = index;
    name_builder_open(&f->builder, host);
    name_farm_put_addresses(f, f->targets.last_resort, false);
    name_builder_close(&f->builder, host, PLACED_NOT, 1);
}

/* Places only cost where they make a difference. */
static unsigned count_places(const struct name_config *c, const struct roster *r)
{
    if (c->site_count)
        return ((unsigned)c->site_count + 1) * 2;
    for (size_t i = 0; i < r->count; i++)
        if (r->nodes[i].entry->address_count)
            return 2;
    return 1;
}

static bool init(struct name_farm *f, const struct name_config *c, const struct roster *r,
                 const struct name_table *file)
{
    *f = (struct name_farm){.config = c, .roster = r, .file = file};
    f->places = count_places(c, r);
    size_t rows = r->count * (1 + ENTRY_ADDRESSES_MAX);
    f->rows = mem_alloc(rows * sizeof *f->rows);
    f->chosen = mem_alloc(rows * sizeof *f->chosen);
    f->weights = mem_alloc(rows * sizeof *f->weights);
    f->loads = mem_alloc(rows * sizeof *f->loads);
    if (!name_targets_init(&f->targets, r) || !name_targets_init(&f->near, r))
        return false;
    f->seen = mem_alloc((seen_mask(f->targets.cap) + 1u) * sizeof *f->seen);
    return f->rows && f->chosen && f->weights && f->loads && f->seen &&
           name_builder_init(&f->builder);
}

static void deinit(struct name_farm *f)
{
    name_builder_deinit(&f->builder);
    name_targets_deinit(&f->targets);
    name_targets_deinit(&f->near);
    mem_free(f->rows);
    mem_free(f->chosen);
    mem_free(f->weights);
    mem_free(f->loads);
    mem_free(f->seen);
}

struct name_table *name_farm_table(const struct name_config *c, const struct roster *r,
                                   const struct name_table *file,
                                   const struct name_failback *failback)
{
    struct name_farm f;
    struct name_table *out = NULL;
    if (init(&f, c, r, file)) {
        f.failback = failback;
        for (size_t i = 0; i < c->zone_count; i++)
            add_zone(&f, c->zones[i]);
        for (size_t i = 0; i < c->service_count; i++)
            name_farm_service(&f, &c->services[i]);
        name_farm_hosts(&f);
        for (size_t i = 0; i < f.builder.table->zone_count; i++)
            fill_zone(&f, (uint8_t)i);
        for (uint32_t i = 0; !f.builder.failed && i < f.builder.table->entry_count; i++) {
            uint8_t zone = f.builder.table->entries[i].zone;
            name_builder_above(&f.builder, i, &f.builder.table->zones[zone], zone);
        }
        out = name_builder_done(&f.builder);
    }
    deinit(&f);
    return out;
}
