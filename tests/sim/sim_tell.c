/* sim_tell.c - session messages and copies in words, for --trace. Knows the messages' inside; no
 * checker does. */
#include "sim_node.h"

#include "core/session/message.h"

#include <inttypes.h>

/* A node by its incarnation: "n3", or "n3'" for one that runs no more. */
static const char *tell_inc(struct sim *s, uint64_t inc)
{
    static char text[8][24];
    static unsigned next;
    char *out = text[next++ % 8];
    const struct sim_node *n = inc ? sim_node_by_inc(s, inc) : NULL;
    if (n)
        snprintf(out, sizeof text[0], "%s", n->name);
    else if (inc)
        snprintf(out, sizeof text[0], "(%08" PRIx64 ")", inc >> 32);
    else
        snprintf(out, sizeof text[0], "-");
    return out;
}

void sim_tell_message(struct sim *s, const struct sim_node *n, const struct msg *m)
{
    static const char *const names[] = {
        "?",         "FORWARD",    "RESULT", "LOCATE",   "LOCATED",  "CLAIM",  "CLAIMED",
        "REPLICATE", "REPLICATED", "DROP",   "ANNOUNCE", "OFFER",    "TAKEN",  "HANDOVER",
        "EXPIRED",   "TOUCH",      "DISOWN", "SYNC",     "SYNCED",   "HEARD",  "VERIFY",
        "VERIFIED",  "CULL",       "CULLED", "ENROL",    "ENROLLED", "SYNCING"};
    _Static_assert(sizeof names / sizeof names[0] > MESSAGE_SYNCING, "each type has a name");
    struct key key;
    struct message d;
    if (!s->opt.trace || !session_message_key(m->bytes, m->len, &key))
        return;
    if (key.len > 0 && (!s->opt.trace_key || !sim_traces_key(s, &key)))
        return;
    if (key.len == 0 && s->opt.trace_key)
        return;
    if (message_decode(m->bytes, m->len, &d) != STEAD_OK)
        return;
    struct wire_reader r;
    wire_reader_init(&r, d.record, d.record_len);
    struct record *rec = d.record ? record_decode(&r, 1) : NULL;
    sim_trace(s,
              "  %s <- %s %s token=%" PRIu64 " stamp=%" PRIu64 ".%" PRIu64
              "/%s peer=%s counted=%" PRIu64 " granted=%" PRIu64 " base=%" PRIu64
              " hops=%u index=%u status=%s rec=%" PRIu64 ".%" PRIu64,
              n->name, tell_inc(s, m->peer), names[d.type], d.token, d.stamp.term, d.stamp.version,
              tell_inc(s, d.stamp.inc), tell_inc(s, d.peer), d.counted, d.granted, d.base, d.hops,
              d.index, d.status ? stead_error_name(-(int)d.status) : "OK",
              rec ? rec->stamp.term : 0, rec ? rec->stamp.version : 0);
    record_free(rec);
    message_op_free(&d);
}

void sim_tell_copy(struct sim *s, struct sim_node *n, const struct key *key,
                   const struct stamp *before)
{
    if (!s->opt.trace_key || !sim_traces_key(s, key))
        return;
    bool owned;
    const struct record *r = sim_node_peek(n, key, &owned);
    if (!r) {
        if (before)
            sim_trace(s, "  %s drops it", n->name);
        return;
    }
    if (before && stamp_compare(before, &r->stamp) == 0)
        return;
    sim_trace(s, "  %s has %" PRIu64 ".%" PRIu64 "/%s%s%s, holders %s %s", n->name, r->stamp.term,
              r->stamp.version, tell_inc(s, r->stamp.inc), owned ? ", owns it" : "",
              r->ended ? ", ended" : "", r->holder_count > 0 ? tell_inc(s, r->holders[0]) : "-",
              r->holder_count > 1 ? tell_inc(s, r->holders[1]) : "");
}
