/* cache_test.c - what clients of memcached and Redis say and hear at a cache's door. Each
 * transcript runs with a store that answers at once and with one that does not, whole and byte by
 * byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gate_store.h"
#include "role/gate/cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct bench {
    uv_loop_t loop;
    struct store store;
    struct cache *door;
    struct cache_counters counters;
    struct sockaddr_storage name;
    socklen_t name_len;
    int client;
    bool closed, serving;
};

static bool serving(void *context)
{
    return ((struct bench *)context)->serving;
}

static int call(const struct bench *b)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&b->name, b->name_len), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void open_bench(struct bench *b, enum cache_protocol protocol, const char *password)
{
    memset(b, 0, sizeof *b);
    kinds_default(&b->store.kinds);
    list_init(&b->store.waiting);
    b->serving = true;
    assert_int_equal(uv_loop_init(&b->loop), 0);
    struct sockaddr_storage any = {.ss_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(fd, 16), 0);
    struct cache_config c = {.loop = &b->loop,
                             .fd = fd,
                             .protocol = protocol,
                             .store = &b->store,
                             .mailbox = 3,
                             .kind = (uint8_t)kinds_find(&b->store.kinds, "app"),
                             .prefix_count = 1,
                             .connections_max = 8,
                             .serving = serving,
                             .context = b,
                             .counters = &b->counters};
    c.prefixes[0] = (struct cache_prefix){"tls:", (uint8_t)kinds_find(&b->store.kinds, "tls")};
    snprintf(c.password, sizeof c.password, "%s", password);
    assert_int_equal(cache_open(&c, &b->door), STEAD_OK);
    b->name_len = sizeof b->name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&b->name, &b->name_len), 0);
    b->client = call(b);
}

static void door_is_closed(void *context)
{
    ((struct bench *)context)->closed = true;
}

static void close_bench(struct bench *b)
{
    cache_stop_accepting(b->door);
    cache_close(b->door, door_is_closed, b);
    for (int i = 0; i < 100 && !b->closed; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_true(b->closed);
    uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    assert_int_equal(atomic_load(&b->counters.connections), 0);
    struct session_result *r;
    while ((r = store_collect(&b->store, 3)))
        session_result_free(r);
    for (size_t i = 0; i < b->store.count; i++)
        record_free(b->store.records[i]);
    close(b->client);
}

static void turn(struct bench *b)
{
    const struct timespec pause = {.tv_nsec = 200000};
    for (int i = 0; i < 4; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    nanosleep(&pause, NULL);
}

static void hear(struct bench *b, const char *wanted, size_t len)
{
    static char heard[1 << 21];
    size_t have = 0;
    for (int i = 0; i < 5000 && have < len; i++) {
        turn(b);
        ssize_t n = recv(b->client, heard + have, sizeof heard - have, 0);
        have += n > 0 ? (size_t)n : 0;
    }
    turn(b);
    ssize_t more = recv(b->client, heard + have, sizeof heard - have, 0);
    have += more > 0 ? (size_t)more : 0;
    heard[have] = '\0';
    if (have != len || memcmp(heard, wanted, len) != 0)
        fail_msg("wanted:\n%s\nheard:\n%s", wanted, heard);
}

static void say(struct bench *b, const char *text, size_t len, bool in_bytes)
{
    for (size_t at = 0; at < len;) {
        size_t n = in_bytes ? 1 : len - at;
        ssize_t sent = send(b->client, text + at, n, MSG_NOSIGNAL);
        if (sent > 0)
            at += (size_t)sent;
        if (in_bytes || sent < 0)
            turn(b);
    }
}

static void transcript(enum cache_protocol protocol, const char *text, const char *wanted)
{
    for (unsigned how = 0; how < 4; how++) {
        struct bench b;
        open_bench(&b, protocol, "");
        b.store.delay = how & 1;
        say(&b, text, strlen(text), how & 2);
        hear(&b, wanted, strlen(wanted));
        close_bench(&b);
    }
}

static void test_memcached(void **state)
{
    (void)state;
    transcript(CACHE_MEMCACHE,
               "add s 0 1440 0\r\n\r\nadd s 0 1440 0\r\n\r\nget s\r\nset k 2 60 3\r\nabc\r\n"
               "get k nope s\r\ntouch k 60\r\ntouch nope 60\r\nset n 0 0 2 noreply\r\n10\r\n"
               "incr n 5\r\ndecr n 100\r\nincr k 1\r\nincr nope 1\r\nappend k 0 0 1\r\nd\r\n"
               "prepend k 0 0 1\r\n_\r\nreplace nope 0 0 1\r\nx\r\nget k\r\ndelete k 0\r\n"
               "delete k\r\nget k\r\nadd k 0 0 1\r\nx\r\nget k\r\nflush_all\r\nbogus\r\n",
               "STORED\r\nNOT_STORED\r\nVALUE s 0 0\r\n\r\nEND\r\nSTORED\r\n"
               "VALUE k 2 3\r\nabc\r\nVALUE s 0 0\r\n\r\nEND\r\nTOUCHED\r\nNOT_FOUND\r\n"
               "15\r\n0\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
               "NOT_FOUND\r\nSTORED\r\nSTORED\r\nNOT_STORED\r\nVALUE k 2 5\r\n_abcd\r\nEND\r\n"
               "DELETED\r\nNOT_FOUND\r\nEND\r\nSTORED\r\nVALUE k 0 1\r\nx\r\nEND\r\nERROR\r\n"
               "ERROR\r\n");
}

static void test_memcached_cas(void **state)
{
    (void)state;
    /* The fake's first stamp of a record is term 1, version 1. */
    transcript(CACHE_MEMCACHE,
               "set k 0 0 1\r\na\r\ngets k\r\ncas k 0 0 1 1\r\nb\r\ncas k 0 0 1 1099511627777\r\n"
               "b\r\ncas k 0 0 1 1099511627777\r\nc\r\ncas nope 0 0 1 1\r\nx\r\nmg k v c\r\n"
               "ms k 1 C5\r\nz\r\nmd k\r\nmg k v\r\nmn\r\n",
               "STORED\r\nVALUE k 0 1 1099511627777\r\na\r\nEND\r\nEXISTS\r\nSTORED\r\nEXISTS\r\n"
               "NOT_FOUND\r\nVA 1 c1099511627778\r\nb\r\nEX\r\nHD\r\nEN\r\nMN\r\n");
}

