/* kind.c - the kinds that every farm has, with their defaults. */
#include "core/session/kind.h"

#include "core/record/record.h"

#include <string.h>

#define HOUR_MS 3600000u
#define KIB 1024u

static const struct kind defaults[] = {
    {.name = "tls",
     .copies = COPIES_ALL,
     .losable = true,
     .when_alone = ALONE_ACCEPT,
     .when_full = FULL_EVICT,
     .ttl_ms = 2 * HOUR_MS,
     .size_bytes = 64 * KIB},
    {.name = "auth",
     .copies = 2,
     .ack = ACK_ALL,
     .sliding = true,
     .ttl_ms = 12 * HOUR_MS,
     .size_bytes = 64 * KIB},
    {.name = "purchase",
     .copies = 2,
     .ack = ACK_ALL,
     .sliding = true,
     .ttl_ms = 24 * HOUR_MS,
     .size_bytes = 256 * KIB},
    {.name = "tcp",
     .copies = 2,
     .ack = ACK_ALL,
     .sliding = true,
     .ttl_ms = HOUR_MS,
     .size_bytes = RECORD_BYTES_MAX},
    {.name = "stream",
     .copies = 2,
     .ack = ACK_ALL,
     .sliding = true,
     .ttl_ms = HOUR_MS,
     .size_bytes = RECORD_BYTES_MAX},
    {.name = "app",
     .copies = 2,
     .ack = ACK_ALL,
     .sliding = true,
     .deletion = DELETE_VERSIONED,
     .ttl_ms = 24 * HOUR_MS,
     .size_bytes = RECORD_BYTES_MAX},
};

_Static_assert(ALONE_REFUSE == 0 && FULL_REFUSE == 0 && DELETE_FINAL == 0,
               "what a row does not say is the strict choice");
_Static_assert(sizeof defaults / sizeof *defaults <= KINDS_MAX, "the defaults fit");

void kinds_default(struct kinds *k)
{
    memset(k, 0, sizeof *k);
    k->count = sizeof defaults / sizeof *defaults;
    memcpy(k->kind, defaults, sizeof defaults);
}

bool kinds_renew(struct kinds *k, const struct kinds *from)
{
    bool changed = false;
    for (size_t i = 0; i < k->count && i < from->count; i++) {
        struct kind *to = &k->kind[i], was = *to;
        const struct kind *by = &from->kind[i];
        if (strncmp(to->name, by->name, KIND_NAME_MAX) != 0)
            continue;
        to->ttl_ms = by->ttl_ms;
        to->sliding = by->sliding;
        to->size_bytes = by->size_bytes;
        changed |= was.ttl_ms != to->ttl_ms || was.sliding != to->sliding ||
                   was.size_bytes != to->size_bytes;
    }
    return changed;
}

uint32_t kind_size_max(const struct kind *k)
{
    return k->size_bytes ? k->size_bytes : RECORD_BYTES_MAX;
}

size_t kind_least(const struct kind *k)
{
    if (k->copies <= 1)
        return 0;
    if (k->short_refuse && !k->group && k->copies < COPIES_ALL)
        return k->copies - 1u;
    return k->short_refuse || k->when_alone == ALONE_REFUSE;
}

int kinds_find(const struct kinds *k, const char *name)
{
    for (size_t i = 0; i < k->count; i++)
        if (strncmp(k->kind[i].name, name, KIND_NAME_MAX) == 0)
            return (int)i;
    return -1;
}
