/* memcache.h - the protocols of memcached's clients: text with its meta commands, and binary
 * (doc/protocol.txt of memcached 1.6; the binary one as libmemcached and PHP speak it). Requests
 * are read in place; replies are written whole or not at all. Pure: what a command does is the
 * gate's business.
 *
 * The first byte of a connection tells the two apart, and stays: 0x80 is binary. */
#ifndef CORE_MEMCACHE_H
#define CORE_MEMCACHE_H

#include "base/slice.h"

#include <stdint.h>

#define MEMCACHE_KEY_MAX 250
#define MEMCACHE_VALUE_MAX (1u << 20)
#define MEMCACHE_LINE_MAX 16384 /* a text line, of many keys too */
#define MEMCACHE_KEYS_MAX 256   /* of one get */
#define MEMCACHE_FLAGS_MAX 24   /* of a meta command */
#define MEMCACHE_REQUEST_MAX (MEMCACHE_VALUE_MAX + MEMCACHE_LINE_MAX)
#define MEMCACHE_RELATIVE_MAX_S (30 * 24 * 3600) /* a greater expiry is a time of day */

enum memcache_op {
    MEMCACHE_BAD, /* not understood: `error` is the answer, and the connection goes on */
    MEMCACHE_GET, /* also of the key and its flags; with touch: gat */
    MEMCACHE_SET,
    MEMCACHE_ADD,
    MEMCACHE_REPLACE,
    MEMCACHE_APPEND,
    MEMCACHE_PREPEND,
    MEMCACHE_DELETE,
    MEMCACHE_INCR,
    MEMCACHE_DECR,
    MEMCACHE_TOUCH,
    MEMCACHE_FLUSH,
    MEMCACHE_VERSION,
    MEMCACHE_VERBOSITY,
    MEMCACHE_STATS,
    MEMCACHE_NOOP,
    MEMCACHE_MECHANISMS, /* binary: of SASL */
    MEMCACHE_AUTH,       /* binary: keys[0] is the mechanism, value what it says */
    MEMCACHE_QUIT
};

enum memcache_form { MEMCACHE_TEXT, MEMCACHE_META, MEMCACHE_BINARY };

struct memcache_request {
    enum memcache_op op;
    enum memcache_form form;
    bool quiet;      /* noreply; q; the quiet opcodes: no answer when nothing is to be told */
    bool with_cas;   /* gets, gats: the answer tells the cas */
    bool with_key;   /* binary getK */
    bool touches;    /* GET: sets the expiry; that of `expiry` */
    bool has_cas;    /* only if the value is still the one of this cas */
    bool has_expiry; /* else the value's own stays, or there is none */
    bool has_initial;
    uint8_t opcode;  /* binary, for the answer */
    uint32_t opaque; /* binary: comes back as it is */
    uint32_t flags;  /* the client's, kept with the value */
    int64_t expiry;  /* seconds as sent; memcache_ttl() reads it */
    uint64_t cas, delta, initial;
    size_t key_count;
    struct slice keys[MEMCACHE_KEYS_MAX];
    struct slice value;
    size_t flag_count; /* meta: the flags as sent, each a letter and its token */
    struct slice meta[MEMCACHE_FLAGS_MAX];
    const char *error; /* BAD, in text form and without CRLF: "CLIENT_ERROR ..." */
    uint16_t status;   /* BAD, in binary form */
    size_t skip;       /* bytes behind this request that belong to it and are to be thrown away */
};

/* The bytes of the first request in the input (> 0); 0: it is not all there yet; -1: the connection
 * cannot go on (a line without end, a binary frame without its mark, a request of HTTP), and error,
 * if set, says why. */
int memcache_parse(const char *bytes, size_t len, bool binary, struct memcache_request *out);
/* The token of a meta flag; at == NULL when it was not sent. */
struct slice memcache_flag(const struct memcache_request *q, char letter);
/* What an expiry means: life in milliseconds from now, 0 = for ever; false: it is over already.
 * now_s is the wall clock: an expiry beyond 30 days is a time of day. */
bool memcache_ttl(int64_t expiry, int64_t now_s, uint32_t *ttl_ms);

/* -- answers -- */

enum memcache_status { /* as the binary protocol numbers them */
                       MEMCACHE_OK = 0,
                       MEMCACHE_NOT_FOUND = 1,
                       MEMCACHE_EXISTS = 2,
                       MEMCACHE_TOO_LARGE = 3,
                       MEMCACHE_INVALID = 4,
                       MEMCACHE_NOT_STORED = 5,
                       MEMCACHE_NOT_NUMBER = 6,
                       MEMCACHE_DENIED = 0x20,
                       MEMCACHE_UNKNOWN = 0x81,
                       MEMCACHE_NO_MEMORY = 0x82,
                       MEMCACHE_BUSY = 0x85,
                       MEMCACHE_FAILED = 0x86 /* for the moment */
};

struct memcache_item {
    struct slice key, value;
    uint32_t flags;
    uint64_t cas;
    int64_t left_s; /* of its life; -1 = for ever */
};

struct memcache_out {
    char *bytes;
    size_t len, cap;
    bool failed; /* something did not fit */
};

void memcache_out_init(struct memcache_out *o, char *bytes, size_t cap);
/* One item of a GET that was found, or one that was not; then memcache_put_end closes the answer.
 */
void memcache_put_item(struct memcache_out *o, const struct memcache_request *q,
                       const struct memcache_item *item);
void memcache_put_miss(struct memcache_out *o, const struct memcache_request *q, struct slice key);
void memcache_put_end(struct memcache_out *o, const struct memcache_request *q);
/* The answer to everything that has no value: by the request's form and op. `item` has what the
 * answer may tell of what was stored (cas, key); NULL = nothing. Says nothing when the request is
 * quiet and the outcome is the one it expects. */
void memcache_put_status(struct memcache_out *o, const struct memcache_request *q,
                         enum memcache_status s, const struct memcache_item *item);
/* INCR and DECR: the new number. */
void memcache_put_number(struct memcache_out *o, const struct memcache_request *q, uint64_t number,
                         const struct memcache_item *item);
void memcache_put_version(struct memcache_out *o, const struct memcache_request *q,
                          const char *version);
/* The answer to MECHANISMS, and to an AUTH that succeeded. */
void memcache_put_sasl(struct memcache_out *o, const struct memcache_request *q, const char *text);
/* The password of SASL's PLAIN (RFC 4616), behind two NULs; at == NULL: it is none. */
struct slice memcache_plain_password(const struct memcache_request *q);
/* A pair of STATS; memcache_put_stats_end closes. */
void memcache_put_stat(struct memcache_out *o, const struct memcache_request *q, const char *name,
                       const char *value);
void memcache_put_stats_end(struct memcache_out *o, const struct memcache_request *q);
/* The text error of a failure that has no words of its own in the protocol. */
void memcache_put_server_error(struct memcache_out *o, const struct memcache_request *q,
                               enum memcache_status s, const char *text);

#endif