static void test_redis(void **state)
{
    (void)state;
    transcript(
        CACHE_RESP,
        "PING\r\nGET k\r\nSETEX k 1440 abc\r\nGET k\r\nset k x NX PX 30000\r\nSET k x XX GET\r\n"
        "GET k\r\nSET l y NX PX 30000\r\nEXISTS k l nope k\r\nEXPIRE k 60\r\nEXPIRE nope 60\r\n"
        "INCR n\r\nINCRBY n 41\r\nDECR n\r\nINCR k\r\nAPPEND k yz\r\nSTRLEN k\r\nMGET k nope n\r\n"
        "GETDEL l\r\nGETDEL l\r\nDEL k n nope\r\nGET k\r\nTTL k\r\nTYPE k\r\nSELECT 0\r\n"
        "SELECT 1\r\nFLY\r\nGET\r\nSET k v EX\r\nSET k v EX x\r\nSET k v EX 0\r\nSET k v PX -1\r\n"
        "SETEX k 0 v\r\nSET k v EX 9223372036854775807\r\nSET k v PXAT 0\r\nGET k\r\nECHO hi\r\n",
        "+PONG\r\n$-1\r\n+OK\r\n$3\r\nabc\r\n$-1\r\n$3\r\nabc\r\n$1\r\nx\r\n+OK\r\n:3\r\n:1\r\n"
        ":0\r\n:1\r\n:42\r\n:41\r\n-ERR value is not an integer or out of range\r\n:3\r\n:3\r\n"
        "*3\r\n$3\r\nxyz\r\n$-1\r\n$2\r\n41\r\n$1\r\ny\r\n$-1\r\n:2\r\n$-1\r\n:-2\r\n+none\r\n"
        "+OK\r\n-ERR DB index is out of range: there is only 0\r\n"
        "-ERR unknown command 'FLY'\r\n-ERR wrong number of arguments for 'GET' command\r\n"
        "-ERR syntax error\r\n"
        "-ERR value is not an integer or out of range\r\n-ERR invalid expire time\r\n"
        "-ERR invalid expire time\r\n-ERR invalid expire time\r\n-ERR invalid expire time\r\n"
        "-ERR invalid expire time\r\n$-1\r\n$2\r\nhi\r\n");
}

