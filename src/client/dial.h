/* dial.h - inside libstead: a TCP connection to a host, without waiting: its addresses are tried
 * one after the other, each for a time. */
#ifndef CLIENT_DIAL_H
#define CLIENT_DIAL_H

#include "client/lookup.h"

struct dial {
    struct lookup *lookup; /* until it is known */
    struct addr list[RESOLVE_MAX];
    size_t count, at;
    int fd; /* -1: none */
    uint32_t timeout_ms;
    uint64_t until_ms; /* of this address */
    unsigned tries;    /* grows with each descriptor: numbers come again */
    int error;
};

/* A name (server as of resolve()), or one address. STEAD_E_NOMEM, STEAD_E_IO. */
int dial_host(struct dial *d, const char *host, uint16_t port, const struct addr *server,
              uint32_t timeout_ms);
void dial_addr(struct dial *d, const struct addr *to, uint32_t timeout_ms);
/* STEAD_OK: d->fd is connected, and the caller may take it by setting d->fd to -1. STEAD_PENDING:
 * again when dial_fd() is ready or at until_ms. Else the last address's error. */
int dial_step(struct dial *d, uint64_t now_ms);
/* What to wait for; *writable says which way. */
int dial_fd(const struct dial *d, bool *writable);
/* Takes one that was set to {.fd = -1}, and leaves it so. */
void dial_deinit(struct dial *d);

#endif
