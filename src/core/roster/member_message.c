/* member_message.c - the bytes of roster messages. What they mean is in member.c and member_list.c.
 */
#include "core/roster/member_message.h"

#include <string.h>

void member_message_put_heartbeat(const struct heartbeat *h, const uint8_t *entry, size_t len,
                                  struct wire_writer *w)
{
    wire_put_u8(w, MESSAGE_HEARTBEAT);
    wire_put_u64(w, h->stamp);
    wire_put_u64(w, h->echo);
    wire_put_u64(w, h->counted);
    wire_put_u64(w, h->revision);
    wire_put_u64(w, h->confirmed);
    wire_put_u8(w, entry != NULL);
    if (entry != NULL)
        wire_put_bytes(w, entry, len);
}

static void heartbeat_decode(struct wire_reader *r, struct heartbeat *h)
{
    h->stamp = wire_u64(r);
    h->echo = wire_u64(r);
    h->counted = wire_u64(r);
    h->revision = wire_u64(r);
    h->confirmed = wire_u64(r);
    uint8_t has_entry = wire_u8(r);
    if (h->stamp == 0 || h->revision == 0 || has_entry > 1)
        wire_fail(r);
    h->has_entry = has_entry == 1;
    if (h->has_entry && wire_ok(r) &&
        (!entry_decode(r, &h->entry) || h->entry.revision != h->revision))
        wire_fail(r);
}

bool member_message_put_record(const struct list_record *r, struct wire_writer *w)
{
    struct wire_writer before = *w;
    wire_put_u8(w, (uint8_t)r->status);
    wire_put_u32(w, r->age_ms);
    entry_encode_addr(&r->addr, w);
    entry_encode(&r->entry, w);
    if (wire_put_ok(w))
        return true;
    *w = before;
    return false;
}

bool member_message_get_record(struct wire_reader *r, struct list_record *out)
{
    out->status = (enum status)wire_u8(r);
    out->age_ms = wire_u32(r);
    entry_decode_addr(r, &out->addr);
    if (!entry_decode(r, &out->entry))
        return false;
    switch (out->status) {
    case STATUS_JOINING:
    case STATUS_UP:
    case STATUS_DRAINING:
    case STATUS_MAINT:
    case STATUS_DOWN:
    case STATUS_LEFT:
        return out->addr.family != 0;
    default:
        return false;
    }
}

void member_message_list_start(struct wire_writer *w)
{
    wire_put_u8(w, MESSAGE_LIST);
    wire_put_u8(w, 0);
    wire_put_u16(w, 0);
}

void member_message_list_finish(struct wire_writer *w, uint16_t count, bool last)
{
    struct wire_writer head;
    wire_writer_init(&head, w->start + 1, LIST_HEAD_BYTES - 1);
    wire_put_u8(&head, last);
    wire_put_u16(&head, count);
}

/* Walks the whole page once, so that what is kept of it is known to be good. */
static void list_decode(struct wire_reader *r, struct member_message *out)
{
    uint8_t last = wire_u8(r);
    out->count = wire_u16(r);
    if (last > 1)
        wire_fail(r);
    out->last = last == 1;
    out->records = *r;
    for (uint16_t i = 0; i < out->count && wire_ok(r); i++) {
        struct list_record record;
        if (!member_message_get_record(r, &record))
            wire_fail(r);
    }
}

bool member_message_decode(const uint8_t *bytes, size_t len, struct member_message *out)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    memset(out, 0, sizeof *out);
    uint8_t type = wire_u8(&r);
    if (!wire_ok(&r) || type < MESSAGE_HEARTBEAT || type > MESSAGE_LEAVING)
        return false;
    out->type = (enum member_message_type)type;
    switch (out->type) {
    case MESSAGE_HEARTBEAT:
        heartbeat_decode(&r, &out->heartbeat);
        break;
    case MESSAGE_ENTRY:
        if (!entry_decode(&r, &out->entry) || out->entry.revision == 0)
            return false;
        break;
    case MESSAGE_LIST:
        list_decode(&r, out);
        break;
    case MESSAGE_LEAVING:
        break;
    }
    return wire_done(&r);
}