static void test_redis_locks(void **state)
{
    (void)state;
    transcript(CACHE_RESP,
               "SET L me NX PX 30000\r\nSET L you NX PX 30000\r\n"
               "EVALSHA b70c2384248f88e6b75b9f89241a180f856ad852 1 L you\r\nGET L\r\n"
               "EVALSHA b70c2384248f88e6b75b9f89241a180f856ad852 1 L me\r\nGET L\r\n"
               "EVALSHA 0000000000000000000000000000000000000000 1 L me\r\n"
               "*5\r\n$4\r\nEVAL\r\n$84\r\nif redis.call(\"get\",KEYS[1]) == ARGV[1] then return "
               "redis.call(\"del\",KEYS[1]) else 0\r\n$1\r\n1\r\n$1\r\nL\r\n$1\r\nx\r\n"
               "SET L x\r\n*5\r\n$4\r\nEVAL\r\n$96\r\nif redis.call(\"get\",KEYS[1]) == ARGV[1]\n "
               "then return redis.call(\"del\",KEYS[1]) else return 0 "
               "end\r\n$1\r\n1\r\n$1\r\nL\r\n$1\r\nx\r\nGET L\r\n",
               "+OK\r\n$-1\r\n:0\r\n$2\r\nme\r\n:1\r\n$-1\r\n"
               "-NOSCRIPT No matching script. Please use EVAL.\r\n"
               "-ERR only the script that deletes a key if its value matches is understood\r\n"
               "+OK\r\n:1\r\n$-1\r\n");
}

static void test_transactions(void **state)
{
    (void)state;
    transcript(CACHE_RESP,
               "MULTI\r\nSET a 1\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\nPING\r\nMGET a b\r\nGET b\r\n"
               "EXEC\r\nGET a\r\n",
               "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
               "*5\r\n+OK\r\n:2\r\n+PONG\r\n*2\r\n$1\r\n2\r\n$-1\r\n$-1\r\n$1\r\n2\r\n");
    transcript(CACHE_RESP,
               "EXEC\r\nDISCARD\r\nMULTI\r\nMULTI\r\nSET a 1\r\nDISCARD\r\nGET a\r\n"
               "MULTI\r\nEXEC\r\nWATCH a\r\nUNWATCH\r\n",
               "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n+OK\r\n"
               "-ERR MULTI calls can not be nested\r\n+QUEUED\r\n+OK\r\n$-1\r\n"
               "+OK\r\n*0\r\n-ERR WATCH is not supported: keys are not locked here\r\n+OK\r\n");
    /* What is refused when it comes voids the rest; what fails when it is done does not. */
    transcript(CACHE_RESP,
               "MULTI\r\nSET a 1\r\nGET\r\nEXEC\r\nMULTI\r\nLPUSH a b\r\nEXEC\r\nGET a\r\n"
               "MULTI\r\nSET a x\r\nINCR a\r\nGET a\r\nEXEC\r\n",
               "+OK\r\n+QUEUED\r\n-ERR wrong number of arguments for 'GET' command\r\n"
               "-EXECABORT Transaction discarded because of previous errors.\r\n"
               "+OK\r\n-ERR unknown command 'LPUSH'\r\n"
               "-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n"
               "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
               "*3\r\n+OK\r\n-ERR value is not an integer or out of range\r\n$1\r\nx\r\n");
}

/* What it may keep is bounded, in commands and in bytes. */
static void test_transactions_are_bounded(void **state)
{
    (void)state;
    static char value[400000], text[400100], wanted[16384];
    static const char refused[] = "-ERR the transaction is too large\r\n-EXECABORT Transaction "
                                  "discarded because of previous errors.\r\n";
    struct bench b;
    open_bench(&b, CACHE_RESP, "");
    say(&b, "MULTI\r\n", 7, false);
    size_t len = (size_t)snprintf(wanted, sizeof wanted, "+OK\r\n");
    for (int i = 0; i < 1024; i++) {
        say(&b, "PING\r\n", 6, false);
        len += (size_t)snprintf(wanted + len, sizeof wanted - len, "+QUEUED\r\n");
    }
    say(&b, "PING\r\nEXEC\r\n", 12, false);
    len += (size_t)snprintf(wanted + len, sizeof wanted - len, "%s", refused);
    hear(&b, wanted, len);
    memset(value, 'v', sizeof value - 1);
    int n = snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n%s\r\n",
                     sizeof value - 1, value);
    say(&b, "MULTI\r\n", 7, false);
    for (int i = 0; i < 4; i++)
        say(&b, text, (size_t)n, false);
    say(&b, "EXEC\r\n", 6, false);
    len = (size_t)snprintf(wanted, sizeof wanted, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n%s",
                           refused);
    hear(&b, wanted, len);
    close_bench(&b);
}

