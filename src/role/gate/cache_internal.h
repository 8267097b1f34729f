/* cache_internal.h - the inside of a cache's door, shared by cache*.c: connections, and the
 * commands of the two protocols. */
#ifndef ROLE_GATE_CACHE_INTERNAL_H
#define ROLE_GATE_CACHE_INTERNAL_H

#include "base/list.h"
#include "core/memcache/memcache.h"
#include "core/resp/resp.h"
#include "io/stream.h"
#include "io/tls.h"
#include "io/wake.h"
#include "role/gate/cache.h"
#include "role/gate/cache_op.h"
#include "role/gate/cache_script.h"

#define CACHE_IN_BYTES 16384  /* of a connection that has something to say */
#define CACHE_REPLY_ROOM 1024 /* the longest answer without a value */
#define CACHE_POOL_MAX 64     /* buffers kept for the next connections */
#define CACHE_CLOCK_EVERY 32  /* requests of a pipeline share a reading of the clock */
#define CACHE_AHEAD_MAX 16    /* requests of a pipeline that are parsed before the first is done */

/* A transaction of a Redis client has so many commands and bytes at most. */
#define CACHE_MULTI_MAX 1024
#define CACHE_MULTI_BYTES_MAX RESP_COMMAND_MAX

/* The commands since MULTI. */
struct cache_multi {
    bool failed;  /* one was refused, and EXEC will be */
    bool running; /* after EXEC: they are done from `from` on */
    size_t count, from, len, cap;
    char *bytes;
};

/* A request that is being done. Its slices point into its connection's input, which stays as it is
 * until the answer is written. */
struct cache_call {
    struct list pooled;
    union {
        struct memcache_request memcache;
        struct resp_command resp;
    };
    struct slice text; /* all of the request */
    uint64_t hash;     /* store_hash() of its first key; 0: not known */
    struct cache_op op;
    struct cache_scripts *scripts; /* the door's */
    size_t index;                  /* of the keys, which are done one after another */
    int64_t sum;                   /* over the keys */
};

struct cache_conn {
    struct list link, lru;
    struct cache *door;
    uv_poll_t poll;
    struct stream stream;
    int events;
    uint32_t slot; /* of the door: results name it */
    bool closing, eof;
    bool broken;        /* no more is read of it: it is closed when its answers are out */
    bool known, binary; /* memcached: the first byte has told the form */
    bool admitted;      /* gave the password, or there is none */
    bool version3;      /* RESP */
    bool shaking;       /* under TLS, before its first byte */
    bool ready;         /* its request waits among the door's */
    uint64_t client_id;
    uint64_t active_ms;        /* while it is shaking: since it began */
    struct cache_call *call;   /* that waits for the store; NULL = none */
    struct cache_multi *multi; /* RESP; NULL = none */
    uint64_t served;           /* requests begun */
    char *in;
    size_t in_from, in_len, in_cap; /* what is not parsed yet: [in_from, in_len) */
    size_t skip;                    /* bytes of input to be thrown away */
    char *out;
    size_t out_from, out_len, out_cap;
};

struct cache_slot {
    struct cache_conn *conn;
    uint32_t generation, next_free;
};

/* Counted since the loop's last turn: workers do not share a cache line for each request. */
struct cache_tally {
    uint32_t requests, hits, misses, stores, removals;
};

/* Requests of the connection that is being served, parsed and not begun yet: their bytes are the
 * first of its input. */
struct cache_ahead {
    struct cache_call *calls[CACHE_AHEAD_MAX]; /* NULL: not needed yet */
    unsigned from, end;
};

/* Connections that have said one whole request in this turn of the loop, and the requests. */
struct cache_ready {
    struct cache_conn *conns[CACHE_AHEAD_MAX]; /* NULL: closed since */
    struct cache_call *calls[CACHE_AHEAD_MAX]; /* NULL: not needed yet */
    unsigned count;
};

