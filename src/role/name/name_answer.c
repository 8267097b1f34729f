/* name_answer.c - from a message to its answer: what is malformed, limited or not ours ends here;
 * the rest is looked up by name_lookup.c. */
#include "role/name/name_answer.h"

#include <string.h>

#define TYPE_META_FIRST 249 /* TKEY, TSIG and the zone transfers: 249 to 254 */
#define TYPE_META_LAST 254

static size_t room(const struct dns_query *q, const struct name_asker *by, size_t cap)
{
    if (by->tcp)
        return cap;
    size_t udp = q->udp_size < DNS_UDP_MAX ? q->udp_size : DNS_UDP_MAX;
    return udp < cap ? udp : cap;
}

/* Reads what the query's options ask for; the answer's options are made of it. */
static int read_options(struct name_ask *k, bool *known)
{
    const struct name_config *c = k->view->config;
    const struct dns_query *q = k->q;
    if (q->cookie && c->cookies) {
        enum dns_cookie found = dns_cookie_check(c->cookie_key, q->cookie, q->cookie_len,
                                                 &k->by->from, k->by->now_s, k->options.cookie);
        if (found == DNS_COOKIE_MALFORMED)
            return DNS_FORMERR;
        k->options.cookie_len = DNS_COOKIE_BYTES;
        *known = found == DNS_COOKIE_GOOD;
        name_count(*known ? &k->stats->cookies_good : &k->stats->cookies_new);
    }
    if (q->subnet && c->subnet) {
        if (!dns_subnet_parse(q->subnet, q->subnet_len, &k->options.subnet))
            return DNS_FORMERR;
        name_count(&k->stats->subnets);
    }
    if (q->keepalive && k->by->tcp)
        k->options.keepalive_100ms = NAME_TCP_IDLE_MS / 100;
    return DNS_NOERROR;
}

/* Whose address may be forged, and who had many answers already. */
static enum dns_verdict judge(const struct name_ask *k, bool known)
{
    struct dns_limit *l = k->by->limit;
    if (!l || l->cost_us == 0 || k->by->tcp || known ||
        name_prefixes_have(&k->view->config->exempt, &k->by->from))
        return DNS_ALLOW;
    uint64_t forgotten = l->forgotten;
    enum dns_verdict v = dns_limit_take(l, &k->by->from, k->by->now_us);
    if (l->forgotten != forgotten)
        name_count(&k->stats->forgotten);
    return v;
}

/* No records: an error, or "ask by TCP". */
static size_t answer_bare(struct name_ask *k, uint8_t *msg, size_t cap, unsigned rcode,
                          bool truncated)
{
    dns_answer_begin(&k->answer, k->q, &k->options, msg, cap);
    k->answer.truncated = truncated;
    return dns_answer_end(&k->answer, k->q, &k->options, rcode);
}

/* RFC 7873, 5.2.3: a client that speaks of cookies learns its own, and comes again with it. */
static size_t answer_slip(struct name_ask *k, uint8_t *msg, size_t cap)
{
    name_count(&k->stats->slipped);
    if (k->options.cookie_len)
        return answer_bare(k, msg, cap, DNS_BADCOOKIE, false);
    return answer_bare(k, msg, cap, DNS_NOERROR, true);
}

/* A query without a question. */
static size_t answer_cookie(struct name_ask *k, uint8_t *msg, size_t cap, bool known)
{
    bool had_one = k->q->cookie_len > DNS_COOKIE_CLIENT_BYTES;
    name_count(&k->stats->empty);
    return answer_bare(k, msg, cap, had_one && !known ? DNS_BADCOOKIE : DNS_NOERROR, false);
}

static void count_answer(const struct name_ask *k, unsigned rcode)
{
    struct name_stats *s = k->stats;
    const struct dns_answer *a = &k->answer;
    if (a->truncated)
        name_count(&s->truncated);
    if (k->last_resort && a->counts[DNS_ANSWER])
        name_count(&s->last_resort);
    if (rcode == DNS_NOERROR)
        name_count(k->referral                             ? &s->referred
                   : a->counts[DNS_ANSWER] || a->truncated ? &s->answered
                                                           : &s->empty);
    else
        name_count(rcode == DNS_NXDOMAIN   ? &s->nxdomain
                   : rcode == DNS_SERVFAIL ? &s->servfail
                                           : &s->refused);
}

static size_t answer_question(struct name_ask *k, uint8_t *msg, size_t cap)
{
    const struct dns_query *q = k->q;
    unsigned rcode = DNS_REFUSED;
    dns_answer_begin(&k->answer, q, &k->options, msg, cap);
    if (q->class == DNS_CLASS_IN && (q->type < TYPE_META_FIRST || q->type > TYPE_META_LAST))
        rcode = name_lookup(k);
    count_answer(k, rcode);
    if (k->options.subnet.source == 0)
        k->options.scope = 0;
    return dns_answer_end(&k->answer, q, &k->options, rcode);
}

/* Field by field: most of it is only looked at when it was written before. */
static void begin(struct name_ask *k, const struct name_view *v, const struct name_asker *by,
                  struct dns_query *q, struct name_stats *stats)
{
    k->view = v;
    k->by = by;
    k->q = q;
    k->stats = stats;
    k->place_known = k->referral = k->last_resort = false;
    k->options.cookie_len = k->options.scope = 0;
    k->options.subnet.family = k->options.subnet.source = 0;
    k->options.keepalive_100ms = 0;
}

size_t name_answer(const struct name_view *v, const struct name_asker *by, uint8_t *msg, size_t len,
                   size_t cap, struct name_stats *stats)
{
    struct dns_query q;
    struct name_ask k;
    bool known = false;
    begin(&k, v, by, &q, stats);
    name_count(by->tcp ? &stats->tcp : &stats->udp);
    int rcode = dns_parse_query(msg, len, &q);
    if (rcode < 0) {
        name_count(&stats->dropped);
        return 0;
    }
    cap = room(&q, by, cap);
    if (rcode == DNS_NOERROR && q.edns && (q.cookie || q.subnet || q.keepalive))
        rcode = read_options(&k, &known);
    if (rcode == DNS_NOERROR && (q.name_len == 0 ? k.options.cookie_len == 0 : q.type == DNS_OPT))
        rcode =
            DNS_FORMERR; /* no question, and no cookies here; or OPT, which cannot be asked for */
    enum dns_verdict verdict = judge(&k, known);
    if (verdict == DNS_DROP) {
        name_count(&stats->limited);
        return 0;
    }
    if (verdict == DNS_SLIP)
        return answer_slip(&k, msg, cap);
    if (rcode == DNS_NOERROR && q.name_len)
        return answer_question(&k, msg, cap);
    if (rcode == DNS_NOERROR)
        return answer_cookie(&k, msg, cap, known);
    name_count(rcode == DNS_REFUSED ? &stats->refused : &stats->malformed);
    return answer_bare(&k, msg, cap, (unsigned)rcode, false);
}
