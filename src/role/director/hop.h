/* hop.h - a request that another node of the farm forwards is known by a header that only the farm
 * can make: what it tells of the client is then believed, and told on. Pure.
 *
 * The value is signed for one node and good for HOP_LIFE_S; it goes no further than to that node.
 */
#ifndef ROLE_DIRECTOR_HOP_H
#define ROLE_DIRECTOR_HOP_H

#include "core/http/http.h"
#include "core/token/token.h"

#define HOP_HEADER "Stead-Hop"
#define HOP_LIFE_S 60
#define HOP_TEXT_MAX 64

/* key: TOKEN_KEY_BYTES of the farm; node: who is to believe it; now_s: wall clock. Its length; 0:
 * the crypto library has no memory. */
size_t hop_make(const uint8_t *key, const char *node, int64_t now_s, char out[HOP_TEXT_MAX]);
/* Does the request carry one for this node? */
bool hop_valid(const uint8_t *key, const char *self, const struct http_head *h, int64_t now_s);

#endif
