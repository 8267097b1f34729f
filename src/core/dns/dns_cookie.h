/* dns_cookie.h - DNS cookies (RFC 7873), in the interoperable form of RFC 9018: who shows a good
 * one has received an answer at its address before, so its address is no forgery. */
#ifndef CORE_DNS_COOKIE_H
#define CORE_DNS_COOKIE_H

#include "base/addr.h"

#define DNS_COOKIE_KEY_BYTES 16
#define DNS_COOKIE_CLIENT_BYTES 8
#define DNS_COOKIE_BYTES 24        /* the client's part and the server's */
#define DNS_COOKIE_LIFE_S 3600     /* an older one is no good */
#define DNS_COOKIE_RENEW_S 1800    /* one that is older than this is replaced */
#define DNS_COOKIE_AHEAD_MAX_S 300 /* made by another node, whose clock goes fast */

enum dns_cookie {
    DNS_COOKIE_MALFORMED, /* to be answered with FORMERR */
    DNS_COOKIE_NEW,       /* the client's part alone, or a server's that is not ours or too old */
    DNS_COOKIE_GOOD
};

/* Looks at a query's option and gives the cookie for its answer (unless malformed). now_s: seconds
 * since 1970; they may wrap. The port of `from` does not count. */
enum dns_cookie dns_cookie_check(const uint8_t key[DNS_COOKIE_KEY_BYTES], const uint8_t *option,
                                 size_t len, const struct addr *from, uint32_t now_s,
                                 uint8_t out[DNS_COOKIE_BYTES]);

#endif
