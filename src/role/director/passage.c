/* passage.c - see passage.h. */
#include "role/director/passage.h"

#include "base/mem.h"
#include "io/io.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    COUNTED = 1,
    UP_EOF = 2,
    UP_SHUT = 4,
    DOWN_EOF = 8,
    DOWN_SHUT = 16,
    BOUNDED = 32,
    FLAGS_END = 64
};

/* -- the message -- */

static void put_half(const struct forward_half *h, struct wire_writer *w)
{
    wire_put_u32(w, h->len);
    wire_put_u64(w, h->bytes);
}

void passage_encode(const struct passage *p, struct wire_writer *w)
{
    const struct forward_half *up = &p->tunnel.up, *down = &p->tunnel.down;
    wire_put_u8(w, (uint8_t)((p->counted ? COUNTED : 0) | (up->eof ? UP_EOF : 0) |
                             (up->shut ? UP_SHUT : 0) | (down->eof ? DOWN_EOF : 0) |
                             (down->shut ? DOWN_SHUT : 0) | (down->bounded ? BOUNDED : 0)));
    wire_put_u32(w, p->tunnel.idle_ms);
    put_half(up, w);
    put_half(down, w);
    wire_put_u64(w, down->bounded ? down->left : 0);
    wire_put_u64(w, p->key);
    wire_put_str8(w, p->service, strlen(p->service));
    wire_put_str8(w, p->led, strlen(p->led));
    entry_encode_addr(&p->peer, w);
}

static struct forward_half get_half(struct wire_reader *r)
{
    struct forward_half h = {.len = wire_u32(r)};
    h.bytes = wire_u64(r);
    if (h.len > PASSAGE_PENDING_MAX)
        wire_fail(r);
    return h;
}

static void get_name(struct wire_reader *r, char out[NAME_MAX_BYTES + 1])
{
    size_t len;
    const uint8_t *text = wire_str8(r, &len);
    if (!wire_ok(r) || len > NAME_MAX_BYTES || memchr(text, '\0', len)) {
        wire_fail(r);
        return;
    }
    memcpy(out, text, len);
    out[len] = '\0';
}

/* Who is told of the end has got all before it; a tunnel of which both are told has ended. */
static bool sensible(const struct forward_share *s)
{
    const struct forward_half *up = &s->up, *down = &s->down;
    if (down->bounded)
        return up->eof && up->shut && !up->len && !down->eof && down->shut &&
               (down->left || down->len);
    return !down->left && (!up->shut || (up->eof && !up->len)) &&
           (!down->shut || (down->eof && !down->len)) && !(up->shut && down->shut);
}

bool passage_decode(struct wire_reader *r, struct passage *out)
{
    uint8_t flags = wire_u8(r);
    *out = (struct passage){.counted = flags & COUNTED};
    struct forward_share *s = &out->tunnel;
    s->client = s->server = -1;
    s->idle_ms = wire_u32(r);
    s->up = get_half(r);
    s->down = get_half(r);
    s->down.left = wire_u64(r);
    s->down.bounded = flags & BOUNDED;
    s->up.eof = flags & UP_EOF;
    s->up.shut = flags & UP_SHUT;
    s->down.eof = flags & DOWN_EOF;
    s->down.shut = flags & DOWN_SHUT;
    out->key = wire_u64(r);
    get_name(r, out->service);
    get_name(r, out->led);
    entry_decode_addr(r, &out->peer);
    return wire_done(r) && flags < FLAGS_END && sensible(s);
}

/* -- what waits -- */

bool passage_waits(const struct passage *p)
{
    return p->tunnel.up.len || p->tunnel.down.len;
}

static bool write_all(int fd, const struct forward_half *h)
{
    for (size_t at = 0; at < h->len;) {
        ssize_t n = write(fd, h->pending + at, h->len - at);
        if (n < 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

int passage_save(const struct passage *p, int *fd)
{
    *fd = -1;
    if (!passage_waits(p))
        return STEAD_OK;
    *fd = memfd_create("stead-pending", MFD_CLOEXEC);
    if (*fd < 0)
        return io_error(errno);
    if (write_all(*fd, &p->tunnel.up) && write_all(*fd, &p->tunnel.down))
        return STEAD_OK;
    int err = io_error(errno);
    close(*fd);
    *fd = -1;
    return err;
}

static int read_all(int fd, struct forward_half *h, off_t from)
{
    if (!h->len)
        return STEAD_OK;
    h->pending = mem_alloc(h->len);
    if (!h->pending)
        return STEAD_E_NOMEM;
    for (size_t at = 0; at < h->len;) {
        ssize_t n = pread(fd, h->pending + at, h->len - at, from + (off_t)at);
        if (n == 0 || (n < 0 && errno != EINTR))
            return STEAD_E_PARSE;
        at += n > 0 ? (size_t)n : 0;
    }
    return STEAD_OK;
}

int passage_load(struct passage *p, int fd)
{
    int err = read_all(fd, &p->tunnel.up, 0);
    if (!err)
        err = read_all(fd, &p->tunnel.down, p->tunnel.up.len);
    if (err)
        passage_drop(p);
    return err;
}

void passage_drop(struct passage *p)
{
    mem_free(p->tunnel.up.pending);
    mem_free(p->tunnel.down.pending);
    p->tunnel.up.pending = p->tunnel.down.pending = NULL;
}
