/* kind.h - the kinds of session state and their rules: one table row each, changeable by config.
 * All nodes of a farm must have the same kinds in the same order (the config include sees to that).
 */
#ifndef CORE_SESSION_KIND_H
#define CORE_SESSION_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KINDS_MAX 16
#define KIND_NAME_MAX 32

#define COPIES_ALL 9u /* the owner's own and those of as many holders as a record can name */
#define ACK_ALL UINT8_MAX

enum when_alone { ALONE_REFUSE, ALONE_ACCEPT };
enum when_full { FULL_REFUSE, FULL_EVICT };
enum atomic { ATOMIC_AVAILABLE, ATOMIC_QUORUM };
enum deletion { DELETE_FINAL, DELETE_VERSIONED };

struct kind {
    char name[KIND_NAME_MAX];
    uint8_t copies;             /* the owner's counts */
    bool group;                 /* holders are the nodes that share a group with the owner */
    uint8_t ack;                /* answer when so many holders have it; ACK_ALL: all that are up */
    bool short_refuse;          /* no write when fewer than `copies` can be had */
    bool losable;               /* unreachable reads as absent */
    bool sliding;               /* reads and writes renew the ttl */
    enum when_alone when_alone; /* when no other holder is up */
    enum when_full when_full;
    enum deletion deletion;
    enum atomic atomic;    /* QUORUM: quorum.h; losable and evicting kinds cannot be so */
    uint32_t ttl_ms;       /* default life; 0 = no expiry */
    uint32_t size_bytes;   /* of one record, its fields' names and values; 0 = RECORD_BYTES_MAX */
    uint64_t memory_bytes; /* limit on this node; 0 = the common limit alone */
};

struct kinds {
    size_t count;
    struct kind kind[KINDS_MAX];
};

/* tls, auth, purchase, tcp, stream, app with their defaults. */
void kinds_default(struct kinds *k);
/* Takes over what may change while the shard runs: ttl, sliding and size of the kinds of the same
 * place and name. True: something did. */
bool kinds_renew(struct kinds *k, const struct kinds *from);
/* Names and values of a record's live fields, at most. */
uint32_t kind_size_max(const struct kind *k);
/* Without so many holders nothing is written. */
size_t kind_least(const struct kind *k);
/* Index by name, or -1. */
int kinds_find(const struct kinds *k, const char *name);

#endif
