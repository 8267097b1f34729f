/* name_lookup.c - what a question's name has: its own records, an alias' target, name servers of a
 * part of the zone, a wildcard, or nothing. */
#include "role/name/name_answer.h"

#include <string.h>

#define POINTER_MAX 0x3fff

/* A name that is looked for, and where a record's owner can point to it. */
struct wanted {
    const uint8_t *lower;
    size_t len;
    uint32_t hash;
    size_t at; /* in the message */
};

struct name_found name_find(const struct name_view *v, const uint8_t *lower, size_t len,
                            uint32_t hash)
{
    return (struct name_found){name_table_find(v->farm, lower, len, hash),
                               v->file ? name_table_find(v->file, lower, len, hash) : NULL};
}

/* Where the client is matters, and is looked up now. */
static unsigned place_index(struct name_ask *k, const struct name_entry *e)
{
    if (e->placed == PLACED_NOT)
        return 0;
    if (!k->place_known) {
        struct addr a = k->by->from;
        if (k->options.subnet.source) { /* 0: the client wishes that it does not count */
            a = (struct addr){.family = k->options.subnet.family};
            memcpy(a.ip, k->options.subnet.ip, sizeof a.ip);
        }
        k->place = name_place_of(k->view->config, &a);
        k->place_known = true;
    }
    if (e->placed == PLACED_NETWORK) {
        k->options.scope = k->place.network_scope;
        return k->place.network == NETWORK_OUTSIDE;
    }
    k->options.scope = k->place.scope;
    return name_place_index(&k->place);
}

/* Records that were just added, all of them made for the question as owner, get another. */
static void set_owner(uint8_t *record, const uint8_t *end, size_t at)
{
    for (; record < end; record += dns_record_bytes(record)) {
        record[0] = (uint8_t)(0xc0 | at >> 8);
        record[1] = (uint8_t)at;
    }
}

/* Records that are chosen one by one: those of an index, or all from `first` on. */
static bool add_each(struct dns_answer *a, const struct name_table *t, const struct name_set *s,
                     const uint32_t *index, uint32_t first)
{
    size_t before = a->len;
    for (uint32_t i = 0; i < s->give; i++) {
        uint32_t n = index ? index[i] : (first + i) % s->count;
        uint32_t at = s->size ? s->records + n * s->size : t->offsets[s->offsets + n];
        size_t len = s->size ? s->size : dns_record_bytes(t->bytes + at);
        if (!dns_answer_add(a, DNS_ANSWER, t->bytes + at, len, 1)) {
            a->len = before;
            a->counts[DNS_ANSWER] = (uint16_t)(a->counts[DNS_ANSWER] - i);
            return false;
        }
    }
    return true;
}

static bool add_drawn(struct dns_answer *a, const struct name_table *t, const struct name_set *s,
                      uint64_t chance)
{
    uint32_t index[NAME_ADDRESSES_MAX];
    name_set_draw(t, s, chance, index);
    return add_each(a, t, s, index, 0);
}

/* A set whole or not at all; then the client must ask by TCP. */
static void add_set(struct name_ask *k, const struct name_table *t, const struct name_set *s,
                    size_t owner)
{
    struct dns_answer *a = &k->answer;
    size_t before = a->len;
    bool added;
    uint32_t first = name_set_row(s, k->by->chance);
    if (first == UINT32_MAX)
        added = add_drawn(a, t, s, k->by->chance);
    else if (s->size)
        added = dns_answer_add(a, DNS_ANSWER, t->bytes + s->records + first * s->size,
                               (size_t)s->give * s->size, (uint16_t)s->give);
    else
        added = add_each(a, t, s, NULL, first);
    if (!added) {
        a->truncated = true;
        return;
    }
    if (owner != DNS_HEADER_BYTES)
        set_owner(a->msg + before, a->msg + a->len, owner);
    k->last_resort |= (s->flags & SET_LAST_RESORT) != 0;
    if (s->extra_count)
        dns_answer_add(a, DNS_ADDITIONAL, t->bytes + s->extra, s->extra_bytes, s->extra_count);
}