struct cache {
    struct cache_config config;
    uint64_t now_ns; /* of the requests that are being done */
    struct cache_tally tally;
    char *value; /* what the last read found here */
    size_t value_cap;
    uv_prepare_t turn;
    uv_poll_t listener;
    struct wake wake;
    uv_timer_t timer; /* idle connections, and a listener that rests */
    unsigned open_handles;
    bool accepting, closing, retired;
    void (*closed)(void *context);
    void *closed_context;
    struct list conns, lru;
    struct list calls; /* pooled */
    struct cache_ahead ahead;
    struct cache_ready ready;
    uv_check_t events_end;       /* of a turn */
    unsigned clock_left;         /* requests until the clock is read again */
    unsigned handshakes;         /* connections that are shaking */
    char *plain;                 /* what a read under TLS brought; STREAM_READ_WHOLE, or NULL */
    char *spare[CACHE_POOL_MAX]; /* input buffers of CACHE_IN_BYTES */
    size_t spare_count;
    uint64_t next_client;
    struct cache_scripts scripts;
    uint32_t free_slot;
    struct cache_slot *slots; /* connections_max */
};

/* -- cache.c -- */
/* A handle is gone; with the last one the door is freed. */
void cache_handle_closed(struct cache *d);

/* -- cache_conn.c -- */
int cache_conn_open(struct cache *d, int fd, bool secured); /* secured: under the door's TLS */
void cache_conn_close(struct cache_conn *c);
void cache_conn_serve(struct cache_conn *c); /* what has been read */
/* A result for the request that waits. */
void cache_conn_result(struct cache_conn *c, struct session_result *r);
/* Room for `need` more bytes of answers at the end of them; NULL without memory, then the
 * connection is broken. What was written is then added to out_len. */
char *cache_conn_room(struct cache_conn *c, size_t need);
void cache_count(atomic_uint_fast64_t *counter);

/* -- cache_ahead.c -- */
/* The next request of a connection, of a transaction that is being done or of its input: its bytes,
 * in *out; 0 and -1 as below. */
int cache_ahead_next(struct cache_conn *c, struct cache_call **out);
/* What was parsed and not begun is to be parsed again. */
void cache_ahead_drop(struct cache *d);
/* The call that cache_ahead_next gave last now belongs to its connection, and waits. */
void cache_ahead_park(struct cache_conn *c, struct cache_call *call);
bool cache_is_running(const struct cache_conn *c); /* a transaction */
void cache_ahead_deinit(struct cache *d);
/* When all that has come of the connection is one whole request, it is done later in this turn,
 * together with others'. False: it is not, or there is no memory. */
bool cache_ready_put(struct cache_conn *c);
void cache_ready_go(struct cache *d); /* does them */
void cache_ready_forget(struct cache_conn *c);

/* -- cache_tls.c -- */
/* A new connection is to shake hands first. STEAD_E_FULL: too many do; STEAD_E_NOMEM. */
int cache_tls_begin(struct cache_conn *c);
/* Goes on. True when it is done. Closes the connection when it failed. */
bool cache_tls_shake(struct cache_conn *c);
void cache_tls_give_up(struct cache_conn *c, enum tls_failure why);
/* Closes those that take too long. */
void cache_tls_tick(struct cache *d);

/* -- cache_run.c: an operation of the present call -- */
/* Submits call->op, which is filled in, and all its steps as far as they need no waiting. True: it
 * is over. False: it waits for the store. */
bool cache_run(struct cache_conn *c, struct cache_call *call);
/* The same after a result that was waited for. */
bool cache_run_on(struct cache_conn *c, struct cache_call *call, struct session_result *r);
uint8_t cache_kind(const struct cache *d, struct slice key);
/* The key of a client as a record's; false when it is too long or empty. */
bool cache_key(const struct cache *d, struct slice text, struct key *out);

/* -- cache_resp_multi.c -- */
void cache_multi_drop(struct cache_conn *c);

/* -- cache_memcache.c, cache_resp.c -- */
/* A request: its bytes, 0 when there is more to come, -1 when the connection cannot go on (an
 * answer may have been written). `ahead`: others come before it, and 0 is all that is said of one
 * that is not whole and right. */
int cache_memcache_parse(struct cache_conn *c, struct cache_call *call, struct slice bytes,
                         bool ahead);
int cache_resp_parse(struct cache_conn *c, struct cache_call *call, struct slice bytes, bool ahead);
/* Begins a parsed request, or goes on with it after its operation is over. True: it is answered. */
bool cache_memcache_begin(struct cache_conn *c, struct cache_call *call);
bool cache_memcache_resume(struct cache_conn *c, struct cache_call *call);
bool cache_resp_begin(struct cache_conn *c, struct cache_call *call);
bool cache_resp_resume(struct cache_conn *c, struct cache_call *call);

#endif