/* Answers beyond what a client may leave unread, from one EXEC. */
static void test_a_transaction_of_large_answers(void **state)
{
    (void)state;
    static char value[400000], text[400100], heard[1 << 20];
    struct bench b;
    open_bench(&b, CACHE_RESP, "");
    memset(value, 'v', sizeof value - 1);
    int n = snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n%s\r\n",
                     sizeof value - 1, value);
    say(&b, text, (size_t)n, false);
    hear(&b, "+OK\r\n", 5);
    say(&b, "MULTI\r\n", 7, false);
    for (int i = 0; i < 40; i++)
        say(&b, "GET k\r\n", 7, false);
    say(&b, "EXEC\r\nPING\r\n", 12, false);
    const size_t each = strlen("$399999\r\n\r\n") + sizeof value - 1;
    const size_t wanted = 5 + 40 * 9 + 5 + 40 * each + 7;
    size_t have = 0;
    char last[7] = "";
    for (int i = 0; i < 20000 && have < wanted; i++) {
        uv_run(&b.loop, UV_RUN_NOWAIT);
        ssize_t got = recv(b.client, heard, sizeof heard, 0);
        if (got >= 7)
            memcpy(last, heard + got - 7, 7);
        have += got > 0 ? (size_t)got : 0;
    }
    assert_int_equal(have, wanted);
    assert_memory_equal(last, "+PONG\r\n", 7);
    close_bench(&b);
}

static void test_hello(void **state)
{
    (void)state;
    transcript(CACHE_RESP,
               "HELLO 3\r\nGET nope\r\nCLIENT SETINFO LIB-NAME x\r\nHELLO 4\r\nQUIT\r\n",
               "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto"
               "\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\n"
               "master\r\n$7\r\nmodules\r\n*0\r\n_\r\n+OK\r\n-NOPROTO unsupported protocol version"
               "\r\n+OK\r\n");
}

static void test_large_values(void **state)
{
    (void)state;
    static char text[RECORD_BYTES_MAX + 4096];
    struct bench b;
    open_bench(&b, CACHE_MEMCACHE, "");
    b.store.delay = true;
    const size_t len = 900000;
    int head = snprintf(text, sizeof text, "set k 0 0 %zu\r\n", len);
    memset(text + head, 'v', len);
    int tail = snprintf(text + head + len, 64, "\r\nget k\r\nset k 0 0 2000000\r\n");
    say(&b, text, (size_t)head + len + (size_t)tail, false);
    static char wanted[RECORD_BYTES_MAX];
    int n = snprintf(wanted, sizeof wanted, "STORED\r\nVALUE k 0 %zu\r\n", len);
    memset(wanted + n, 'v', len);
    snprintf(wanted + n + len, 96, "\r\nEND\r\nSERVER_ERROR object too large for cache\r\n");
    hear(&b, wanted, (size_t)n + len + strlen(wanted + n + len));
    memset(text, 'x', sizeof text); /* what was too large is passed over */
    say(&b, text, 1000000, false);
    say(&b, text, 1000000, false);
    say(&b, "\r\nversion\r\n", 11, false);
    hear(&b, "VERSION 1.6.0-stead-" STEAD_VERSION "\r\n",
         strlen("VERSION 1.6.0-stead-" STEAD_VERSION "\r\n"));
    close_bench(&b);
}