/* "There is none" comes with the zone's SOA, whose name is the end of the wanted one. */
static unsigned add_nothing(struct name_ask *k, const struct wanted *w, uint8_t zone,
                            unsigned rcode)
{
    const struct name_table *t = k->view->farm;
    const struct name_zone *z = &t->zones[zone];
    struct dns_answer *a = &k->answer;
    size_t before = a->len;
    if (dns_answer_add(a, DNS_AUTHORITY, t->bytes + z->soa, z->soa_bytes, 1))
        set_owner(a->msg + before, a->msg + a->len, w->at + w->len - z->name.len);
    else
        a->truncated = true;
    return rcode;
}

static void add_hinfo(struct name_ask *k, size_t owner)
{
    uint8_t record[DNS_RECORD_HEAD_BYTES + 16];
    struct wire_writer w;
    wire_writer_init(&w, record, sizeof record);
    dns_record_hinfo(&w, k->view->config->ttl_s);
    set_owner(record, w.at, owner);
    if (!dns_answer_add(&k->answer, DNS_ANSWER, record, wire_written(&w), 1))
        k->answer.truncated = true;
}

/* RFC 9471: the addresses that go with a referral are part of it. */
static unsigned add_referral(struct name_ask *k, const struct wanted *w,
                             const struct name_entry *cut)
{
    const struct name_table *t = k->view->file;
    const struct name_set *s = name_table_set(t, cut, 0, DNS_NS);
    struct dns_answer *a = &k->answer;
    size_t before = a->len, owner = w->at + w->len - cut->name_len;
    bool fit = add_each(a, t, s, NULL, 0);
    if (fit) {
        set_owner(a->msg + before, a->msg + a->len, owner);
        a->counts[DNS_ANSWER] = (uint16_t)(a->counts[DNS_ANSWER] - s->give);
        a->counts[DNS_AUTHORITY] = (uint16_t)(a->counts[DNS_AUTHORITY] + s->give);
        fit = s->extra_count == 0 || dns_answer_add(a, DNS_ADDITIONAL, t->bytes + s->extra,
                                                    s->extra_bytes, s->extra_count);
    }
    a->truncated |= !fit;
    a->authoritative = a->counts[DNS_ANSWER] > 0; /* an alias before it is */
    k->referral = true;
    return DNS_NOERROR;
}

/* The set of a type: the roster's word counts before the file's. */
static const struct name_set *find_set(struct name_ask *k, const struct name_found *f,
                                       uint16_t type, const struct name_table **table)
{
    const struct name_set *s = NULL;
    if (f->farm) {
        *table = k->view->farm;
        s = name_table_set(*table, f->farm, place_index(k, f->farm), type);
    }
    if (!s && f->file) {
        *table = k->view->file;
        s = name_table_set(*table, f->file, 0, type);
    }
    return s;
}

enum step { STEP_DONE, STEP_ALIAS };

/* Answers from the entries of a name. STEP_ALIAS: *w is what to look for next. */
static enum step answer_found(struct name_ask *k, const struct name_found *f, struct wanted *w,
                              struct dns_name *target, unsigned *rcode)
{
    const struct name_table *t;
    const struct name_set *s;
    uint8_t zone = f->farm ? f->farm->zone : f->file->zone;
    *rcode = DNS_NOERROR;
    if (k->q->type == DNS_ANY) {
        add_hinfo(k, w->at);
        return STEP_DONE;
    }
    s = find_set(k, f, k->q->type, &t);
    if (s && s->count) {
        add_set(k, t, s, w->at);
        return STEP_DONE;
    }
    if (s && (s->flags & SET_SERVFAIL)) {
        k->answer.authoritative = false;
        *rcode = DNS_SERVFAIL;
        return STEP_DONE;
    }
    if (s || f->farm || !(s = name_table_set(k->view->file, f->file, 0, DNS_CNAME))) {
        *rcode = add_nothing(k, w, zone, DNS_NOERROR);
        return STEP_DONE;
    }
    size_t data_at = k->answer.len + DNS_RECORD_HEAD_BYTES;
    add_set(k, k->view->file, s, w->at);
    if (k->answer.truncated || data_at > POINTER_MAX ||
        !dns_name_read(k->answer.msg, k->answer.len, data_at, target))
        return STEP_DONE;
    dns_name_lower(target->bytes, target->len);
    *w = (struct wanted){target->bytes, target->len, dns_name_hash(target->bytes, target->len),
                         data_at};
    return STEP_ALIAS;
}

