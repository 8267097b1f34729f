/* memcache_internal.h - inside core/memcache: reading of words, and the three forms. */
#ifndef CORE_MEMCACHE_INTERNAL_H
#define CORE_MEMCACHE_INTERNAL_H

#include "core/memcache/memcache.h"

#define MEMCACHE_BINARY_HEAD 24
#define MEMCACHE_REQUEST_MARK 0x80
#define MEMCACHE_REPLY_MARK 0x81

/* The next word of a line; at == NULL at its end. */
struct slice memcache_word(struct slice *line);
bool memcache_u64(struct slice text, uint64_t *out);
bool memcache_i64(struct slice text, int64_t *out);
bool memcache_key_valid(struct slice key);
/* Makes q BAD with this answer. */
void memcache_bad(struct memcache_request *q, const char *error);
/* Takes `len` bytes of value and a CRLF behind a line that ends at `at`. 1: they are there, *at is
 * behind them; 0: not all yet. A value that is too long makes q BAD and is skipped, one that does
 * not end in CRLF makes it BAD. */
int memcache_take_value(const char **at, const char *end, uint64_t len, struct memcache_request *q);

/* A meta command whose first word is `name`; line has the rest. As memcache_take_value. */
int memcache_parse_meta(struct slice name, struct slice line, const char **at, const char *end,
                        struct memcache_request *q);
int memcache_parse_binary(const char *bytes, size_t len, struct memcache_request *q);

void memcache_put(struct memcache_out *o, const void *bytes, size_t len);
void memcache_put_text(struct memcache_out *o, const char *text);
/* A text, then a decimal number. */
void memcache_put_u64(struct memcache_out *o, const char *before, uint64_t n);
/* The answers of one form. */
void memcache_meta_item(struct memcache_out *o, const struct memcache_request *q,
                        const struct memcache_item *item);
void memcache_meta_status(struct memcache_out *o, const struct memcache_request *q,
                          enum memcache_status s, const struct memcache_item *item);
struct memcache_binary_reply {
    uint16_t status;
    uint64_t cas;
    struct slice extras, key, value;
};
void memcache_binary_reply(struct memcache_out *o, const struct memcache_request *q,
                           const struct memcache_binary_reply *r);

#endif