/* The kind's limit, in each way in; what was there stays. */
static void test_size_of_a_kind(void **state)
{
    (void)state;
    static const struct {
        enum cache_protocol protocol;
        const char *said, *heard;
    } cases[] = {
        {CACHE_MEMCACHE,
         "set k 0 0 8\r\n12345678\r\nset k 0 0 9\r\n123456789\r\nadd n 0 0 9\r\n123456789\r\n"
         "append k 0 0 1\r\n9\r\nset k 1 0 8\r\n12345678\r\nms k 9\r\n123456789\r\nget k n\r\n"
         "set k 0 0 0\r\n\r\nget k\r\n",
         "STORED\r\nSERVER_ERROR object too large for cache\r\n"
         "SERVER_ERROR object too large for cache\r\nSERVER_ERROR object too large for cache\r\n"
         "SERVER_ERROR object too large for cache\r\nSERVER_ERROR object too large for cache\r\n"
         "VALUE k 0 8\r\n12345678\r\nEND\r\nSTORED\r\nVALUE k 0 0\r\n\r\nEND\r\n"},
        {CACHE_RESP,
         "SET k 12345678\r\nSET k 123456789\r\nSET n 123456789 NX\r\nSETEX k 9 123456789\r\n"
         "APPEND k 9\r\nGETSET k 123456789\r\nGET k\r\nGET n\r\n",
         "+OK\r\n-ERR string exceeds maximum allowed size\r\n"
         "-ERR string exceeds maximum allowed size\r\n-ERR string exceeds maximum allowed size\r\n"
         "-ERR string exceeds maximum allowed size\r\n-ERR string exceeds maximum allowed size\r\n"
         "$8\r\n12345678\r\n$-1\r\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (unsigned how = 0; how < 4; how++) {
            struct bench b;
            open_bench(&b, cases[i].protocol, "");
            b.store.kinds.kind[kinds_find(&b.store.kinds, "app")].size_bytes = 8;
            b.store.delay = how & 1;
            say(&b, cases[i].said, strlen(cases[i].said), how & 2);
            hear(&b, cases[i].heard, strlen(cases[i].heard));
            close_bench(&b);
        }
}

static void test_password(void **state)
{
    (void)state;
    struct bench b;
    static const char resp[] = "GET k\r\nAUTH no\r\nAUTH u secret\r\nGET k\r\n";
    static const char heard[] = "-NOAUTH Authentication required.\r\n-WRONGPASS invalid "
                                "username-password pair or user is disabled.\r\n+OK\r\n$-1\r\n";
    open_bench(&b, CACHE_RESP, "secret");
    say(&b, resp, sizeof resp - 1, false);
    hear(&b, heard, sizeof heard - 1);
    assert_int_equal(atomic_load(&b.counters.denied), 2);
    close_bench(&b);
    static const char text[] =
        "get k\r\nset a 0 0 8\r\nu secrex\r\nset a 0 0 8\r\nu secret\r\nget k\r\n";
    static const char answer[] = "CLIENT_ERROR unauthenticated\r\nCLIENT_ERROR unauthenticated\r\n"
                                 "STORED\r\nEND\r\n";
    open_bench(&b, CACHE_MEMCACHE, "secret");
    say(&b, text, sizeof text - 1, false);
    hear(&b, answer, sizeof answer - 1);
    close_bench(&b);
}

/* A frame of the binary protocol. */
static size_t frame(char *out, uint8_t opcode, const char *key, const char *value, size_t value_len)
{
    size_t key_len = strlen(key), body = key_len + value_len;
    memset(out, 0, 24);
    out[0] = (char)0x80;
    out[1] = (char)opcode;
    out[3] = (char)key_len;
    out[11] = (char)body;
    memcpy(out + 24, key, key_len);
    memcpy(out + 24 + key_len, value, value_len);
    return 24 + body;
}

static void hear_frame(struct bench *b, uint8_t opcode, uint8_t status, const char *value)
{
    char wanted[128] = {(char)0x81, (char)opcode};
    size_t len = strlen(value);
    wanted[7] = (char)status;
    wanted[11] = (char)len;
    memcpy(wanted + 24, value, len);
    hear(b, wanted, 24 + len);
}

static void test_sasl(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism, *value;
        size_t len;
        bool good;
    } cases[] = {{"PLAIN", "\0u\0secret", 9, true},
                 {"PLAIN", "z\0u\0secret", 10, true},
                 {"PLAIN", "\0u\0secrex", 9, false},
                 {"PLAIN", "\0secret", 7, false},
                 {"PLAIN", "", 0, false},
                 {"CRAM-MD5", "\0u\0secret", 9, false}};
    char text[128];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench b;
        open_bench(&b, CACHE_MEMCACHE, "secret");
        say(&b, text, frame(text, 0x0a, "", "", 0), false);
        hear_frame(&b, 0x0a, 0x20, "Auth failure.");
        say(&b, text, frame(text, 0x20, "", "", 0), false);
        hear_frame(&b, 0x20, 0, "PLAIN");
        say(&b, text, frame(text, 0x21, cases[i].mechanism, cases[i].value, cases[i].len), false);
        hear_frame(&b, 0x21, cases[i].good ? 0 : 0x20,
                   cases[i].good ? "Authenticated" : "Auth failure.");
        say(&b, text, frame(text, 0x0a, "", "", 0), false);
        hear_frame(&b, 0x0a, cases[i].good ? 0 : 0x20, cases[i].good ? "" : "Auth failure.");
        close_bench(&b);
    }
    struct bench b;
    open_bench(&b, CACHE_MEMCACHE, ""); /* as memcached does it when it wants no password */
    say(&b, text, frame(text, 0x20, "", "", 0), false);
    hear_frame(&b, 0x20, 0x81, "Unknown command");
    close_bench(&b);
}