/* The entry that a cut covers the wanted name by, or NULL. At the cut itself, its DS record is the
 * upper zone's. */
static const struct name_entry *find_cut(const struct name_ask *k, const struct name_found *f,
                                         bool exact)
{
    const struct name_entry *e = f->file;
    if (!e || f->farm)
        return NULL;
    if (e->flags & ENTRY_COVERED)
        return &k->view->file->entries[e->cut];
    if (e->flags & ENTRY_CUT && !(exact && k->q->type == DNS_DS))
        return e;
    return NULL;
}

/* *.ENCLOSER, which stands for all names below it that do not exist (RFC 4592). */
static const struct name_entry *find_wildcard(const struct name_ask *k, const uint8_t *encloser,
                                              size_t len)
{
    struct dns_name n = {.len = len};
    if (!k->view->file || len > DNS_NAME_MAX - 2)
        return NULL;
    memcpy(n.bytes, encloser, len);
    if (!dns_name_prepend(&n, "*", 1))
        return NULL;
    return name_table_find(k->view->file, n.bytes, n.len, dns_name_hash(n.bytes, n.len));
}

/* The name is not there: is it below one that is? A name with many more labels than any here has is
 * not walked down label by label. */
static enum step answer_missing(struct name_ask *k, struct wanted *w, struct dns_name *target,
                                unsigned *rcode)
{
    const struct name_view *v = k->view;
    unsigned most = v->farm->labels_max, labels = dns_name_labels(w->lower);
    size_t at = 0;
    if (v->file && v->file->labels_max > most)
        most = v->file->labels_max;
    *rcode = DNS_REFUSED;
    while (w->lower[at]) {
        at += w->lower[at] + 1u;
        if (--labels > most)
            continue;
        const uint8_t *name = w->lower + at;
        size_t len = w->len - at;
        struct name_found f = name_find(v, name, len, dns_name_hash(name, len));
        if (!f.farm && !f.file)
            continue;
        const struct name_entry *cut = find_cut(k, &f, false), *wild;
        if (cut) {
            *rcode = add_referral(k, w, cut);
            return STEP_DONE;
        }
        if ((wild = find_wildcard(k, name, len))) {
            struct name_found below = {.file = wild};
            return answer_found(k, &below, w, target, rcode);
        }
        *rcode = add_nothing(k, w, f.farm ? f.farm->zone : f.file->zone, DNS_NXDOMAIN);
        return STEP_DONE;
    }
    return STEP_DONE;
}

static enum step answer_wanted(struct name_ask *k, struct wanted *w, struct dns_name *target,
                               unsigned *rcode)
{
    struct name_found f = name_find(k->view, w->lower, w->len, w->hash);
    if (!f.farm && !f.file)
        return answer_missing(k, w, target, rcode);
    const struct name_entry *cut = find_cut(k, &f, true);
    if (!cut)
        return answer_found(k, &f, w, target, rcode);
    *rcode = add_referral(k, w, cut);
    return STEP_DONE;
}

unsigned name_lookup(struct name_ask *k)
{
    struct dns_name target;
    struct wanted w = {k->q->lower, k->q->name_len, k->q->hash, DNS_HEADER_BYTES};
    unsigned rcode = DNS_REFUSED;
    k->answer.authoritative = true;
    enum step s = answer_wanted(k, &w, &target, &rcode);
    for (int hop = 1; s == STEP_ALIAS && hop < NAME_ALIASES_MAX; hop++) {
        s = answer_wanted(k, &w, &target, &rcode);
        if (s == STEP_DONE && rcode == DNS_REFUSED)
            rcode = DNS_NOERROR; /* the target is not ours to tell */
    }
    if (rcode == DNS_REFUSED)
        k->answer.authoritative = false;
    return rcode;
}
