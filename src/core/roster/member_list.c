/* member_list.c - lists of all that a node knows: how everybody learns of everybody from one
 * address. Hearsay never decides that a peer lives or is down; it gives addresses to say hello to,
 * and the names of those gone. */
#include "core/roster/member_state.h"

#include "base/mem.h"

#include <string.h>

/* What c's record says; false when it is not told on: hearsay, or over. */
static bool record_of(const struct contact *c, uint64_t now_ns, struct list_record *out)
{
    if (c->dormant || c->superseded || c->presence == PRESENCE_TOLD ||
        c->presence == PRESENCE_REPLACED)
        return false;
    out->status = contact_state(c);
    out->addr = c->addr;
    entry_copy(c->entry, &out->entry);
    out->age_ms = 0;
    if (c->presence != PRESENCE_HEARD) {
        uint64_t age = (now_ns - c->since_ns) / NS_PER_MS;
        out->age_ms = age > UINT32_MAX ? UINT32_MAX : (uint32_t)age;
    }
    return true;
}

/* Fills a page from *at on; returns how many records it has. */
static uint16_t fill_page(const struct membership *m, const struct contact *to, uint64_t now_ns,
                          size_t *at, struct wire_writer *w)
{
    struct list_record record;
    uint16_t count = 0;
    member_message_list_start(w);
    for (; *at < m->contacts.count; (*at)++) {
        const struct contact *c = m->contacts.items[*at];
        if (c == to || !record_of(c, now_ns, &record))
            continue;
        if (!member_message_put_record(&record, w))
            break;
        count++;
    }
    return count;
}

bool member_list_send(struct membership *m, const struct contact *to, uint64_t now_ns,
                      struct member_actions *out)
{
    uint8_t *page = mem_alloc(LIST_PAGE_BYTES);
    bool sent = page != NULL;
    size_t at = 0;
    bool last = false;
    while (sent && !last) {
        struct wire_writer w;
        wire_writer_init(&w, page, LIST_PAGE_BYTES);
        uint16_t count = fill_page(m, to, now_ns, &at, &w);
        last = at == m->contacts.count;
        member_message_list_finish(&w, count, last);
        sent = member_output_send(out, to, true, page, wire_written(&w));
    }
    mem_free(page);
    return sent;
}

/* An unknown incarnation is told of. A live one is greeted and decides for itself; nobody who is
 * heard makes way for hearsay. */
static void take_stranger(struct membership *m, const struct list_record *r, uint64_t now_ns,
                          struct member_actions *out)
{
    bool gone = r->status == STATUS_DOWN || r->status == STATUS_LEFT;
    size_t at = 0;
    if (gone && r->age_ms >= m->timing.forget_ms)
        return;
    bool known = contacts_claimed(&m->contacts, &r->entry, &r->addr, &at) != NULL;
    if (!known && r->entry.node != m->self.node && strcmp(r->entry.name, m->self.name) != 0) {
        struct contact *c = member_admit_add(m, &r->entry, &r->addr, now_ns, out);
        if (c == NULL)
            return;
        m->roster_dirty = true;
        if (gone) {
            contact_count_out(c, r->status == STATUS_LEFT ? PRESENCE_LEFT : PRESENCE_OUT, now_ns);
            uint64_t age = member_ns(r->age_ms);
            c->since_ns = now_ns > age ? now_ns - age : 0;
            m->view_dirty = true;
        }
        member_wake(m, now_ns);
    } else if (!gone && !addr_equal(&r->addr, &m->self.address)) {
        (void)member_output_hello(out, &r->addr);
    }
}

/* What is told of one that this node does not hear itself. */
static void take_known(struct membership *m, struct contact *c, const struct list_record *r,
                       uint64_t now_ns, struct member_actions *out)
{
    bool silent = c->presence == PRESENCE_OUT || c->presence == PRESENCE_TOLD;
    if (r->status == STATUS_LEFT) {
        c->told_left = true;
        if (silent)
            member_admit_part(m, c, now_ns, out);
        return;
    }
    if (!silent || c->entry->node != r->entry.node || c->entry->boot != r->entry.boot)
        return;
    if (r->entry.revision > c->entry->revision && contact_set_entry(c, &r->entry))
        m->roster_dirty = true;
    if (c->presence == PRESENCE_TOLD && r->status == STATUS_DOWN) {
        contact_count_out(c, PRESENCE_OUT, now_ns);
        m->roster_dirty = m->view_dirty = true;
    } else if (r->status != STATUS_DOWN && !addr_equal(&c->addr, &r->addr)) {
        c->addr = r->addr; /* somebody hears it there */
        c->hello_due_ns = now_ns;
        member_wake(m, now_ns);
    }
}

void member_list_take(struct membership *m, struct contact *from, const struct member_message *msg,
                      uint64_t now_ns, struct member_actions *out)
{
    struct wire_reader records = msg->records;
    for (uint16_t i = 0; i < msg->count; i++) {
        struct list_record r;
        if (!member_message_get_record(&records, &r))
            return;
        if (r.entry.inc == m->self.inc)
            continue;
        struct contact *c = contacts_find(&m->contacts, r.entry.inc);
        if (c == NULL)
            take_stranger(m, &r, now_ns, out);
        else
            take_known(m, c, &r, now_ns, out);
        /* Making room may have forgotten somebody gone, but never a peer that is heard, as `from`
         * is. */
    }
    if (msg->last)
        from->listed = true;
}
