/* member_message.c - the bytes of membership's messages. What they mean is in member_beat.c. */
#include "core/roster/member_message.h"

#include <string.h>

void member_message_put_heartbeat(const struct heartbeat *h, struct wire_writer *w)
{
    wire_put_u8(w, MESSAGE_HEARTBEAT);
    wire_put_u64(w, h->stamp);
    wire_put_u64(w, h->echo);
    wire_put_u64(w, h->saw);
    wire_put_u64(w, h->counted);
    wire_put_u64(w, h->revision);
}

static void heartbeat_decode(struct wire_reader *r, struct heartbeat *h)
{
    h->stamp = wire_u64(r);
    h->echo = wire_u64(r);
    h->saw = wire_u64(r);
    h->counted = wire_u64(r);
    h->revision = wire_u64(r);
    if (h->stamp == 0 || h->revision == 0)
        wire_fail(r);
}

bool member_message_decode(const uint8_t *bytes, size_t len, struct member_message *out)
{
    struct wire_reader r;
    wire_reader_init(&r, bytes, len);
    memset(out, 0, sizeof *out);
    uint8_t type = wire_u8(&r);
    if (type != MESSAGE_HEARTBEAT && type != MESSAGE_LEAVING)
        return false;
    out->type = (enum member_message_type)type;
    if (out->type == MESSAGE_HEARTBEAT)
        heartbeat_decode(&r, &out->heartbeat);
    return wire_done(&r);
}