static void test_size_in_binary(void **state)
{
    (void)state;
    char text[128];
    struct bench b;
    open_bench(&b, CACHE_MEMCACHE, "");
    b.store.kinds.kind[kinds_find(&b.store.kinds, "app")].size_bytes = 8;
    for (size_t len = 8; len <= 9; len++) {
        /* SetQ, which is silent when all is well, with flags and expiry of 0. */
        size_t n = frame(text, 0x11, "", "\0\0\0\0\0\0\0\0k123456789", 9 + len);
        text[3] = 1;
        text[4] = 8;
        say(&b, text, n, false);
        if (len == 9)
            hear_frame(&b, 0x11, 3, "Too large.");
        say(&b, text, frame(text, 0x0a, "", "", 0), false);
        hear_frame(&b, 0x0a, 0, "");
    }
    close_bench(&b);
}

static void test_failures_are_said(void **state)
{
    (void)state;
    static const struct {
        int error;
        const char *memcached, *redis;
    } cases[] = {
        {STEAD_E_FULL, "SERVER_ERROR out of memory storing object\r\n",
         "-OOM command not allowed: the sessions' memory is full\r\n"},
        {STEAD_E_DEADLINE, "SERVER_ERROR not reachable at the moment\r\n",
         "-TRYAGAIN not reachable at the moment\r\n"},
        {STEAD_E_BUSY, "SERVER_ERROR busy\r\n", "-TRYAGAIN not reachable at the moment\r\n"},
        {STEAD_E_ALONE, "SERVER_ERROR not reachable at the moment\r\n",
         "-NOREPLICAS no other node is there to hold a copy\r\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench b;
        open_bench(&b, CACHE_MEMCACHE, "");
        b.store.spoil[SESSION_CHANGE] = cases[i].error;
        say(&b, "set k 0 0 1\r\nx\r\n", 16, false);
        hear(&b, cases[i].memcached, strlen(cases[i].memcached));
        close_bench(&b);
        open_bench(&b, CACHE_RESP, "");
        b.store.spoil[SESSION_CHANGE] = cases[i].error;
        say(&b, "SET k x\r\n", 9, false);
        hear(&b, cases[i].redis, strlen(cases[i].redis));
        close_bench(&b);
    }
}

/* A node dies with what was sent to it: whoever has its records by now is asked once more. */
static void test_what_may_be_repeated_is(void **state)
{
    (void)state;
    static const struct {
        enum session_op_type type;
        bool done;
        const char *said, *heard;
    } cases[] = {
        {SESSION_CHANGE, false, "set k 0 0 1\r\ny\r\n", "STORED\r\n"},
        {SESSION_CHANGE, true, "set k 0 0 1\r\ny\r\n", "STORED\r\n"},
        {SESSION_CHANGE, true, "touch k 9\r\n", "TOUCHED\r\n"},
        {SESSION_END, false, "delete k\r\n", "DELETED\r\n"},
        {SESSION_END, true, "delete k\r\n", "DELETED\r\n"},
        {SESSION_CREATE_IF_ABSENT, false, "add n 0 0 1\r\ny\r\n", "STORED\r\n"},
        /* What is there now may be its own, or another's. */
        {SESSION_CREATE_IF_ABSENT, true, "add n 0 0 1\r\ny\r\n",
         "SERVER_ERROR not reachable at the moment\r\n"},
        {SESSION_CHANGE, true, "append k 0 0 1\r\ny\r\n",
         "SERVER_ERROR not reachable at the moment\r\n"},
        {SESSION_CHANGE, true, "incr k 1\r\n", "SERVER_ERROR not reachable at the moment\r\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench b;
        open_bench(&b, CACHE_MEMCACHE, "");
        say(&b, "set k 0 0 1\r\n1\r\n", 16, false);
        hear(&b, "STORED\r\n", 8);
        b.store.spoil[cases[i].type] = STEAD_E_UNKNOWN;
        b.store.done[cases[i].type] = cases[i].done;
        say(&b, cases[i].said, strlen(cases[i].said), false);
        hear(&b, cases[i].heard, strlen(cases[i].heard));
        close_bench(&b);
    }
}

static void test_prefixes_choose_kinds(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, CACHE_MEMCACHE, "");
    static const char text[] = "set tls:1 0 60 1\r\nx\r\nset 1 0 60 1\r\ny\r\n";
    say(&b, text, sizeof text - 1, false);
    hear(&b, "STORED\r\nSTORED\r\n", 16);
    assert_int_equal(b.store.records[0]->key.kind, kinds_find(&b.store.kinds, "tls"));
    assert_int_equal(b.store.records[1]->key.kind, kinds_find(&b.store.kinds, "app"));
    close_bench(&b);
}

/* A node that does not serve closes at once; so does a door that is full. */
static void test_nobody_is_stalled(void **state)
{
    (void)state;
    struct bench b;
    char byte;
    open_bench(&b, CACHE_RESP, "");
    turn(&b);
    b.serving = false;
    int fd = call(&b);
    turn(&b);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
    b.serving = true;
    int fds[8];
    for (int i = 0; i < 8; i++)
        fds[i] = call(&b);
    turn(&b);
    assert_int_equal(recv(fds[7], &byte, 1, 0), 0); /* the ninth of eight */
    assert_int_equal(atomic_load(&b.counters.refused), 2);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    turn(&b);
    assert_int_equal(atomic_load(&b.counters.connections), 1);
    close_bench(&b);
}

/* Who asks and never reads is not served on, and costs a bounded amount. */
static void test_a_reader_that_does_not_read(void **state)
{
    (void)state;
    struct bench b;
    static char value[100000], text[100100];
    open_bench(&b, CACHE_RESP, "");
    memset(value, 'v', sizeof value - 1);
    int n = snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%zu\r\n%s\r\n",
                     sizeof value - 1, value);
    say(&b, text, (size_t)n, false);
    hear(&b, "+OK\r\n", 5);
    for (int i = 0; i < 2000; i++) {
        if (send(b.client, "GET k\r\n", 7, MSG_NOSIGNAL) < 0)
            break;
        uv_run(&b.loop, UV_RUN_NOWAIT);
    }
    turn(&b);
    assert_true(atomic_load(&b.counters.slow) > 0);
    assert_true(atomic_load(&b.counters.requests) < 200);
    close_bench(&b);
}

static void never(void *context)
{
    (void)context;
}

/* It is noticed when its answer has nobody to go to; the others are served meanwhile. */
static void test_a_client_that_goes_while_it_waits(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, CACHE_RESP, "");
    b.store.delay = true;
    struct store_wake wake = b.store.wake;
    b.store.wake = (struct store_wake){never, NULL};
    say(&b, "SET k v\r\n", 9, false);
    turn(&b);
    close(b.client);
    turn(&b);
    b.client = call(&b);
    say(&b, "PING\r\n", 6, false);
    hear(&b, "+PONG\r\n", 7);
    assert_int_equal(atomic_load(&b.counters.connections), 2);
    b.store.wake = wake;
    wake.call(wake.context);
    for (int i = 0; i < 20 && atomic_load(&b.counters.connections) > 1; i++)
        turn(&b);
    assert_int_equal(atomic_load(&b.counters.connections), 1);
    say(&b, "GET k\r\n", 7, false);
    hear(&b, "$1\r\nv\r\n", 7);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memcached),
        cmocka_unit_test(test_memcached_cas),
        cmocka_unit_test(test_redis),
        cmocka_unit_test(test_redis_locks),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_transactions_are_bounded),
        cmocka_unit_test(test_a_transaction_of_large_answers),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_large_values),
        cmocka_unit_test(test_size_of_a_kind),
        cmocka_unit_test(test_size_in_binary),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_sasl),
        cmocka_unit_test(test_failures_are_said),
        cmocka_unit_test(test_what_may_be_repeated_is),
        cmocka_unit_test(test_prefixes_choose_kinds),
        cmocka_unit_test(test_nobody_is_stalled),
        cmocka_unit_test(test_a_reader_that_does_not_read),
        cmocka_unit_test(test_a_client_that_goes_while_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
